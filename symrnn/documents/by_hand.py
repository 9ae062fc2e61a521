# SPDX-License-Identifier: BSD-3-Clause
"""The arithmetic of a page whose reader has a calculator and only the printed numbers.

What is printed is rounded once, from the printed numbers that it is computed from, and
carried on so: a matrix product (whose products and sums stay in the calculator), a sum, a
product of two, a function value.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, Context, Decimal
from typing import NamedTuple

import numpy as np
from flint import fmpq

from symrnn.documents.options import Options
from symrnn.domains.by_hand import ByHandDomain
from symrnn.domains.objects import Objects, object_array
from symrnn.formats import round_decimal
from symrnn.inputs import Inputs
from symrnn.network import Network, Place
from symrnn.numbers import Exact, to_fraction
from symrnn.run import run
from symrnn.trace import Trace

__all__ = ["Drift", "PrintedDomain", "carry_by_hand", "largest_drift"]

_EXTRA = 4  # as in symrnn.documents.forms: digits that given numbers may have more


class PrintedDomain(ByHandDomain):
    """Decimals as they are printed; see the module.

    >>> domain = PrintedDomain(places=1)
    >>> half = domain.matrix(np.array([["1/4", "1/4"]], dtype=object))
    >>> domain.matmul(half, domain.transpose(half)).tolist()  # 1/16 + 1/16, rounded once
    [[1/10]]
    """

    def matrix(self, values: Exact) -> Objects:
        fractions = [to_fraction(v) for v in values.reshape(-1).tolist()]
        numbers = [fmpq(f.numerator, f.denominator) for f in fractions]
        if self.places is not None:
            grid = 10 ** (self.places + _EXTRA)
            if not all((n * grid).q == 1 for n in numbers):
                numbers = [self._round(n) for n in numbers]
        else:
            numbers = [self._copied(n) for n in numbers]
        return object_array(numbers, values.shape)

    def _copied(self, value: fmpq) -> fmpq:
        assert self.digits is not None
        text = round_decimal(value, value, digits=self.digits + _EXTRA)
        top, bottom = Decimal(text or "0").as_integer_ratio()
        return value if fmpq(top, bottom) == value else self._round(value)

    def matmul(self, a: Objects, b: Objects) -> Objects:
        columns = [list(column) for column in b.T]
        flat = [
            self._round(_total(x * y for x, y in zip(row, column, strict=True)))
            for row in a.tolist()
            for column in columns
        ]
        return object_array(flat, (a.shape[0], b.shape[1]))

    def add(self, *terms: Objects) -> Objects:
        return self._map(lambda *values: self._round(_total(iter(values))), *terms)


def _total(values: Iterator[fmpq]) -> fmpq:
    return sum(values, fmpq(0))


def carry_by_hand(net: Network, inputs: Inputs, options: Options) -> Trace:
    """Run a network with the numbers that a document prints."""
    if options.rounding == "significant":
        domain = PrintedDomain(digits=options.digits)
    else:
        domain = PrintedDomain(places=options.digits)
    return run(net, inputs, domain, keep="nodes")


class Drift(NamedTuple):
    """How far a state that was carried by hand is from the exact one, at most."""

    size: str
    place: Place
    step: int
    sequence: int
    state: str
    unit: int


def largest_drift(carried: Trace, exact: Trace) -> Drift | None:
    """Return the largest distance of all states, ``None`` where there is no state.

    Its size is rounded up to two significant digits.
    """
    worst: tuple[fmpq, tuple[Place, int, str, tuple[int, ...]]] | None = None
    for place in exact.net.places:
        for t in range(len(exact.inputs.widths)):
            ours, theirs = carried[(*place, t)], exact[(*place, t)]
            for state in exact.net.cell.states:
                far = _distances(ours[state].tolist(), theirs[state].intervals())
                for index in np.ndindex(far.shape):
                    if worst is None or far[index] > worst[0]:
                        worst = far.item(index), (place, t, state, index)
    if worst is None:
        return None
    largest, (place, t, state, where) = worst
    b, unit = where if len(where) == 2 else (0, where[0])
    if largest == 0:
        return Drift("0", place, t, b, state, unit)
    context = Context(prec=2, rounding=ROUND_CEILING)
    top, bottom = Decimal(int(largest.p)), Decimal(int(largest.q))
    rounded = context.divide(top, bottom)
    return Drift(f"{rounded:e}".replace("e+", "e"), place, t, b, state, unit)


def _distances(values: object, intervals: Objects) -> Objects:
    carried = np.array(values, dtype=object).reshape(intervals.shape)
    found = np.empty(intervals.shape, dtype=object)
    for index in np.ndindex(found.shape):
        lo, hi = intervals[index]
        found[index] = max(abs(carried[index] - lo), abs(carried[index] - hi))
    return found
