# SPDX-License-Identifier: BSD-3-Clause
"""The arithmetic of a page whose reader has a calculator and only the printed numbers.

What is printed is rounded once, from the printed numbers that it is computed from, and
carried on so: a matrix product (whose products and sums stay in the calculator), a sum, a
product of two, a function value. Halves are rounded away from zero, as calculators and
schools do; and what is smaller than 10^-999 is 0, as on a calculator's display.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal
from typing import Any, NamedTuple

import numpy as np
from flint import fmpq, fmpz

from symrnn.derivations.number_forms import EXTRA, notated
from symrnn.derivations.options import Options
from symrnn.domains.decimal import ByHandDomain
from symrnn.equations.domain import Interval, Objects, object_array
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import Network, Position
from symrnn.numerics.exact import Exact, to_fraction
from symrnn.numerics.formats import round_up
from symrnn.runs.run import run
from symrnn.runs.trace import Trace

__all__ = ["Drift", "PrintedDomain", "carry_by_hand", "largest_drift"]


_SMALLEST = fmpq(1, fmpz(10) ** 999)
_WRITTEN = 20_000  # bits of a denominator that is quickly written in decimal


class PrintedDomain(ByHandDomain):
    """Decimals as they are printed; see the module.

    >>> domain = PrintedDomain(places=1)
    >>> half = domain.matrix(np.array([["1/4", "1/4"]], dtype=object))
    >>> domain.matmul(half, domain.transpose(half)).tolist()  # 1/16 + 1/16, rounded once
    [[1/10]]
    """

    def matrix(self, values: Exact) -> Objects:
        """Return given numbers as they are printed.

        Decimals of a matrix are rounded if one of them is too long; numbers of so many
        significant digits, one by one.
        """
        fractions = [to_fraction(v) for v in values.reshape(-1).tolist()]
        numbers = [fmpq(f.numerator, f.denominator) for f in fractions]
        short = [self._is_short(number) for number in numbers]
        if self.places is not None:
            short = [all(short)] * len(short)
        copied = [
            n if kept else self._round(n)
            for n, kept in zip(numbers, short, strict=True)
        ]
        return object_array(copied, values.shape)

    def input(self, values: Exact, t: int) -> Objects:
        return self._by_sequence(values)

    def initial(self, state: str, values: Exact, position: Any) -> Objects:
        return self._by_sequence(values)

    def _by_sequence(self, values: Exact) -> Objects:
        """Return vectors as they are printed, each by itself."""
        return np.hstack([self.matrix(column[:, np.newaxis]) for column in values.T])

    def _is_short(self, value: fmpq) -> bool:
        """Tell whether a given number is printed with all its digits."""
        if self.places is not None:
            return bool((value * 10 ** (self.places + EXTRA)).q == 1)
        assert self.digits is not None
        return _significant(value, self.digits + EXTRA) == value

    def _rounded(self, lo: fmpq, hi: fmpq) -> fmpq | None:
        """Round an enclosed value, halves away from zero, if its ends decide it."""
        low = self._nearest(lo)
        return low if lo == hi or low == self._nearest(hi) else None

    def _nearest(self, value: fmpq) -> fmpq:
        if self.places is None:
            assert self.digits is not None
            return _significant(value, self.digits)
        grid = fmpq(10) ** self.places
        steps = (abs(value) * grid + fmpq(1, 2)).floor()
        return (steps if value >= 0 else -steps) / grid

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


def _significant(value: fmpq, digits: int) -> fmpq:
    """Return a value to so many significant digits, halves away from zero."""
    if abs(value) < _SMALLEST:
        return fmpq(0)
    context = Context(prec=digits, rounding=ROUND_HALF_UP)
    quotient = context.divide(Decimal(int(value.p)), Decimal(int(value.q)))
    return fmpq(*quotient.as_integer_ratio())


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
    position: Position
    step: int
    sequence: int
    state: str
    unit: int


def largest_drift(
    carried: Trace, exact: Callable[[Position, int, int, str, int], Interval]
) -> Drift | None:
    """Return the largest distance of all states, ``None`` where there is no state.

    Its size is rounded up to two significant digits.

    Args:
        carried: The run by hand.
        exact: From position, step, sequence, state and unit to an enclosure of the value.
    """
    worst: tuple[fmpq, tuple[Position, int, str, tuple[int, ...]]] | None = None
    for position in carried.net.positions:
        for t in range(len(carried.inputs.widths)):
            for state in carried.net.cell.states:
                values = np.array(carried[(*position, t)][state].tolist(), dtype=object)
                for index, value in np.ndenumerate(values):
                    b, unit = index if len(index) == 2 else (0, index[0])
                    lo, hi = exact(position, t, b, state, unit)
                    far = max(abs(value - lo), abs(value - hi))
                    if worst is None or far > worst[0]:
                        worst = far, (position, t, state, index)
    if worst is None:
        return None
    largest, (position, t, state, where) = worst
    b, unit = where if len(where) == 2 else (0, where[0])
    if largest == 0:
        return Drift("0", position, t, b, state, unit)
    context = Context(prec=2, rounding=ROUND_CEILING)
    if largest.q.bit_length() > _WRITTEN and math.isfinite(bound := round_up(largest)):
        rounded = context.create_decimal_from_float(bound)
    else:
        rounded = context.divide(Decimal(int(largest.p)), Decimal(int(largest.q)))
    return Drift(notated(rounded), position, t, b, state, unit)
