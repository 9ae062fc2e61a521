# SPDX-License-Identifier: BSD-3-Clause
"""mpmath: a second opinion on `ball` that shares no code with it, and proves nothing.

Each operation is rounded to the working precision and errors accumulate unseen, so a
value is evidence about an enclosure, never a replacement for one. The context is the
domain's own: mpmath's global precision is neither read nor changed.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
from flint import fmpq

from symrnn.equations.domain import Interval, ObjectDomain, Objects, object_array
from symrnn.equations.functions import ElementwiseFunction
from symrnn.errors import UndecidedError
from symrnn.numerics.exact import Exact

__all__ = ["MpDomain"]


_LARGEST_EXPONENT = 1 << 24


class MpDomain(ObjectDomain):
    """mpmath numbers at a fixed working precision, as NumPy object arrays.

    Args:
        precision: Bits of the significand.
    """

    name = "mp"
    proven = False

    def __init__(self, precision: int) -> None:
        self.precision = precision
        self._mp = mpmath.MPContext()
        self._mp.prec = precision

    def matrix(self, values: Exact) -> Objects:
        return object_array(
            [self._number(v) for v in values.reshape(-1).tolist()], values.shape
        )

    def matmul(self, a: Objects, b: Objects) -> Objects:
        columns = [list(column) for column in b.T]
        flat = [self._mp.fdot(row, column) for row in a.tolist() for column in columns]
        return object_array(flat, (a.shape[0], b.shape[1]))

    def add(self, *terms: Objects) -> Objects:
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def neg(self, a: Objects) -> Objects:
        return -a

    def hadamard(self, a: Objects, b: Objects) -> Objects:
        return a * b

    def elementwise(self, function: ElementwiseFunction, a: Objects) -> Objects:
        return object_array([function.mp(self._mp, v) for v in a.reshape(-1)], a.shape)

    def constant(self, value: int, rows: int, columns: int = 1) -> Objects:
        return object_array([self._mp.mpf(value)] * (rows * columns), (rows, columns))

    def interval(self, element: Any) -> Interval:
        """Return the computed number as both ends; its error is unknown."""
        sign, mantissa, exponent, _ = element._mpf_
        if not mantissa and exponent:
            raise UndecidedError(f"mpmath returned {element}")
        if abs(exponent) > _LARGEST_EXPONENT:
            raise UndecidedError(f"the value is about 2^{exponent}, out of range")
        value = fmpq(int(mantissa) * (-1) ** sign) * fmpq(2) ** exponent
        return value, value

    def _number(self, value: Any) -> Any:
        if isinstance(value, Fraction):
            return self._mp.mpf(value.numerator) / value.denominator
        return self._mp.mpf(value)
