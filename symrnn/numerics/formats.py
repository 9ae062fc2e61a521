# SPDX-License-Identifier: BSD-3-Clause
"""Float formats as data, and correct rounding of enclosures to decimals and formats.

Everything here is integer and rational arithmetic; nothing is rounded twice.

Note [Deciding a rounding]
    An enclosure [lo, hi] decides a rounding when both ends round to the same result,
    because rounding is monotone. Where it does not, the caller raises the precision. Ties
    go to even, as in IEEE 754, and can only occur where lo = hi.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from flint import fmpq, fmpz

from symrnn.numerics.exact import to_fraction

__all__ = [
    "EMULATED_FORMATS",
    "FORMATS",
    "FloatFormat",
    "find_emulated_format",
    "find_format",
    "float_text",
    "format_decimal",
    "nearest_decimal",
    "nearest_float",
    "nearest_integer",
    "round_decimal",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatFormat:
    """A binary format with subnormals, as in IEEE 754.

    Attributes:
        name: As NumPy and torch call it.
        precision: Bits of the significand, the hidden one included.
        emin: Exponent of the smallest normal number, 2^emin.
        emax: Exponent of the largest numbers: all are below 2^(emax + 1).
        overflow: What a number is rounded to that is too large: ``"infinity"``; or, in a
            format without infinities, ``"nan"`` or ``"largest"`` (saturation). There, NaN
            takes the place of the largest significand. Of ``float8_e4m3fn``, Micikevicius
            et al., 'FP8 formats for deep learning' (2022), leave both open: ml_dtypes
            takes NaN, torch from 2.13 on saturates.
    """

    name: str
    precision: int
    emin: int
    emax: int
    overflow: Literal["infinity", "nan", "largest"] = "infinity"

    @property
    def smallest(self) -> fmpq:
        """The smallest positive (subnormal) number, which is also the smallest ulp."""
        return power_of_two(self.emin - self.precision + 1)

    @property
    def largest(self) -> fmpq:
        """The largest finite number.

        >>> [EMULATED_FORMATS[name].largest for name in ("float8_e4m3fn", "float8_e5m2")]
        [448, 57344]
        """
        lost = 1 if self.overflow == "infinity" else 2
        return (2 - lost * fmpq(2) ** (1 - self.precision)) * fmpq(2) ** self.emax

    @property
    def beyond(self) -> float:
        """What a positive number rounds to that is too large."""
        if self.overflow == "largest":
            return as_float(self.largest)
        return math.inf if self.overflow == "infinity" else math.nan

    def ulp_exponent(self, value: fmpq) -> int:
        r"""Return e such that 2^e is the unit in the last place at the real `value`.

        That is the distance between neighbouring floats of the binade that holds v,
        $2^{\max(\lfloor\log_2|v|\rfloor, e_{\min}) - p + 1}$ for precision p:
        below the smallest normal number it is the subnormal spacing, and past the largest
        number it goes on as if there were no bound on the exponent. (Goldberg's ulp, with
        Muller et al.'s extension to the subnormal range: Handbook of Floating-Point
        Arithmetic, 2.3.2.)

        >>> FORMATS["float32"].ulp_exponent(fmpq(1))
        -23
        """
        exponent = self.emin if value == 0 else max(_floor_log2(abs(value)), self.emin)
        return exponent - self.precision + 1


FORMATS = {
    f.name: f
    for f in (
        FloatFormat(name="float64", precision=53, emin=-1022, emax=1023),
        FloatFormat(name="float32", precision=24, emin=-126, emax=127),
        FloatFormat(name="float16", precision=11, emin=-14, emax=15),
        FloatFormat(name="bfloat16", precision=8, emin=-126, emax=127),
    )
}
"""The formats of torch's recurrent layers, by name."""

EMULATED_FORMATS = FORMATS | {
    f.name: f
    for f in (
        FloatFormat(name="float8_e4m3fn", precision=4, emin=-6, emax=8, overflow="nan"),
        FloatFormat(
            name="float8_e4m3fn_saturated",
            precision=4,
            emin=-6,
            emax=8,
            overflow="largest",
        ),
        FloatFormat(name="float8_e5m2", precision=3, emin=-14, emax=15),
        FloatFormat(name="tfloat32", precision=11, emin=-126, emax=127),
    )
}
"""`FORMATS`, and those in which no recurrent layer of torch runs, but emulation does."""

_CUSTOM = re.compile(r"p(\d{1,3})e(\d{1,2})")


def find_format(name: str) -> FloatFormat:
    """Return the format `name` of `FORMATS`.

    Raises:
        ValueError: There is none of that name.
    """
    name = getattr(name, "__name__", str(name)).removeprefix("torch.")  # np.float32
    if name not in FORMATS:
        raise ValueError(
            f"no float format named {name!r}; there are {', '.join(FORMATS)}"
        )
    return FORMATS[name]


def find_emulated_format(name: str | FloatFormat) -> FloatFormat:
    """Return the format `name` of `EMULATED_FORMATS`, or one described by its name.

    Args:
        name: A name, or ``"p11e5"``: 11 bits of significand, the hidden one included, and
            5 of exponent with IEEE 754's bias (that is float16). A `FloatFormat` stays.

    Raises:
        ValueError: There is no such format.

    >>> half = find_emulated_format("p11e5")
    >>> half.largest, half.smallest == FORMATS["float16"].smallest
    (65504, True)
    """
    if isinstance(name, FloatFormat):
        return name
    name = str(name).removeprefix("torch.")
    if name in EMULATED_FORMATS:
        return EMULATED_FORMATS[name]
    found = _CUSTOM.fullmatch(name)
    if not found or not (int(found[1]) >= 2 and 2 <= int(found[2]) <= 11):
        raise ValueError(
            f"no float format named {name!r}; there are {', '.join(EMULATED_FORMATS)}, "
            "and 'p11e5' for 11 bits of significand and 5 of exponent (from 2, and 2 to 11)"
        )
    emax = (1 << (int(found[2]) - 1)) - 1
    return FloatFormat(name=name, precision=int(found[1]), emin=1 - emax, emax=emax)


def _floor_log2(q: fmpq) -> int:
    """Return ⌊log2 q⌋ of a positive rational."""
    exponent = int(q.p).bit_length() - int(q.q).bit_length()
    return exponent if fmpq(2) ** exponent <= q else exponent - 1


def nearest_integer(q: fmpq) -> int:
    """Return the integer nearest to `q`, ties to even.

    >>> [nearest_integer(fmpq(n, 2)) for n in (-3, 1, 3, 5)]
    [-2, 0, 2, 2]
    """
    p, denominator = int(q.p), int(q.q)
    quotient, remainder = divmod(p, denominator)
    twice = 2 * remainder
    up = twice > denominator or (twice == denominator and quotient & 1)
    return quotient + (1 if up else 0)


def nearest_float(lo: fmpq, hi: fmpq, target: FloatFormat) -> float | None:
    """Return the float of `target` nearest to the enclosed value, or ``None``.

    The result is a Python float that holds the target's value exactly; beyond the largest
    finite number it is infinite, as IEEE 754 rounds to nearest, or what the format has in
    place of infinity.

    >>> nearest_float(fmpq(1, 3), fmpq(1, 3), FORMATS["bfloat16"])
    0.333984375
    """
    low = _round_to_format(lo, target)
    if lo != hi and low != _round_to_format(hi, target):
        return None
    return low if math.isfinite(low) else math.copysign(target.beyond, low)


def _round_to_format(q: fmpq, target: FloatFormat) -> float:
    exponent = target.ulp_exponent(q)
    value = fmpq(nearest_integer(q * fmpq(2) ** -exponent)) * fmpq(2) ** exponent
    if abs(value) > target.largest:
        return float("inf") if value > 0 else float("-inf")
    return int(value.p) / int(value.q)


def round_decimal(
    lo: fmpq, hi: fmpq, *, digits: int | None = None, places: int | None = None
) -> str | None:
    """Return the enclosed value to so many decimal digits, or ``None`` if undecided.

    Args:
        lo: Lower end of the enclosure.
        hi: Upper end.
        digits: Number of significant digits; or
        places: number of digits after the point.

    >>> round_decimal(fmpq(2, 3), fmpq(2, 3), digits=4)
    '0.6667'
    >>> round_decimal(fmpq(1, 8), fmpq(1, 8), places=2), round_decimal(fmpq(0), fmpq(1), digits=3)
    ('0.12', None)
    """
    found = _decided(lo, hi, digits, places)
    return found and format_decimal(*found, positional=places is not None)


def nearest_decimal(
    lo: fmpq, hi: fmpq, *, digits: int | None = None, places: int | None = None
) -> fmpq | None:
    """Return what `round_decimal` writes as a number, or ``None`` if undecided.

    >>> nearest_decimal(fmpq(2, 3), fmpq(2, 3), digits=2)
    67/100
    """
    found = _decided(lo, hi, digits, places)
    return found and found[0] * fmpq(10) ** found[1]


def _decided(
    lo: fmpq, hi: fmpq, digits: int | None, places: int | None
) -> tuple[int, int] | None:
    """Return integer n and exponent e of the rounded value n·10^e, or ``None``."""
    if digits is not None and lo != hi and lo <= 0 <= hi:
        return None  # no digit of a value that may be zero is known
    low = _to_decimal(lo, digits, places)
    if lo != hi and low != _to_decimal(hi, digits, places):
        return None
    return low


def _to_decimal(q: fmpq, digits: int | None, places: int | None) -> tuple[int, int]:
    """Return integer n and exponent e with q ≈ n·10^e, ties to even."""
    if places is not None:
        return nearest_integer(q * fmpq(10) ** places), -places
    assert digits is not None
    if q == 0:
        return 0, 0
    exponent = _floor_log10(abs(q)) - digits + 1
    n = nearest_integer(q * _power_of_ten(-exponent))
    if abs(n) == 10**digits:  # 9.99… went up
        n, exponent = n // 10, exponent + 1
    return n, exponent


def _floor_log10(q: fmpq) -> int:
    guess = (_floor_log2(q) * 1292913986) >> 32  # log10(2)·2^32: off by 1 at most
    while _power_of_ten(guess) > q:
        guess -= 1
    while _power_of_ten(guess + 1) <= q:
        guess += 1
    return guess


@lru_cache(maxsize=256)
def _power_of_ten(exponent: int) -> fmpq:
    """Return 10^exponent: the numbers of a table need the same few."""
    return fmpq(10) ** exponent


def format_decimal(n: int, exponent: int, *, positional: bool = False) -> str:
    """Write n·10^exponent: positional where that is readable, else scientific.

    Args:
        n: The digits.
        exponent: The power of ten that they count.
        positional: Whether to write all places, `exponent` being 0 or less.

    >>> format_decimal(-57, -4), format_decimal(123, -12), format_decimal(0, -4)
    ('-0.0057', '1.23e-10', '0.0000')
    """
    # str(int) refuses more than 4300 digits; FLINT's does not.
    sign, text = ("-" if n < 0 else ""), str(fmpz(abs(n)))
    leading = len(text) + exponent  # digits before the point
    if n == 0 or positional or (exponent <= 0 and leading > -5):
        if exponent == 0:
            return sign + text
        text = text.rjust(1 - exponent, "0")
        return f"{sign}{text[:exponent]}.{text[exponent:]}"
    fraction = f".{text[1:]}" if len(text) > 1 else ""
    return f"{sign}{text[0]}{fraction}e{leading - 1:+03d}"


def power_of_two(exponent: int) -> fmpq:
    """Return 2^exponent exactly."""
    return fmpq(fmpz(1) << exponent) if exponent >= 0 else fmpq(1, fmpz(1) << -exponent)


def as_rational(value: Any) -> fmpq:
    """Return a finite Python float or integer exactly."""
    return fmpq(*value.as_integer_ratio())


def as_float(q: fmpq) -> float:
    """Return the float64 nearest to the non-negative rational `q`, infinite beyond all."""
    try:
        return int(q.p) / int(q.q)
    except OverflowError:
        return math.inf


def round_up(q: fmpq) -> float:
    """Return a float that is not below the non-negative rational `q`.

    >>> round_up(fmpq(0)), round_up(fmpq(1, 10)) > 0.1
    (0.0, True)
    """
    return math.nextafter(as_float(q), math.inf) if q != 0 else 0.0


def float_text(number: float, target: FloatFormat) -> tuple[str, str]:
    """Return a number as the fewest decimals that `target` tells it by, and as hex.

    >>> pass
    >>> float_text(0.10000000149011612, FORMATS["float32"])
    ('0.1', '0x1.99999a0000000p-4')
    """
    if np.isfinite(number):
        for digits in range(1, 17):
            text = f"{number:.{digits}g}"
            fraction = to_fraction(text)
            decimal = fmpq(fraction.numerator, fraction.denominator)
            if nearest_float(decimal, decimal, target) == number:
                return text, number.hex()
    return repr(number), number.hex()
