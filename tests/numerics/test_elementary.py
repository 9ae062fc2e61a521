# SPDX-License-Identifier: BSD-3-Clause
"""Proven tanh, sigmoid and exp of arrays, against FLINT at 300 bits."""

import math
from concurrent.futures import ThreadPoolExecutor

import mpmath
import numpy as np
import pytest
from flint import arb
from hypothesis import example, given
from hypothesis import strategies as st

from symrnn.domains.ball import working_precision
from symrnn.numerics import elementary
from symrnn.numerics.elementary import (
    exp,
    sigmoid,
    sigmoid_enclosure,
    tanh,
    tanh_enclosure,
)
from symrnn.numerics.upward import TINY


def logistic(a):
    """Evaluate 1/(1 + e^-a) without overflow on either side."""
    power = (-abs(a)).exp()
    return power / (1 + power) if a < 0 else 1 / (1 + power)


# Unlike symrnn.equations.functions, these are only asked for points, where Arb needs no hull.
EXACT = {
    "exp": arb.exp,
    "sigmoid": logistic,
    "tanh": arb.tanh,
}
# In units of 2^-53 of the value: what the docstrings promise.
PROMISED = {"exp": 2.05, "sigmoid": 4.08, "tanh": 6.1}
ENCLOSURES = {"tanh": tanh_enclosure, "sigmoid": sigmoid_enclosure}
each_function = pytest.mark.parametrize("name", EXACT)
each_enclosure = pytest.mark.parametrize("name", ENCLOSURES)


def adversarial(count, seed):
    """Return arguments around everything that the computation treats specially."""
    rng = np.random.default_rng(seed)
    nudges = 1 + rng.integers(-3, 4, count) * 2.0**-53
    grid = rng.integers(-2900, 2901, count) / 64
    parts = [
        rng.normal(size=count) * 2,
        rng.uniform(-0.03, 0.03, count),
        rng.uniform(-45, 45, count),
        (grid + 1 / 128) * nudges,  # half way between two entries of the table
        grid * nudges,
        rng.uniform(-750, 712, count),
        np.exp(rng.uniform(-745, 1, count)) * rng.choice([-1, 1], count),
        rng.integers(-3000, 3000, count) * TINY,
    ]
    for edge in (22, 40, 708.396, 709.78271289338397, 709.785, 745.1332, 745.14, 746):
        around = edge * (1 + np.arange(-8, 9) * 2.0**-52)
        parts += [around, -around]
    largest = np.finfo(np.float64).max
    parts.append(np.array([0.0, -0.0, 1e300, -1e300, largest, -largest]))
    return np.concatenate(parts)


@each_function
def test_error_bounds_hold(name):
    """120,000 arguments: the true error is within the bound, and the bound as promised."""
    x = adversarial(15_000, seed=len(name))
    value, error = getattr(elementary, name)(x)
    finite = value < np.inf
    promised = PROMISED[name] * 2.0**-53 * abs(value) + 32 * TINY
    assert (error[finite] <= promised[finite] * (1 + 1e-12)).all()
    with working_precision(300):
        for argument, v, bound in zip(
            x.tolist(), value.tolist(), error.tolist(), strict=True
        ):
            if v == math.inf:
                assert bound == math.inf
                assert argument > 709.782712893384
            else:
                assert abs(arb(v) - EXACT[name](arb(argument))) <= arb(bound), argument


# The worst arguments out of some 10^7 in each of several intervals, and how much of the
# bound the error takes there: whoever sharpens a bound meets them.
WORST = [
    ("exp", 1.4003487995878245, 0.94),
    ("exp", -2.069188409209814, 0.95),
    ("exp", 693.8477716625023, 0.96),
    ("sigmoid", 0.027482702566231774, 0.89),
    ("sigmoid", 0.055454878549621334, 0.93),
    ("sigmoid", -4.8409487450937085, 0.87),
    ("sigmoid", 1.1214584151471514, 0.76),
    ("sigmoid", 6.930991126616704, 0.72),
    ("tanh", 0.007920920833576121, 0.61),
    ("tanh", 0.03132790498967461, 0.67),
    ("tanh", 0.14079715771535273, 0.78),
    ("tanh", 0.5640237626146245, 0.88),
    ("tanh", 3.2720392309110164, 0.71),
]


@pytest.mark.parametrize(("name", "x", "share"), WORST)
def test_bounds_are_nearly_reached(name, x, share):
    """A bound that nothing comes near would be of no use."""
    value, error = getattr(elementary, name)(x)
    with working_precision(300):
        true = abs(arb(float(value)) - EXACT[name](arb(x)))
        assert arb(float(error)) * share <= true <= arb(float(error))


@given(st.floats(-800, 800))
@example(0.0)
def test_a_second_opinion(x):
    """mpmath, which shares no code with FLINT, agrees."""
    with mpmath.workprec(300):
        power = mpmath.exp(mpmath.mpf(x))
        expected = {"sigmoid": 1 / (1 + 1 / power), "tanh": mpmath.tanh(mpmath.mpf(x))}
        for name, true in expected.items():
            value, error = getattr(elementary, name)(x)
            assert abs(mpmath.mpf(float(value)) - true) <= mpmath.mpf(float(error))


@each_function
def test_tables_hold_the_nearest_floats(name):
    """Every entry of every table is the float nearest to the function, as the proof says."""
    if name == "tanh":
        table, low = elementary._tanh_table(), -64 * 22
    elif name == "exp":
        table, low = elementary._exp_table(-64 * 746, elementary._EXP_TOP), -64 * 746
    else:
        table, low = elementary._exp_table(-64 * 40, 64 * 40), -64 * 40
    function = arb.tanh if name == "tanh" else arb.exp
    assert table.values[-low] == (0 if name == "tanh" else 1)
    assert not table.values.flags.writeable
    with working_precision(200):
        for k, entry in enumerate(table.values.tolist(), low):
            bound = abs(arb(entry)) * arb(2) ** -53 + arb(2) ** -1074
            if entry >= 2.0**-1022:
                bound = arb(math.ulp(entry)) * (0.5 + arb(2) ** -50)
            assert abs(arb(entry) - function(arb(k) / 64)) <= bound, k


@each_function
def test_special_values(name):
    """Limits at infinity; NaN stays NaN with no bound, wherever it stands in a block."""
    function = getattr(elementary, name)
    x = np.linspace(-3, 3, 20_000)
    x[[0, 8191, 8192, 19_999]] = np.nan
    value, error = function(x)
    nan = np.isnan(x)
    assert (np.isnan(value) == nan).all()
    assert (error[nan] == np.inf).all()
    assert (value[~nan] == function(x[~nan])[0]).all()
    limits = {"exp": (0, np.inf), "sigmoid": (0, 1), "tanh": (-1, 1)}[name]
    assert limits == tuple(function(np.array([-np.inf, np.inf]))[0])


def test_odd_and_zero():
    """The values of tanh are odd to the bit, and x itself where x is small enough."""
    x = adversarial(2000, seed=9)
    assert (tanh(-x)[0] == -tanh(x)[0]).all()
    assert 0.0 == tanh(0.0)[0]
    tiny = np.array([TINY, 1e-310, -1e-160, 1e-9])
    assert tiny.tolist() == tanh(tiny)[0].tolist()


@each_function
def test_results_do_not_depend_on_how_work_is_split(name):
    """One call, many calls, strided views and threads give the same bits."""
    function = getattr(elementary, name)
    x = adversarial(3000, seed=3)
    value, error = function(x)
    pieces = [function(part) for part in np.array_split(x, 37)]
    assert value.tobytes() == np.concatenate([p[0] for p in pieces]).tobytes()
    assert error.tobytes() == np.concatenate([p[1] for p in pieces]).tobytes()
    wide = np.repeat(x, 2).reshape(-1, 2)
    assert value.tobytes() == function(wide[:, 1])[0].tobytes()
    assert (len(x), 2) == function(wide)[0].shape
    with ThreadPoolExecutor(4) as pool:
        for found, _ in pool.map(function, [x] * 12):
            assert value.tobytes() == found.tobytes()


def test_shapes():
    """Empty arrays, scalars, and arguments of any shape."""
    for function in (exp, sigmoid, tanh):
        assert ((0, 3), (0, 3)) == tuple(a.shape for a in function(np.zeros((0, 3))))
        assert () == function(1.0)[0].shape
    assert (2, 3) == tanh_enclosure(np.zeros((2, 3)), 0.5)[1].shape


# --- images of balls -----------------------------------------------------------------


def balls(count, seed):
    rng = np.random.default_rng(seed)
    mid = np.concatenate([adversarial(count // 8, seed), np.zeros(5)])
    rad = np.exp(rng.uniform(-60, 6, mid.size))
    rad[rng.random(mid.size) < 0.1] = 0
    rad[::97] = 0.25 * (1 + rng.integers(-2, 3, rad[::97].size) * 2.0**-53)
    rad[-5:] = [0, TINY, 0.25, 1e300, np.inf]
    return mid, rad


@each_enclosure
def test_images_are_within(name):
    """The images of both ends and of points between lie in the enclosure."""
    mid, rad = balls(20_000, seed=1)
    middle, radius = ENCLOSURES[name](mid, rad)
    low, high = {"tanh": (-1, 1), "sigmoid": (0, 1)}[name]
    assert (abs(middle - (low + high) / 2) <= (high - low) / 2).all()
    assert (radius <= (high - low) / 2 * (1 + 2.0**-40)).all()
    rows = (mid.tolist(), rad.tolist(), middle.tolist(), radius.tolist())
    with working_precision(400):
        for m, r, centre, bound in zip(*rows, strict=True):
            if r == math.inf:
                assert ((low + high) / 2, True) == (centre, bound >= (high - low) / 2)
                continue
            for point in (-1, -0.37, 1):
                image = EXACT[name](arb(m) + arb(point) * arb(r))
                assert abs(image - arb(centre)) <= arb(bound), (m, r)


@each_enclosure
def test_enclosures_are_tight(name):
    """The radius is that of the image, to a few per cent for narrow balls."""
    rng = np.random.default_rng(7)
    mid, rad = rng.uniform(-4, 4, 1000), np.exp(rng.uniform(-20, 3, 1000))
    _, radius = ENCLOSURES[name](mid, rad)
    with working_precision(200):
        for m, r, bound in zip(
            mid.tolist(), rad.tolist(), radius.tolist(), strict=True
        ):
            ends = [EXACT[name](arb(m) + arb(r) * side) for side in (-1, 1)]
            needed = float((ends[1] - ends[0]) / 2)
            slack = 1.02 + 2 * r if r <= 0.25 else 1.001
            assert bound <= needed * slack + 2.0**-49


@each_enclosure
def test_unknown_balls(name):
    """NaN, or an infinite radius, stands for all numbers."""
    enclose = ENCLOSURES[name]
    half = {"tanh": (0, 1), "sigmoid": (0.5, 0.5)}[name]
    for m, r in ((np.nan, 0.1), (0.3, np.nan), (0.3, np.inf), (np.inf, np.inf)):
        middle, radius = enclose([m, 0.0], [r, 0.0])
        assert half[0] == middle[0]
        assert half[1] <= radius[0] <= half[1] + 1e-15
        assert enclose(0.0, 0.0)[0] == middle[1]


@each_enclosure
def test_enclosures_do_not_depend_on_how_work_is_split(name):
    mid, rad = balls(30_000, seed=2)
    whole = ENCLOSURES[name](mid, rad)
    pieces = [
        ENCLOSURES[name](m, r)
        for m, r in zip(np.array_split(mid, 19), np.array_split(rad, 19), strict=True)
    ]
    for i in range(2):
        assert whole[i].tobytes() == np.concatenate([p[i] for p in pieces]).tobytes()
