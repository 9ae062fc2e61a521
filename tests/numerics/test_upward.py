# SPDX-License-Identifier: BSD-3-Clause
"""Directed rounding and the constants of error analysis, against exact rationals."""

import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symrnn.errors import UnsupportedError
from symrnn.numerics.upward import TINY, UNIT, check_arithmetic, gamma, up
from tests.require import flushed_subnormals

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, finite)
def test_up_bounds_what_was_rounded(a, b):
    """The number after a rounded sum is above the exact sum."""
    total = (
        float(up(np.float64(a) + np.float64(b))) if abs(a) + abs(b) < 1e308 else None
    )
    if total is not None:
        assert Fraction(a) + Fraction(b) < Fraction(total)


def test_up_at_the_edges():
    """Zero goes to the smallest number, the largest to infinity; NaN stays."""
    found = up(np.array([0.0, -TINY, 1.7976931348623157e308, np.inf, -np.inf]))
    assert [TINY, 0.0, math.inf, math.inf] == found[:4].tolist()
    assert found[4] == -1.7976931348623157e308
    assert math.isnan(up(np.nan))
    assert up(np.zeros((2, 3))).shape == (2, 3)


@given(st.integers(0, 2**60), st.sampled_from([4, 8, 11, 24, 53]))
def test_gamma_is_the_next_float_up(n, precision):
    """It bounds n·u/(1 - n·u) from above, and by no more than two ulps."""
    u = Fraction(1, 2**precision)
    if n * u >= 1:
        assert math.inf == gamma(n, precision)
        return
    exact = n * u / (1 - n * u)
    bound = gamma(n, precision)
    assert exact <= Fraction(bound)
    assert Fraction(bound) <= exact * (1 + 4 * Fraction(UNIT))


@given(st.lists(st.fractions(-1, 1), min_size=1, max_size=12), st.integers(0, 12))
def test_gamma_bounds_products_of_roundings(deltas, below):
    """Higham's lemma: any mixture of factors 1 + δ, above and below the fraction line."""
    u = Fraction(1, 256)
    product = Fraction(1)
    for i, delta in enumerate(deltas):
        factor = 1 + delta * u
        product = product / factor if i < below else product * factor
    assert abs(product - 1) <= Fraction(gamma(len(deltas), precision=8))


def test_arithmetic_of_this_process_is_accepted():
    check_arithmetic()


def test_flushed_subnormals_are_refused(torch):
    """A thread that flushes subnormal numbers gets an error that says how to stop it."""

    def flushing():
        refused = pytest.raises(UnsupportedError, match="set_flush_denormal")
        with flushed_subnormals(torch), refused:
            check_arithmetic()
        check_arithmetic()

    with ThreadPoolExecutor(1) as pool:  # the mode belongs to the thread
        pool.submit(flushing).result()
