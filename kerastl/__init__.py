"""kerastl: learn transfer learning with Keras, and do it.

    import kerastl as tl

    flowers = tl.load_images("drawn_flowers")
    model = tl.build_model("MobileNetV2", flowers, weights="garden")
    phase1 = tl.train_head(model, flowers)
    tl.unfreeze_top(model, 30)
    phase2 = tl.fine_tune(model, flowers)

Every name is loaded when it is first used, so that `import kerastl` does not wait for TensorFlow.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    "BASES": "bases",
    "ImageData": "data",
    "load_images": "images",
    "check_images": "image_check",
    "TextData": "data",
    "load_texts": "texts",
    "build_model": "model",
    "freeze": "freezing",
    "unfreeze_top": "freezing",
    "snapshot": "freezing",
    "changed_layers": "freezing",
    "list_blocks": "blocks",
    "compare_bases": "comparing",
    "find_learning_rate": "rates",
    "train_head": "training",
    "fine_tune": "training",
    "train_from_scratch": "training",
    "extract_features": "features",
    "evaluate": "evaluation",
    "fit_temperature": "calibration",
    "save": "saving",
    "load": "saving",
    "without_augmentation": "in_use",
    "export": "exporting",
    "predict": "prediction",
    "grad_cam": "explain",
    "plot_images": "plots.pictures",
    "plot_augmentation": "plots.pictures",
    "plot_mistakes": "plots.pictures",
    "plot_heat": "plots.pictures",
    "plot_history": "plots.history",
    "plot_layers": "plots.layers",
    "plot_learning_rates": "plots.rates",
    "plot_doubles": "plots.doubles",
    "plot_features": "plots.features",
    "plot_confusion": "plots.scores",
    "plot_calibration": "plots.scores",
    "plot_comparison": "plots.bases",
    "explain_transfer": "plots.transfer",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'kerastl' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"kerastl.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
