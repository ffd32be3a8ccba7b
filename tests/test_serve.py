"""The page of `serve` answers browsers on this machine, tells what the model says, and refuses everything else."""

import base64
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
from PIL import Image

import kerastl as tl
from kerastl.__main__ import main
from kerastl.answers import Answers
from kerastl.local_server import FILES, MOST_BYTES, LocalServer
from kerastl.saving import SavedModel

NAMES = ["blue", "green", "red"]


def as_file(picture: np.ndarray, kind: str = "png") -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind)
    return file.getvalue()


def pixels_of(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,")))))


# ---- what is said


@pytest.fixture(scope="module")
def trained(make_toy, data):
    keras.utils.set_random_seed(0)
    model = make_toy()
    tl.train_head(model, data, epochs=3, verbose=0)
    return SavedModel(model, NAMES)


def test_it_says_what_predict_says_and_shows_where(trained, arrays):
    picture = arrays["test"][0][0]
    said = Answers(trained)(as_file(picture))
    expected = [guess._asdict() for guess in tl.predict(trained, picture, top=5)]
    assert said["guesses"] == expected
    assert np.array_equal(pixels_of(said["seen"]), picture)
    heat = pixels_of(said["heat"])
    assert heat.shape[0] == heat.shape[1] == 300
    assert np.ptp(heat[..., :3].astype(int), axis=2).max() > 50  # there is colour over the grey
    assert said["neighbours"] == []
    json.dumps(said)


def test_the_nearest_training_picture_of_a_training_picture_is_itself(trained, ordered_data, arrays):
    answers = Answers(trained, ordered_data.train)
    for number in (0, 7, 23):
        picture, label = arrays["train"][0][number], arrays["train"][1][number]
        near = answers(as_file(picture))["neighbours"]
        assert len(near) == 5
        assert near[0]["class_name"] == NAMES[label]
        assert np.array_equal(pixels_of(near[0]["picture"]), picture)


def test_a_model_that_has_no_heat_map_still_names_the_picture(make_toy, arrays):
    untrained = SavedModel(make_toy(), NAMES)
    said = Answers(untrained)(as_file(arrays["test"][0][0]))
    assert len(said["guesses"]) == 3
    assert said["heat"] is None
    assert "has not been trained" in said["no_heat"]


@pytest.mark.parametrize("content", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_a_file_that_is_no_picture_is_said_to_be_none_without_our_own_places(trained, content):
    said = Answers(trained)(content)
    assert said.keys() == {"error"}
    assert said["error"].startswith("Cannot read the file as an image (")
    assert os.sep + "tmp" not in said["error"]


# ---- who is answered


@pytest.fixture
def server():
    with LocalServer(lambda content: {"length": len(content)}, {"name": "model.keras"}, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, method: str, path: str, body: bytes | None = None, **headers):
    """Status, headers and content. A header of None is left out."""
    here = f"127.0.0.1:{server.port}"
    headers = {"Host": here, "Origin": f"http://{here}"} | {name.replace("_", "-"): it for name, it in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    if body is not None and "Content-Length" not in headers:
        headers["Content-Length"] = str(len(body))
    for name, it in headers.items():
        if it is not None:
            connection.putheader(name, it)
    connection.endheaders(body)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def test_it_listens_on_the_loopback_address_only(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("path", [*FILES, "/model.json"])
def test_the_page_loads_nothing_from_elsewhere(server, path):
    status, headers, content = ask(server, "GET", path)
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    assert not re.search(rb"https?:|//[a-z]", content)
    assert b"innerHTML" not in content  # names of classes are text, not HTML


def test_a_picture_from_the_page_is_answered(server):
    for name in ("127.0.0.1", "localhost"):
        here = f"{name}:{server.port}"
        status, _, content = ask(server, "POST", "/picture", b"12345", Host=here, Origin=f"http://{here}")
        assert (status, json.loads(content)) == (200, {"length": 5})


@pytest.mark.parametrize(
    ("status", "changed"),
    [
        (403, {"Origin": "http://evil.example"}),  # another page that is open in the browser
        (403, {"Origin": "null"}),
        (403, {"Origin": None}),
        (403, {"Origin": "http://localhost:1"}),  # another program on this machine
        (403, {"Host": "evil.example", "Origin": "http://evil.example"}),  # a name that was led to 127.0.0.1
        (403, {"Host": None}),
        (411, {"Content_Length": None}),
        (411, {"Content_Length": "-1"}),
        (411, {"Content_Length": None, "Transfer_Encoding": "chunked"}),
        (413, {"Content_Length": str(MOST_BYTES + 1)}),
        (413, {"Content_Length": "9" * 5000}),
    ],
)
def test_others_and_what_is_too_large_are_refused_before_anything_is_read(server, status, changed):
    assert ask(server, "POST", "/picture", b"12345", **changed)[0] == status


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/page/../../README.md", "//etc/passwd", "/index.html", "/%2e%2e"]
)
def test_no_other_file_is_given_away(server, path):
    assert ask(server, "GET", path)[0] == 404


def test_another_name_gets_not_even_the_page(server):
    assert ask(server, "GET", "/", Host=f"evil.example:{server.port}")[0] == 403
    assert ask(server, "OPTIONS", "/picture")[0] == 501  # so no other page is ever allowed to ask


def test_one_that_says_nothing_keeps_nobody_waiting(server):
    with socket.create_connection(("127.0.0.1", server.port)):
        assert ask(server, "GET", "/")[0] == 200


def test_a_browser_that_went_away_is_no_error_and_a_mistake_of_ours_is_one(server, capfd):
    for error, told in {ConnectionResetError: False, ZeroDivisionError: True}.items():
        server.answer = lambda content, error=error: (_ for _ in ()).throw(error())
        with pytest.raises(http.client.RemoteDisconnected):
            ask(server, "POST", "/picture", b"12345")
        assert (error.__name__ in capfd.readouterr().err) == told


# ---- the command


def test_what_cannot_be_served_is_an_error_that_says_what_to_do(trained, picture_folder, tmp_path, capsys):
    file = tl.save(trained.model, tmp_path / "model.keras", ["a", "b", "c"])
    for arguments, said in {
        (str(tmp_path / "none.keras"),): "There is no file",
        (str(file), "--port", "70000"): "Received --port 70000. Expected a number from 0 to 65535",
        (
            str(file),
            "--pictures",
            str(picture_folder),
        ): "holds the classes blue, green, red. Expected those of the model",
    }.items():
        assert main(["serve", *arguments]) == 2
        assert said in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", str(file), "--port", str(taken.getsockname()[1])]) == 2
    assert "Choose another --port" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:The model in .* refuse it")
def test_a_file_that_could_run_code_is_neither_served_nor_exported(tmp_path, capsys):
    layers = keras.layers
    front = [keras.Input((32, 32, 3)), layers.Lambda(lambda images: images), layers.Flatten()]
    file = tl.save(keras.Sequential([*front, layers.Dense(3, "softmax")]), tmp_path / "model.keras", NAMES)
    for arguments in (["serve", str(file), "--port", "0"], ["export", str(file), str(tmp_path / "f.tflite")]):
        assert main(arguments) == 2
        assert "which is not known to be harmless" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["model.keras"]


@pytest.mark.slow
def test_ctrl_c_ends_it_well(trained, tmp_path):
    file = tl.save(trained.model, tmp_path / "model.keras", NAMES)
    command = [sys.executable, "-m", "kerastl", "serve", str(file), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        address = program.stdout.readline()
        assert re.match(r"http://127\.0\.0\.1:\d+/ ", address)
        program.send_signal(signal.SIGINT)
        said, errors = program.communicate(timeout=60)
    assert (program.returncode, said.strip(), errors) == (0, "model.keras is no longer served", "")
