"""What a teacher shows and hands out: slides in a real headless Chromium without a network, and recap sheets on paper.

`make browser` runs the tests that need Chromium.
"""

import hashlib
import itertools
import re

import nbformat
import pytest
from nbconvert import SlidesExporter

from programs import ROOT, import_from

NOTEBOOKS = ROOT / "notebooks"
recap, slide_notes, slides, sources, teaching = import_from(
    "notebooks", "recap", "slide_notes", "slides", "sources", "teaching"
)
LESSONS = sources.read_lessons()
WIDTH, HEIGHT = 1280, 720

# Of the slide that is shown, with its answers open: places and sizes of all that stands on it.
MEASURE = """() => {
    const slide = Reveal.getCurrentSlide();
    slide.querySelectorAll("details").forEach(answer => answer.open = true);
    const boxes = [...slide.querySelectorAll(":not(.notes, .notes *)")].map(part => part.getBoundingClientRect());
    const letters = [...slide.querySelectorAll(":is(h1, h2, p, li, td, th, pre, summary, code):not(.notes *)")];
    const pictures = [...slide.querySelectorAll("img")];
    return {
        text: slide.innerText,
        notes: [...slide.querySelectorAll("aside.notes")].map(notes => notes.textContent.trim()),
        place: Reveal.getSlidePastCount(),
        right: Math.max(...boxes.map(box => box.right)),
        bottom: Math.max(...boxes.map(box => box.bottom)),
        left: Math.min(...boxes.map(box => box.left)),
        top: Math.min(...boxes.map(box => box.top)),
        cut: [...slide.querySelectorAll("p, pre, table, li")].some(part => part.scrollWidth > part.clientWidth + 1),
        letters: Math.min(...letters.map(part => parseFloat(getComputedStyle(part).fontSize))),
        pictures: pictures.map(image => image.complete && image.naturalWidth > 0 && (image.height >= 415
            || Math.min(image.height / image.naturalHeight, image.width / image.naturalWidth) >= 0.79)),
    };
}"""


def notebook(lesson) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{lesson.name}.ipynb", as_version=4)


@pytest.fixture
def show(browser, tmp_path):
    """A function that opens slides without a network: (page, what the browser complained about or asked for)."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, offline=True)
    complaints = []

    def open_slides(made: nbformat.NotebookNode, number: int = 0):
        file = tmp_path / "lesson.slides.html"
        file.write_text(slides.slides(made, slide_notes.Notes(LESSONS[number], number)), encoding="utf-8")
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda sent: sent.url.startswith(("file:", "data:")) or complaints.append(sent.url))
        page.goto(file.as_uri())
        page.wait_for_selector(".reveal.ready")
        return page, complaints

    yield open_slides
    context.close()


def walk(page) -> list[dict]:
    """Press the arrow key from the first slide to the last, and measure each."""
    found = [page.evaluate(MEASURE)]
    while not page.evaluate("Reveal.isLastSlide()"):
        page.keyboard.press("ArrowRight")
        found.append(page.evaluate(MEASURE))
        assert found[-1]["place"] != found[-2]["place"], "the arrow key does not move on"
    return found


def is_within(slide: dict) -> bool:
    across = slide["left"] >= 0 and slide["right"] <= WIDTH and not slide["cut"]
    return across and slide["top"] >= 0 and slide["bottom"] <= HEIGHT


def count_pages(paper: bytes) -> int:
    """Of a PDF as Chromium writes it."""
    return len(re.findall(rb"/Type /Page\b", paper))


@pytest.mark.browser
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_slides_open_without_a_network_and_nothing_is_cut_off(show, lesson):
    page, complaints = show(notebook(lesson), LESSONS.index(lesson))
    found = walk(page)
    assert [slide["text"] for slide in found if len(slide["notes"]) != 1 or "minutes" not in slide["notes"][0]] == []
    assert max(len(slide["pictures"]) for slide in found) == 1
    assert len(found) == page.evaluate("Reveal.getTotalSlides()") >= 10
    assert [slide["text"] for slide in found if not is_within(slide)] == []
    assert [slide["text"] for slide in found if slide["letters"] < 20] == []
    assert [slide["text"] for slide in found if not all(slide["pictures"])] == []
    cells = notebook(lesson).cells
    pictures = [1 for cell in cells for output in cell.get("outputs", []) if "data" in output]
    pictures += [1 for cell in cells for _ in re.findall(r"!\[[^]]*\]\(", cell.source)]
    assert sum(len(slide["pictures"]) for slide in found) == len(pictures)
    assert complaints == []


def test_slides_link_to_other_slides_and_to_notebooks_that_exist():
    for number, lesson in enumerate(LESSONS):
        made = slides.slides(notebook(lesson), slide_notes.Notes(lesson, number))
        texts = re.sub(r"<script\b.*?</script>", "", made, flags=re.DOTALL)
        links = re.findall(r'<a href="(?!#)([^"]+)"', texts)
        assert links
        others = {f"{other.name}.slides.html" for other in LESSONS}
        here = [link for link in links if not link.startswith("https://") and link not in others]
        assert [link for link in here if not (NOTEBOOKS / "slides" / link).resolve().is_file()] == [], lesson.name


@pytest.mark.browser
def test_an_answer_opens_on_a_click_and_the_keys_still_move_on(show):
    page, _ = show(notebook(LESSONS[0]))
    while not page.evaluate("!!Reveal.getCurrentSlide().querySelector('details')"):
        page.keyboard.press("ArrowRight")
    answer = page.locator("section.present details").first
    assert answer.evaluate("answer => answer.open") is False
    answer.locator("summary").click()
    assert answer.evaluate("answer => answer.open") is True
    place = page.evaluate("Reveal.getSlidePastCount()")
    page.keyboard.press("Space")
    assert page.evaluate("Reveal.getSlidePastCount()") != place
    assert answer.evaluate("answer => answer.open") is True


@pytest.mark.browser
def test_what_is_too_long_for_a_slide_is_divided_and_nothing_is_lost(show):
    long = notebook(LESSONS[0])
    cell = next(cell for cell in long.cells[2:] if any("data" in output for output in cell.get("outputs", [])))
    before = show(long)[0].evaluate("Reveal.getTotalSlides()")
    cell.source = "\n".join(f"number_{line} = {line}" for line in range(15))
    cell.outputs.append(nbformat.v4.new_output("stream", text="a line of a table\n" * 25))
    cell.outputs += cell.outputs[:1]
    answer = f"<details><summary>Answer</summary>{'many words ' * 50}</details>"
    long.cells[2].source += "\n\n".join(["", *["many words " * 20] * 8, "**Predict.** How long?", answer])
    page, complaints = show(long)
    found = walk(page)
    text = " ".join(slide["text"] for slide in found)
    assert len(found) >= before + 3
    assert text.count("many words") == 8 * 20 + 50
    assert text.count("a line of a table") == 25
    assert all(f"number_{line} = {line}" in text for line in range(15))
    assert all(is_within(slide) and all(slide["pictures"]) for slide in found)
    assert max(len(slide["pictures"]) for slide in found) == 1
    assert all(len(slide["notes"]) == 1 for slide in found)
    assert sorted(slide["letters"] for slide in found)[1] >= 20  # only the table, too long for any slide, is smaller
    assert complaints == []


@pytest.mark.browser
def test_slides_can_be_printed_one_on_each_page(show):
    """With ?print-pdf behind the address, as reveal.js wants it."""
    page, _ = show(notebook(LESSONS[0]))
    count = page.evaluate("Reveal.getTotalSlides()")
    page.goto(page.url.split("#")[0] + "?print-pdf")
    page.wait_for_selector(".reveal.ready .pdf-page img")
    assert count_pages(page.pdf(prefer_css_page_size=True, print_background=True)) == count


@pytest.mark.browser
def test_the_speaker_has_a_window_with_the_notes_and_the_answers(show):
    page, complaints = show(notebook(LESSONS[0]))
    while not page.evaluate("!!Reveal.getCurrentSlide().querySelector('details')"):
        page.keyboard.press("ArrowRight")
    expected = page.evaluate("Reveal.getCurrentSlide().querySelector('.notes').textContent")
    assert "The prediction:" in expected
    with page.context.expect_page() as opened:
        page.keyboard.press("s")
    speaker = opened.value
    speaker.wait_for_function("document.querySelector('.speaker-controls-notes .value').textContent.length > 20")
    shown = speaker.evaluate("document.querySelector('.speaker-controls-notes .value').textContent")
    assert shown.split() == expected.split()
    assert complaints == []


@pytest.mark.browser
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_recap_sheet_is_one_page_of_a4(browser, tmp_path, lesson):
    file = tmp_path / "recap.html"
    for make in (recap.recap, recap.recap_for_teachers):
        file.write_text(make(lesson, LESSONS.index(lesson)), encoding="utf-8")
        page = browser.new_page()
        page.goto(file.as_uri())
        paper = page.pdf(prefer_css_page_size=True, print_background=True)
        overlap = page.evaluate("document.body.scrollHeight - document.body.clientHeight")
        page.close()
        assert count_pages(paper) == 1
        assert re.search(rb"/MediaBox \[0 0 59[45]\.\d* 84[12]\.\d*\]", paper)
        assert overlap <= 0


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_places_on_slides_stand_in_the_notebook(lesson):
    """So that a plain `jupyter nbconvert --to slides` works as well."""
    made, expected = notebook(lesson), sources.compose(lesson, LESSONS, solved=False)
    places = [cell.metadata.get("slideshow") for cell in made.cells]
    assert places == [cell.metadata["slideshow"] for cell in expected.cells], "run `make lessons`"
    page, _ = SlidesExporter().from_notebook_node(made)
    assert page.count("<section") > 15
    assert "not attempted yet" not in page
    assert "find_spec" not in page


@pytest.mark.parametrize("number", range(len(LESSONS)))
def test_each_slide_ends_with_its_notes_and_keeps_its_drawings(number):
    """As written now, executed or not."""
    lesson = LESSONS[number]
    made = slides.for_slides(sources.compose(lesson, LESSONS, solved=False), slide_notes.Notes(lesson, number))
    kinds = [cell.metadata.slideshow.slide_type for cell in made.cells]
    assert "skip" not in kinds
    assert kinds[-1] == "notes"
    for before, kind in itertools.pairwise(kinds):
        assert (before == "notes") == (kind in ("slide", "subslide")), (before, kind)
    notes = "\n".join(cell.source for cell in made.cells if cell.metadata.slideshow.slide_type == "notes")
    text = "\n".join(cell.source for cell in lesson.cells)
    assert notes.count("The prediction: ") == text.count("</details>")
    for answer in slide_notes.Notes(lesson, number).recap.values():
        assert answer in notes
    for belief in teaching.read_beliefs():
        assert (belief.answer in notes) == (belief.lesson == str(number))
    for cell in made.cells:
        for file in re.findall(r"\]\(attachment:([^)]+)\)", cell.source):
            assert file in cell.attachments


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_prediction_is_not_on_the_slide_of_its_answer(lesson):
    cells = sources.compose(lesson, LESSONS, solved=False).cells
    for text, code in itertools.pairwise(cells):
        if "**Predict.**" in text.source:
            assert code.metadata["slideshow"]["slide_type"] != "-"


def test_reveal_is_what_its_page_says():
    folder = NOTEBOOKS / "reveal"
    sums = dict(re.findall(r"\| `([\w.]+)` \| `([0-9a-f]{64})` \|", (folder / "README.md").read_text()))
    assert set(sums) == {"LICENSE", "notes.js", "reveal.css", "reveal.js"}
    for name, expected in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected
