# SPDX-License-Identifier: BSD-3-Clause
"""The values of a document: the one place where what a run computed is put into print.

Every number is taken from the trace and rounded once. A value is marked exact where all
that is shown of it is exactly what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sympy import MatrixExpr

from symrnn.arrays import Array
from symrnn.cells import x
from symrnn.documents.by_hand import Drift, carry_by_hand, largest_drift
from symrnn.documents.exactness import Closed, Known, rational, trace_rationals
from symrnn.documents.forms import Element, longest_fraction, write_numbers
from symrnn.documents.layout import columns_that_fit, selected
from symrnn.documents.model import Math, Matrix, Number, Origin, Sign
from symrnn.documents.notation import Names, Shown, bracketed
from symrnn.documents.notations import Notation
from symrnn.documents.options import Options
from symrnn.documents.selection import Gap, Selection, with_gaps
from symrnn.language import Matmul, Named, postorder
from symrnn.network import Network, Place
from symrnn.numbers import Exact
from symrnn.trace import Trace

__all__ = ["Values", "dotted"]

Chosen = Callable[[int, int], Element]

_MOST_ROWS = 8
_MOST_CHOSEN = 24


class _Elements(NamedTuple):
    """The numbers of a matrix, and whether they are given."""

    shape: tuple[int, ...]
    at: Chosen
    given: bool


class Values:
    """Everything that a run computed, ready for print.

    Args:
        trace: The exact run, made with ``keep="nodes"``.
        options: How numbers are printed.

    Attributes:
        trace: The exact run.
        carried: The run whose numbers are printed: the same, or one by hand.
        selection: What of it is shown.
        notation: The letters.
        shortened: Whether a matrix has been elided so far.
    """

    def __init__(self, trace: Trace, options: Options) -> None:
        self.trace = trace
        self.net: Network = trace.net
        self.options = options
        self.digits = options.digits
        self.selection = Selection(options, trace.net, trace.inputs)
        self.notation = Notation.of(trace.net.cell, options)
        self.shortened = False
        self.carried = trace
        if options.carry == "by-hand":
            self.carried = carry_by_hand(trace.net, trace.inputs, options)
        self._rationals = trace_rationals(
            trace.net,
            trace.inputs,
            closed=options.numbers == "closed",
            longest=longest_fraction(options),
        )
        self._shown: dict[Any, Shown] = {}
        self._parameters = frozenset(self.net.cell.parameters)
        self._names = {line.value: line.name for line in self.net.cell.equations}
        self._names |= {line.target: line.name for line in self.net.cell.equations}

    def names(self, place: Place, t: int | None = None) -> Names:
        """Return the names at a layer, direction and step, or at any step."""
        return Names.at(self.net, self.notation, place, t)

    @cached_property
    def _plain(self) -> Options:
        """The options, but for decimals of the exact run."""
        return replace(self.options, numbers="decimal", carry="exact")

    @cached_property
    def _numeric(self) -> Options:
        """The options, but without closed forms: tables have numbers to compare."""
        if self.options.numbers == "closed":
            return replace(self.options, numbers="fraction")
        return self.options

    @cached_property
    def drift(self) -> Drift | None:
        """How far states carried by hand are from the exact ones, at most."""
        return largest_drift(self.carried, self.trace)

    # --- what is given ---

    def parameter(self, place: Place, name: str) -> Shown:
        """Return a parameter as it is stored; one with few decimals is exact."""
        return self._parameter(place, name, turned=False)

    def _parameter(self, place: Place, name: str, *, turned: bool) -> Shown:
        key = (place, name, turned)
        if key not in self._shown:
            values = self.net.parameters[place][name]
            origin = Origin(quantity=name, layer=place[0], direction=place[1])
            by_unit = name in self._unit_rows
            self._shown[key] = self._given(values, origin, by_unit, turned)
        return self._shown[key]

    @cached_property
    def _unit_rows(self) -> set[str]:
        """The parameters that have a row for each unit."""
        sizes = set(self.net.cell.state_sizes)
        return {p.name for p in self.net.cell.parameters if p.shape[0] in sizes}

    def input(self, t: int, b: int) -> Shown:
        """Return the input of the network at step t to sequence b of the batch."""
        origin = Origin(quantity="x", step=t, sequence=b)
        values = self.trace.inputs.x[t, b][:, np.newaxis]
        return self._given(values, origin, False, False)

    def initial(self, place: Place, b: int, state: str) -> Shown:
        """Return the state that sequence b starts from."""
        size = self.net.state_sizes[state]
        index = self.net.places.index(place)
        column = self.trace.inputs.order.index(b)
        values = self.trace.inputs.initial(state, index, size)
        before = self.trace.inputs.lengths[b] if place[1] == "reverse" else -1
        origin = self._origin(state, place, before, b)
        return self._given(values[:, column : column + 1], origin, True, False)

    # --- what is computed ---

    def node(self, place: Place, t: int, b: int, node: MatrixExpr) -> Shown:
        """Return a node of the equations at a step of sequence b."""
        if node in self._parameters:
            return self._parameter(place, node.name, turned=True)
        if node == x and place[0] == 0:
            return self.input(t, b)
        if isinstance(node, Named) and node.name.endswith("_prev"):
            before = t + 1 if place[1] == "reverse" else t - 1
            state = node.name.removesuffix("_prev")
            if not 0 <= before < self.trace.inputs.lengths[b]:
                return self.initial(place, b, state)
            return self.node(place, before, b, self._target(state))
        key = (place, t, b, node)
        if key not in self._shown:
            array = self._at(self.carried, place, t, b, node)
            known = self._known(place, t, b, node)
            origin = None
            if node in self._names:
                origin = self._origin(self._names[node], place, t, b)
            elif node == x:
                origin = self._origin("x", (place[0], ""), t, b)
            by_unit = node != x and node.shape[0] in set(self.net.cell.state_sizes)
            self._shown[key] = self._show(
                array.shape, self._chosen(array, known), origin, by_unit=by_unit
            )
        return self._shown[key]

    def products(self, place: Place, t: int, b: int, node: Matmul) -> Math | None:
        """Return a matrix times a vector as sums of products of two numbers.

        Returns:
            Mathematics; ``None`` where there is nothing to add up.
        """
        left, right = (self._elements(place, t, b, part) for part in node.args)
        (count, inner), (_, columns) = left.shape, right.shape
        if columns != 1 or inner == 1:
            return None
        most = max(3, columns_that_fit(self.digits) // 2 + 1)  # two numbers in each
        terms = list(with_gaps(selected(inner, most), range(inner)))
        kept = [k for k in terms if not isinstance(k, Gap)]
        vector = self._write(right, [(k, 0) for k in kept])
        units = list(with_gaps(self._rows_shown(count, by_unit=True), range(count)))
        rows = [i for i in units if not isinstance(i, Gap)]
        weights = self._write(left, [(i, k) for i in rows for k in kept])
        sums: list[Math] = []
        for i in units:
            if isinstance(i, Gap):
                sums.append((Sign("vdots"),))
            else:
                found = [(weights[i, k], vector[k, 0]) for k in kept]
                sums.append(_sum_of_products(found, terms))
        if count == 1:
            return sums[0]
        column = Matrix(tuple((row,) for row in sums))
        if self.options.vectors == "row":  # no line has room for sums side by side
            return column, Sign("transposed")
        return (column,)

    def _write(
        self, elements: _Elements, where: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], Math]:
        chosen = [elements.at(i, j) for i, j in where]
        texts = write_numbers(chosen, self.options, given=elements.given).texts
        return dict(zip(where, texts, strict=True))

    def _elements(self, place: Place, t: int, b: int, node: MatrixExpr) -> _Elements:
        """Return what a node's numbers are, given or computed."""
        given: Exact | None = None
        if node in self._parameters:
            given = self.net.parameters[place][node.name]
        elif node == x and place[0] == 0:
            given = self.trace.inputs.x[t, b][:, np.newaxis]
        elif isinstance(node, Named) and node.name.endswith("_prev"):
            before = t + 1 if place[1] == "reverse" else t - 1
            state = node.name.removesuffix("_prev")
            if 0 <= before < self.trace.inputs.lengths[b]:
                return self._elements(place, before, b, self._target(state))
            index = self.net.places.index(place)
            column = self.trace.inputs.order.index(b)
            size = self.net.state_sizes[state]
            initial = self.trace.inputs.initial(state, index, size)
            given = initial[:, column : column + 1]
        if given is not None:
            return _Elements(given.shape, self._given_element(given), True)
        array = self._at(self.carried, place, t, b, node)
        known = self._known(place, t, b, node)
        return _Elements(array.shape, self._chosen(array, known), False)

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

        def element(row: int, column: int) -> Element:
            part, i = columns[column]
            return self._state(*parts[row][part], b, i)

        return self._show((len(parts), len(columns)), element, None, turn=False)

    def state(self, place: Place, t: int, b: int, state: str, unit: int) -> Math:
        """Return one element of a state, as a number rather than in closed form."""
        element = self._state(place, t, state, b, unit)
        (text,) = write_numbers([element], self._numeric).texts
        return _with_origin(text, self._origin(state, place, t, b))

    def decimals(self, place: Place, t: int, b: int, name: str) -> dict[int, str]:
        """Return a quantity's exact values as decimals, by unit from 1.

        The units that are shown, to as many digits as are printed.
        """
        node = self._target(name)
        array = self._at(self.trace, place, t, b, node)
        units = self._rows_shown(array.shape[0], by_unit=True)
        known = self._known(place, t, b, node)
        elements = []
        for i in units:
            exact = known(i, 0)
            plain = None if isinstance(exact, Closed) else exact
            elements.append(Element(array[i, 0], plain))
        texts = write_numbers(elements, self._plain).texts
        numbers = [math[0] for math in texts]
        return {
            i + 1: n.text
            for i, n in zip(units, numbers, strict=True)
            if isinstance(n, Number)
        }

    def unit(self, place: Place, t: int, b: int, state: str, unit: int) -> Array:
        """Return one element of a state, exactly: to any number of digits."""
        return self._at(self.trace, place, t, b, self._target(state))[unit, 0]

    def _state(self, place: Place, t: int, state: str, b: int, unit: int) -> Element:
        node = self._target(state)
        array = self._at(self.carried, place, t, b, node)
        return self._chosen(array, self._known(place, t, b, node))(unit, 0)

    def _target(self, name: str) -> Named:
        return next(
            line.target for line in self.net.cell.equations if line.name == name
        )

    def _origin(self, quantity: str, place: tuple[int, Any], t: int, b: int) -> Origin:
        layer, direction = place
        return Origin(
            quantity=quantity, layer=layer, direction=direction, step=t, sequence=b
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
        return not leaves <= self._parameters

    def _known(
        self, place: Place, t: int, b: int, node: MatrixExpr
    ) -> Callable[[int, int], Known]:
        """Return what is known exactly of a node's elements."""
        if self._rationals is None:
            return lambda i, j: None
        found = self._at(self._rationals, place, t, b, node).tolist()
        return lambda i, j: found[i][j]

    def _chosen(self, array: Array, known: Callable[[int, int], Known]) -> Chosen:
        """Return the elements of a computed value.

        What is carried by hand is exact where it is what is known of the exact run.
        """
        if self.carried is self.trace:
            return lambda i, j: Element(array[i, j], known(i, j))

        def element(i: int, j: int) -> Element:
            carried = array.elements[i, j]
            return Element(None, carried, known(i, j) == carried)

        return element

    # --- in print ---

    def _given(
        self, values: Exact, origin: Origin, by_unit: bool, turned: bool
    ) -> Shown:
        return self._show(
            values.shape,
            self._given_element(values),
            origin,
            given=True,
            by_unit=by_unit,
            turn=turned or values.shape[1] == 1,
        )

    def _given_element(self, values: Exact) -> Chosen:
        """Return given numbers; what is carried by hand may be copied down rounded."""
        if self.carried is self.trace:
            return lambda i, j: Element(None, rational(values[i, j]))
        copied = self.carried.domain.matrix(values)

        def element(i: int, j: int) -> Element:
            return Element(None, copied[i, j], copied[i, j] == rational(values[i, j]))

        return element

    def _rows_shown(
        self, count: int, *, by_unit: bool, across: bool = False
    ) -> tuple[int, ...]:
        """Return the rows that have room below each other, or side by side."""
        side = columns_that_fit(self.digits)
        chosen = self.selection.units(count) if by_unit else None
        if chosen is None:
            return selected(count, side if across else _MOST_ROWS)
        room = selected(len(chosen), side if across else _MOST_CHOSEN)
        return tuple(chosen[i] for i in room)

    def _show(
        self,
        shape: tuple[int, ...],
        element: Chosen,
        origin: Origin | None,
        *,
        given: bool = False,
        by_unit: bool = False,
        turn: bool = True,
    ) -> Shown:
        """Write and arrange what is shown of a matrix.

        Args:
            shape: Rows and columns.
            element: Gives the number in a row and a column.
            origin: What the matrix is.
            given: As in `write_numbers`.
            by_unit: Whether rows are units.
            turn: Whether it is printed transposed where vectors are rows.
        """
        turned = turn and self.options.vectors == "row"
        rows = self._rows_shown(shape[0], by_unit=by_unit, across=turned)
        most = _MOST_ROWS if turned else columns_that_fit(self.digits)
        columns = selected(shape[1], most)
        where = [(i, j) for i in rows for j in columns]
        texts, exact = write_numbers(
            [element(i, j) for i, j in where], self.options, given=given
        )
        self.shortened |= len(where) < shape[0] * shape[1]
        cells = dict(zip(where, texts, strict=True))
        if shape == (1, 1):
            return Shown(_with_origin(cells[0, 0], origin), exact)
        lines = dotted(cells, rows, columns, shape)
        if turned:
            lines = _transposed(lines)
        return Shown((Matrix(lines, origin),), exact)


def _sum_of_products(
    factors: Sequence[tuple[Math, Math]], terms: Sequence[int | Gap]
) -> Math:
    math: Math = ()
    pairs = iter(factors)
    for term in terms:
        if math:
            math = (*math, Sign("plus"))
        if isinstance(term, Gap):
            math = (*math, Sign("cdots"))
            continue
        a, b = next(pairs)
        head = bracketed(a, first=not math)
        math = (*math, *head, Sign("dot"), *bracketed(b, first=False))
    return math


def _with_origin(math: Math, origin: Origin | None) -> Math:
    if len(math) == 1 and isinstance(math[0], Number):
        return (replace(math[0], origin=origin),)
    return math


def dotted(
    cells: dict[tuple[int, int], Math],
    rows: Sequence[int],
    columns: Sequence[int],
    shape: tuple[int, ...],
) -> tuple[tuple[Math, ...], ...]:
    """Return the rows of a matrix, with dots for the rows and columns left out.

    Args:
        cells: What is shown, by row and column.
        rows: The rows that are shown.
        columns: The columns that are shown.
        shape: How many rows and columns there are.
    """
    across = list(with_gaps(columns, range(shape[1])))
    lines: list[tuple[Math, ...]] = []
    for i in with_gaps(rows, range(shape[0])):
        line: list[Math] = []
        for j in across:
            if isinstance(i, Gap):
                line.append((Sign("ddots" if isinstance(j, Gap) else "vdots"),))
            else:
                line.append((Sign("cdots"),) if isinstance(j, Gap) else cells[i, j])
        lines.append(tuple(line))
    return tuple(lines)


_TURNED = {"cdots": "vdots", "vdots": "cdots"}


def _transposed(lines: tuple[tuple[Math, ...], ...]) -> tuple[tuple[Math, ...], ...]:
    def turn(math: Math) -> Math:
        if len(math) == 1 and isinstance(math[0], Sign) and math[0].name in _TURNED:
            return (Sign(_TURNED[math[0].name]),)  # type: ignore[arg-type]
        return math

    return tuple(
        tuple(turn(math) for math in line) for line in zip(*lines, strict=True)
    )


def _objects(rows: list[list[Any]]) -> npt.NDArray[np.object_]:
    array = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, row in enumerate(rows):
        array[i, :] = row
    return array
