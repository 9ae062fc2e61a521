# SPDX-License-Identifier: BSD-3-Clause
"""How far from the exact value a subject may be: one small value object."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from flint import fmpq

from symrnn.audit.results.narrow import Enclosure
from symrnn.domains.base import Interval
from symrnn.formats import FloatFormat, as_rational, power_of_two

__all__ = ["Tolerance", "default_tolerance"]

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

    >>> from symrnn.formats import FORMATS
    >>> print(default_tolerance(FORMATS["float32"]))
    rtol=1.3e-06, atol=1e-05 (torch.testing.assert_close's for float32)
    """
    rtol, atol = _ASSERT_CLOSE[target.name]
    origin = f"torch.testing.assert_close's for {target.name}"
    if target.precision < 24:
        origin += ", with an atol of 8 unit roundoffs"
    return Tolerance(rtol, atol, origin=origin)
