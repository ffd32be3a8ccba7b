"""The wheel carries the bundled data and works where the repository is not."""

import subprocess
import sys
import zipfile
from pathlib import Path

from kerastl.local_server import FILES

ROOT = Path(__file__).parent.parent
USE = """
import kerastl as tl, pathlib, sys
from kerastl.bases import bundled_folder
assert pathlib.Path(tl.__file__).is_relative_to(sys.argv[1]), tl.__file__
flowers = tl.load_images("drawn_flowers")
model = tl.build_model("MobileNetV2", flowers, weights="garden")
assert (bundled_folder() / "measured.json").is_file()  # lesson 7 reads it
assert len(tl.load_images("drawn_butterflies").class_names) == 8
print(model.output_shape, *flowers.class_names)
"""


def test_a_wheel_works_without_the_repository(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("kerastl-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {"kerastl/py.typed", "kerastl/__init__.pyi"} <= set(archive.namelist())  # for type checkers
        assert {f"kerastl/page/{name}" for name, _ in FILES.values()} <= set(archive.namelist())
        archive.extractall(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, sys.argv[1])\n{USE}", tmp_path / "site"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(None, 5) daisy dandelion rose sunflower tulip"
