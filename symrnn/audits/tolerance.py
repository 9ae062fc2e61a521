# SPDX-License-Identifier: BSD-3-Clause
"""How far from the exact value a subject may be, and what an ulp is there.

Note [Narrow in ulps]
    Any absolute precision is too little for some value: known to 1e-40, 1e-30 is known
    to 34 bits and 1e-40 to none. So each element is asked for on its own scale: its
    enclosure must be narrower than 2^-20 ulp. An ulp is never less than the format's
    smallest number, so that is reached at a fixed precision even where the exact value
    is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from flint import fmpq

from symrnn.equations.domain import Interval
from symrnn.numerics.formats import FloatFormat, as_rational, power_of_two
from symrnn.runs.arrays import Rule

__all__ = [
    "Enclosure",
    "Tolerance",
    "default_tolerance",
    "narrow_in_ulps",
    "planned_places",
]


_WIDTH = -20  # log2 of the widest enclosure, in ulps
_SMALL = 60  # bits below 1 at which values still come out narrow in the first run
_DIGITS_PER_BIT = 0.30103


@dataclass(slots=True)
class Enclosure:
    """A real value between exact rational ends, and the ulp's exponents there.

    Attributes:
        lo: Lower end.
        hi: Upper end.
        least: The smallest absolute value between them.
        most: The largest.
        least_exponent: 2^this is the ulp at `least`.
        most_exponent: 2^this is the ulp at `most`.
    """

    lo: fmpq
    hi: fmpq
    least: fmpq
    most: fmpq
    least_exponent: int
    most_exponent: int


def narrow_in_ulps(target: FloatFormat) -> Rule:
    """Return a rule for `symrnn.Array.decide`: an `Enclosure`, if narrow enough.

    >>> from symrnn.numerics.formats import FORMATS
    >>> rule = narrow_in_ulps(FORMATS["float16"])
    >>> rule(fmpq(1), fmpq(3, 2)) is None
    True
    >>> rule(fmpq(3), fmpq(3)).least_exponent
    -9
    """

    def rule(lo: Any, hi: Any) -> Enclosure | None:
        low, high = abs(lo), abs(hi)
        least, most = (low, high) if low <= high else (high, low)
        if lo < 0 < hi:
            least = fmpq(0)
        exponent = target.ulp_exponent(least)
        if hi - lo > _power(exponent + _WIDTH):
            return None
        above = most >= _power(exponent + target.precision)  # the next binade
        return Enclosure(lo, hi, least, most, exponent, exponent + above)

    return rule


_power = lru_cache(maxsize=4096)(power_of_two)


def planned_places(target: FloatFormat) -> int:
    """Return after how many decimal places the first run makes most values narrow.

    That is down to 2^-40 or so; see Note [Narrow in ulps].
    """
    return 1 + int((target.precision + _SMALL) * _DIGITS_PER_BIT)


# Its atol of 1e-5 is far below one rounding of a 16-bit state near 1, and honest networks
# round their states at every step; 8 unit roundoffs take its place there.
_ASSERT_CLOSE = {
    "float16": (1e-3, 8 * 2.0**-11),
    "bfloat16": (1.6e-2, 8 * 2.0**-8),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest error that holds, as ``rtol·|exact| + atol`` or as a number of ulps.

    A tolerance is *assumed*: it is a convention that somebody stated, not a bound that
    follows from the arithmetic.

    Attributes:
        rtol: Relative to the exact value. Floats are meant exactly.
        atol: Absolute; 0 if only `rtol` is given.
        ulps: Units in the last place of the subject's format at the exact value,
            instead of the other two. 0.5 asks for correct rounding to nearest.
        origin: Who says so; reports show it.

    Raises:
        ValueError: Neither or both kinds are given, or a number is negative, not finite
            or not a number.

    >>> print(Tolerance(1e-3, 1e-5))
    rtol=0.001, atol=1e-05 (stated by the caller)
    >>> print(Tolerance(ulps=4))
    4 ulps (stated by the caller)
    """

    rtol: float | None = None
    atol: float | None = None
    ulps: float | None = field(default=None, kw_only=True)
    origin: str = field(default="stated by the caller", kw_only=True)

    def __post_init__(self) -> None:
        relative = self.rtol is not None or self.atol is not None
        if relative == (self.ulps is not None):
            raise ValueError(f"give rtol= and atol=, or ulps= (got {self!r})")
        for name in ("rtol", "atol", "ulps"):
            value = getattr(self, name)
            if value is not None and not _is_size(value):
                raise ValueError(f"{name} must be a number from 0 up (got {value!r})")

    def at(self, value: Enclosure) -> Interval:
        """Enclose the tolerance at an enclosed exact value."""
        if self.ulps is not None:
            ulps = _rational(self.ulps)
            least = ulps * power_of_two(value.least_exponent)
            if value.least_exponent == value.most_exponent:
                return least, least
            return least, ulps * power_of_two(value.most_exponent)
        rtol, atol = _rational(self.rtol or 0), _rational(self.atol or 0)
        return atol + rtol * value.least, atol + rtol * value.most

    def __str__(self) -> str:
        if self.ulps is not None:
            return f"{self.ulps:g} ulps ({self.origin})"
        return f"rtol={self.rtol or 0:g}, atol={self.atol or 0:g} ({self.origin})"


def _is_size(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0


@lru_cache
def _rational(value: float) -> fmpq:
    return as_rational(value)


def default_tolerance(target: FloatFormat) -> Tolerance:
    """Return what ``torch.testing.assert_close`` allows, atol excepted for 16-bit formats.

    float16 and bfloat16 have an atol of 8 unit roundoffs, 2^-8 and 2^-5: assert_close's
    1e-5 would refuse most honest networks. Reference: the table in the documentation of
    ``torch.testing.assert_close``.

    >>> from symrnn.numerics.formats import FORMATS
    >>> print(default_tolerance(FORMATS["float32"]))
    rtol=1.3e-06, atol=1e-05 (torch.testing.assert_close's for float32)
    """
    rtol, atol = _ASSERT_CLOSE[target.name]
    origin = f"torch.testing.assert_close's for {target.name}"
    if target.precision < 24:
        origin += ", with an atol of 8 unit roundoffs"
    return Tolerance(rtol, atol, origin=origin)
