"""What the page of `serve` says about one picture: classes, heat map, nearest training pictures."""

import base64
import io
import tempfile
import threading
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from kerastl.data import as_arrays, make_dataset
from kerastl.explain import grad_cam
from kerastl.features import extract_features, feature_model
from kerastl.inputs import takes_texts
from kerastl.plots.pictures import plot_heat
from kerastl.prediction import predict, read_pixels
from kerastl.saving import SavedModel

MOST_GUESSES, MOST_NEIGHBOURS = 5, 5


class Answers:
    """Call it with the content of a picture's file. One picture at a time, whoever asks."""

    def __init__(self, saved: SavedModel, pictures=None):
        """Args: saved, what `load` returned; pictures, batches of (images, labels) to show the nearest of, or None."""
        if takes_texts(saved.model):
            raise ValueError(
                f"{saved.model.name!r} takes texts. Expected a model of pictures: the page shows nothing else."
            )
        self._saved, self._lock = saved, threading.Lock()
        self._images = self._labels = np.empty(0)
        if pictures is not None:
            self._images, self._labels = as_arrays(pictures)
            self._reader = feature_model(saved.model)
            self._known = _unit(extract_features(saved.model, make_dataset(self._images, self._labels)).values)

    @property
    def class_names(self) -> list[str]:
        return self._saved.class_names

    def __call__(self, content: bytes) -> dict:
        """What JSON can hold: `guesses`, `seen`, `heat` (or None, and `no_heat` says why), `neighbours`; or `error`."""
        with self._lock, tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "picture"
            file.write_bytes(content)
            try:
                pixels = read_pixels(self._saved.model, file)
            except ValueError as error:
                return {"error": str(error).replace(repr(str(file)), "the file")}
            said = predict(self._saved, pixels, top=MOST_GUESSES)
            guesses = [guess._asdict() for guess in said]
            return {"guesses": guesses, "seen": _png(pixels), "neighbours": self._nearest(pixels)} | self._heat(pixels)

    def _heat(self, pixels: np.ndarray) -> dict:
        try:
            heat = grad_cam(self._saved, pixels)
        except ValueError as error:
            return {"heat": None, "no_heat": f"There is no heat map: {error}"}
        figure = Figure(figsize=(3, 3 * pixels.shape[0] / pixels.shape[1]))
        plot_heat(heat, ax=figure.add_axes((0, 0, 1, 1)))
        file = io.BytesIO()
        figure.savefig(file, dpi=100)
        return {"heat": _as_url(file)}

    def _nearest(self, pixels: np.ndarray) -> list[dict]:
        """Those whose pooled features point most nearly the same way."""
        if not len(self._images):
            return []
        features = _unit(np.asarray(self._reader.predict_on_batch(pixels[None].astype("float32"))))
        best = np.argsort(-(self._known @ features[0]), kind="stable")[:MOST_NEIGHBOURS]
        return [
            {"picture": _png(self._images[number]), "class_name": self.class_names[int(self._labels[number])]}
            for number in best
        ]


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _png(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels).astype("uint8")).save(file, "png")
    return _as_url(file)


def _as_url(file: io.BytesIO) -> str:
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
