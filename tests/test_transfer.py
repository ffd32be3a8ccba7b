"""Comparing strategies over repeated runs: what is measured, and the verdict."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import kerastl as tl

pytestmark = pytest.mark.usefixtures("matplotlib_stays")


def curves(start: float, end: float, noise: float = 0.0, runs: int = 5, epochs: int = 11) -> np.ndarray:
    """Straight up from start to end over the first half, then flat; each run a little apart."""
    rng = np.random.default_rng(0)
    line = np.interp(np.arange(epochs), [0, epochs // 2], [start, end])
    return line + noise * rng.normal(size=(runs, 1))


def test_start_slope_and_asymptote_are_those_of_the_curve():
    result = tl.explain_transfer({"scratch": curves(0.2, 0.7), "transfer": curves(0.5, 0.9)})
    scratch, transfer = result.strategies
    np.testing.assert_allclose(scratch.start, 0.2)
    np.testing.assert_allclose(scratch.asymptote, 0.7)
    np.testing.assert_allclose(scratch.slope, 0.1)  # 0.5 in five epochs
    np.testing.assert_allclose(transfer.slope, 0.08)


@pytest.mark.parametrize(
    ("other", "verdict"),
    [(curves(0.5, 0.9), "positive transfer"), (curves(0.2, 0.5), "negative transfer")],
)
def test_a_clear_difference_at_the_end_is_named(other, verdict):
    result = tl.explain_transfer({"scratch": curves(0.2, 0.7, 0.01), "head only": other})
    assert result.comparisons[0].verdict == verdict
    assert f"head only beside scratch: {verdict}. Final accuracy" in str(result)


def test_a_difference_within_the_noise_is_not_claimed():
    rng = np.random.default_rng(1)
    one, two = (curves(0.2, 0.7) + 0.05 * rng.normal(size=(5, 1)) for _ in range(2))
    result = tl.explain_transfer({"scratch": one, "head only": two + 0.01})
    gain, half = result.comparisons[0].asymptote
    assert abs(gain) <= half
    assert result.comparisons[0].verdict == "no difference shown"


def test_the_interval_is_that_of_students_t_over_the_pairs():
    gains = np.array([0.01, 0.02, 0.03, 0.04, 0.05])
    one = curves(0.2, 0.7)
    result = tl.explain_transfer({"scratch": one, "head only": one + gains[:, None]})
    gain, half = result.comparisons[0].asymptote
    assert gain == pytest.approx(0.03)
    assert half == pytest.approx(2.776 * gains.std(ddof=1) / np.sqrt(5), rel=1e-3)


def test_runs_with_the_same_number_belong_together():
    """All runs differ widely, but each gains the same beside its partner: that is a clear difference."""
    one = curves(0.2, 0.7, 0.1)
    assert tl.explain_transfer({"a": one, "b": one + 0.02}).comparisons[0].verdict == "positive transfer"


def test_the_picture_has_a_line_and_a_band_for_each_strategy():
    runs = {"scratch": curves(0.2, 0.7, 0.02), "チューリップ": curves(0.5, 0.9, 0.02), "$x$": curves(0.4, 0.8)}
    figure, axes = plt.subplots()
    assert tl.explain_transfer(runs, ax=axes).axes is axes
    assert plt.get_fignums() == [figure.number]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 11]
    for line, values in zip(lines, runs.values(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), values.mean(axis=0))
    assert len({line.get_linestyle() for line in lines}) == 3
    assert [text.get_text().split(":")[0] for text in axes.get_legend().get_texts()] == list(runs)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"a": curves(0.2, 0.7)}, "Expected two strategies or more"),
        (
            {"a": curves(0.2, 0.7), "b": curves(0.2, 0.7, epochs=9)},
            r"shape \(5, 9\), those of the first \(5, 11\)",
        ),
        ({"a": curves(0.2, 0.7, runs=1), "b": curves(0.2, 0.7, runs=1)}, "two of each or more"),
        ({"a": [[0.1, 0.2], [0.3]], "b": [[0.1, 0.2]] * 2}, "The runs of 'a' differ in their epochs"),
        ({"a": curves(20, 70), "b": curves(20, 70)}, r"run from 20 to 70\. Expected 0 to 1"),
        ({"a": curves(0.2, np.nan), "b": curves(0.2, 0.7)}, "Expected 0 to 1"),
    ],
)
def test_what_cannot_be_compared_is_an_error(runs, message):
    with pytest.raises(ValueError, match=message):
        tl.explain_transfer(runs)
