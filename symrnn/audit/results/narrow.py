# SPDX-License-Identifier: BSD-3-Clause
"""Exact values, enclosed so narrowly that an ulp means something.

Note [Narrow in ulps]
    Any absolute precision is too little for some value: known to 1e-40, 1e-30 is known
    to 34 bits and 1e-40 to none. So each element is asked for on its own scale: its
    enclosure must be narrower than 2^-20 ulp. An ulp is never less than the format's
    smallest number, so that is reached at a fixed precision even where the exact value
    is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flint import fmpq

from symrnn.arrays import Rule
from symrnn.formats import FloatFormat, power_of_two

__all__ = ["Enclosure", "narrow_in_ulps", "planned_places"]

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

    >>> from symrnn.formats import FORMATS
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
