"""The report of a run, opened in a real headless Chromium: `make browser`."""

import shutil

import pytest

from kerastl.__main__ import main

pytestmark = pytest.mark.browser
NAMES = ["<img src=x onerror=alert(1)>", "チューリップ", "a very long name of a class that does not end soon " * 2]


@pytest.fixture(scope="module")
def report(picture_folder, tmp_path_factory):
    """The report of a short run on pictures whose class folders have hostile names."""
    folder = tmp_path_factory.mktemp("hostile")
    for old, new in zip(sorted(picture_folder.iterdir()), NAMES, strict=True):
        shutil.copytree(old, folder / new)
    out = tmp_path_factory.mktemp("runs") / "run"
    quick = ["--base", "MobileNetV2", "--alpha", "0.35", "--weights", "none", "--image-size", "32", "--epochs", "2"]
    assert main(["train", str(folder), *quick, "--out", str(out)]) == 0
    return out / "report.html"


@pytest.fixture(params=[(1280, 900, "light"), (390, 844, "light"), (390, 844, "dark")], ids=str)
def page(request, browser, report):
    """(page, what the browser complained about) on a desk and on a phone."""
    width, height, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda sent: sent.url.startswith(("file:", "data:")) or complaints.append(sent.url))
    page.goto(report.as_uri())
    yield page, complaints
    page.close()


def test_the_report_opens_without_a_complaint_and_asks_nobody(page):
    opened, complaints = page
    assert complaints == []
    assert opened.title().endswith(": MobileNetV2, two phases")


def test_all_pictures_are_shown(page):
    shown = page[0].evaluate("[...document.images].map(image => image.complete && image.naturalWidth > 0)")
    assert len(shown) >= 7
    assert all(shown)


def test_names_of_classes_are_shown_as_they_are_written(page):
    text = page[0].inner_text("body")
    assert NAMES[0] in text
    assert NAMES[1] in text


def test_the_page_is_as_wide_as_the_window(page):
    assert page[0].evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_letters_are_large_enough_and_stand_out(page):
    sizes = page[0].evaluate(
        "[...document.querySelectorAll('p, td, th, figcaption')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 13
    letters, paper = page[0].evaluate(
        """() => {
            const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            const grey = colour => { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
                const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data; return (r + g + b) / 3; };
            document.body.insertAdjacentHTML('beforeend', '<i id=paper style="background: Canvas">x</i>');
            const paper = grey(getComputedStyle(document.getElementById('paper')).backgroundColor);
            return [grey(getComputedStyle(document.querySelector('p')).color), paper];
        }"""
    )
    assert abs(letters - paper) > 150
