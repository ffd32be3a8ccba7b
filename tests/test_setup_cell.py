"""The set-up cell of the lessons, on machines of every kind: with the package, with a clone, with neither, in Colab."""

import os
import re
import subprocess
import sys

import pytest

from programs import import_from

(sources,) = import_from("notebooks", "sources")

MACHINE = """
import os, sys, types
from pathlib import Path

Path("installed").mkdir()
os.utime("installed", (0, 0))  # long ago, so that Python sees it change
sys.path.insert(1, "installed")  # where this machine keeps its packages; the folder of the notebook comes first
if "colab" in sys.argv:
    sys.modules |= {"google": types.ModuleType("google"), "google.colab": types.ModuleType("google.colab")}

def put_package(folder):
    (folder / "kerastl").mkdir(parents=True)
    (folder / "kerastl/__init__.py").touch()
    (folder / "kerastl/course.py").write_text("check = None\\ndef begin(world, step): print('begun:', world, step)")

class Shell:
    def run_line_magic(self, name, line):
        print(name, line)
        if "unreachable" not in sys.argv:
            put_package(Path("installed"))

if "package" in sys.argv:
    put_package(Path("installed"))
if "clone" in sys.argv:
    put_package(Path("kerastl"))
    Path("kerastl/pyproject.toml").touch()
try:
    exec(sys.stdin.read(), {"get_ipython": Shell})
except Exception as error:
    print(*error._render_traceback_())
"""
INSTALL = "pip install -q "
ASK = r"(?!.*make).*Ask your teacher.*Upload it.*%pip install.*"  # a student in Colab has no make
BEGUN = "begun: drawn test"


@pytest.mark.parametrize(
    ("machine", "printed"),
    [
        ("package", [BEGUN]),
        ("package colab", [BEGUN]),
        ("package clone", [BEGUN]),
        ("clone", [r"kerastl is not in this kernel\. Run `make lab`.*"]),
        ("clone colab", [rf"{INSTALL}\./kerastl", BEGUN]),
        ("nothing", [r"kerastl is not in this kernel\. Run `make lab`.*"]),
        ("nothing colab", [rf"{INSTALL}git\+https://.*", BEGUN]),
        ("nothing colab unreachable", [rf"{INSTALL}git\+https://.*", ASK]),
        ("clone colab unreachable", [rf"{INSTALL}\./kerastl", ASK]),
    ],
)
def test_it_begins_the_lesson_or_says_what_to_do_there(tmp_path, machine, printed):
    cell = sources.SETUP.format(repository=sources.repository(), step="test")
    command = [sys.executable, "-S", "-c", MACHINE, *machine.split()]  # -S: what is installed here does not count
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, input=cell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(printed), done.stdout + done.stderr
    assert all(map(re.fullmatch, printed, lines)), done.stdout
