# SPDX-License-Identifier: BSD-3-Clause
"""Float formats' arithmetic on float64 arrays, against fractions, NumPy and ml_dtypes."""

import math
from fractions import Fraction
from itertools import chain

import numpy as np
import pytest
from flint import fmpq
from hypothesis import example, given
from hypothesis import strategies as st

from symrnn.errors import UnsupportedError
from symrnn.numerics.float_arithmetic import Arithmetic
from symrnn.numerics.formats import (
    EMULATED_FORMATS,
    FloatFormat,
    find_emulated_format,
    nearest_float,
)
from tests.require import require_module
from tests.strategies import floats

EIGHT = ("float8_e4m3fn", "float8_e4m3fn_saturated", "float8_e5m2")
CUSTOM = ("p26e10", "p26e8", "p2e2", "p25e5", "p13e7")
NAMES = (*EMULATED_FORMATS, *CUSTOM)


def oracle(value, form):
    """Round an exact number by integers, as `symrnn.numerics.formats` does."""
    q = fmpq(value.numerator, value.denominator)
    return nearest_float(q, q, form)


def values_of(name):
    """Return every number of a small format once, in order, by counting."""
    form = find_emulated_format(name)
    found = [0.0]
    while not found[-1] >= float(Fraction(str(form.largest))):
        value = found[-1]
        q = fmpq(*value.as_integer_ratio())
        found.append(value + 2.0 ** form.ulp_exponent(q))
    return np.array(found)


def same(a, b):
    """Equal as numbers, NaN as NaN, and zeros by their sign."""
    a, b = np.broadcast_arrays(np.asarray(a), np.asarray(b))
    equal = (a == b) & (np.signbit(a) == np.signbit(b))
    return bool(np.all(equal | (np.isnan(a) & np.isnan(b))))


# --- rounding -----------------------------------------------------------------------


@pytest.mark.parametrize("name", [*EIGHT, "float16", "bfloat16", "p13e4"])
def test_every_number_and_every_tie(name):
    """Numbers stay, ties go to even, and what is off a tie goes to the nearer one."""
    arithmetic = Arithmetic(find_emulated_format(name))
    values = values_of(name)
    middle = (values[:-1] + values[1:]) / 2
    even = np.where(np.arange(len(middle)) % 2, values[1:], values[:-1])
    for sign in (1.0, -1.0):
        assert same(sign * values, arithmetic.nearest(sign * values))
        assert same(sign * even, arithmetic.nearest(sign * middle))
        above, below = np.nextafter(middle, np.inf), np.nextafter(middle, 0)
        assert same(sign * values[1:], arithmetic.nearest(sign * above))
        assert same(sign * values[:-1], arithmetic.nearest(sign * below))


@pytest.mark.parametrize("name", ["float16", "float32"])
def test_numpy_rounds_alike(name):
    """Random bits of float64, and numbers around the format's range."""
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**64, 200_000, dtype=np.uint64).view(np.float64)
    near = np.ldexp(rng.normal(size=200_000), rng.integers(-160, 140, 200_000))
    x = np.concatenate([bits, near, [0.0, -0.0, np.inf, -np.inf, np.nan]])
    with np.errstate(all="ignore"):
        expected = x.astype(name).astype(np.float64)
    assert same(expected, Arithmetic(EMULATED_FORMATS[name]).nearest(x))


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("wide", ["float16", "bfloat16"])
def test_every_16_bit_number_to_8_bits_as_ml_dtypes(name, wide):
    """All 65,536 numbers of either format, NaN and infinity among them."""
    ml_dtypes = require_module("ml_dtypes")
    x = np.arange(1 << 16, dtype=np.uint16).view(
        np.float16 if wide == "float16" else ml_dtypes.bfloat16
    )
    with np.errstate(all="ignore"):
        expected = x.astype(getattr(ml_dtypes, name)).astype(np.float64)
        exact = x.astype(np.float64)
    assert same(expected, Arithmetic(EMULATED_FORMATS[name]).nearest(exact))


def test_float64_to_bfloat16_is_rounded_once():
    """Just above a tie of bfloat16, by less than float32 can tell."""
    x = np.array([1 + 2.0**-8 + 2.0**-40])
    assert 1.0078125 == Arithmetic(EMULATED_FORMATS["bfloat16"]).nearest(x)[0]


@pytest.mark.parametrize(
    ("name", "beyond", "last"),
    [
        ("float8_e4m3fn", math.nan, 448.0),
        ("float8_e4m3fn_saturated", 448.0, 448.0),
        ("float8_e5m2", math.inf, 57344.0),
        ("float16", math.inf, 65504.0),
    ],
)
def test_overflow(name, beyond, last):
    """The tie above the largest number is the first to overflow, where that one is odd."""
    form = EMULATED_FORMATS[name]
    arithmetic = Arithmetic(form)
    tie = last + 2.0 ** (form.emax - form.precision)
    odd = form.overflow == "infinity"  # 1.11…1; elsewhere the largest is 1.1…10
    found = arithmetic.nearest(np.array([np.nextafter(tie, 0), tie, 2 * last, np.inf]))
    assert same([last, beyond if odd else last, beyond, beyond], found)
    assert same(
        np.array([last, -last]),
        arithmetic.nearest(np.array([last, -last]) * (1 + 2.0**-20)),
    )
    assert same(
        beyond if not math.isnan(beyond) else np.nan, arithmetic.add(last, last)
    )
    assert np.isnan(arithmetic.nearest(np.array([np.nan])))[0]


# --- operations ---------------------------------------------------------------------


@pytest.mark.parametrize("name", EIGHT)
def test_every_pair_of_8_bit_numbers(name):
    """Sums and products of all 256 × 256 pairs, against fractions."""
    form = EMULATED_FORMATS[name]
    arithmetic = Arithmetic(form)
    half = values_of(name)
    values = np.concatenate([-half[:0:-1], half])
    a, b = np.meshgrid(values, values)
    sums, products = arithmetic.add(a, b), arithmetic.multiply(a, b)
    # As multiples of the least number, and of its square: integers are quick to look up.
    least = Fraction(float(half[1]))
    rows = [int(Fraction(v) / least) for v in values.tolist()]
    assert [v / least for v in map(Fraction, values.tolist())] == rows

    for found, apply, unit in (
        (sums, int.__add__, least),
        (products, int.__mul__, least**2),
    ):
        counts = [[apply(x, y) for x in rows] for y in rows]
        known = {n: oracle(n * unit, form) for n in set(chain(*counts))}
        wanted = np.array([[known[n] for n in row] for row in counts])
        assert np.array_equal(wanted, found, equal_nan=True)


@st.composite
def numbers(draw, form, count):
    """Draw numbers of a format: of any size, or so that they nearly cancel."""
    arithmetic = Arithmetic(form)
    limit = min(2.0**form.emax, 1e300)
    drawn = [draw(floats(limit)) for _ in range(count)]
    if draw(st.booleans()):
        scale = 2.0 ** draw(st.integers(max(form.emin, -900), min(form.emax, 900) - 1))
        drawn = [
            scale * (1 + draw(st.integers(-64, 64)) * 2.0 ** (1 - form.precision))
            for _ in range(count)
        ]
    if draw(st.booleans()):
        drawn[-1] = -float(arithmetic.multiply(np.array(drawn[0]), np.array(drawn[1])))
    if draw(st.booleans()):
        drawn[-1] = drawn[-1] * 2.0 ** -draw(st.integers(0, 2 * form.precision))
    rounded = [float(arithmetic.nearest(np.array(v))) for v in drawn]
    return [v if math.isfinite(v) else 0.0 for v in rounded]


@pytest.mark.parametrize("name", NAMES)
def test_operations_are_rounded_once(name):
    """Sums, products and a b + c against fractions, whatever their sizes."""
    form = find_emulated_format(name)
    arithmetic = Arithmetic(form)

    @given(numbers(form, 3))
    @example([2.0**form.emax, 2.0**form.emax, -(2.0**form.emax)])
    @example([1 + 2.0 ** (1 - form.precision)] * 2 + [-1.0])
    def check(values):
        a, b, c = (np.array(v) for v in values)
        x, y, z = map(Fraction, values)
        for found, exact in (
            (arithmetic.add(a, b), x + y),
            (arithmetic.multiply(a, b), x * y),
            (arithmetic.fma(a, b, c), x * y + z),
        ):
            try:
                wanted = oracle(exact, form)
            except OverflowError:
                wanted = math.inf if exact > 0 else -math.inf
            assert wanted == found or (math.isnan(wanted) and math.isnan(found))

    check()


def test_a_sum_that_two_roundings_get_wrong():
    """26 bits: float64's sum is a tie of the format, the exact one is not."""
    arithmetic = Arithmetic(find_emulated_format("p26e10"))
    a, b = np.array(1 + 2.0**-25), np.array(2.0**-26 - 2.0**-80)
    b = arithmetic.nearest(b)
    wanted = oracle(Fraction(float(a)) + Fraction(float(b)), arithmetic.format)
    assert wanted == arithmetic.add(a, b)
    product = np.array(1 + 2.0**-23)
    tail = np.array(-(2.0**-46) + 2.0**-70)
    single = Arithmetic(EMULATED_FORMATS["float32"])
    tail = single.nearest(tail)
    exact = Fraction(float(product)) ** 2 + Fraction(float(tail))
    assert oracle(exact, single.format) == single.fma(product, product, tail)


def test_signs_of_zero_and_what_is_not_finite():
    """As in IEEE 754: exact cancellation is +0, underflow keeps the sign."""
    arithmetic = Arithmetic(EMULATED_FORMATS["float16"])
    tiny = np.array(-(2.0**-24))
    assert same(-0.0, arithmetic.multiply(tiny, np.array(0.25)))
    assert same(0.0, arithmetic.add(tiny, -tiny))
    assert same(-0.0, arithmetic.add(np.array(-0.0), np.array(-0.0)))
    infinity = np.array(np.inf)
    assert np.isnan(arithmetic.add(infinity, -infinity))
    assert same(np.inf, arithmetic.fma(infinity, np.array(2.0), np.array(1.0)))
    double = Arithmetic(EMULATED_FORMATS["float64"])
    assert same(np.inf, double.fma(np.array(1e300), np.array(1e300), np.array(-1.0)))
    assert np.isnan(double.fma(infinity, np.array(0.0), np.array(1.0)))


@pytest.mark.parametrize("name", ["p27e8", "p24e11", "p53e8"])
def test_formats_too_wide_are_refused(name):
    """What float64 cannot emulate is an error, not an approximation."""
    with pytest.raises(UnsupportedError, match="too wide"):
        Arithmetic(find_emulated_format(name))


@pytest.mark.parametrize("name", ["float7", "p1e5", "p8", "p11e12", ""])
def test_unknown_formats(name):
    """The message lists what there is."""
    with pytest.raises(ValueError, match=r"bfloat16.*p11e5"):
        find_emulated_format(name)


def test_names_describe_formats():
    """float16, bfloat16 and e5m2 under their numbers."""
    for name, short in (
        ("float16", "p11e5"),
        ("bfloat16", "p8e8"),
        ("float8_e5m2", "p3e5"),
    ):
        given_format, found = EMULATED_FORMATS[name], find_emulated_format(short)
        assert given_format == FloatFormat(
            name=name, precision=found.precision, emin=found.emin, emax=found.emax
        )
