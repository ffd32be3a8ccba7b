"""The teacher's page: its minutes, sections, points and commands are those of the lessons and of the project."""

import re

import pytest

from kerastl.__main__ import make_parser
from programs import ROOT, import_from

NOTEBOOKS = ROOT / "notebooks"
bank, recap, sources, teaching = import_from("notebooks", "bank", "recap", "sources", "teaching")
LESSONS = sources.read_lessons()
PAGE = (NOTEBOOKS / "TEACHING.md").read_text(encoding="utf-8")
ALL = "all sections"


def headings(lesson) -> list[str]:
    text = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


SECTIONS = teaching.read_minutes()


def test_every_lesson_stands_in_the_table_of_minutes():
    assert list(SECTIONS) == list(range(len(LESSONS)))


@pytest.mark.parametrize("number", range(len(LESSONS)))
def test_sections_and_their_minutes_are_those_of_the_lesson(number):
    lesson = LESSONS[number]
    _, needs, _, total = teaching.read_table("Minutes for each section")[number]
    assert list(SECTIONS[number]) == headings(lesson)
    assert sum(SECTIONS[number].values()) == int(total) == lesson.facts["minutes"]
    at_least = lesson.facts["needs"].split("at least")[-1]
    assert re.findall(r"\d+", needs) == re.findall(r"\d+", at_least)


@pytest.mark.parametrize(("plan", "begins", "ends"), [("2 hours", "0:00", "2:00"), ("1 day", "9:00", "17:00")])
def test_a_plan_goes_by_the_clock_and_gives_each_section_its_time(plan, begins, ends):
    clock = as_minutes(begins)
    for start, what, total in teaching.read_table(plan):
        given = teaching.minutes_of(what)
        assert as_minutes(start) == clock, start
        assert sum(given.values()) == int(total), what
        if lesson := re.match(r"Lesson (\d+): ", what):
            sections = SECTIONS[int(lesson[1])]
            for name, number in given.items():
                assert number >= (sum(sections.values()) if name == ALL else sections[name]), f"{what}: {name}"
        clock += int(total)
    assert clock == as_minutes(ends)


def as_minutes(clock: str) -> int:
    hours, rest = clock.split(":")
    return 60 * int(hours) + int(rest)


def test_the_twelve_weeks_have_ninety_minutes_each_and_one_lesson_each():
    weeks, more = teaching.read_table("12 weeks"), teaching.read_table("More weeks")
    assert [int(week[0]) for week in weeks] == list(range(1, 13))
    assert [week[1] for week in weeks[:-1] + more] == [*map(str, range(len(LESSONS)))]
    assert weeks[-1][1] == "projects"
    assert [int(week[0]) for week in more] == [12 + number for number in range(len(more))]
    for week in weeks + more:
        given = [int(re.match(r"\d+", cell)[0]) for cell in week[2:6]]
        assert sum(given) == 90, week
        if week[1] != "projects":
            assert given[1] >= LESSONS[int(week[1])].facts["minutes"], week


@pytest.mark.parametrize(
    ("heading", "column"), [("What to say while training runs", 1), ("What students usually believe", 3)]
)
def test_what_the_page_points_to_is_a_section_and_no_lesson_is_left_out(heading, column):
    rows = teaching.read_table(heading)
    for row in rows:
        assert row[column] in SECTIONS[int(row[0])], row
        assert len(row[2]) > 20, row
    assert list(dict.fromkeys(int(row[0]) for row in rows)) == list(range(len(LESSONS)))


def test_the_points_add_up_to_a_hundred():
    project = next(number for number, lesson in enumerate(LESSONS) if lesson.name.endswith("your_project"))
    judged = LESSONS[project].cells[-2].source
    rubric = re.search(r"^## How a project is judged\n\n((?:\|.*\n?)+)", judged, re.MULTILINE)
    rows = rubric[1].strip().splitlines()[2:]
    assert len(rows) == 5
    exercises = project * (1 + 2 + 3)
    assert exercises + 8 * len(rows) == 100
    assert project * (1 + 2) + 6 * len(rows) == 60
    assert f"{exercises} in all" in PAGE
    assert f"{8 * len(rows)} in all" in PAGE


def test_commands_and_links_of_the_page_exist():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    made = re.findall(r"`make ([a-z-]+)`", PAGE)
    assert made
    assert set(made) <= set(targets)
    commands = re.findall(r"\S+ -m kerastl ([^`\n]+)", PAGE)
    assert {"check", "train", "inspect"} <= {command.split()[0] for command in commands}
    for command in commands:
        if command != "train":  # the name alone, in a sentence
            make_parser().parse_args(command.split())
    anchors = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^##+ (.+)$", PAGE, re.M)
    }
    assert set(re.findall(r"\]\(#(.+?)\)", PAGE)) <= anchors
    python = re.search(r"\((\d), (\d+)\) <= sys.version_info < \((\d), (\d+)\)", (ROOT / "Makefile").read_text())
    assert f"{python[1]}.{python[2]} to {python[3]}.{int(python[4]) - 1}" in PAGE


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)`", PAGE))))
def test_what_make_does_stands_there_for_windows_too(target):
    """The recipe of the Makefile, with the folders and the slashes of PowerShell."""
    rows = dict(teaching.read_table("On Windows"))
    makefile = (ROOT / "Makefile").read_text()
    (recipe,) = re.findall(rf"^{target}: .*\n\t(.+)\n\n", makefile, re.MULTILINE)
    assert rows[f"`make {target}`"] == f"`{on_windows(recipe.replace('$(BIN)', '.venv/bin'))}`"


def test_beside_each_command_in_a_folder_of_its_own_stands_that_for_windows():
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
    commands = [number for number, (kind, text) in enumerate(blocks) if not kind and ".venv/bin" in text]
    assert len(commands) >= 3
    for number in commands:
        assert blocks[number + 1] == ("powershell", on_windows(blocks[number][1]))


def on_windows(command: str) -> str:
    return command.replace(".venv/bin/", ".venv/Scripts/").replace("/", "\\")


# ---- the teacher's recap sheets


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_every_question_of_the_recap_has_its_answer_and_no_answer_is_stale(lesson):
    """The message of the error says what to write where."""
    asked = recap.recall_questions(lesson)
    assert len(asked) == 3
    assert list(bank.answers_to(asked, lesson.name)) == asked


def test_a_new_question_without_an_answer_is_named_with_the_place_to_write_it():
    asked = recap.recall_questions(LESSONS[0])
    with pytest.raises(
        ValueError, match=r"without an answer: \['Why\?'\].*Write under `recap:` in .*00_start_here\.yaml"
    ):
        bank.answers_to([*asked, "Why?"], LESSONS[0].name)
    with pytest.raises(ValueError, match=r"It does not ask: \['What is a head\?'\]"):
        bank.answers_to([ask for ask in asked if ask != "What is a head?"], LESSONS[0].name)


@pytest.mark.parametrize("number", range(len(LESSONS)))
def test_the_teachers_sheet_has_all_answers_and_the_students_sheet_none(number):
    lesson = LESSONS[number]
    students, teachers = recap.recap(lesson, number), recap.recap_for_teachers(lesson, number)
    answers = list(bank.answers_to(recap.recall_questions(lesson), lesson.name).values())
    answers += [row.answer for row in teaching.read_beliefs() if row.lesson == str(number)]
    assert len(answers) >= 4
    for answer in answers:
        assert bank.inline(answer) in teachers
        assert bank.inline(answer) not in students
    assert 'class="notes"' in students
    assert "class=lines" not in teachers


def test_every_belief_has_an_answer_that_no_run_can_contradict():
    for row in teaching.read_beliefs():
        assert len(row.answer.split()) >= 8, row
        assert re.search(r"[.?]\)?$", row.answer), row
        assert not re.search(r"\d[.,]\d|\d ?%", row.answer.replace("2202.10054", "")), row
        for sentence in re.split(r"(?<=[.?!:])\s", row.answer):
            assert len(sentence.split()) <= 32, sentence
