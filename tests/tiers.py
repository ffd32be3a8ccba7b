"""When a test runs: by itself in `make test`, `slow` also in `make test-all`, `weekly` in `make test-weekly` alone."""

import pytest


def slow(*cases) -> list:
    """These cases of a parameter, marked as slow."""
    return [pytest.param(case, marks=pytest.mark.slow) for case in cases]


def weekly(*cases) -> list:
    """These cases of a parameter, marked as weekly."""
    return [pytest.param(case, marks=pytest.mark.weekly) for case in cases]
