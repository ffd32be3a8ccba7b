"""Every base stands in the table of what a model's file may name; nothing that does more than compute does."""

import inspect
import json

import keras
import pytest

import kerastl as tl
from hostile import ATTACKS
from kerastl.bases import BASES
from kerastl.private import version
from kerastl.vocabulary import _CLASSES, check_config
from tiers import weekly

FIRST = {base.family: name for name, base in reversed(BASES.items())}  # the smallest of each family


def config_of(model: keras.Model) -> dict:
    return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))


@pytest.fixture
def config(toy):
    return config_of(toy)


@pytest.mark.parametrize("name", [*FIRST.values(), *weekly(*sorted(BASES.keys() - set(FIRST.values())))])
def test_a_model_on_each_base_is_accepted(name, data):
    side = BASES[name].smallest_image
    sized = data._replace(train=data.train.map(lambda x, y: (keras.ops.image.resize(x, (side, side)), y)))
    with keras.StatelessScope(initialize_variables=False):  # of the large ones, no weights are made
        model = tl.build_model(name, sized, weights=None)
        config = config_of(model)
    check_config(config)
    assert len(json.dumps(config)) < 1_100_000  # far below the limit of 10,000,000


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", keras.losses.sparse_categorical_crossentropy])
def test_a_compiled_model_is_accepted(toy, loss):
    rate = keras.optimizers.schedules.CosineDecay(0.01, 100)
    for optimizer in ("adam", keras.optimizers.SGD(rate), keras.optimizers.AdamW()):
        toy.compile(optimizer, loss, metrics=["accuracy", keras.metrics.AUC(from_logits=False)])
        check_config(config_of(toy))


def test_layers_and_arithmetic_of_a_students_own_model_are_accepted():
    layers, image = keras.layers, keras.Input((32, 32, 3))
    x = layers.Resizing(24, 24)(layers.RandomContrast(0.2)(image / 255.0))
    x = layers.Conv2D(4, 3, activation=keras.activations.relu, kernel_regularizer="l2", bias_constraint="non_neg")(x)
    x = keras.ops.relu(layers.LeakyReLU()(x))[:, 1:-1]
    x = layers.MultiHeadAttention(2, 4)(*[layers.Reshape((-1, 4))(keras.ops.mean(x, axis=1))] * 2)
    check_config(config_of(keras.Model(image, layers.Dense(3, "softmax")(layers.Flatten()(x)))))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(config, tmp_path, name):
    check_config(config)
    ATTACKS[name](config, tmp_path / "ran")
    with pytest.raises(ValueError, match=r"which is not known to be harmless|describes no Functional or Seq"):
        check_config(config)


def test_no_layer_of_the_table_takes_a_function_a_file_or_another_layer():
    known = {name for name in _CLASSES["keras.layers"] if hasattr(keras.layers, name)}
    if version() >= (3, 12):
        assert _CLASSES["keras.layers"] - known <= {"ReversibleEmbedding"}  # of Keras 3.15; KerasHub needs that
    for name in sorted(known):
        arguments = inspect.signature(getattr(keras.layers, name)).parameters
        taken = {"function", "call_fn", "module", "filepath", "vocabulary", "layer", "layers"}
        assert taken.isdisjoint(arguments), name


def test_a_config_nested_without_end_is_refused(config):
    nest = config["config"]
    for _ in range(100_000):
        nest["more"] = {}
        nest = nest["more"]
    with pytest.raises(ValueError, match="is nested deeper than 50 levels"):
        check_config(config)


@pytest.mark.parametrize("config", [None, [], "Functional", 1, {}, {"class_name": ["Functional"]}])
def test_json_that_is_no_model_is_refused(config):
    with pytest.raises(ValueError, match="describes no Functional or Sequential model"):
        check_config(config)


# ---- what would take memory without end: every name in these is allowed


def one_more_layer(config, layer: dict) -> None:
    config["config"]["layers"].append({"name": "more", "inbound_nodes": [], **layer})


@pytest.mark.parametrize(
    ("class_name", "settings"),
    [
        ("ZeroPadding2D", {"padding": [[0, 40000], [0, 40000]]}),
        ("Resizing", {"height": 40000, "width": 40000}),
        ("RepeatVector", {"n": 10**9}),
        ("Dense", {"units": 10**9}),
    ],
)
@pytest.mark.parametrize("where", ["args", "kwargs"])
def test_a_layer_that_would_compute_while_the_file_is_loaded_is_refused(config, class_name, settings, where):
    constant = {"class_name": "__numpy__", "config": {"value": [[[[1.0]]]], "dtype": "float32"}}
    node = {"args": [constant], "kwargs": {}} if where == "args" else {"args": [], "kwargs": {"inputs": constant}}
    one_more_layer(
        config,
        {"module": "keras.layers", "class_name": class_name, "config": settings, "inbound_nodes": [node]},
    )
    with pytest.raises(ValueError, match="calls a layer on something else than the outputs of others"):
        check_config(config)


@pytest.mark.parametrize("place", ["name", "key"])
def test_a_text_without_end_is_refused(config, place):
    config["config"].update({"name": "a" * 300_000} if place == "name" else {"a" * 300_000: 1})
    with pytest.raises(ValueError, match="holds a text of 300,000 letters"):
        check_config(config)


def test_layers_without_end_are_refused(config):
    for _ in range(5001):
        one_more_layer(config, {"module": "keras.layers", "class_name": "Dropout", "config": {"rate": 0.1}})
    with pytest.raises(ValueError, match=r"describes 5,0\d\d layers"):
        check_config(config)
