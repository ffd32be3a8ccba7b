"""The question bank: its form, what a student could guess from it, and what is made of it for Moodle and for paper.

`make browser` runs the test that needs Chromium.
"""

import html
import re
import statistics

import pytest
import yaml

from programs import import_from

bank, quiz, sources = import_from("notebooks", "bank", "quiz", "sources")
LESSONS = sources.read_lessons()
NAMES = [lesson.name for lesson in LESSONS]
QUESTIONS = [(name, question) for name in NAMES for question in bank.read_questions(name)]
CHOICES = [choice for _, question in QUESTIONS for choice in question.choices]
RECAP = [(ask, answer) for name in NAMES for ask, answer in bank.read_answers(name).items()]
TEXTS = [question.ask for _, question in QUESTIONS]
TEXTS += [text for choice in CHOICES for text in (choice.text, choice.because)]
TEXTS += [text for pair in RECAP for text in pair]


def plain(text: str) -> str:
    """What a reader sees of Markdown or of HTML."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>|[`*]", "", text)).split())


# ---- the form


def test_every_lesson_has_its_file_with_five_questions_or_more():
    assert sorted(file.stem for file in bank.FOLDER.glob("*.yaml")) == NAMES
    for name in NAMES:
        count = len(bank.read_questions(name))
        assert count >= 5, f"{bank.file_of(name)} has {count} questions; write some more."
    assert len(QUESTIONS) >= 60


GOOD = {
    "ask": "Why?",
    "right": "So.",
    "because": "Yes.",
    "wrong": [{"choice": f"{word}.", "because": "No."} for word in ("One", "Two", "Three")],
}
BAD = {
    "a question without a reason": {key: value for key, value in GOOD.items() if key != "because"},
    "two wrong choices": GOOD | {"wrong": GOOD["wrong"][:2]},
    "a wrong choice without its reason": GOOD | {"wrong": [*GOOD["wrong"][:2], {"choice": "Three."}]},
    "an empty reason": GOOD | {"wrong": [*GOOD["wrong"][:2], {"choice": "Three.", "because": " "}]},
    "a number where a text should be": GOOD | {"right": 30},
    "a second right choice": GOOD | {"also_right": "So, too."},
    "a text": "Why?",
}


@pytest.mark.parametrize("entry", BAD.values(), ids=BAD)
def test_what_has_another_form_is_refused_with_its_place(entry, tmp_path, monkeypatch):
    monkeypatch.setattr(bank, "FOLDER", tmp_path)
    file = tmp_path / "00_tiny.yaml"
    file.write_text(yaml.safe_dump({"recap": {}, "questions": [GOOD]}))
    assert sum(choice.is_right for choice in bank.read_questions("00_tiny")[0].choices) == 1
    file.write_text(yaml.safe_dump({"recap": {}, "questions": [GOOD, entry]}))
    with pytest.raises(ValueError, match=r"00_tiny\.yaml, questions\[1\].* should"):
        bank.read_questions("00_tiny")


# ---- the content


def test_a_question_has_one_right_and_three_wrong_choices_and_no_two_alike():
    for _, question in QUESTIONS:
        assert sorted(choice.is_right for choice in question.choices) == [False, False, False, True]
        texts = [plain(choice.text).lower().rstrip(".") for choice in question.choices]
        assert len(set(texts)) == 4, question.ask
        reasons = [plain(choice.because) for choice in question.choices]
        assert len(set(reasons)) == 4, question.ask
        assert not {reason.lower().rstrip(".") for reason in reasons} & set(texts), question.ask
        assert min(len(reason.split()) for reason in reasons) >= 4, reasons
    asked = [plain(question.ask).lower() for _, question in QUESTIONS]
    assert len(set(asked)) == len(asked)


def test_the_right_choice_cannot_be_guessed_by_its_length():
    right, wrong = (
        [len(plain(choice.text)) for choice in CHOICES if choice.is_right is side] for side in (True, False)
    )
    assert statistics.mean(right) <= 4 / 3 * statistics.mean(wrong)
    assert statistics.mean(wrong) <= 4 / 3 * statistics.mean(right)
    longest = [max(question.choices, key=lambda choice: len(plain(choice.text))) for _, question in QUESTIONS]
    assert sum(choice.is_right for choice in longest) <= len(QUESTIONS) / 3


def test_the_right_choice_cannot_be_guessed_by_its_place():
    letters = [answer[-1] for name in NAMES for answer in quiz.key(bank.read_questions(name))]
    for letter in quiz.LETTERS:
        assert 0.15 <= letters.count(letter) / len(letters) <= 0.35, letter
    assert not any(len(set(quiz.key(bank.read_questions(name)))) == 1 for name in NAMES)


@pytest.mark.parametrize("word", ["all", "always", "never", "only", "every", "nothing", "because", "since"])
def test_a_strong_word_is_no_sign_of_a_wrong_choice(word):
    """Who strikes out each choice with such a word must not find the right one by that alone."""
    with_it = [choice.is_right for choice in CHOICES if re.search(rf"\b{word}\b", choice.text, re.IGNORECASE)]
    assert len(with_it) < 8 or sum(with_it) / len(with_it) >= 0.1, (word, sum(with_it), len(with_it))


def test_every_text_is_made_of_plain_sentences():
    for text in TEXTS:
        assert re.match(r"[A-Z`\"*]", text), text
        assert re.search(r"[.?]\)?$", text), text
        assert not re.search(r"[;—–]|  |\n", text), text
        for sentence in re.split(r"(?<=[.?!:])\s", text):
            assert len(sentence.split()) <= 32, sentence


def test_no_text_repeats_a_result_of_a_run():
    """Decimals and percents are results; small whole numbers are examples."""
    assert [text for text in TEXTS if re.search(r"\d[.,]\d|\d ?%|per ?cent|\d{4,}", text)] == []


def test_what_asks_is_a_question():
    for text in [*(question.ask for _, question in QUESTIONS), *(ask for ask, _ in RECAP)]:
        assert re.search(r"[?.]$", text), text
        assert "?" in text, text


# ---- Moodle


def read_gift(text: str) -> dict[str, list]:
    """{category: [(title, question, {choice: (is it right, feedback)})]}, as Moodle reads it, but strictly.

    Written from Moodle's documentation of the format; what it would take in another way than meant is an error here.
    """
    found, category = {}, None
    for paragraph in re.split(r"\n[ \t]*\n", text.strip()):
        lines = [line for line in paragraph.splitlines() if not line.startswith("//")]
        if not lines:
            continue
        if lines[0].startswith("$CATEGORY:"):
            (line,) = lines
            category = line.removeprefix("$CATEGORY:").strip()
            found[category] = []
            continue
        body = re.sub(r"\\([\\~=#{}:n])", lambda match: f"\0{ord(match[1])}\0", "\n".join(lines))
        assert "\\" not in body, f"a backslash that escapes nothing: {paragraph}"
        title, ask, choices = re.fullmatch(r"::([^:]+)::\[html\]([^{}~=#:]+)\{([^{}]+)\}", body).groups()
        read = {}
        for sign, choice, feedback in re.findall(r"([=~])([^=~#:]+)(?:#([^=~#:]+))?", choices):
            assert not choice.startswith("%"), "this would be read as a weight"
            read[_unescaped(choice)] = (sign == "=", _unescaped(feedback))
        assert len(re.findall(r"[=~]", choices)) == len(re.findall(r"[#]", choices)) == len(read), paragraph
        found[category].append((_unescaped(title), _unescaped(ask), read))
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\0(\d+)\0", lambda match: chr(int(match[1])), text).strip()


def test_moodle_reads_every_question_as_it_was_written():
    found = read_gift(quiz.gift(LESSONS))
    assert len(found) == len(LESSONS)
    assert len({title for asked in found.values() for title, _, _ in asked}) == len(QUESTIONS)
    for (category, asked), lesson in zip(found.items(), LESSONS, strict=True):
        assert category.startswith("$course$/top/Transfer learning/")
        assert category.endswith(f". {lesson.facts['title']}")
        written = bank.read_questions(lesson.name)
        assert [plain(ask) for _, ask, _ in asked] == [plain(question.ask) for question in written]
        for (_, _, choices), question in zip(asked, written, strict=True):
            read = [(plain(text), is_right, plain(because)) for text, (is_right, because) in choices.items()]
            assert read == [(plain(text), is_right, plain(because)) for text, because, is_right in question.choices]


def test_what_means_something_in_the_format_is_escaped(tmp_path, monkeypatch):
    nasty = {
        "ask": "Is `{'a': 1} == x`, ~ and # and \\ and <b> & [html] what::it says?",
        "right": "`f(x=1)` → {yes}: \\n is no new line.",
        "because": "~%50% # = {} :: `\\{` & < > \"quoted\" 'so'.",
        "wrong": [{"choice": f"{n}\\= {{~}} # [x]", "because": "a:b=c~d#e{f}g\\h\n\nand so on"} for n in "abc"],
    }
    monkeypatch.setattr(bank, "FOLDER", tmp_path)
    (tmp_path / f"{NAMES[0]}.yaml").write_text(yaml.safe_dump({"recap": {}, "questions": [nasty, GOOD]}))
    ((first, second),) = read_gift(quiz.gift(LESSONS[:1])).values()
    shown = lambda text: html.unescape(re.sub(r"</?(code|em)>", "", text))  # noqa: E731
    assert shown(first[1]) == nasty["ask"].replace("`", "")
    choices = {shown(text): (is_right, shown(because)) for text, (is_right, because) in first[2].items()}
    assert choices[nasty["right"].replace("`", "")] == (True, nasty["because"].replace("`", ""))
    assert second[1] == GOOD["ask"]


@pytest.mark.parametrize(
    "broken",
    [
        "::T::[html]Why? {\n=A=B#c\n~D#e\n}",
        "::T::[html]Why? {\n=A\n~D#e\n}",
        "::T::[html]Why {x}? {\n=A#b\n~D#e\n}",
        "::T::[html]Why? {\n=A#b\n\n~D#e\n}",
        "::T::[html]Why \\? {\n=A#b\n~D#e\n}",
        "::T::[html]Why? {\n=A#b\n~%50%D#e\n}",
        "::T::[html]f(x=1)? {\n=A#b\n~D#e\n}",
    ],
)
def test_the_reader_of_these_tests_refuses_what_moodle_would_misread(broken):
    good = "$CATEGORY: c\n\n::T::[html]Why? {\n=A#b\n~D#e\n}"
    assert read_gift(good) == {"c": [("T", "Why?", {"A": (True, "b"), "D": (False, "e")})]}
    with pytest.raises((AssertionError, AttributeError, ValueError)):
        read_gift(f"$CATEGORY: c\n\n{broken}")


def test_a_text_that_begins_like_a_list_or_a_heading_stays_a_line():
    assert [bank.inline(text) for text in ("2. Leaks", "# no `<b>`", "- *a*")] == [
        "2. Leaks",
        "# no <code>&lt;b&gt;</code>",
        "- <em>a</em>",
    ]


# ---- paper


@pytest.mark.parametrize("number", range(len(LESSONS)))
def test_a_sheet_asks_and_only_its_key_answers(number):
    lesson, questions = LESSONS[number], bank.read_questions(NAMES[number])
    open_sheet, with_key = (quiz.sheet(lesson, number, with_key) for with_key in (False, True))
    for question in questions:
        assert all(plain(question.ask) in plain(page) for page in (open_sheet, with_key))
        for choice in question.choices:
            assert bank.inline(choice.text) in open_sheet
            assert bank.inline(choice.because) in with_key
            assert bank.inline(choice.because) not in open_sheet
    assert "right" not in re.findall(r"class=(\w+)", open_sheet)
    assert "Key:" not in open_sheet
    marked = [
        f"{place}{quiz.LETTERS[block.index('<li class=right>')]}"
        for place, block in enumerate(
            (re.findall(r"<li[^>]*>", block) for block in re.findall(r"<ol>.+?</ol>", with_key, re.DOTALL)), start=1
        )
    ]
    assert marked == quiz.key(questions)
    assert f"Key: {' '.join(marked)}" in with_key
    assert "http" not in open_sheet


def test_the_order_of_choices_is_the_same_on_every_day_and_another_for_each_question():
    again = [(name, question) for name in NAMES for question in bank.read_questions(name)]
    assert again == QUESTIONS
    assert quiz.key(bank.read_questions("00_start_here"))[0] == "1D"  # a machine that shuffles otherwise would differ


@pytest.mark.browser
@pytest.mark.parametrize("number", range(len(LESSONS)))
def test_a_sheet_is_one_page_of_a4_and_its_key_at_most_two(browser, number, tmp_path):
    for with_key, most in ((False, 1), (True, 2)):
        file = tmp_path / "sheet.html"
        file.write_text(quiz.sheet(LESSONS[number], number, with_key), encoding="utf-8")
        page = browser.new_page()
        page.goto(file.as_uri())
        paper = page.pdf(prefer_css_page_size=True, print_background=True)
        page.close()
        assert len(re.findall(rb"/Type /Page\b", paper)) <= most
        assert re.search(rb"/MediaBox \[0 0 59[45]\.\d* 84[12]\.\d*\]", paper)
