# SPDX-License-Identifier: BSD-3-Clause
"""Rounding to float formats and to decimals, against NumPy, torch and ``decimal``."""

import decimal
import struct
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from flint import fmpq
from hypothesis import example, given
from hypothesis import strategies as st

from symrnn.numerics.formats import (
    FORMATS,
    as_rational,
    find_format,
    format_decimal,
    nearest_float,
    nearest_integer,
    power_of_two,
    round_decimal,
)
from tests.cases import to_fmpq
from tests.strategies import floats, rationals

SIXTEEN = ("float16", "bfloat16")


def nearest(value, name):
    q = value if isinstance(value, fmpq) else fmpq(*value.as_integer_ratio())
    return nearest_float(q, q, FORMATS[name])


def all_finite(name):
    """Return every finite value of a format of 16 bits from 0 up, in order."""
    bits = np.arange(1 << 15, dtype=np.uint16)
    if name == "float16":
        values = bits.view(np.float16)
    else:
        values = (bits.astype(np.uint32) << 16).view(np.float32)
    return values[np.isfinite(values)].astype(np.float64).tolist()


# --- floats -------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIXTEEN)
def test_every_value_of_16_bits_rounds_to_itself(name):
    """Each finite float16 and bfloat16, of either sign, is its own nearest float."""
    for value in all_finite(name):
        assert value == nearest(value, name)
        assert -value == nearest(-value, name)


@pytest.mark.parametrize("name", SIXTEEN)
def test_every_tie_of_16_bits_goes_to_even(name):
    """Midway between neighbours the even significand wins; off it, the nearer one."""
    values = all_finite(name)
    assert len(values) == {"float16": 0x7C00, "bfloat16": 0x7F80}[name]
    tiny = fmpq(1, 1 << 400)
    for index, (low, high) in enumerate(pairwise(values)):
        middle = (as_rational(low) + as_rational(high)) / 2
        even = low if index % 2 == 0 else high  # the index is the bit pattern
        assert even == nearest(middle, name)
        assert -even == nearest(-middle, name)
        assert low == nearest(middle - tiny, name)
        assert high == nearest(middle + tiny, name)


@pytest.mark.parametrize("name", FORMATS)
def test_overflow_begins_half_an_ulp_above_the_largest(name):
    """The tie between the largest float and 2^(emax+1) is infinite, as in IEEE 754."""
    target = FORMATS[name]
    half = power_of_two(target.emax - target.precision)
    threshold = target.largest + half
    below = threshold - power_of_two(-2000)
    largest = float(int(target.largest.p))
    assert as_rational(largest) == target.largest
    assert largest == nearest(below, name)
    assert -largest == nearest(-below, name)
    assert float("inf") == nearest(threshold, name)
    assert float("-inf") == nearest(-threshold, name)
    assert float("inf") == nearest(fmpq(10) ** 5000, name)


@pytest.mark.parametrize("name", FORMATS)
def test_underflow_ends_half_the_smallest_above_zero(name):
    """Half of the smallest subnormal is a tie that goes to zero."""
    smallest = FORMATS[name].smallest
    assert 0.0 == nearest(smallest / 2, name)
    assert float(smallest.p / smallest.q if smallest.q == 1 else 0) == 0
    assert as_rational(nearest(smallest / 2 + power_of_two(-2000), name)) == smallest
    assert as_rational(nearest(smallest, name)) == smallest
    assert 0.0 == nearest(-power_of_two(-5000), name)


@given(floats(1e308))
@example(2.0**-149)
@example(2.0**-150)
@example(np.nextafter(2.0**-150, 1))
@example(3.4028235677973366e38)  # halfway between the largest float32 and 2^128
@example(3.4028235677973362e38)
@example(65519.99999999999)
@example(65520.0)
def test_float64_rounds_to_float32_and_float16_as_in_numpy(value):
    """NumPy rounds a float64 correctly, so both agree, to the sign of zero."""
    with np.errstate(over="ignore", under="ignore"):
        assert float(np.float32(value)) == nearest(value, "float32")
        assert float(np.float16(value)) == nearest(value, "float16")
    assert value == nearest(value, "float64")


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(float(np.float32(3.3961776292304554e38)))
def test_float32_rounds_to_bfloat16_by_its_bits(value):
    """Adding half of the lower 16 bits, ties to even, is bfloat16 rounding."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    bits += 0x7FFF + ((bits >> 16) & 1)
    (expected,) = struct.unpack("<f", struct.pack("<I", bits & 0xFFFF0000))
    assert expected == nearest(value, "bfloat16")


def test_bfloat16_is_not_rounded_twice():
    """1 + 2^-8 + 2^-40 is nearer to 1 + 2^-7, though float32 in between says 1."""
    q = 1 + power_of_two(-8) + power_of_two(-40)
    assert 1.0078125 == nearest(q, "bfloat16")
    assert 1.0 == nearest(1 + power_of_two(-8), "bfloat16")


def test_bfloat16_agrees_with_torch(torch):
    """Torch rounds float32 to bfloat16 correctly, subnormals included."""
    rng = np.random.default_rng(5)
    bits = rng.integers(0, 1 << 32, 20_000, dtype=np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    expected = torch.tensor(values).bfloat16().double().tolist()
    found = [nearest(value, "bfloat16") for value in values.astype(np.float64).tolist()]
    assert expected == found


@given(rationals())
def test_nearest_float64_is_python_s_division(value):
    """Python divides integers with one correct rounding."""
    assert value.numerator / value.denominator == nearest(to_fmpq(value), "float64")


@given(rationals(), rationals(), st.sampled_from(sorted(FORMATS)))
def test_an_enclosure_decides_only_what_both_ends_say(a, b, name):
    """Different results at the ends are never passed off as one."""
    lower, upper = sorted((a, b))
    found = nearest_float(to_fmpq(lower), to_fmpq(upper), FORMATS[name])
    ends = {nearest(to_fmpq(lower), name), nearest(to_fmpq(upper), name)}
    assert found == (ends.pop() if len(ends) == 1 else None)


@given(rationals().filter(bool), st.sampled_from(sorted(FORMATS)))
def test_ulp_is_the_distance_to_the_next_float(value, name):
    """2^ulp_exponent is the spacing of the floats around the value."""
    target = FORMATS[name]
    ulp = Fraction(2) ** target.ulp_exponent(to_fmpq(value))
    magnitude = abs(value)
    normal = max(magnitude, Fraction(2) ** target.emin)
    low = Fraction(2) ** (target.precision - 1) * ulp
    assert low <= normal < 2 * low


def test_ulp_at_the_edges():
    """Zero and subnormals have the smallest ulp; powers of two that of their binade."""
    half = FORMATS["float16"]
    smallest = -24
    assert smallest == half.ulp_exponent(fmpq(0))
    assert smallest == half.ulp_exponent(-half.smallest)
    assert smallest == half.ulp_exponent(power_of_two(-14))
    assert smallest + 1 == half.ulp_exponent(power_of_two(-13))
    assert smallest == half.ulp_exponent(power_of_two(-13) - power_of_two(-99))
    assert 6 == half.ulp_exponent(power_of_two(16))  # goes on past the largest


def test_unknown_format_lists_the_known_ones():
    """The message says what there is."""
    with pytest.raises(ValueError, match=r"no float format named 'float8'.*bfloat16"):
        find_format("float8")
    assert FORMATS["bfloat16"] is find_format("torch.bfloat16")


# --- integers and decimals ----------------------------------------------------------


@given(rationals())
def test_nearest_integer_is_python_s_round(value):
    """Ties go to the even integer, for either sign."""
    assert round(value) == nearest_integer(to_fmpq(value))
    assert round(value * 2) == nearest_integer(to_fmpq(value * 2))
    half = Fraction(round(value)) + Fraction(1, 2)
    assert round(half) == nearest_integer(to_fmpq(half))


def to_decimal(value, digits):
    """Round a Fraction to `digits` significant digits with the standard library."""
    context = decimal.Context(
        prec=digits, rounding=decimal.ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999
    )
    return context.divide(value.numerator, value.denominator)


scaled = st.builds(
    lambda value, power: value * Fraction(10) ** power,
    rationals(),
    st.integers(-400, 400),
)


@given(scaled, st.integers(1, 60))
@example(Fraction(1, 8), 2)
@example(Fraction(3, 8), 2)
@example(Fraction(-1, 8), 2)
@example(Fraction(999, 100), 2)
@example(Fraction(9995, 1000), 3)
@example(Fraction(-99999), 1)
@example(Fraction(1, 10**5), 1)
@example(Fraction(10**300 + 1, 10**300), 300)
@example(Fraction(0), 5)
def test_significant_digits_are_those_of_the_decimal_module(value, digits):
    """The text is the ROUND_HALF_EVEN value, written with exactly so many digits."""
    q = to_fmpq(value)
    text = round_decimal(q, q, digits=digits)
    assert to_decimal(value, digits) == decimal.Decimal(text)
    mantissa = text.lstrip("-").partition("e")[0].replace(".", "")
    if value:
        assert digits == len(mantissa.lstrip("0"))


@given(scaled.filter(lambda v: abs(v) < 10**30), st.integers(0, 60))
@example(Fraction(1, 8), 2)
@example(Fraction(-1, 2), 0)
@example(Fraction(-3, 2), 0)
@example(Fraction(9999, 1000), 2)
@example(Fraction(-1, 1000), 2)
@example(Fraction(8, 10**6), 6)
def test_places_are_those_of_the_decimal_module(value, places):
    """So many digits after the point, whatever the size."""
    q = to_fmpq(value)
    text = round_decimal(q, q, places=places)
    expected = Fraction(round(value * 10**places), 10**places)
    assert expected == Fraction(text)
    assert places == len(text.partition(".")[2])


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (Fraction(1, 8), 2, "0.12"),
        (Fraction(3, 8), 2, "0.38"),
        (Fraction(999, 100), 2, "10"),
        (Fraction(9994, 1000), 3, "9.99"),
        (Fraction(9995, 1000), 3, "10.0"),
        (Fraction(-99996, 100000), 4, "-1.000"),
        (Fraction(1234), 4, "1234"),
        (Fraction(1234), 2, "1.2e+03"),
        (Fraction(1, 3 * 10**9), 3, "3.33e-10"),
        (Fraction(0), 7, "0"),
        (Fraction(5), 1, "5"),
    ],
)
def test_decimal_texts(value, digits, expected):
    """Carries, ties, signs and exponents are written as people write them."""
    q = to_fmpq(value)
    assert expected == round_decimal(q, q, digits=digits)


def test_a_rounded_zero_has_no_sign():
    """-0.001 to two places is 0.00."""
    q = fmpq(-1, 1000)
    assert "0.00" == round_decimal(q, q, places=2)


@given(rationals(), rationals(), st.integers(1, 12))
def test_an_enclosure_decides_digits_only_where_its_ends_agree(a, b, digits):
    """A text is returned only if every value of the enclosure has it."""
    lower, upper = (to_fmpq(v) for v in sorted((a, b)))
    ends = {round_decimal(end, end, digits=digits) for end in (lower, upper)}
    found = round_decimal(lower, upper, digits=digits)
    assert found == (ends.pop() if len(ends) == 1 else None)


def test_places_are_never_in_scientific_notation():
    """Small values line up with large ones in a column of numbers."""
    tiny, huge = fmpq(1, 10**9), fmpq(10) ** 12
    assert "0.0000000010" == round_decimal(tiny, tiny, places=10)
    assert "1000000000000.0" == round_decimal(huge, huge, places=1)
    assert "1e-09" == round_decimal(tiny, tiny, digits=1)


def test_more_digits_than_python_writes():
    """Python refuses to write integers of more than 4300 digits; this does not."""
    third = fmpq(1, 3)
    assert f"0.{'3' * 6000}" == round_decimal(third, third, digits=6000)


@pytest.mark.parametrize("exponent", [10**6, -(10**6)])
def test_magnitudes_far_out_are_read_off_quickly(exponent):
    """The decimal exponent comes from the binary one, not from a search."""
    q = 3 * fmpq(10) ** exponent
    assert f"3.00e{exponent:+}" == round_decimal(q, q, digits=3)


@given(st.integers(-(10**40), 10**40), st.integers(-60, 60))
def test_format_decimal_can_be_read_back(n, exponent):
    """What is written is n·10^exponent."""
    assert Fraction(n) * Fraction(10) ** exponent == Fraction(
        format_decimal(n, exponent)
    )
