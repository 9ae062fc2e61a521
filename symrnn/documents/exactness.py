# SPDX-License-Identifier: BSD-3-Clause
"""Which values are rational, and what they are: what decides between = and ≈.

A domain whose elements are rationals, or ``None`` where the value is irrational or not
worth following. ``None`` only ever costs an equals sign: such a number is printed as
rounded, which is never wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from flint import fmpq

from symrnn.domains.base import Domain, Interval
from symrnn.errors import UndecidedError
from symrnn.functions import ElementwiseFunction
from symrnn.inputs import Inputs
from symrnn.network import Network
from symrnn.numbers import Exact, to_fraction
from symrnn.run import run
from symrnn.trace import Trace

__all__ = ["KnownRationals", "rational", "trace_rationals"]

Known = fmpq | None
Rows = list[list[Known]]

_LARGEST = 4096  # bits; a relu network's rationals grow with every step
_WORK = 200_000  # multiplications; past this, few numbers are short decimals anyway


def trace_rationals(net: Network, inputs: Inputs) -> Trace | None:
    """Run the network over the rationals, or return ``None`` where that takes long."""
    weights = sum(a.size for arrays in net.parameters.values() for a in arrays.values())
    if weights * sum(inputs.widths) > _WORK:
        return None
    return run(net, inputs, KnownRationals(), keep="nodes")


def rational(value: Any) -> fmpq:
    """Return an exact number as ``fmpq``."""
    fraction = to_fraction(value)
    return fmpq(fraction.numerator, fraction.denominator)


class KnownRationals(Domain[Rows]):
    """Rationals as far as they go, ``None`` from there; rows of a matrix in lists."""

    name = "known rationals"
    proven = True

    def matrix(self, values: Exact) -> Rows:
        return [[rational(v) for v in row] for row in values.tolist()]

    def matmul(self, a: Rows, b: Rows) -> Rows:
        columns = self.transpose(b)
        return [
            [
                _sum([_product(x, y) for x, y in zip(row, c, strict=True)])
                for c in columns
            ]
            for row in a
        ]

    def add(self, *terms: Rows) -> Rows:
        return _each(lambda *values: _sum(values), *terms)

    def neg(self, a: Rows) -> Rows:
        return _each(lambda v: None if v is None else -v, a)

    def hadamard(self, a: Rows, b: Rows) -> Rows:
        return _each(_product, a, b)

    def elementwise(self, function: ElementwiseFunction, a: Rows) -> Rows:
        return _each(lambda v: None if v is None else function.rational(v), a)

    def transpose(self, a: Rows) -> Rows:
        return [list(column) for column in zip(*a, strict=True)]

    def constant(self, value: int, rows: int, columns: int = 1) -> Rows:
        return [[fmpq(value)] * columns for _ in range(rows)]

    def vstack(self, parts: Sequence[Rows]) -> Rows:
        return [list(row) for part in parts for row in part]

    def hstack(self, parts: Sequence[Rows]) -> Rows:
        return [list(chain.from_iterable(rows)) for rows in zip(*parts, strict=True)]

    def split(self, a: Rows, widths: Sequence[int]) -> list[Rows]:
        starts = [sum(widths[:i]) for i in range(len(widths))]
        return [
            [row[s : s + w] for row in a] for s, w in zip(starts, widths, strict=True)
        ]

    def rows(self, a: Rows) -> list[list[Any]]:
        return [list(row) for row in a]

    def interval(self, element: Any) -> Interval:
        if element is None:
            raise UndecidedError("the value is not known to be rational")
        return element, element


def _each(function: Callable[..., Known], *operands: Rows) -> Rows:
    """Apply to corresponding elements; a column stands for every column."""
    width = max(len(rows[0]) for rows in operands)
    wide = [
        [row * width if len(row) == 1 else row for row in rows] for rows in operands
    ]
    return [
        [function(*values) for values in zip(*rows, strict=True)]
        for rows in zip(*wide, strict=True)
    ]


def _sum(values: Sequence[Known]) -> Known:
    total = fmpq(0)
    for value in values:
        if value is None:
            return None
        total += value
    return _followed(total)


def _product(x: Known, y: Known) -> Known:
    if x == 0 or y == 0:
        return fmpq(0)
    return None if x is None or y is None else _followed(x * y)


def _followed(value: fmpq) -> Known:
    size = int(value.p).bit_length() + int(value.q).bit_length()
    return value if size <= _LARGEST else None
