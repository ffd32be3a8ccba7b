"""`python -m kerastl check`: it says what the machine has, and it fails where something is not right."""

import re

import pytest

from kerastl.__main__ import main
from kerastl.commands import check


@pytest.mark.slow
def test_a_machine_that_can_run_the_tests_is_ready(capsys):
    assert main(["check"]) == 0
    said = capsys.readouterr().out
    assert said.endswith("Ready.\n")
    for line in ("Python", "TensorFlow", "Keras", "memory", "speed", "phase 1", "phase 2", "time"):
        assert re.search(rf"^{line} ", said, re.MULTILINE), line


@pytest.fixture
def trained(monkeypatch):
    """Accuracies to be found instead of training."""
    found = {"phase 1": 0.96, "phase 2": 0.97}
    monkeypatch.setattr(check, "_train", lambda: (found, 100.0))
    return found


def test_an_accuracy_near_guessing_is_not_right(trained, capsys):
    trained["phase 2"] = 0.21
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert "not right: The test accuracy after phase 2 is 0.210." in said
    assert "after phase 1" not in said


@pytest.mark.parametrize(("what", "said"), [("MEMORY", "memory"), ("DISK", "temporary folder")])
def test_too_little_room_is_named(trained, monkeypatch, capsys, what, said):
    monkeypatch.setattr(check, what, 1e18)
    assert main(["check"]) == 1
    assert re.search(rf"not right: .* are free \({said}\)", capsys.readouterr().out)


def test_a_good_machine_is_ready(trained, capsys):
    assert main(["check"]) == 0
    assert capsys.readouterr().out.endswith("Ready.\n")
