"""Lessons as a student meets them: opened and run in a real JupyterLab in headless Chromium. `make browser`."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """(address, folder) of a JupyterLab that serves a copy of the lessons."""
    folder = tmp_path_factory.mktemp("lab")
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(file, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--ServerApp.port_retries=0"]
    command += ["--IdentityProvider.token=", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={folder}"]
    command += ["--allow-root"] * (os.geteuid() == 0)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(folder / ".jupyter")}
    del environment["MPLBACKEND"]  # as other tests want it: a student has none, and sees the pictures
    with open(folder / "lab.log", "w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=2).close()  # noqa: S310 (our own server)
                break
            except OSError:
                time.sleep(0.5)
        else:
            raise RuntimeError((folder / "lab.log").read_text()[-2000:])
        yield address, folder
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.mark.parametrize("name", ["00_start_here", "06_phase_2"])
def test_a_student_can_run_all_cells_and_sees_text_and_pictures(lab, browser, name):
    address, folder = lab
    file = folder / f"{name}.ipynb"
    cells = json.loads(file.read_text())["cells"]
    for cell in cells:
        cell["outputs"] = [] if cell["cell_type"] == "code" else cell.get("outputs")
        if cell["outputs"] is None:
            del cell["outputs"]
    notebook = json.loads(file.read_text()) | {"cells": cells}
    file.write_text(json.dumps(notebook))

    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}/doc/tree/{file.name}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
    page.get_by_text("Python 3").locator("visible=true").first.wait_for(timeout=60_000)
    page.keyboard.press("Escape")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        page.keyboard.press("Control+s")
        time.sleep(5)
        saved = json.loads(file.read_text())["cells"]
        code = [cell for cell in saved if cell["cell_type"] == "code"]
        if code[-1]["execution_count"] and code[-1]["outputs"]:
            break
    page.screenshot(path=str(folder / f"{name}.png"))
    page.close()

    outputs = [output for cell in code for output in cell["outputs"]]
    assert all(cell["execution_count"] for cell in code), "not every cell has run"
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    assert max(len(line) for output in outputs for line in "".join(output.get("text", [])).splitlines()) <= 160
