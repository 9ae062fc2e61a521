# SPDX-License-Identifier: BSD-3-Clause
"""Ranges of derivatives hold everywhere in a ball, and are narrow."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.domains.function_slopes import slope
from symrnn.equations.functions import FUNCTIONS

MP = mpmath.MPContext()
MP.prec = 300


def derivative(name, x):
    """Return f'(x), as mpmath computes it from another formula."""
    if name == "relu":
        return MP.mpf(x > 0)
    return 1 / MP.cosh(x) ** 2 if name == "tanh" else 1 / (4 * MP.cosh(x / 2) ** 2)


def range_of(name, mid, rad):
    """Return the ends of what is claimed of a ball."""
    tube = Enclosed(np.array([[mid]]), np.array([[rad]]))
    with EnclosureDomain().context():
        found = slope(FUNCTIONS[name], tube)
    (m,), (r,) = found.mid.ravel(), found.rad.ravel()
    return MP.mpf(m) - MP.mpf(r), MP.mpf(m) + MP.mpf(r)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu"])
@given(
    mid=st.floats(-800, 800) | st.floats(-3, 3),
    rad=st.floats(0, 1000) | st.floats(0, 1) | st.just(0.0),
    part=st.floats(-1, 1),
)
def test_no_derivative_in_a_ball_is_outside(name, mid, rad, part):
    """Ends, middle, and any point between."""
    lo, hi = range_of(name, mid, rad)
    for where in (-1, part, 0, 1):
        x = MP.mpf(mid) + MP.mpf(rad) * where
        if name != "relu" or x:
            assert lo <= derivative(name, x) <= hi


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
@given(mid=st.floats(-30, 30), rad=st.floats(0, 10))
def test_ranges_are_no_wider_than_they_must_be(name, mid, rad):
    """Both ends are values of f' in the ball, but for what images of balls add."""
    lo, hi = range_of(name, mid, rad)
    near = MP.mpf(max(abs(mid) - rad, 0))
    far = abs(MP.mpf(mid)) + MP.mpf(rad)
    slack = 1e-13 + (
        2 * rad**2 if rad <= 0.25 else 1e-12 * rad
    )  # narrow: to first order
    assert hi - derivative(name, near) < slack
    assert derivative(name, far) - lo < slack


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_nothing_known_of_the_argument(name):
    """An infinite ball has every value that the derivative takes anywhere."""
    lo, hi = range_of(name, 1.0, np.inf)
    assert lo <= 0
    assert derivative(name, 0) <= hi < 1.001
