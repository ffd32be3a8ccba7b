"""Two scores that say before any training how well a pre-trained network may transfer to a task. Higher is better."""

import numpy as np


def leep(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Log Expected Empirical Prediction (Nguyen et al. 2020, arXiv 2002.12462, section 3).

    Read what the old classifier says about the new images as a distribution over its old classes, find out how often
    each new class goes with each old one, and guess the new labels from that, without any training.

    Args:
        probabilities: (images, old classes), of the old classifier for the new images; rows sum to 1.
        labels: (images,) whole numbers, the new classes.

    Returns:
        The mean log-likelihood of the new labels; at most 0.
    """
    joint = np.stack([probabilities[labels == label].sum(axis=0) for label in np.unique(labels)]) / len(labels)
    given_old = joint / np.maximum(joint.sum(axis=0), np.finfo(float).tiny)  # (new classes, old classes)
    places = np.unique(labels, return_inverse=True)[1]
    return float(np.log((probabilities * given_old[places]).sum(axis=1)).mean())


def logme(features: np.ndarray, labels: np.ndarray, rounds: int = 100) -> float:
    """Log of Maximum Evidence (You et al. 2021, arXiv 2102.11005, algorithm 1): how well do linear models fit?

    For each class a Bayesian linear regression from the features to "is it this class": its prior precision alpha and
    noise precision beta are those that make the labels most probable. No test pictures, no training, no rate to choose.

    Args:
        features: (images, D), pooled outputs of the base.
        labels: (images,) whole numbers.
        rounds: of the fixed point at most; a handful is enough in practice.

    Returns:
        The mean over the classes of the log evidence per image, in nats.
    """
    count, width = features.shape
    left, singular, _ = np.linalg.svd(features.astype(np.float64), full_matrices=False)
    squares = singular**2
    evidences = []
    for label in np.unique(labels):
        target = (labels == label).astype(np.float64)
        along = left.T @ target  # the target in the directions of the features; the rest cannot be fitted
        outside = max(target @ target - along @ along, 0.0)
        alpha = beta = 1.0
        for _ in range(rounds):
            shrunk = beta * singular * along / (alpha + beta * squares)  # the mean of the weights
            size, error = shrunk @ shrunk, ((along - singular * shrunk) ** 2).sum() + outside
            gamma = (beta * squares / (alpha + beta * squares)).sum()
            before = alpha / beta
            alpha, beta = gamma / max(size, 1e-12), (count - gamma) / max(error, 1e-12)
            if abs(alpha / beta - before) <= 1e-3 * before:
                break
        shrunk = beta * singular * along / (alpha + beta * squares)
        size, error = shrunk @ shrunk, ((along - singular * shrunk) ** 2).sum() + outside
        log_det = np.log(alpha + beta * squares).sum() + (width - len(singular)) * np.log(alpha)
        evidence = count * np.log(beta / (2 * np.pi)) + width * np.log(alpha) - beta * error - alpha * size - log_det
        evidences.append(evidence / 2 / count)
    return float(np.mean(evidences))
