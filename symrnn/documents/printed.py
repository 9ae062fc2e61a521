# SPDX-License-Identifier: BSD-3-Clause
"""The values of a document: the one place where what a run computed is put into print.

Every number is taken from the trace and rounded once. A value is marked exact where all
that is shown of it is exactly what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from sympy import MatrixExpr

from symrnn.cells import x
from symrnn.documents.by_hand import Drift, largest_drift
from symrnn.documents.elements import Numbers, Results
from symrnn.documents.forms import Element, enclosure, write_numbers
from symrnn.documents.layout import LINE, columns_that_fit, selected, width
from symrnn.documents.matrices import dotted, sum_of_products, transposed
from symrnn.documents.model import (
    Brackets,
    Function,
    Math,
    Matrix,
    Number,
    Origin,
    Sign,
)
from symrnn.documents.notation import Names, Shown
from symrnn.documents.notations import Notation
from symrnn.documents.options import Options
from symrnn.documents.selection import Gap, Selection, with_gaps
from symrnn.domains.base import Interval
from symrnn.errors import UndecidedError
from symrnn.language import Matmul, Named
from symrnn.network import Network, Place
from symrnn.trace import Trace

__all__ = ["Values"]

_MOST_ROWS = 8
_MOST_CHOSEN = 24
_SUMS = LINE - 12  # room for sums of products, beside what they are equal to


class Values:
    """Everything that a run computed, ready for print.

    Args:
        trace: The exact run, made with ``keep="nodes"``.
        options: How numbers are printed.

    Attributes:
        trace: The exact run.
        results: The numbers, before they are written.
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
        self.results = Results(trace, options)
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

        def exact(place: Place, t: int, b: int, state: str, unit: int) -> Interval:
            node = self.results.target(state)
            return enclosure(self.results.exact(place, t, b, node).at(unit, 0))

        return largest_drift(self.results.carried, exact)

    # --- what is given ---

    def parameter(self, place: Place, name: str) -> Shown:
        """Return a parameter as it is stored; one with few decimals is exact."""
        return self._parameter(place, name, turned=False)

    def _parameter(self, place: Place, name: str, *, turned: bool) -> Shown:
        key = (place, name, turned)
        if key not in self._shown:
            numbers = self.results.parameter(place, name)
            self._shown[key] = self._show(
                numbers,
                Origin(quantity=name, layer=place[0], direction=place[1]),
                by_unit=name in self._unit_rows,
                turn=turned or numbers.shape[1] == 1,
            )
        return self._shown[key]

    @cached_property
    def _unit_rows(self) -> set[str]:
        """The parameters that have a row for each unit."""
        sizes = set(self.net.cell.state_sizes)
        return {p.name for p in self.net.cell.parameters if p.shape[0] in sizes}

    def input(self, t: int, b: int) -> Shown:
        """Return the input of the network at step t to sequence b of the batch."""
        origin = Origin(quantity="x", step=t, sequence=b)
        return self._show(self.results.input(t, b), origin)

    def initial(self, place: Place, b: int, state: str) -> Shown:
        """Return the state that sequence b starts from."""
        before = self.trace.inputs.lengths[b] if place[1] == "reverse" else -1
        origin = self._origin(state, place, before, b)
        return self._show(self.results.initial(place, b, state), origin, by_unit=True)

    # --- what is computed ---

    def node(self, place: Place, t: int, b: int, node: MatrixExpr) -> Shown:
        """Return a node of the equations at a step of sequence b."""
        if node in self._parameters:
            return self._parameter(place, node.name, turned=True)
        if node == x and place[0] == 0:
            return self.input(t, b)
        if isinstance(node, Named) and node.name.endswith("_prev"):
            state = node.name.removesuffix("_prev")
            before = self.results.before(place, t, b)
            if before is None:
                return self.initial(place, b, state)
            return self.node(place, before, b, self.results.target(state))
        key = (place, t, b, node)
        if key not in self._shown:
            origin = None
            if node in self._names:
                origin = self._origin(self._names[node], place, t, b)
            elif node == x:
                origin = self._origin("x", (place[0], ""), t, b)
            numbers = self.results.node(place, t, b, node)
            self._shown[key] = self._show(
                numbers, origin, by_unit=self._has_units(node)
            )
        return self._shown[key]

    def evaluated(self, place: Place, t: int, b: int, node: MatrixExpr) -> Shown | None:
        """Return the decimals of a node that is printed in closed form, if it is."""
        if self.options.numbers != "closed":
            return None
        if not _has_function(self.node(place, t, b, node).math):
            return None
        numbers = self.results.node(place, t, b, node)
        return self._show(
            numbers, None, by_unit=self._has_units(node), options=self._plain
        )

    def _has_units(self, node: MatrixExpr) -> bool:
        """Tell whether the rows of a node are units."""
        return node != x and node.shape[0] in set(self.net.cell.state_sizes)

    def products(self, place: Place, t: int, b: int, node: Matmul) -> Math | None:
        """Return a matrix times a vector as sums of products of two numbers.

        Returns:
            Mathematics; ``None`` where there is nothing to add up.
        """
        left, right = (self.results.node(place, t, b, part) for part in node.args)
        (count, inner), (_, columns) = left.shape, right.shape
        if columns != 1 or inner == 1:
            return None
        most = max(3, columns_that_fit(self.digits) // 2 + 1)  # two numbers in each
        while width(found := self._sums(left, right, most)) > _SUMS and most > 3:
            most -= 1
        if self.options.vectors == "row" and count > 1:
            return *found, Sign("transposed")  # no line has room for sums side by side
        return found

    def _sums(self, left: Numbers, right: Numbers, most: int) -> Math:
        """Return a product as sums of so many products, of which the dots take one."""
        count, inner = left.shape
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
                sums.append(sum_of_products(found, terms))
        return sums[0] if count == 1 else (Matrix(tuple((row,) for row in sums)),)

    def _write(
        self, numbers: Numbers, where: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], Math]:
        chosen = [numbers.at(i, j) for i, j in where]
        texts = write_numbers(chosen, self.options, given=numbers.given).texts
        return dict(zip(where, texts, strict=True))

    def rows(
        self, parts: Sequence[Sequence[tuple[Place, int, str]]], b: int
    ) -> list[Shown]:
        """Return a matrix whose rows are states of sequence b, laid end to end.

        Args:
            parts: For each row, the (place, step, state) that it is made of.
            b: The sequence.

        Returns:
            The matrix; and in decimals too, where it has closed forms.
        """
        columns = [
            (part, i)
            for part, (_, _, state) in enumerate(parts[0])
            for i in range(self.net.state_sizes[state])
        ]

        def element(row: int, column: int) -> Element:
            part, i = columns[column]
            place, t, state = parts[row][part]
            return self.results.quantity(place, t, b, state).at(i, 0)

        shape = len(parts), len(columns)
        numbers = Numbers(shape, element)
        shown = [self._show(numbers, None, turn=False)]
        if self.options.numbers == "closed" and _has_function(shown[0].math):
            shown.append(self._show(numbers, None, turn=False, options=self._plain))
        return shown

    def state(self, place: Place, t: int, b: int, state: str, unit: int) -> Math:
        """Return one element of a state, as a number rather than in closed form."""
        element = self.results.quantity(place, t, b, state).at(unit, 0)
        (text,) = write_numbers([element], self._numeric).texts
        return _with_origin(text, self._origin(state, place, t, b))

    def decimals(self, place: Place, t: int, b: int, name: str) -> dict[int, str]:
        """Return a quantity's exact values as decimals, by unit from 1.

        The units that are shown, to as many digits as are printed; none where no
        precision finds them.
        """
        numbers = self.results.exact(place, t, b, self.results.target(name))
        units = self._rows_shown(numbers.shape[0], by_unit=True)
        elements = [numbers.at(i, 0) for i in units]
        try:
            texts = write_numbers(elements, self._plain).texts
        except UndecidedError:  # by hand, what is printed may have digits all the same
            return {}
        return {
            i + 1: math[0].text
            for i, math in zip(units, texts, strict=True)
            if isinstance(math[0], Number)
        }

    def _origin(self, quantity: str, place: tuple[int, Any], t: int, b: int) -> Origin:
        layer, direction = place
        return Origin(
            quantity=quantity, layer=layer, direction=direction, step=t, sequence=b
        )

    # --- in print ---

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
        numbers: Numbers,
        origin: Origin | None,
        *,
        by_unit: bool = False,
        turn: bool = True,
        options: Options | None = None,
    ) -> Shown:
        """Write and arrange what is shown of a matrix.

        Args:
            numbers: The matrix.
            origin: What it is.
            by_unit: Whether rows are units.
            turn: Whether it is printed transposed where vectors are rows.
            options: How numbers look; as the document's by default.
        """
        shape = numbers.shape
        turned = turn and self.options.vectors == "row"
        rows = self._rows_shown(shape[0], by_unit=by_unit, across=turned)
        most = _MOST_ROWS if turned else columns_that_fit(self.digits)
        columns = selected(shape[1], most)
        where = [(i, j) for i in rows for j in columns]
        texts, exact = write_numbers(
            [numbers.at(i, j) for i, j in where],
            options or self.options,
            given=numbers.given,
        )
        if len(rows if turned else columns) > 1:  # a sum beside a sum reads as one
            texts = [(Brackets(text),) if _is_sum(text) else text for text in texts]
        self.shortened |= len(where) < shape[0] * shape[1]
        cells = dict(zip(where, texts, strict=True))
        if shape == (1, 1):
            return Shown(_with_origin(cells[0, 0], origin), exact)
        lines = dotted(cells, rows, columns, shape)
        if turned:
            lines = transposed(lines)
        return Shown((Matrix(lines, origin),), exact)


def _is_sum(math: Math) -> bool:
    return Sign("plus") in math or Sign("minus") in math


def _has_function(math: Math) -> bool:
    for piece in math:
        match piece:
            case Function():
                return True
            case Brackets() if _has_function(piece.body):
                return True
            case Matrix() if any(_has_function(c) for row in piece.rows for c in row):
                return True
    return False


def _with_origin(math: Math, origin: Origin | None) -> Math:
    if len(math) == 1 and isinstance(math[0], Number):
        return (replace(math[0], origin=origin),)
    return math
