# SPDX-License-Identifier: BSD-3-Clause
r"""The arithmetic of a float format on float64 arrays, every operation correctly rounded.

Numbers of a format are held as the float64 numbers that they are. Results are rounded to
nearest, ties to even, with subnormals; what is too large becomes what the format says
(`FloatFormat.overflow`). Zeros have signs.

Note [Rounding once]
    Rounding a float64 result again may differ from rounding the exact result: the exact
    $1 + 2^{-8} + 2^{-60}$ is above the tie that float64 makes of it for bfloat16. Where p
    is the precision of the format:

    * The product of two numbers is exact in float64 if 2p ≤ 53 and no product is below
      2^-1074: `FloatFormat.emin` - p + 1 ≥ -537.
    * A sum rounded to 53 bits and then to p ≤ 25 is the sum rounded to p: if 53 ≥ 2p + 2,
      the double rounding is innocuous (Figueroa, 'When is double rounding innocuous?',
      SIGNUM Newsletter 30(3), 1995). Where the rounded sum is subnormal it is exact.
    * Otherwise, and for a fused multiply-add, whose product has 2p bits, the float64
      result is *rounded to odd*: an inexact result is the one of its two neighbours whose
      last bit is 1, so it is never mistaken for a tie or for a number of the format
      (Boldo & Melquiond, 'Emulation of FMA and correctly rounded sums: proved algorithms
      using rounding to odd', IEEE Trans. Comput. 57(4), 2008: right if 53 ≥ p + 2).

    To odd or not makes a difference only where the float64 result is a tie of the format:
    rounding is monotone, so otherwise the exact one is on the same side of every tie. Below
    2^emin, where ties lie elsewhere, every inexact result counts as one.

    The error of a float64 sum, which says what to do, is exact (Knuth's TwoSum; TAOCP 2,
    4.2.2) unless the sum overflows.

`round_array` takes exact numbers of any kind to a format, with one rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.errors import UnsupportedError
from symrnn.numerics.exact import Exact, to_rational
from symrnn.numerics.formats import (
    FORMATS,
    FloatFormat,
    as_float,
    nearest_float,
)

__all__ = ["Arithmetic", "Floats", "round_array"]


Floats = npt.NDArray[np.float64]

_NATIVE = FORMATS["float64"]


_INNOCUOUS = 25


_WIDEST = 26


@dataclass(frozen=True)
class Arithmetic:
    """The operations of a format.

    Arrays are float64 and broadcast; elements must be numbers of the format, for which
    `nearest` sees.

    Args:
        format: float64, or one with at most 26 bits of significand whose products fit
            float64's exponents (``"p26e10"`` is the widest).

    Raises:
        UnsupportedError: The format is too wide.

    >>> from symrnn.numerics.formats import EMULATED_FORMATS
    >>> tiny = Arithmetic(EMULATED_FORMATS["float8_e5m2"])
    >>> tiny.nearest(np.array([0.3, 1.125, 1e6])).tolist()
    [0.3125, 1.0, inf]
    >>> float(tiny.add(np.float64(1.0), np.float64(0.125)))  # a tie, to even
    1.0
    """

    format: FloatFormat

    def __post_init__(self) -> None:
        form = self.format
        smallest = form.emin - form.precision + 1
        fits = smallest >= -537 and form.emax < 512
        if not self._native and not (form.precision <= _WIDEST and fits):
            raise UnsupportedError(
                f"{form.name} with {form.precision} bits and exponents {form.emin} to "
                f"{form.emax} is too wide to emulate in float64: at most {_WIDEST} bits, "
                "exponents to 511 and numbers from 2^-537 on, or float64 itself"
            )

    @cached_property
    def _native(self) -> bool:
        form = self.format
        return replace(form, name=_NATIVE.name) == _NATIVE

    @cached_property
    def _largest(self) -> float:
        return as_float(self.format.largest)

    def nearest(self, x: Floats) -> Floats:
        """Return the numbers of the format nearest to float64 numbers.

        NaN stays; so does infinity where the format has it.
        """
        if self._native:
            return x
        x = np.asarray(x, dtype=np.float64)
        with np.errstate(all="ignore"):
            if self.format == FORMATS["float32"]:  # a conversion is rounded once
                return x.astype(np.float32).astype(np.float64)
            return _in_range(self, _round_bits(x, self.format))

    def add(self, a: Floats, b: Floats) -> Floats:
        """Return the sums."""
        with np.errstate(all="ignore"):
            if self._native:
                return a + b
            if self.format.precision <= _INNOCUOUS:
                return self.nearest(a + b)
            return self.nearest(self._sum(a, b))

    def multiply(self, a: Floats, b: Floats) -> Floats:
        """Return the products."""
        with np.errstate(all="ignore"):
            return self.nearest(a * b)

    def fma(self, a: Floats, b: Floats, c: Floats) -> Floats:
        """Return ``a b + c``, rounded once."""
        with np.errstate(all="ignore"):
            if self._native:
                return _native_fma(*np.broadcast_arrays(a, b, c))
            return self.nearest(self._sum(a * b, c))

    def _sum(self, a: Floats, b: Floats) -> Floats:
        """Return float64 sums, to odd where that makes a difference for this format."""
        total = np.asarray(a + b)
        cut = 53 - self.format.precision
        below = total.view(np.int64) & ((1 << cut) - 1)
        doubtful = below == 1 << (cut - 1)
        doubtful |= (np.abs(total) < 2.0**self.format.emin) & (total != 0)
        if doubtful.any():
            a, b = np.broadcast_arrays(a, b)
            total[doubtful] = _sum_to_odd(a[doubtful], b[doubtful])
        return total


def _in_range(arithmetic: Arithmetic, x: Floats) -> Floats:
    """Put infinity or NaN where a rounded number is past the largest."""
    beyond = np.copysign(arithmetic.format.beyond, x)
    return np.where(np.abs(x) > arithmetic._largest, beyond, x)  # NaN stays


def _round_bits(x: Floats, form: FloatFormat) -> Floats:
    """Round to the precision and smallest number of a format, without upper bound.

    For normal numbers, half of the last place is added to the bits of |x| seen as an
    integer, less one where that place is 0, and what is below the place is cut off; a
    carry into the exponent is what it should be. Below them, adding and subtracting
    1.5·2^52 last places rounds to a whole number of places.
    """
    cut = 53 - form.precision
    bits = x.view(np.int64)
    rounded = bits + (((bits >> cut) & 1) + ((1 << (cut - 1)) - 1))
    rounded &= ~((1 << cut) - 1)
    result = rounded.view(np.float64)
    magnitude = np.abs(x)
    small = magnitude < 2.0**form.emin
    if small.any():
        shift = 1.5 * 2.0 ** (form.emin - form.precision + 1 + 52)
        result = np.where(small, np.copysign((x + shift) - shift, x), result)
    return np.where(np.isfinite(x), result, x)


def _sum_to_odd(a: Floats, b: Floats) -> Floats:
    """Return float64 sums, rounded to odd; see Note [Rounding once]."""
    total = a + b
    shared = total - a
    error = (a - (total - shared)) + (b - shared)
    return _to_odd(total, error)


def _to_odd(total: Floats, error: Floats) -> Floats:
    """Round total + error to odd, `total` being the float64 nearest to it."""
    total = np.asarray(total)
    even = (total.view(np.int64) & 1) == 0
    wrong = even & (error != 0) & np.isfinite(total) & np.isfinite(error)
    return np.where(wrong, np.nextafter(total, np.copysign(np.inf, error)), total)


# --- fused multiply-add of float64 ---------------------------------------------------


def _native_fma(a: Floats, b: Floats, c: Floats) -> Floats:
    """Return ``a b + c`` rounded once (Boldo & Melquiond 2008, Fig. 2).

    Where the product's error may underflow or a step overflow, the sum is taken over
    fractions instead.
    """
    product = a * b
    low = _product_error(a, b, product)
    high = c + low
    shared = high - c
    rest = (c - (high - shared)) + (low - shared)
    total = product + high
    shared = total - product
    error = (product - (total - shared)) + (high - shared)
    result = total + _sum_to_odd(error, rest)
    safe = (np.abs(product) > 2.0**-900) & (np.abs(product) < 2.0**1000)
    for factor in (a, b, c):
        safe &= np.abs(factor) < 2.0**990
    result = np.where(safe, result, product + c)
    hard = ~safe & np.isfinite(a) & np.isfinite(b) & np.isfinite(c)
    hard &= (a != 0) & (b != 0)
    for index in map(tuple, np.argwhere(hard)):
        result[index] = _exact_fma(float(a[index]), float(b[index]), float(c[index]))
    return result


def _product_error(a: Floats, b: Floats, product: Floats) -> Floats:
    """Return what a float64 product lost (Dekker's product, Veltkamp's splitting)."""
    (a1, a2), (b1, b2) = _split(a), _split(b)
    return a2 * b2 - (((product - a1 * b1) - a2 * b1) - a1 * b2)


def _split(x: Floats) -> tuple[Floats, Floats]:
    scaled = 134217729.0 * x
    high = scaled - (scaled - x)
    return high, x - high


def _exact_fma(a: float, b: float, c: float) -> float:
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    try:
        value = exact.numerator / exact.denominator  # rounded once, by Python
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")
    if exact == 0:
        return a * b + c  # the sign of a zero
    return float(np.copysign(value, 1 if exact > 0 else -1))


def round_array(values: Exact, target: FloatFormat) -> npt.NDArray[np.float64]:
    """Return the numbers of `target` nearest to `values`, ties to even, as float64.

    NaN and infinity stay; what is beyond the largest finite number becomes infinite.

    >>> from symrnn.numerics.formats import FORMATS
    >>> round_array(np.array([1e-50, 1 + 2.0**-8, 1e40]), FORMATS["bfloat16"]).tolist()
    [0.0, 1.0, inf]
    """
    if values.dtype == object:
        return _round_each(values, target)
    try:
        arithmetic = Arithmetic(target)
    except UnsupportedError:  # too wide for float64
        return _round_each(values, target)
    rounded = arithmetic.nearest(values)
    if target.overflow == "infinity":
        return rounded.copy() if rounded is values else rounded
    # A format without infinity would make another number of it.
    return np.where(np.isinf(values), values, rounded)


def _round_each(values: Exact, target: FloatFormat) -> npt.NDArray[np.float64]:
    flat = [_round(value, target) for value in values.reshape(-1).tolist()]
    return np.array(flat, dtype=np.float64).reshape(values.shape)


def _round(value: Any, target: FloatFormat) -> float | None:
    if isinstance(value, float) and not np.isfinite(value):
        return value
    exact = to_rational(value)
    return nearest_float(exact, exact, target)
