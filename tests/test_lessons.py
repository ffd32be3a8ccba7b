"""The lessons: notebooks in step with their sources, budgets, exercises, and prose that its own cells bear out.

Nothing is executed here; `make lessons` does that.
"""

import ast
import html
import inspect
import re
import statistics
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import pytest
from nbclient import NotebookClient

import kerastl as tl
from kerastl.course import begin, check
from programs import ROOT, import_from

NOTEBOOKS = ROOT / "notebooks"
build, exercises, pictures, recap, sources = import_from(
    "notebooks", "build", "exercises", "pictures", "recap", "sources"
)
LESSONS = sources.read_lessons()


@pytest.fixture(params=LESSONS, ids=lambda lesson: lesson.name)
def lesson(request):
    return request.param


def notebook(lesson, solved: bool) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / ("solutions" if solved else "") / f"{lesson.name}.ipynb", as_version=4)


def printed(cells) -> str:
    return "\n".join(
        output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        for cell in cells
        for output in cell.get("outputs", [])
    )


def prose(lesson) -> list[str]:
    """The words that a student reads, without code, links and folded answers."""
    cells = [cell.source for cell in lesson.cells if cell.cell_type == "markdown"]
    beside = r"```.*?```|`[^`]*`|<[^>]*>|\]\([^)]*\)|^\|.*?$"
    return [re.sub(beside, "", text, flags=re.DOTALL | re.MULTILINE) for text in cells]


def test_there_are_lessons_numbered_without_a_gap():
    assert [lesson.name[:2] for lesson in LESSONS] == [f"{number:02d}" for number in range(len(LESSONS))]
    assert LESSONS


@pytest.mark.parametrize("solved", [False, True])
def test_a_notebook_is_the_one_that_its_source_gives(lesson, solved):
    made, expected = notebook(lesson, solved), sources.compose(lesson, LESSONS, solved)
    assert made.metadata["kerastl"]["source"] == lesson.digest, "run `make lessons`"
    assert made.metadata == expected.metadata  # nothing of the machine that built it
    assert [(cell.source, cell.metadata) for cell in made.cells] == [
        (cell.source, cell.metadata) for cell in expected.cells
    ]


@pytest.mark.parametrize("solved", [False, True])
def test_a_notebook_was_executed_and_has_nothing_to_be_ashamed_of(lesson, solved):
    made = notebook(lesson, solved)
    nbformat.validate(made)
    assert build.complaints(made, solved) == []
    assert all(cell.execution_count is None for cell in made.cells if cell.cell_type == "code")
    assert "kerastl 0" in printed(made.cells[1:2])


def test_a_notebook_stays_within_its_budget(lesson):
    made = notebook(lesson, solved=False)
    code = [cell for cell in made.cells if cell.cell_type == "code"][1:]
    lines = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in code]
    assert 25 <= len(made.cells) <= 40
    assert max(lines) <= 15
    assert statistics.median(lines) <= 6
    assert "ccc" not in "".join(cell.cell_type[0] for cell in made.cells[2:])
    assert (NOTEBOOKS / f"{lesson.name}.ipynb").stat().st_size < 1_000_000


def test_prose_is_short_and_plain(lesson):
    for text in prose(lesson):
        assert len(text.split()) <= 120, text
        for sentence in re.split(r"(?<=[.?!:])\s", text):
            assert len(sentence.split()) <= 32, sentence


def test_a_figure_has_words_for_those_who_do_not_see_it(lesson):
    """After a cell that shows a picture, or before it, a text cell says what is in it."""
    cells = notebook(lesson, solved=True).cells
    for number, cell in enumerate(cells):
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            near = cells[max(number - 2, 0) : number + 3]
            assert any(other.cell_type == "markdown" and len(other.source.split()) > 8 for other in near)


def test_decimal_numbers_in_prose_are_those_of_a_cell(lesson):
    """Printed by one, or written in its code."""
    numbers = {number for text in prose(lesson) for number in re.findall(r"\d+\.\d+|\d+ ?%", text)}
    cells = [cell for cell in notebook(lesson, solved=True).cells if cell.cell_type == "code"]
    shown = printed(cells) + "\n".join(cell.source for cell in cells)
    for number in numbers:
        assert number in shown, number


def test_every_lesson_has_its_parts(lesson):
    text = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    text += f"\n## {lesson.facts['title']}"
    assert set(lesson.facts) == {"title", "minutes", "needs", "step", "goals"}
    assert len(lesson.facts["goals"]) == 3
    assert lesson.facts["step"] in sources.STEPS
    assert lesson.facts["title"].endswith("?")
    for part in ("## The idea", "**Predict.**", "**Checkpoint.**", "## Break it on purpose", "## Exercises"):
        assert part in text or (part == "## The idea" and "## Why" in text), part
    assert text.count("**Predict.**") == text.count("<details>")
    for stars in ("★**", "★★**", "★★★**"):
        assert re.search(rf" {re.escape(stars)}", text), stars


def test_nothing_later_depends_on_an_answer(lesson):
    """The names that a solution makes are not used outside of its own check."""
    cells = [cell for cell in lesson.cells if cell.cell_type == "code"]
    for place, cell in enumerate(cells):
        if not exercises.is_exercise(cell):
            continue
        name = exercises.read_exercise(cell.source).answer
        later = ast.parse("\n".join(other.source for other in cells[place + 2 :]))
        assert name not in {node.id for node in ast.walk(later) if isinstance(node, ast.Name)}


def test_each_exercise_has_a_check_and_at_least_three_wrong_answers_one_of_them_a_number_typed_in(lesson):
    """`make lessons` puts them to the check, which has to refuse them."""
    found = exercises.read_exercises(lesson.cells)
    assert len(found) == sum(map(exercises.is_exercise, lesson.cells)) == sum(map(exercises.is_check, lesson.cells))
    for exercise, check_of_it in found:
        assert exercise.answer == check_of_it.answer
        for wrong in exercise.wrong:
            ast.parse(wrong, mode="eval")
        typed = [wrong for wrong in exercise.wrong if exercises.is_typed_in(wrong)]
        assert len(set(exercise.wrong)) >= 3, f"{check_of_it.title}: add lines '{exercises.WRONG}EXPRESSION'"
        assert typed, f"{check_of_it.title}: add a line such as '{exercises.WRONG}0.5'"


def test_every_link_to_a_file_of_the_project_leads_somewhere():
    for file in [*NOTEBOOKS.glob("*.md"), *NOTEBOOKS.glob("*.ipynb"), *(NOTEBOOKS / "solutions").glob("*.ipynb")]:
        text = file.read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!http|#|attachment:)([^)\s]+)\)", text):
            assert (file.parent / link.split("#")[0]).exists(), f"{file.name}: {link}"


def test_the_table_of_the_course_is_that_of_the_sources():
    assert build.course_table(LESSONS) in (NOTEBOOKS / "README.md").read_text()


def test_the_address_of_the_project_stands_in_one_place():
    address = sources.repository().removeprefix("https://")
    holders = [
        file.relative_to(ROOT)
        for pattern in ("*.md", "*.toml", "kerastl/**/*.py", "notebooks/*.py", "notebooks/*.md", "notebooks/src/*.py")
        for file in ROOT.glob(pattern)
        if address in file.read_text(encoding="utf-8")
    ]
    assert holders == [Path("pyproject.toml")]


def test_the_recap_of_a_lesson_is_one_page_made_of_its_own_words(lesson):
    page = recap.recap(lesson, 3)
    text = html.unescape(re.sub(r"(?s)<style>.*?</style>|<[^>]*>", " ", page))
    for goal in lesson.facts["goals"]:
        assert goal in text
    assert page.count("class=lines") == 3
    assert 'src="data:image/png;base64,' in page
    assert len(text.split()) < 200
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)  # by chance the letters of a picture can say it


# ---- the glossary


GLOSSARY = (NOTEBOOKS / "GLOSSARY.md").read_text(encoding="utf-8")
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
WORDS = dict(re.findall(r"^### ([a-zA-Z].*?)\n\n(.*?)(?=\n\n#|\Z)", GLOSSARY, re.MULTILINE | re.DOTALL))


def anchor(heading: str) -> str:
    """What follows "#" in a link to this heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.fixture(params=WORDS)
def entry(request) -> tuple[str, list[str]]:
    """(word, [picture, English, Japanese, code and lesson])"""
    return request.param, WORDS[request.param].split("\n\n")


def test_a_word_has_a_picture_a_sentence_in_both_languages_a_line_of_code_and_a_lesson(entry):
    word, (picture, english, japanese, code) = entry
    alt, file = re.fullmatch(r"!\[(.+)\]\((.+)\)", picture).groups()
    assert len(alt.split()) >= 5
    assert file == f"pictures/{anchor(word)}.svg"
    assert 4 <= len(english.split()) <= 32
    assert len(re.findall(r"[.!?](?= |$)", english)) == 1
    assert not JAPANESE.search(english)
    assert re.match(r"\*\*.+\*\*(（.+?）)?：", japanese)
    assert len(JAPANESE.findall(japanese)) > 10
    assert re.fullmatch(r"`.+` · \[lesson \d+\]\(\d\d_\w+\.ipynb\)", code)


def test_the_code_of_a_word_is_from_its_lesson_and_fits_the_package(entry):
    code, number, lesson = re.fullmatch(r"`(.+)` · \[lesson (\d+)\]\((.+)\.ipynb\)", entry[1][3]).groups()
    source = (NOTEBOOKS / "src" / f"{lesson}.py").read_text(encoding="utf-8")
    assert int(number) == int(lesson[:2])
    for name in re.findall(r"[a-zA-Z_]\w{3,}", code):
        assert re.search(rf"\b{name}\b", source), name
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("tl."):
            assert node.func.attr in tl.__all__
            names = inspect.signature(getattr(tl, node.func.attr)).parameters
            assert {keyword.arg for keyword in node.keywords} <= set(names)


def test_the_glossary_has_many_words_and_readings():
    assert len(WORDS) >= 30
    assert len(re.findall(r"<ruby>[\u4e00-\u9fff々]+<rt>[\u3040-\u309fー]+</rt></ruby>", GLOSSARY)) >= 80
    assert not re.search(r"[\u4e00-\u9fff]（[\u3040-\u309fー]+）", GLOSSARY)  # beside the word, as it was once


def test_every_word_of_the_glossary_is_in_the_list_at_its_top():
    headings = re.findall(r"^#+ (.+)", GLOSSARY, re.MULTILINE)
    links = re.findall(r"\]\(#(.+?)\)", GLOSSARY)
    assert links[:-1] == list(map(anchor, WORDS))
    assert links[-1] in map(anchor, headings)  # the paragraph on two words


def test_the_pictures_of_the_glossary_are_those_that_exist_and_are_small():
    linked = re.findall(r"!\[[^\]]+\]\(pictures/(.+?)\)", GLOSSARY)
    files = list((NOTEBOOKS / "pictures").iterdir())
    assert sorted(linked) == sorted(file.name for file in files)
    assert sum(file.stat().st_size for file in files) < 400_000


def test_the_pictures_of_the_glossary_are_those_that_the_program_draws():
    """By the same version of Matplotlib the same bytes, by another the same words."""
    for name, drawn in pictures.draw_all().items():
        kept = (NOTEBOOKS / "pictures" / name).read_text(encoding="utf-8")
        assert re.findall(r">([^<>]+)</text>", drawn) == re.findall(r">([^<>]+)</text>", kept), name
        if f"Matplotlib v{mpl.__version__}," in kept:
            assert drawn == kept, f"{name}: run `python notebooks/pictures.py`"


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_no_word_in_a_picture_leaves_it_or_lies_on_another(name):
    axes = pictures.canvas(pictures.WIDTH, pictures.HEIGHT)
    pictures.PICTURES[name](axes)
    axes.figure.canvas.draw()
    whole, boxes = axes.get_window_extent(), [text.get_window_extent() for text in axes.texts]
    plt.close()
    for place, box in enumerate(boxes):
        assert whole.x0 < box.x0 < box.x1 < whole.x1
        assert whole.y0 < box.y0 < box.y1 < whole.y1
        assert not any(box.overlaps(other) for other in boxes[:place])


# ---- the builder itself


SOURCE = """# ---
# title: "Is it so?"
# minutes: 1
# needs: nothing
# step: load
# goals: [a, b, c]
# ---

# %% [markdown]
# Words.

# %%
print("same", 1 + 1)

# %% tags=["exercise"]
answer = ...
# solution
two = 2
answer = {answer}
# wrong: answer + 1
# wrong: [two]
# wrong: 0.5

# %%
check("Exercise 1", answer, lambda value: value == 2, "Add.")
"""


@pytest.fixture
def read_tiny(tmp_path, monkeypatch):
    """A function that puts a source into a folder of its own, where the builder then works, and reads it."""
    for name in ("src", "solutions"):
        (tmp_path / name).mkdir()
    (tmp_path.parent / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for module in (build, sources):
        monkeypatch.setattr(module, "HERE", tmp_path)

    def read(source: str) -> list:
        (tmp_path / "src" / "00_tiny.py").write_text(source)
        return sources.read_lessons()

    return read


@pytest.fixture
def tiny(read_tiny, tmp_path, monkeypatch):
    """A function that makes a lesson from a source, in a folder of its own: complaints, and the notebooks made."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def make(source: str) -> tuple[list[str], dict[str, str]]:
        lessons = read_tiny(source)
        wrong = build.build(lessons[0], lessons)
        return wrong, {str(file.relative_to(tmp_path)): file.read_text() for file in tmp_path.rglob("*.ipynb")}

    return make


@pytest.mark.slow
def test_a_rebuild_gives_the_same_bytes(tiny):
    wrong, first = tiny(SOURCE.format(answer="2"))
    assert wrong == []
    assert set(first) == {"00_tiny.ipynb", "solutions/00_tiny.ipynb"}
    assert "not attempted yet" in first["00_tiny.ipynb"]
    assert "Exercise 1: correct" in first["solutions/00_tiny.ipynb"]
    assert not any(word in text for text in first.values() for word in ("wrong:", "0.5", "_right"))
    assert tiny(SOURCE.format(answer="2"))[1] == first


@pytest.mark.slow
def test_texts_made_again_are_the_same_bytes(tiny, tmp_path):
    _, first = tiny(SOURCE.format(answer="2"))
    lessons = sources.read_lessons()
    assert build.renew_texts(lessons[0], lessons) == []
    assert {str(file.relative_to(tmp_path)): file.read_text() for file in tmp_path.rglob("*.ipynb")} == first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (SOURCE.format(answer="3"), "reports 'not yet. Add.' instead of 'correct'"),
        (
            SOURCE.format(answer="2").replace("= ...", "= ...\nanswer = 2"),
            "reports 'correct' instead of 'not attempted yet'",
        ),
        (SOURCE.format(answer="2").replace("print(", "import sys; print('no', file=sys.stderr); print("), "stderr"),
        (SOURCE.format(answer="2").replace("print(", "print('line\\n' * 50); print("), "at most 40 can be read"),
        (SOURCE.format(answer="2").replace('print("same", 1 + 1)', "1 + 1"), "ends in a value"),
        (SOURCE.format(answer="2").replace("value == 2", "value"), "does not refuse answer + 1: Exercise 1: correct"),
        (SOURCE.format(answer="2").replace("wrong: 0.5", "wrong: 2 + 0"), "does not refuse 2 + 0"),
        (SOURCE.format(answer="2").replace("wrong: 0.5", "wrong: ..."), "does not refuse ...: Exercise 1: not attempt"),
        (SOURCE.format(answer="2").replace("wrong: 0.5", "wrong: missing"), "name 'missing' is not defined"),
    ],
)
def test_what_does_not_hold_is_refused_and_nothing_is_written(tiny, source, complaint):
    wrong, made = tiny(source)
    assert any(complaint in line for line in wrong), wrong
    assert made == {}


def test_a_changed_text_keeps_the_outputs_and_a_changed_code_cell_does_not(read_tiny, tmp_path):
    source = SOURCE.format(answer="2")
    lessons = read_tiny(source)
    for file, solved in ((tmp_path / "00_tiny.ipynb", False), (tmp_path / "solutions" / "00_tiny.ipynb", True)):
        made = sources.compose(lessons[0], lessons, solved)
        made.cells[3].outputs = [nbformat.v4.new_output("stream", text="as it was printed")]
        nbformat.write(made, file)

    lessons = read_tiny(source.replace("Words.", "Other words."))
    assert build.renew_texts(lessons[0], lessons) == []
    for file in tmp_path.rglob("*.ipynb"):
        made = nbformat.read(file, as_version=4)
        assert "Other words." in made.cells[2].source
        assert made.cells[3].outputs[0].text == "as it was printed"
        assert made.metadata["kerastl"]["source"] == lessons[0].digest

    def renew(source: str) -> str:
        lessons = read_tiny(source)
        return build.renew_texts(lessons[0], lessons)[0]

    before = (tmp_path / "00_tiny.ipynb").read_text()
    assert "a code cell has changed" in renew(source.replace("1 + 1", "1 + 2"))
    assert "a wrong answer has changed" in renew(source.replace("wrong: 0.5", "wrong: 0.6"))
    assert (tmp_path / "00_tiny.ipynb").read_text() == before


def test_what_counts_as_typed_in():
    for expression in ("0.5", "-3", "[0.1, 0.2]", "{'a': 1}"):
        assert exercises.is_typed_in(expression), expression
    for expression in ("[0.1] * 5", "len(x)", "True", "'text'", "[]", "[1, 'text']", "lambda x: 0.5"):
        assert not exercises.is_typed_in(expression), expression


def test_an_exercise_without_a_solution_is_an_error():
    with pytest.raises(ValueError, match="no line '# solution'"):
        exercises.read_exercise("answer = ...\nanswer = 2\n")


def test_a_check_is_taken_apart():
    cell = '# Why.\ntwo = 2\ncheck(\n    "A", answer, lambda n: n == two,\n    "Add.",\n)\ntwo = 3'
    assert exercises.read_check(cell) == ("A", "# Why.\ntwo = 2\ntwo = 3", "answer", "lambda n: n == two", '"Add."')


def test_a_check_tells_untouched_right_and_wrong_apart(capsys):
    check("A", ..., lambda value: True, "hint")
    check("B", 2, lambda value: value == 2, "hint")
    check("C", 3, lambda value: value == 2, "hint")
    check("D", "text", lambda value: value.nothing, "hint")
    assert capsys.readouterr().out.splitlines() == [
        "A: not attempted yet",
        "B: correct",
        "C: not yet. hint",
        "D: not yet. hint",
    ]


# ---- the beginning of a lesson


def test_a_lesson_begins_with_one_line_and_the_picture_of_its_step(capsys):
    world = begin("drawn", step="phase 1")
    assert world.pictures == "drawn_flowers"
    assert re.fullmatch(r"kerastl \S+, Keras \S+, pictures: drawn\n", capsys.readouterr().out)
    assert len(plt.get_fignums()) == 1
    assert "phase 1" in [text.get_text() for text in plt.gca().texts if text.get_weight() == "bold"]


def test_a_lesson_without_a_step_begins_without_a_picture():
    begin("drawn")
    assert plt.get_fignums() == []


@pytest.mark.parametrize("wrong", [{"world": "painted"}, {"world": "drawn", "step": "phase 3"}])
def test_a_lesson_of_another_world_or_step_is_an_error(wrong):
    with pytest.raises(ValueError, match=r"Received .*(painted|phase 3).*\. Expected one of '(drawn|load)', "):
        begin(**wrong)
    assert plt.get_fignums() == []


@pytest.mark.slow
def test_a_notebook_shows_the_picture_of_its_step_once(monkeypatch):
    monkeypatch.delenv("MPLBACKEND")  # as other tests want it; a student has none
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    cells = ['from kerastl.course import begin\nworld = begin("drawn", step="test")', "world.alpha"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(made, timeout=120, kernel_name="python3").execute()
    shown = [["image/png" in output.get("data", {}) for output in cell.outputs] for cell in made.cells]
    assert shown == [[False, True], [False]]
