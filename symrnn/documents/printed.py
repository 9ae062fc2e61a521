# SPDX-License-Identifier: BSD-3-Clause
"""The numbers of a document: the one place where values become decimals.

Every value is taken from the trace and rounded once. It is marked exact where all the
decimals that are shown of it are exactly the values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import fmpq
from sympy import MatrixExpr

from symrnn.arrays import Array
from symrnn.cells import x
from symrnn.documents.exactness import rational, trace_rationals
from symrnn.documents.layout import columns_that_fit, selected
from symrnn.documents.model import Math, Matrix, Number, Sign
from symrnn.documents.notation import Shown
from symrnn.documents.options import Options
from symrnn.formats import round_decimal
from symrnn.language import Named, postorder
from symrnn.network import Network, Place
from symrnn.numbers import Exact
from symrnn.trace import Trace

__all__ = ["Values"]

Element = Callable[[int, int], tuple[Any, fmpq | None]]

_EXTRA_PLACES = 4  # what is given may be this much longer than what is computed
_MOST_ROWS = 8


class Values:
    """Everything that a run computed, ready for print.

    Args:
        trace: Made with ``keep="nodes"``.
        options: How numbers are printed.
    """

    def __init__(self, trace: Trace, options: Options) -> None:
        self.trace = trace
        self.net: Network = trace.net
        self.options = options
        self.digits = options.digits
        self.shortened = False
        self._rationals = trace_rationals(trace.net, trace.inputs)

    def parameter(self, place: Place, name: str) -> Shown:
        """Return a parameter; one with few decimals is printed exactly."""
        return self._given(self.net.parameters[place][name])

    def input(self, t: int, b: int) -> Shown:
        """Return the input of the network at step t to sequence b of the batch."""
        return self._given(self.trace.inputs.x[t, b][:, np.newaxis])

    def initial(self, place: Place, b: int, state: str) -> Shown:
        """Return the state that sequence b starts from."""
        size = self.net.state_sizes[state]
        index = self.net.places.index(place)
        column = self.trace.inputs.order.index(b)
        return self._given(
            self.trace.inputs.initial(state, index, size)[:, column : column + 1]
        )

    def node(self, place: Place, t: int, b: int, node: MatrixExpr) -> Shown:
        """Return a node of the equations at a step of sequence b."""
        if node in self.net.cell.parameters:
            return self.parameter(place, node.name)
        if node == x and place[0] == 0:
            return self.input(t, b)
        if isinstance(node, Named) and node.name.endswith("_prev"):
            before = t + 1 if place[1] == "reverse" else t - 1
            state = node.name.removesuffix("_prev")
            if not 0 <= before < self.trace.inputs.lengths[b]:
                return self.initial(place, b, state)
            return self.node(place, before, b, self._target(state))
        array = self._at(self.trace, place, t, b, node)
        known = self._known(place, t, b, node)
        return self._show(array.shape, lambda i, j: (array[i, j], known(i, j)))

    def rows(self, parts: Sequence[Sequence[tuple[Place, int, str]]], b: int) -> Shown:
        """Return a matrix whose rows are states of sequence b, laid end to end.

        Args:
            parts: For each row, the (place, step, state) that it is made of.
            b: The sequence.
        """
        columns = [
            (part, i)
            for part, (_, _, state) in enumerate(parts[0])
            for i in range(self.net.state_sizes[state])
        ]

        def element(row: int, column: int) -> tuple[Any, fmpq | None]:
            part, i = columns[column]
            place, t, state = parts[row][part]
            node = self._target(state)
            array = self._at(self.trace, place, t, b, node)
            return array[i, 0], self._known(place, t, b, node)(i, 0)

        return self._show((len(parts), len(columns)), element)

    def unit(self, place: Place, t: int, b: int, state: str, unit: int) -> Array:
        """Return one element of a state, to any number of digits."""
        return self._at(self.trace, place, t, b, self._target(state))[unit, 0]

    def _target(self, name: str) -> Named:
        return next(
            line.target for line in self.net.cell.equations if line.name == name
        )

    def _at(
        self, trace: Trace, place: Place, t: int, b: int, node: MatrixExpr
    ) -> Array:
        """Return a node's value in one sequence, as rows and columns."""
        column = trace.inputs.order.index(b)
        shared = trace.inputs.batch == 1 or not self._depends_on_step(node)

        def select(source: Trace) -> npt.NDArray[np.object_]:
            rows = source.domain.rows(source.records[place].steps[t][node])
            if not shared:
                rows = [row[column : column + 1] for row in rows]
            return _objects(rows)

        return trace._array(select)

    def _depends_on_step(self, node: MatrixExpr) -> bool:
        leaves = {leaf for leaf in postorder(node) if isinstance(leaf, Named)}
        return not leaves <= set(self.net.cell.parameters)

    def _known(
        self, place: Place, t: int, b: int, node: MatrixExpr
    ) -> Callable[[int, int], fmpq | None]:
        """Return what is known of a node's elements to be rational."""
        if self._rationals is None:
            return lambda i, j: None
        found = self._at(self._rationals, place, t, b, node).tolist()
        return lambda i, j: found[i][j]

    # --- decimals ---

    def _given(self, values: Exact) -> Shown:
        def element(i: int, j: int) -> tuple[Any, fmpq | None]:
            return None, rational(values[i, j])

        return self._show(values.shape, element, self.digits + _EXTRA_PLACES)

    def _show(
        self, shape: tuple[int, ...], element: Element, limit: int | None = None
    ) -> Shown:
        """Round and arrange what is shown of a matrix.

        Args:
            shape: Rows and columns.
            element: Gives, for a row and a column, the value and the rational that
                it is known to be, or ``None``.
            limit: Most digits after the point at which exact values are still written
                out in full.
        """
        rows = selected(shape[0], _MOST_ROWS)
        columns = selected(shape[1], columns_that_fit(self.digits))
        found = {(i, j): element(i, j) for i in rows for j in columns}
        limit = self.digits if limit is None else limit
        places = [_places(*pair, limit) for pair in found.values()]
        needed = [n for n in places if n is not None]
        exact = len(needed) == len(places)
        shown = max(needed, default=0) if exact else self.digits
        texts = {where: _decimal(*pair, shown) for where, pair in found.items()}
        self.shortened |= len(found) < shape[0] * shape[1]
        if shape == (1, 1):
            return Shown(Number(texts[0, 0]), exact)
        return Shown(Matrix(_dotted(texts, rows, columns)), exact)


def _dotted(
    texts: dict[tuple[int, int], str], rows: Sequence[int], columns: Sequence[int]
) -> tuple[tuple[Math, ...], ...]:
    """Put dots where rows and columns are left out."""
    lines: list[tuple[Math, ...]] = []
    for previous_row, i in zip([-1, *rows], rows, strict=False):
        cells: list[Math] = []
        skip: list[Math] = []
        for previous_column, j in zip([-1, *columns], columns, strict=False):
            if j > previous_column + 1:
                cells.append((Sign("cdots"),))
                skip.append((Sign("ddots"),))
            cells.append((Number(texts[i, j]),))
            skip.append((Sign("vdots"),))
        if i > previous_row + 1:
            lines.append(tuple(skip))
        lines.append(tuple(cells))
    return tuple(lines)


def _objects(rows: list[list[Any]]) -> npt.NDArray[np.object_]:
    array = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, row in enumerate(rows):
        array[i, :] = row
    return array


def _places(value: Any, known: fmpq | None, limit: int) -> int | None:
    """Return how many digits after the point a value has, ``None`` if over `limit`."""
    if known is None:
        lo, hi = value.intervals()[()]
        if lo != hi:
            return None
        known = lo
    return next((n for n in range(limit + 1) if (known * 10**n).q == 1), None)


def _decimal(value: Any, known: fmpq | None, places: int) -> str:
    """Return a value, correctly rounded, never in scientific notation."""
    if known is None:
        text = value.decimal(places=places)
    else:
        text = round_decimal(known, known, places=places)
    return format(Decimal(text), "f")
