"""The lessons that claim a stretch of the work in plain Keras hold it: in their code, not only in their prose."""

import ast

import pytest

from programs import import_from

exercises, sources = import_from("notebooks", "exercises", "sources")
LESSONS = {lesson.name[:2]: lesson for lesson in sources.read_lessons()}

STRETCHES = {  # lesson: what its code cells say in plain Keras, as `ast.unparse` writes it
    "02": ["keras.utils.image_dataset_from_directory", ".prefetch(", "RandomFlip(", ".preprocess_input"],
    "05": [
        "keras.applications.MobileNetV2(",
        "include_top=False",
        ".trainable = False",
        "keras.Input(",
        "keras.layers.GlobalAveragePooling2D(",
        "keras.layers.Dropout(",
        "keras.layers.Dense(",
        ".compile(",
        ".fit(",
        "keras.callbacks.EarlyStopping(",
        "tf.GradientTape(",
    ],
    "06": [
        ".trainable = True",
        ".trainable = False",
        "keras.layers.BatchNormalization",
        ".compile(keras.optimizers.Adam(0.0001)",
        ".fit(",
    ],
    "10": [".save(", "keras.models.load_model(", ".predict(", ".export("],
}


def code_of(lesson) -> str:
    """What a student's notebook runs, without comments and texts: no message and no solution counts."""
    cells = sources.compose(lesson, [lesson], solved=False).cells[2:]
    trees = [ast.parse(cell.source) for cell in cells if cell.cell_type == "code"]
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = ""
    return "\n".join(map(ast.unparse, trees))


def without_helpers(code: str) -> str:
    """The same without calls of this package: `tl.save(` is not Keras's `model.save(`."""
    return code.replace("tl.save(", "").replace("tl.predict(", "").replace("tl.load(", "")


@pytest.mark.parametrize(("number", "words"), STRETCHES.items())
def test_a_stage_is_written_in_plain_keras_in_the_lesson_that_claims_it(number, words):
    code = without_helpers(code_of(LESSONS[number]))
    missing = [word for word in words if word not in code]
    assert missing == []


@pytest.mark.parametrize("number", STRETCHES)
def test_what_is_only_said_or_only_solved_does_not_count(number):
    lesson = LESSONS[number]
    only_said = [cell for cell in lesson.cells if cell.cell_type == "markdown" or exercises.is_exercise(cell)]
    code = without_helpers(code_of(lesson._replace(cells=only_said)))
    assert not any(word in code for word in STRETCHES[number])
