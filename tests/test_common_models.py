"""Models as people build them, beside `build_model`: every step of the workflow takes each of them."""

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.engine.split import split_model
from kerastl.graph import find_base_model

layers = keras.layers
COUNT, BATCH = 24, 9


def _scaled(image):
    return layers.Rescaling(1 / 127.5, -1)(image)


def _dropout(chance: bool) -> list:
    return [layers.Dropout(0.3)] if chance else []


def _through(x, *steps):
    for step in steps:
        x = step(x)
    return x


def _classify(x, chance: bool):
    return _through(x, *_dropout(chance), layers.Dense(3, activation="softmax"))


def _copy(base, size=32):
    """The same base with its own weights, for images of one size or of any (None)."""
    config = base.get_config()
    config["layers"][0]["config"]["batch_shape"] = (None, size, size, 3)
    other = keras.Model.from_config(config)
    other.set_weights(base.get_weights())
    return other


def _normalized():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(6).uniform(0, 255, (20, 32, 32, 3)).astype("float32"))
    return layer


def nested_head(image, base, chance):
    head = [layers.GlobalAveragePooling2D(), layers.Dense(8, activation="relu"), *_dropout(chance)]
    return _through(base(_scaled(image)), keras.Sequential([*head, layers.Dense(3, activation="softmax")]))


def nested_head_told_to_train(image, base, chance):
    head = keras.Sequential([layers.GlobalAveragePooling2D(), *_dropout(chance), layers.Dense(3, activation="softmax")])
    return head(base(_scaled(image)), training=True)


def sequential_in_sequential(image, base, chance):
    head = keras.Sequential([layers.GlobalAveragePooling2D(), *_dropout(chance)])
    model = keras.Sequential([image, layers.Rescaling(1 / 127.5, -1), base, head, layers.Dense(3), layers.Softmax()])
    return model.outputs[0]


def two_poolings(image, base, chance):
    features = base(_scaled(image))
    both = layers.Concatenate()([layers.GlobalAveragePooling2D()(features), layers.GlobalMaxPooling2D()(features)])
    return _classify(both, chance)


def two_ways_in_the_head(image, base, chance):
    features = base(_scaled(image))
    mean, most = layers.GlobalAveragePooling2D()(features), layers.GlobalMaxPooling2D()(features)
    return _classify(layers.Concatenate()([layers.Dense(4)(mean), most]), chance)


def convolution_on_the_features(image, base, chance):
    x = layers.Conv2D(4, 1, activation="relu")(base(_scaled(image)))
    return _classify(layers.GlobalAveragePooling2D()(x), chance)


def normalization_in_front(image, base, chance):
    return _classify(layers.GlobalAveragePooling2D()(base(_normalized()(image))), chance)


def normalization_in_the_augmentation(image, base, chance):
    augmentation = keras.Sequential([*([layers.RandomFlip()] if chance else []), _normalized()])
    return _classify(layers.GlobalAveragePooling2D()(base(augmentation(image))), chance)


def softmax_layer(image, base, chance):
    pooled = layers.GlobalAveragePooling2D()(base(_scaled(image)))
    return _through(pooled, *_dropout(chance), layers.Dense(3), layers.Softmax())


def softmax_activation(image, base, chance):
    pooled = layers.GlobalAveragePooling2D()(base(_scaled(image)))
    return _through(pooled, *_dropout(chance), layers.Dense(3), layers.Activation("softmax", dtype="float32"))


def softmax_function(image, base, chance):
    pooled = layers.GlobalAveragePooling2D()(base(_scaled(image)))
    return keras.ops.softmax(_through(pooled, *_dropout(chance), layers.Dense(3)))


def base_of_any_size(image, base, chance):
    return _classify(layers.GlobalAveragePooling2D()(_copy(base, None)(_scaled(image))), chance)


def pooling_in_the_base(image, base, chance):
    pooled = layers.GlobalAveragePooling2D(name="inside")(base.outputs[0])
    return _classify(keras.Model(base.inputs[0], pooled, name="pooling")(_scaled(image)), chance)


MODELS = [
    nested_head,
    nested_head_told_to_train,
    sequential_in_sequential,
    two_poolings,
    two_ways_in_the_head,
    convolution_on_the_features,
    normalization_in_front,
    normalization_in_the_augmentation,
    softmax_layer,
    softmax_activation,
    softmax_function,
    base_of_any_size,
    pooling_in_the_base,
]


@pytest.fixture
def make(toy):
    """A function that builds a model on the small base, with or without layers that act by chance in training."""

    def build(form, chance: bool = True) -> keras.Model:
        base = _copy(find_base_model(toy))
        image = keras.Input((32, 32, 3))
        model = keras.Model(image, form(image, base, chance), name=form.__name__)
        tl.freeze(model)
        return model

    return build


# ---- the steps, in the order of the workflow


def its_blocks_hold_every_parameter_once(model, **_):
    assert tl.list_blocks(model).total.parameters == model.count_params()


def what_is_kept_is_the_least_that_is_needed(model, arrays, **_):
    split, images = split_model(model), arrays["test"][0].astype("float32")
    kept = sum(int(np.prod(tensor.shape[1:])) for tensor in split.lower.outputs)
    assert kept == (2 * 16 if "two" in model.name else 8 * 8 * 16 if "convolution" in model.name else 16)
    together = split.upper(split.lower(split.front(images, training=False), training=False), training=False)
    np.testing.assert_allclose(together, model.predict(images, verbose=0), atol=1e-5)


def its_features_are_read(model, data, arrays, **_):
    values, labels = tl.extract_features(model, data.test)
    split = split_model(model)
    kept = split.lower(split.front(arrays["test"][0].astype("float32"), training=False))
    rows = np.concatenate([np.asarray(one).reshape(9, -1) for one in keras.tree.flatten(kept)], axis=1)
    np.testing.assert_allclose(values, rows, atol=1e-5)
    assert np.array_equal(labels, arrays["test"][1])


def phase_1_moves_the_head_alone(model, data, differing, tmp_path, **_):
    before, head = tl.snapshot(model), {weight.path for weight in model.trainable_weights}
    history = tl.train_head(model, data, epochs=2, views=1, backup_dir=tmp_path, verbose=0)
    assert differing(before, tl.snapshot(model)) == head
    assert np.isfinite(history.history["val_loss"]).all()


def phase_1_is_taken_from_its_backup(model, data, tmp_path, capsys, start, **_):
    after = model.get_weights()
    model.set_weights(start)
    tl.train_head(model, data, epochs=2, views=1, backup_dir=tmp_path, verbose=1)
    assert "was finished before" in capsys.readouterr().out
    assert all(map(np.array_equal, after, model.get_weights()))


def phase_2_moves_what_is_unfrozen_alone(model, data, differing, **_):
    tl.unfreeze_top(model, 6)
    before, expected = tl.snapshot(model), {weight.path for weight in model.trainable_weights}
    assert any("conv4" in path for path in expected)
    tl.fine_tune(model, data, epochs=2, views=1, verbose=0)
    assert differing(before, tl.snapshot(model)) == expected


def it_is_evaluated(model, data, arrays, **_):
    said = model.predict(arrays["test"][0].astype("float32"), verbose=0)
    np.testing.assert_allclose(tl.evaluate(model, data.test).probabilities, said, atol=1e-5)


def it_is_saved_and_loaded(model, data, arrays, tmp_path, **_):
    images = arrays["test"][0].astype("float32")
    file = tl.save(model, tmp_path / "model.keras", data.class_names)
    for loaded in (tl.load(file).model, keras.models.load_model(file)):
        np.testing.assert_allclose(loaded.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-5)
        assert split_model(loaded).depth == split_model(model).depth


def it_names_a_picture(model, data, arrays, **_):
    image = arrays["test"][0][0]
    first = tl.predict(model, image, class_names=data.class_names)[0]
    expected = model.predict(image[None].astype("float32"), verbose=0)[0]
    assert first.class_name == data.class_names[expected.argmax()]
    assert first.probability == pytest.approx(expected.max(), abs=1e-5)


def a_heat_map_shows_where_the_evidence_lies(model, data, arrays, **_):
    heat = tl.grad_cam(model, arrays["test"][0][0], class_names=data.class_names).heat
    assert heat.shape == (32, 32)
    assert heat.max() == 1


def its_augmentation_can_be_left_out(model, arrays, **_):
    images = arrays["test"][0].astype("float32")
    in_use = tl.without_augmentation(model)
    answers = [np.asarray(in_use(images)) for _ in range(3)]
    assert np.ptp(answers, axis=0).max() == 0
    np.testing.assert_allclose(answers[0], model.predict(images, verbose=0), atol=1e-5)
    assert find_base_model(in_use) is find_base_model(model)


STEPS = [
    its_blocks_hold_every_parameter_once,
    what_is_kept_is_the_least_that_is_needed,
    its_features_are_read,
    phase_1_moves_the_head_alone,
    phase_1_is_taken_from_its_backup,
    phase_2_moves_what_is_unfrozen_alone,
    it_is_evaluated,
    it_is_saved_and_loaded,
    it_names_a_picture,
    a_heat_map_shows_where_the_evidence_lies,
    its_augmentation_can_be_left_out,
]


def forms(*fast):
    """Every model; all but a few are slow, and run with `make test-all`."""
    return pytest.mark.parametrize(
        "form",
        [form if form in fast else pytest.param(form, marks=pytest.mark.slow) for form in MODELS],
        ids=lambda form: form.__name__,
    )


@forms(nested_head)
def test_every_step_of_the_workflow_takes_a_common_model(make, form, data, arrays, differing, tmp_path, capsys):
    model = make(form)
    start = model.get_weights()
    for step in STEPS:
        step(model, data=data, arrays=arrays, differing=differing, tmp_path=tmp_path, capsys=capsys, start=start)


@pytest.mark.parametrize("unfrozen", [0, 6])
@forms(two_ways_in_the_head)
def test_training_a_common_model_equals_plain_training(make, form, unfrozen, ordered_data, arrays):
    images, labels = arrays["train"]
    one, other = (make(form, chance=False) for _ in range(2))
    other.set_weights(one.get_weights())
    start, train = tl.snapshot(one), tl.train_head
    if unfrozen:
        tl.unfreeze_top(one, unfrozen)
        tl.unfreeze_top(other, unfrozen)
        train = tl.fine_tune
    np.random.seed(4)
    train(one, ordered_data, epochs=2, learning_rate=keras.optimizers.SGD(0.05), views=0, verbose=0)
    np.random.seed(4)
    other.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    for _ in range(2):
        order = np.random.permutation(COUNT)
        for first in range(0, COUNT, BATCH):
            index = order[first : first + BATCH]
            other.train_on_batch(images[index].astype("float32"), labels[index])
    trained = tl.snapshot(one)
    for value, wanted in zip(trained.values(), tl.snapshot(other).values(), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5)
    assert max(np.abs(trained[path] - start[path]).max() for path in start) > 1e-3


def test_one_output_with_a_sigmoid_of_its_own_is_two_classes(make, data, arrays):
    def sigmoid(image, base, chance):
        return layers.Activation("sigmoid")(layers.Dense(1)(layers.GlobalAveragePooling2D()(base(image))))

    parts = [part.map(lambda image, label: (image, label % 2)) for part in data[:3]]
    model = make(sigmoid)
    tl.train_head(model, tl.ImageData(*parts, ["a", "b"]), epochs=1, verbose=0)
    assert tl.grad_cam(model, arrays["test"][0][0], class_names=["a", "b"]).heat.max() == 1


def test_phase_2_goes_on_from_phase_1_with_a_base_of_any_size(make):
    model = make(base_of_any_size)
    names = []
    for _ in range(2):
        names.append([tensor.name for tensor in split_model(model).below.outputs])
        tl.unfreeze_top(model, 3)
    assert names[0] == names[1]


# ---- what is refused, with a reason


def a_second_input(image, base):
    pooled = layers.GlobalAveragePooling2D()(base(image))
    age = keras.Input((1,), name="age")
    return keras.Model([image, age], layers.Dense(3, activation="softmax")(layers.Concatenate()([pooled, age])))


def a_second_output(image, base):
    pooled = layers.GlobalAveragePooling2D()(base(image))
    return keras.Model(image, [layers.Dense(3, activation="softmax")(pooled), layers.Dense(1)(pooled)])


def a_way_past_the_base(image, base):
    both = [layers.GlobalAveragePooling2D()(base(image)), layers.GlobalMaxPooling2D(name="past")(image)]
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Concatenate()(both)), name="two_ways")


def the_base_called_twice(image, base):
    turned = base(keras.ops.flip(image, axis=2))
    both = layers.GlobalAveragePooling2D()(layers.Average()([base(image), turned]))
    return keras.Model(image, layers.Dense(3, activation="softmax")(both))


def images_of_any_size(image, base):
    image = keras.Input((None, None, 3))
    pooled = layers.GlobalAveragePooling2D()(_copy(base, None)(image))
    return keras.Model(image, layers.Dense(3, activation="softmax")(pooled))


def channels_first(image, base):
    image = keras.Input((3, 32, 32))
    turned = layers.Permute((2, 3, 1))(image)
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.GlobalMaxPooling2D()(base(turned))))


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (a_second_input, r"has 2 inputs and 1 outputs\. Expected one of each.*Keras's own `fit`"),
        (a_second_output, r"has 1 inputs and 2 outputs\. Expected one of each.*keras\.Model\(model\.inputs"),
        (a_way_past_the_base, r"in 'two_ways' reads something that goes past the base 'toy'\. Expected"),
        (the_base_called_twice, r"base 'toy' is called 2 times .*Expected one call, one input and one output"),
        (images_of_any_size, r"is given images of any size, \(None, None, 3\)\. Expected one size: begin"),
        (channels_first, r"takes images \(3, 32, 32\), with the channels first\. Expected.*set_image_data_format"),
    ],
)
@pytest.mark.parametrize("step", [tl.train_head, tl.extract_features, tl.list_blocks, tl.without_augmentation])
def test_what_cannot_be_trained_here_is_an_error_in_every_step(toy, data, form, message, step):
    model = form(keras.Input((32, 32, 3)), find_base_model(toy))
    arguments = {tl.train_head: [data], tl.extract_features: [data.test]}.get(step, [])
    with pytest.raises(ValueError, match=message):
        step(model, *arguments)


# ---- compiled by its owner


@pytest.mark.parametrize(
    ("loss", "metrics", "named"),
    [
        (keras.losses.CategoricalCrossentropy(label_smoothing=0.1), ["accuracy"], "CategoricalCrossentropy"),
        (
            "sparse_categorical_crossentropy",
            ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2)],
            "SparseTopKCategoricalAccuracy",
        ),
        (lambda true, said: keras.ops.mean(said), None, "lambda"),
        (["sparse_categorical_crossentropy"], {"classifier": ["accuracy", "mse"]}, "mse"),
    ],
)
def test_a_loss_and_metrics_that_go_are_named(toy, data, loss, metrics, named):
    toy.compile("adam", loss, metrics=metrics)
    with pytest.warns(
        UserWarning, match=rf"compiled with \w*{named}\w*\. kerastl does not use that: .*use Keras's `fit`"
    ) as caught:
        tl.train_head(toy, data, epochs=1, verbose=0)
    assert [warning.filename for warning in caught if warning.category is UserWarning] == [__file__]


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        keras.losses.SparseCategoricalCrossentropy(),
        {"classifier": keras.losses.sparse_categorical_crossentropy},
    ],
)
def test_nothing_is_said_where_nothing_is_lost(toy, data, loss, recwarn):
    toy.compile("adam", loss, metrics=["accuracy"])
    tl.train_head(toy, data, epochs=1, verbose=0)
    tl.train_head(toy, data, epochs=1, verbose=0)  # compiled by the first
    assert not [warning for warning in recwarn if "compiled" in str(warning.message)]
