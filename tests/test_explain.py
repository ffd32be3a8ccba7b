"""Heat maps: that they mean something, on every kind of base, and wrong input.

Drawn flowers tell what a heat map should show, since the program that drew them knows which pixels are flower.
"""

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.bases import BASES
from kerastl.explain import heat_maps
from kerastl.graph import find_base_model
from kerastl.saving import SavedModel
from programs import import_from
from tiers import slow

NAMES = ["blue", "green", "red"]


@pytest.fixture(scope="module")
def flowers():
    """(pictures, masks, labels): 60 drawn flowers, smaller and further from the centre than the bundled ones."""
    kinds, scene = import_from("data/make", "kinds", "scene")
    drawn = []
    for label, name in enumerate(kinds.CLASS_NAMES):
        for number in range(12):
            rng = np.random.default_rng([31, label, number])
            drawn.append((*scene.draw_picture(kinds.target_flower(name, rng), rng, (0.28, 0.45)), label))
    pictures, masks, labels = zip(*drawn, strict=True)
    return np.stack(pictures), np.stack(masks), np.array(labels)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    data = tl.load_images("drawn_flowers")
    model = tl.build_model("MobileNetV2", data, weights="garden")
    tl.train_head(model, data, epochs=5, verbose=0)
    return SavedModel(model, data.class_names)


def inside(heat: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """For each picture, the share of the heat that lies in the flower's mask."""
    return (heat * masks).sum(axis=(1, 2)) / np.maximum(heat.sum(axis=(1, 2)), 1e-9)


def centred(heat: np.ndarray) -> np.ndarray:
    """The same heat as a blob in the middle: its values sorted, the highest in the centre. As sharp as the map."""
    height, width = heat.shape[1:]
    y, x = np.mgrid[:height, :width]
    order = np.argsort(np.hypot(y - (height - 1) / 2, x - (width - 1) / 2).ravel(), kind="stable")
    blob = np.empty((len(heat), height * width))
    blob[:, order] = np.sort(heat.reshape(len(heat), -1), axis=1)[:, ::-1]
    return blob.reshape(heat.shape)


def advantage(heat: np.ndarray, masks: np.ndarray) -> tuple[float, float]:
    """How much more of the heat lies on the flower than of the blob: mean, and half of its 95 % interval."""
    gains = inside(heat, masks) - inside(centred(heat), masks)
    return gains.mean(), 2.0 * gains.std(ddof=1) / np.sqrt(len(gains))


@pytest.mark.slow
def test_the_heat_lies_on_the_flower_more_than_a_blob_in_the_centre_would(trained, flowers):
    pictures, masks, labels = flowers
    heat = heat_maps(trained.model, pictures, labels)
    gain, half = advantage(heat, masks)
    assert gain > half
    assert inside(heat, masks).mean() > 2.5 * masks.mean()  # chance is the mask's share of the picture


def shuffled(model: keras.Model, layers: list) -> keras.Model:
    """The same model with the numbers of each weight of these layers in another order."""
    rng = np.random.default_rng(0)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for name in layers:
        layer = find_base_model(copy) if name == "base" else copy.get_layer(name)
        layer.set_weights([rng.permutation(weight.ravel()).reshape(weight.shape) for weight in layer.get_weights()])
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("layers", [["classifier"], ["base", "classifier"]])
def test_random_weights_destroy_the_map(trained, flowers, layers):
    """The sanity check of Adebayo et al. (2018): a map that survives random weights shows the picture alone."""
    pictures, masks, labels = flowers
    true = heat_maps(trained.model, pictures, labels)
    random = heat_maps(shuffled(trained.model, layers), pictures, labels)
    assert advantage(random, masks)[0] < 0
    alike = [
        np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(true, random, strict=True) if other.any()
    ]
    assert np.mean(alike) < 0.5


@pytest.mark.slow
def test_another_class_has_another_map(trained, flowers):
    """Two flowers side by side: each half speaks for its own class."""
    pictures, _, labels = flowers
    daisies, tulips = pictures[labels == 0], pictures[labels == 4]
    both = np.concatenate([daisies[:, :, 24:72], tulips[:, :, 24:72]], axis=2)
    left = slice(0, 48)
    for_daisy, for_tulip = (heat_maps(trained.model, both, [number] * len(both)) for number in (0, 4))
    share_daisy = for_daisy[:, :, left].sum() / for_daisy.sum()
    share_tulip = for_tulip[:, :, left].sum() / for_tulip.sum()
    assert share_daisy > 0.6 > 0.4 > share_tulip, (share_daisy, share_tulip)


def test_the_map_is_that_of_the_most_probable_class_and_as_large_as_the_picture(trained, flowers):
    picture = flowers[0][0]
    best = tl.predict(trained, picture)[0]
    said = tl.grad_cam(trained, picture)
    assert (said.class_name, said.probability) == best
    assert said.heat.shape == (96, 96)
    assert said.heat.dtype == np.float32
    assert said.heat.min() >= 0
    assert said.heat.max() == 1
    assert np.array_equal(said.image, picture)
    asked = tl.grad_cam(trained, picture, "tulip")
    assert asked.class_name == "tulip"
    assert not np.array_equal(asked.heat, said.heat)


@pytest.mark.slow
def test_a_saved_file_a_loaded_and_a_bare_model_give_the_same_map(trained, flowers, tmp_path):
    model, names = trained
    path = tl.save(model, tmp_path / "model.keras", names)
    expected = tl.grad_cam(model, flowers[0][7], class_names=names)
    for source in (path, str(path), tl.load(path)):
        np.testing.assert_allclose(tl.grad_cam(source, flowers[0][7]).heat, expected.heat, atol=1e-5)


def test_at_the_last_layer_before_average_pooling_it_is_the_class_activation_map(toy, arrays):
    """There the gradient is the classifier's weight over the number of places: CAM, Zhou et al. (2016), centred."""
    picture = arrays["test"][0][:1].astype("float32")
    base, head = toy.layers[2], toy.get_layer("classifier")
    head.bias.assign([0.1, 0.2, 0.3])
    weights = np.asarray(head.kernel)
    weights = weights - weights.mean(axis=1, keepdims=True)

    def by_hand(image):
        return np.asarray(base(image / 127.5 - 1, training=False))[0] @ weights[:, 1]

    expected = np.maximum(by_hand(picture) + by_hand(picture[:, :, ::-1])[:, ::-1], 0)
    heat = heat_maps(toy, picture, [1])[0]
    small = keras.ops.convert_to_numpy(keras.ops.image.resize(expected[..., None], (32, 32)))[..., 0]
    np.testing.assert_allclose(heat, small / small.max(), atol=1e-5)


def test_a_model_with_one_output_has_a_map_for_both_classes(make_toy, arrays):
    model = make_toy(classes=1)
    model.get_layer("classifier").bias.assign([0.3])
    picture = arrays["test"][0][0]
    yes, no = (tl.grad_cam(model, picture, name, class_names=["no", "yes"]) for name in ("yes", "no"))
    assert yes.probability + no.probability == pytest.approx(1)
    assert not ((yes.heat > 0.01) & (no.heat > 0.01)).all()


@pytest.mark.weekly
@pytest.mark.parametrize("name", sorted(BASES))
def test_every_base_of_the_table_has_a_map(name, data):
    _try_base(name)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "VGG16", *slow("NASNetMobile", "EfficientNetB0", "ConvNeXtTiny")])
def test_several_kinds_of_bases_have_a_map(name):
    _try_base(name)


def _try_base(name: str) -> None:
    if name.startswith("NASNet") and keras.backend.backend() == "torch":
        pytest.skip("Keras has no NASNet on torch")
    flowers = tl.load_images("drawn_flowers")
    model = tl.build_model(name, flowers, weights=None)
    model.get_layer("classifier").bias.assign([0.1] * 5)
    images = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    heat = heat_maps(model, images, [0, 1])
    assert heat.shape == (2, 96, 96)
    assert np.isfinite(heat).all()


# ---- wrong input


def test_a_head_that_was_not_trained_is_an_error(toy, arrays):
    with pytest.raises(ValueError, match=r"has not been trained: a heat map would show chance"):
        tl.grad_cam(toy, arrays["test"][0][0], class_names=NAMES)


def test_an_unknown_class_is_an_error(trained, flowers):
    with pytest.raises(ValueError, match=r"The model has no class 'tulips'\. Did you mean tulip\?"):
        tl.grad_cam(trained, flowers[0][0], "tulips")


def test_a_picture_of_another_size_is_an_error(trained):
    with pytest.raises(ValueError, match=r"Received an array of shape \(32, 32, 3\), uint8\. Expected \(96, 96, 3\)"):
        tl.grad_cam(trained, np.zeros((32, 32, 3), np.uint8))


def test_a_model_that_does_not_end_in_a_dense_layer_is_an_error(toy, arrays):
    outputs = keras.layers.Activation("linear")(toy.outputs[0])
    with pytest.raises(ValueError, match=r"ends in Activation\. Expected a Dense layer"):
        heat_maps(keras.Model(toy.inputs[0], outputs), arrays["test"][0][:1], [0])
