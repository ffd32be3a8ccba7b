"""A tiny lesson with two exercises, and what students hand in for it; for the tests of grading."""

import nbformat

LESSON = """# ---
# title: "Is it so?"
# minutes: 1
# needs: nothing
# step: load
# goals: [a, b, c]
# ---

# %%
numbers = [3, 1, 2]

# %% [markdown]
# **Exercise 1 ★** How much are they together?

# %% tags=["exercise"]
total = ...
# solution
total = sum(numbers)
# wrong: 0

# %%
check("Exercise 1", total, lambda n: n == sum(numbers), "`sum` adds.")

# %% [markdown]
# **Exercise 2 ★★** Write `double(number)`.

# %% tags=["exercise"]
double = ...


# solution
def double(number):
    return 2 * number


# wrong: 2

# %%
asked = [5, 7]
check("Exercise 2", double, lambda f: [f(number) for number in asked] == [10, 14], "Take it twice.")

# %% [markdown]
# The end.
"""
SETUP = "from kerastl.course import check"  # the true one loads TensorFlow; here each notebook gets a kernel of its own
ONE, TWO = "total = sum(numbers)", "def double(number):\n    return number + number"


def answer(notebook: nbformat.NotebookNode, *sources: str) -> nbformat.NotebookNode:
    """Put these sources into the exercise cells, in order."""
    cells = [cell for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]
    for cell, source in zip(cells, sources, strict=False):
        cell.source = source
    return notebook
