"""LEEP and LogME against cases worked by hand."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from programs import import_from

(scores,) = import_from("benchmarks/strategies", "scores")


def test_leep_of_a_case_worked_by_hand():
    # Old classes p and q, new classes 0 and 1, four images. The joint distribution of (new, old) is
    #   0: p (.9 + .5) / 4 = .35, q (.1 + .5) / 4 = .15;  1: p (.2 + .4) / 4 = .15, q (.8 + .6) / 4 = .35;
    # so p goes with 0 in .7 of its weight, and q in .3.
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.4, 0.6]])
    guesses = [0.9 * 0.7 + 0.1 * 0.3, 0.5 * 0.7 + 0.5 * 0.3, 0.2 * 0.3 + 0.8 * 0.7, 0.4 * 0.3 + 0.6 * 0.7]
    np.testing.assert_allclose(scores.leep(probabilities, np.array([0, 0, 1, 1])), np.log(guesses).mean())


def test_leep_of_an_old_class_for_each_new_one_is_that_of_certainty():
    np.testing.assert_allclose(scores.leep(np.eye(3)[[0, 1, 2, 1]], np.array([5, 7, 9, 7])), 0, atol=1e-12)
    np.testing.assert_allclose(scores.leep(np.full((4, 3), 1 / 3), np.array([0, 1, 0, 1])), np.log(0.5))


@pytest.mark.parametrize(("images", "width"), [(30, 4), (12, 20)])
def test_logme_is_the_highest_evidence_of_all(images, width):
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(images, width)), np.arange(images) % 2
    features[:, 0] += 2 * labels

    def evidence(alpha: float, beta: float, label: int) -> float:
        """The labels of a Bayesian linear regression are normally distributed: what the weights may give, and noise."""
        covariance = features @ features.T / alpha + np.eye(images) / beta
        return multivariate_normal(np.zeros(images), covariance).logpdf(labels == label) / images

    grid = np.geomspace(1e-3, 1e3, 61)
    highest = [max(evidence(*precisions, label) for precisions in product(grid, grid)) for label in (0, 1)]
    assert np.mean(highest) <= scores.logme(features, labels) < np.mean(highest) + 5e-3
