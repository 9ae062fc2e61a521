# SPDX-License-Identifier: BSD-3-Clause
"""Decimal arithmetic as with a pocket calculator: every intermediate result is written down.

Each product, each sum of two numbers and each function value is rounded to so many
significant digits, or places after the point, before it is used again. Numbers of the model
and inputs are rounded when they are copied down. Ties go to even. There is no largest
number; with digits, there is no smallest one either.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from flint import arb, fmpq

from symrnn.domains.ball import ball_interval, working_precision
from symrnn.equations.domain import Interval, ObjectDomain, Objects, object_array
from symrnn.equations.functions import ElementwiseFunction
from symrnn.errors import UndecidedError
from symrnn.networks.inputs import require_int
from symrnn.numerics.exact import Exact, to_fraction
from symrnn.numerics.formats import nearest_decimal

__all__ = ["ByHandDomain"]

_PRECISIONS = tuple(64 << n for n in range(9))


class ByHandDomain(ObjectDomain):
    """Decimals of so many digits or places, as object arrays of python-flint ``fmpq``.

    Args:
        digits: Significant digits that are kept, at least 1; or
        places: digits after the point, at least 0.

    Raises:
        TypeError: Not exactly one of both is given.
        SourceError: It is no whole number of that size.

    >>> from symrnn import load
    >>> from symrnn.networks.inputs import read_inputs
    >>> from symrnn.runs.run import run
    >>> net = load(
    ...     {"weight_ih_l0": [["-0.8769"]], "weight_hh_l0": [["-0.8218"]]}, cell="rnn_tanh"
    ... )
    >>> trace = run(net, read_inputs(net, [[3], [4]]), ByHandDomain(places=4))
    >>> trace[0, "forward", 1].h_pre.decimal(places=4), trace.output.decimal(places=4)
    (['-2.6943'], [['-0.9897'], ['-0.9909']])
    """

    name = "by hand"
    proven = False

    def __init__(self, *, digits: int | None = None, places: int | None = None) -> None:
        if (digits is None) == (places is None):
            raise TypeError("give digits= or places=")
        if digits is not None:
            require_int(digits, "digits", 1)
        else:
            require_int(places, "places", 0)
        self.digits = digits
        self.places = places

    def _round(self, value: fmpq) -> fmpq:
        rounded = self._rounded(value, value)
        assert rounded is not None  # an exact value decides every rounding
        return rounded

    def _rounded(self, lo: fmpq, hi: fmpq) -> fmpq | None:
        return nearest_decimal(lo, hi, digits=self.digits, places=self.places)

    def _map(self, function: Callable[..., fmpq], *arrays: Objects) -> Objects:
        arrays = tuple(np.broadcast_arrays(*arrays))
        columns = zip(*(a.reshape(-1) for a in arrays), strict=True)
        return object_array([function(*v) for v in columns], arrays[0].shape)

    def _sum(self, a: fmpq, b: fmpq) -> fmpq:
        return self._round(a + b)

    def _product(self, a: fmpq, b: fmpq) -> fmpq:
        return self._round(a * b)

    def matrix(self, values: Exact) -> Objects:
        fractions = [to_fraction(v) for v in values.reshape(-1).tolist()]
        flat = [self._round(fmpq(f.numerator, f.denominator)) for f in fractions]
        return object_array(flat, values.shape)

    def matmul(self, a: Objects, b: Objects) -> Objects:
        columns = [list(column) for column in b.T]
        flat = [
            reduce(self._sum, map(self._product, row, column))
            for row in a.tolist()
            for column in columns
        ]
        return object_array(flat, (a.shape[0], b.shape[1]))

    def add(self, *terms: Objects) -> Objects:
        return reduce(lambda a, b: self._map(self._sum, a, b), terms)

    def neg(self, a: Objects) -> Objects:
        return self._map(lambda v: -v, a)

    def hadamard(self, a: Objects, b: Objects) -> Objects:
        return self._map(self._product, a, b)

    def elementwise(self, function: ElementwiseFunction, a: Objects) -> Objects:
        return self._map(lambda v: self._image(function, v), a)

    def _image(self, function: ElementwiseFunction, value: fmpq) -> fmpq:
        exact = function.rational(value)
        if exact is not None:
            return self._round(exact)
        for bits in _PRECISIONS:
            with working_precision(bits):
                ball = function.ball(arb(value))
            if ball.is_finite():
                rounded = self._rounded(*ball_interval(ball))
                if rounded is not None:
                    return rounded
        raise UndecidedError(
            f"{function.name}({value}) could not be rounded within {_PRECISIONS[-1]} bits"
        )

    def constant(self, value: int, rows: int, columns: int = 1) -> Objects:
        return object_array([fmpq(value)] * (rows * columns), (rows, columns))

    def interval(self, element: Any) -> Interval:
        """Return the decimal as both ends; how far it is from the exact one is unknown."""
        return element, element
