# SPDX-License-Identifier: BSD-3-Clause
"""Float64 enclosures against exact fractions and against balls of 300 bits."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from symrnn.domains.ball import BallDomain, ball_interval, working_precision
from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.equations.functions import FUNCTIONS
from symrnn.errors import UndecidedError, UnsupportedError
from symrnn.networks.inputs import read_inputs
from symrnn.numerics.exact import exact_array
from symrnn.numerics.upward import TINY, UNIT, gamma
from symrnn.runs.run import run
from tests.cases import CASES, arguments, sample
from tests.require import flushed_subnormals
from tests.strategies import floats, rationals

DOMAIN = EnclosureDomain()
LARGEST = np.finfo(np.float64).max
# Below every difference of two float64, all of which are multiples of 2^-1074.
LEAST = fmpq(1, 2**5000)


@pytest.fixture(autouse=True)
def _context():
    with DOMAIN.context():
        yield


def exactly(value):
    """Return a float as a ratio of python-flint's, which reduces long ones faster."""
    return fmpq(*float(value).as_integer_ratio())


def inside(mid, rad, value):
    """Whether an exact number is within `rad` of `mid`, in exact arithmetic."""
    return rad == math.inf or abs(exactly(mid) - value) <= exactly(rad)


def assert_contains(enclosed, expected):
    """Every element of a nested list of exact numbers lies in the enclosure."""
    mid, rad = (np.asarray(a).tolist() for a in enclosed)
    assert np.isfinite(enclosed.mid).all()
    assert (enclosed.rad >= 0).all()
    for rows in zip(mid, rad, expected, strict=True):
        for m, r, value in zip(*rows, strict=True):
            assert inside(m, r, value), (m, r, str(value))


@st.composite
def matrices(draw, rows=None, columns=None, exact=None, largest=1e300):
    """Draw an enclosure, and a matrix of ratios within it, often at its border."""
    shape = (
        draw(st.integers(1, 4)) if rows is None else rows,
        draw(st.integers(1, 4)) if columns is None else columns,
    )
    count = shape[0] * shape[1]
    mid = draw(st.lists(floats(largest), min_size=count, max_size=count))
    rad, where = [0.0] * count, [0] * count
    if not (draw(st.booleans()) if exact is None else exact):
        rad = [
            abs(r)
            for r in draw(st.lists(floats(largest), min_size=count, max_size=count))
        ]
        where = draw(
            st.lists(
                st.sampled_from([-1, 1, 0, fmpq(1, 3)]),
                min_size=count,
                max_size=count,
            )
        )
    points = [
        exactly(m) + w * exactly(r) for m, w, r in zip(mid, where, rad, strict=True)
    ]
    enclosed = Enclosed(
        np.array(mid, dtype=float).reshape(shape),
        np.array(rad, dtype=float).reshape(shape),
    )
    return enclosed, [points[i : i + shape[1]] for i in range(0, count, shape[1])]


def product(a, b):
    columns = list(zip(*b, strict=True))
    return [
        [sum(x * y for x, y in zip(row, c, strict=True)) for c in columns] for row in a
    ]


# --- operations ----------------------------------------------------------------------


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_products(data):
    """Every product of members is a member: huge, subnormal, cancelling, at the border."""
    a, exact_a = data.draw(matrices())
    b, exact_b = data.draw(matrices(rows=a.mid.shape[1]))
    assert_contains(DOMAIN.matmul(a, b), product(exact_a, exact_b))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_sums_and_elementwise_products(data):
    """The same for sums of three, elementwise products, and what only moves elements."""
    a, exact_a = data.draw(matrices())
    rows, columns = a.mid.shape
    wide = (
        columns if data.draw(st.booleans()) else 1
    )  # a column stands for every column
    b, exact_b = data.draw(matrices(rows, wide))
    exact_b = [row * (columns // wide) for row in exact_b]
    pairs = list(zip(exact_a, exact_b, strict=True))
    total = [[x + y + x for x, y in zip(*rows, strict=True)] for rows in pairs]
    assert_contains(DOMAIN.add(a, b, a), total)
    products = [[x * y for x, y in zip(*rows, strict=True)] for rows in pairs]
    assert_contains(DOMAIN.hadamard(a, b), products)
    assert_contains(DOMAIN.hadamard(b, a), products)
    assert_contains(DOMAIN.neg(a), [[-x for x in row] for row in exact_a])
    turned = [list(column) for column in zip(*exact_a, strict=True)]
    assert_contains(DOMAIN.transpose(a), turned)
    assert_contains(DOMAIN.vstack([a, a]), exact_a * 2)
    beside = DOMAIN.hstack([a, a])
    assert_contains(beside, [row * 2 for row in exact_a])
    for part in DOMAIN.split(beside, [columns, columns]):
        assert_contains(part, exact_a)


@given(matrices(largest=40))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "step"])
@pytest.mark.parametrize("own", [True, False])
def test_functions(name, own, drawn):
    """Images of members are members, by the function's own enclosure and by its balls."""
    function = FUNCTIONS[name]
    if not own:
        function = replace(function, enclose=None)
    enclosed, points = drawn
    image = DOMAIN.elementwise(function, enclosed)
    assert np.isfinite(image.mid).all()
    for i, row in enumerate(points):
        for j, point in enumerate(row):
            middle, radius = exactly(image.mid[i, j]), exactly(image.rad[i, j])
            for value, error in values(function, point):
                assert abs(value - middle) <= radius + error


def values(function, point):
    """Return numbers about the function's value and how far they are from it at most."""
    exact = function.rational(point)
    if exact is not None:
        return [(exact, 0)]
    with working_precision(300):
        ball = function.ball(arb(point))
    if abs(ball) < arb(LEAST):  # written out, e^-(10^30) would have millions of digits
        return [(0, LEAST)]
    lower, upper = ball_interval(ball)
    return [(end, upper - lower) for end in (lower, upper)]


def test_long_products_that_cancel():
    """Inner dimensions of BLAS kernels: what is left of 1,000 terms after cancellation."""
    rng = np.random.default_rng(8)
    for n, scale in ((7, 1.0), (64, 2.0**-540), (257, 1.0), (1000, 1e150)):
        half = rng.normal(size=(2, n)) * 10.0 ** rng.integers(-8, 9, (2, n)) * scale
        a = np.hstack([half, -half * (1 + rng.integers(-2, 3, half.shape) * 2.0**-52)])
        b = rng.normal(size=(2 * n, 3)) * scale
        b[n:] = b[:n]
        radius = np.abs(b) * rng.choice([0, 2.0**-40], b.shape)
        exact_a, exact_b = (
            [[exactly(v) for v in row] for row in m.tolist()] for m in (a, b)
        )
        exact = Enclosed(a, np.zeros_like(a))
        assert_contains(
            DOMAIN.matmul(exact, Enclosed(b, np.zeros_like(b))),
            product(exact_a, exact_b),
        )
        sides = rng.choice([-1, 1], b.shape)
        moved = [
            [x + int(s) * exactly(r) for x, s, r in zip(*rows, strict=True)]
            for rows in zip(exact_b, sides, radius.tolist(), strict=True)
        ]
        found = DOMAIN.matmul(exact, Enclosed(b, radius))
        assert_contains(found, product(exact_a, moved))
        both = DOMAIN.matmul(Enclosed(a, np.abs(a) * 2.0**-45), Enclosed(b, radius))
        wide_a = [[v * (1 + fmpq(1, 2**45)) for v in row] for row in exact_a]
        assert_contains(both, product(wide_a, moved))


def test_products_below_the_normal_numbers():
    """Every term is rounded to a multiple of the smallest float, or to nothing."""
    rng = np.random.default_rng(3)
    a = rng.uniform(-1, 1, (3, 50)) * 2.0**-537
    b = rng.uniform(-1, 1, (50, 3)) * 2.0**-537
    exact = [[[exactly(v) for v in row] for row in m.tolist()] for m in (a, b)]
    pair = [Enclosed(m, np.zeros_like(m)) for m in (a, b)]
    assert_contains(DOMAIN.matmul(*pair), product(*exact))
    # A large factor brings back what gamma times the other one lost.
    a = DOMAIN.matrix(np.array([[1e300, 0.0]]))
    b = Enclosed(np.array([[7 * TINY], [0.0]]), np.array([[0.0], [1.0]]))
    expected = [[exactly(1e300) * exactly(7 * TINY)]]
    assert expected[0][0] != exactly(1e300 * (7 * TINY))
    assert_contains(DOMAIN.matmul(a, b), expected)


# --- sharpness -----------------------------------------------------------------------


def test_radii_are_those_of_the_formulas():
    """Exact operands: γ|A||B| for products, u of the value for products of elements."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20, 300)), rng.normal(size=(300, 10))
    exact = [Enclosed(m, np.zeros_like(m)) for m in (a, b)]
    bound = gamma(300) * (np.abs(a) @ np.abs(b))
    rad = DOMAIN.matmul(*exact).rad
    assert (rad <= bound * (1 + 1e-10)).all()
    assert (rad >= bound * (1 - 1e-10)).all()
    squares = DOMAIN.hadamard(exact[0], exact[0])
    assert (squares.rad <= squares.mid * UNIT * (1 + 1e-10) + 100 * TINY).all()
    wide = Enclosed(b, np.full_like(b, 1e-3))
    rad = DOMAIN.matmul(exact[0], wide).rad
    assert (rad <= np.abs(a) @ wide.rad * (1 + 1e-9)).all()


def test_sums_that_are_exact_stay_exact():
    """The radius of a sum is what was rounded off, not a worst case."""
    a = DOMAIN.matrix(np.array([[0.5, 3.0, 2.0**60, 0.1]]))
    b = DOMAIN.matrix(np.array([[0.25, -3.0, 2.0, 0.2]]))
    rad = DOMAIN.add(a, b).rad[0].tolist()
    assert [0, 0] == rad[:2]
    assert 2.0 <= rad[2] <= 2.0 * (1 + 1e-14)
    assert 0 < rad[3] < 3e-17
    zeros = DOMAIN.constant(0, 1, 4)
    assert not DOMAIN.add(a, zeros).rad.any()


# --- numbers in and out ----------------------------------------------------------------


@given(st.lists(rationals(), min_size=1, max_size=4))
def test_ratios_enter_with_their_rounding(values):
    """The float nearest to each ratio, and a radius that covers the distance closely."""
    enclosed = DOMAIN.matrix(exact_array([[str(v)] for v in values]))
    for value, m, r in zip(values, enclosed.mid[:, 0], enclosed.rad[:, 0], strict=True):
        distance = abs(Fraction(float(m)) - value)
        assert (
            distance
            <= Fraction(float(r))
            <= distance * (1 + Fraction(1, 2**50)) + Fraction(TINY)
        )


def test_numbers_beyond_floats():
    """Too large is unknown; too small is 0 with the smallest radius; both are sound."""
    found = DOMAIN.matrix(exact_array([["1e400", "-1e400", "1e-400", "1/3"]]))
    assert [0.0, 0.0, 0.0, 1 / 3] == found.mid[0].tolist()
    assert [math.inf, math.inf, TINY] == found.rad[0].tolist()[:3]
    large = DOMAIN.constant(2**53 + 1, 1)
    assert inside(large.mid[0, 0], large.rad[0, 0], fmpq(2**53 + 1))


@given(matrices())
def test_intervals_are_exact(drawn):
    """The ends are mid - rad and mid + rad as rationals."""
    enclosed, points = drawn
    for row, expected in zip(DOMAIN.rows(enclosed), points, strict=True):
        for element, point in zip(row, expected, strict=True):
            lower, upper = DOMAIN.interval(element)
            assert lower <= point <= upper
            assert (lower + upper) / 2 == exactly(element.mid)


def test_nothing_known():
    """Overflow anywhere leaves 0 ± infinity, never NaN, and is refused on the way out."""
    huge = DOMAIN.matrix(np.array([[LARGEST, LARGEST], [1.0, 0.0]]))
    zero = DOMAIN.matrix(np.zeros((2, 2)))
    unknown = DOMAIN.matmul(huge, huge)
    results = [
        DOMAIN.add(huge, huge),
        DOMAIN.hadamard(huge, huge),
        unknown,
        DOMAIN.matmul(zero, unknown),
        DOMAIN.matmul(unknown, zero),
        DOMAIN.hadamard(unknown, zero),
        DOMAIN.add(unknown, zero),
        DOMAIN.elementwise(FUNCTIONS["relu"], unknown),
        DOMAIN.elementwise(replace(FUNCTIONS["relu"], enclose=None), unknown),
    ]
    for mid, rad in results:
        assert (0.0, math.inf) == (mid[0, 0], rad[0, 0])
        assert np.isfinite(mid).all()
        assert not np.isnan(rad).any()
    with pytest.raises(UndecidedError):
        DOMAIN.interval(DOMAIN.rows(unknown)[0][0])
    image = DOMAIN.elementwise(FUNCTIONS["tanh"], unknown)
    assert (np.abs(image.mid) + image.rad <= 1 + 1e-15).all() or image.mid[0, 0] == 0


def test_flushed_subnormals_are_refused(torch):
    """No bound is claimed where products may lose more than the proof allows."""
    with flushed_subnormals(torch), pytest.raises(UnsupportedError, match="subnormal"):
        DOMAIN.context()


# --- networks --------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_networks(case):
    """Every named quantity of every step of every cell, against balls of 300 bits."""
    given_ = arguments(case)
    net = sample(case).network
    inputs = read_inputs(net, given_["x"], given_["hx"], lengths=given_["lengths"])
    wide, narrow = run(net, inputs, DOMAIN), run(net, inputs, BallDomain(300))
    for found, expected in zip(wide, narrow, strict=True):
        for name in found.names:
            pairs = zip(
                found[name].intervals().flat,
                expected[name].intervals().flat,
                strict=True,
            )
            for (low, high), (lower, upper) in pairs:
                assert low <= lower <= upper <= high, (name, low, high)
                assert high - low <= fmpq(1, 10**7) * (1 + abs(low)), name
