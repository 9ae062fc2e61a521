# SPDX-License-Identifier: BSD-3-Clause
"""The numbers of a document: the one place where what a run computed is put into print.

`Results` are the numbers before they are written: what was given, and what was computed.
`Values` writes them: every number is taken from the trace and rounded once. A value is
marked exact where all that is shown of it is exactly what it is. Last, how written numbers
are put together: a matrix with dots for what it leaves out, a sum of products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sympy import MatrixExpr

from symrnn.derivations.by_hand import Drift, carry_by_hand, largest_drift
from symrnn.derivations.equations import Names, Shown, bracketed
from symrnn.derivations.exactness import Closed, Known, trace_rationals
from symrnn.derivations.letters import Notation
from symrnn.derivations.number_forms import (
    Element,
    enclosure,
    longest_fraction,
    write_numbers,
)
from symrnn.derivations.options import Options
from symrnn.derivations.selection import Gap, Selection, with_gaps
from symrnn.documents.layout import LINE, columns_that_fit, selected, width
from symrnn.documents.model import (
    Brackets,
    Function,
    Math,
    Matrix,
    Number,
    Origin,
    Sign,
    SignName,
)
from symrnn.equations.domain import Interval
from symrnn.equations.language import Matmul, postorder
from symrnn.equations.symbols import Input, Named, Parameter, Previous
from symrnn.errors import UndecidedError
from symrnn.networks.network import Network, Position
from symrnn.numerics.exact import Exact, to_rational
from symrnn.runs.arrays import Array
from symrnn.runs.trace import Trace

__all__ = [
    "Cells",
    "Numbers",
    "Results",
    "Values",
    "dotted",
    "sum_of_products",
    "transposed",
]


class Numbers(NamedTuple):
    """The numbers of a matrix: rows and columns, each number, and whether they are given."""

    shape: tuple[int, ...]
    at: Callable[[int, int], Element]
    given: bool = False


class Results:
    """What a run was given and what it computed, by layer, direction, step and sequence.

    Args:
        trace: The exact run, made with ``keep="nodes"``.
        options: What is carried from step to step, and which exact forms are followed.

    Attributes:
        trace: The exact run.
        carried: The run whose numbers are printed: the same, or one by hand.
    """

    def __init__(self, trace: Trace, options: Options) -> None:
        self.trace = trace
        self.net = trace.net
        self.carried = trace
        if options.carry == "by-hand":
            self.carried = carry_by_hand(trace.net, trace.inputs, options)
        self._rationals = trace_rationals(
            trace.net,
            trace.inputs,
            closed=options.numbers == "closed",
            longest=longest_fraction(options),
        )

    # --- what is given ---

    def parameter(self, position: Position, name: str) -> Numbers:
        """Return a parameter."""
        return self._given(self.net.parameters[position][name])

    def input(self, t: int, b: int) -> Numbers:
        """Return the input of the network at step t to sequence b of the batch."""
        return self._given(self.trace.inputs.x[t, b][:, np.newaxis])

    def initial(self, position: Position, b: int, state: str) -> Numbers:
        """Return the state that sequence b starts from."""
        inputs = self.trace.inputs
        index, column = self.net.positions.index(position), inputs.order.index(b)
        values = inputs.initial(state, index, self.net.state_sizes[state])
        return self._given(values[:, column : column + 1])

    def _given(self, values: Exact) -> Numbers:
        """Return given numbers; what is carried by hand may be copied down rounded."""
        if self.carried is self.trace:
            return Numbers(
                values.shape,
                lambda i, j: Element(None, to_rational(values[i, j])),
                True,
            )
        copied = self.carried.domain.matrix(values)

        def element(i: int, j: int) -> Element:
            return Element(
                None, copied[i, j], copied[i, j] == to_rational(values[i, j])
            )

        return Numbers(values.shape, element, True)

    # --- what is computed ---

    def node(self, position: Position, t: int, b: int, node: MatrixExpr) -> Numbers:
        """Return a node of the equations, as it is carried on."""
        if isinstance(node, Parameter):
            return self.parameter(position, node.name)
        if isinstance(node, Input) and position.layer == 0:
            return self.input(t, b)
        if isinstance(node, Previous):
            before = self.before(position, t, b)
            if before is None:
                return self.initial(position, b, node.state)
            return self.quantity(position, before, b, node.state)
        return self._computed(position, t, b, node)

    def before(self, position: Position, t: int, b: int) -> int | None:
        """Return the step before, in a direction; ``None`` before the first."""
        before = position.direction.before(t)
        return before if 0 <= before < self.trace.inputs.lengths[b] else None

    def _computed(
        self, position: Position, t: int, b: int, node: MatrixExpr
    ) -> Numbers:
        """Return what was computed.

        What is carried by hand is exact where it is what is known of the exact run.
        """
        array = self._at(self.carried, position, t, b, node)
        known = self._known(position, t, b, node)
        if self.carried is self.trace:
            return Numbers(array.shape, lambda i, j: Element(array[i, j], known(i, j)))

        def element(i: int, j: int) -> Element:
            carried = array.elements[i, j]
            return Element(None, carried, known(i, j) == carried)

        return Numbers(array.shape, element)

    def quantity(self, position: Position, t: int, b: int, name: str) -> Numbers:
        """Return a state or another quantity, as it is carried on."""
        return self.node(position, t, b, self.target(name))

    def exact(self, position: Position, t: int, b: int, node: MatrixExpr) -> Numbers:
        """Return what the exact run computed for a node, without closed forms."""
        array = self._at(self.trace, position, t, b, node)
        known = self._known(position, t, b, node)

        def element(i: int, j: int) -> Element:
            found = known(i, j)
            return Element(array[i, j], None if isinstance(found, Closed) else found)

        return Numbers(array.shape, element)

    def target(self, name: str) -> Named:
        """Return the node of a quantity."""
        return next(
            line.target for line in self.net.cell.equations if line.name == name
        )

    def _at(
        self, trace: Trace, position: Position, t: int, b: int, node: MatrixExpr
    ) -> Array:
        """Return a node's value in one sequence, as rows and columns."""
        column = trace.inputs.order.index(b)
        shared = trace.inputs.batch == 1 or not self._depends_on_step(node)

        def select(source: Trace) -> npt.NDArray[np.object_]:
            rows = source.domain.rows(source.records[position].steps[t][node])
            if not shared:
                rows = [row[column : column + 1] for row in rows]
            return _objects(rows)

        return trace._array(select)

    def _depends_on_step(self, node: MatrixExpr) -> bool:
        leaves = (leaf for leaf in postorder(node) if isinstance(leaf, Named))
        return not all(isinstance(leaf, Parameter) for leaf in leaves)

    def _known(
        self, position: Position, t: int, b: int, node: MatrixExpr
    ) -> Callable[[int, int], Known]:
        """Return what is known exactly of a node's elements."""
        if self._rationals is None:
            return lambda i, j: None
        found = self._at(self._rationals, position, t, b, node).tolist()
        return lambda i, j: found[i][j]


def _objects(rows: list[list[Any]]) -> npt.NDArray[np.object_]:
    array = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, row in enumerate(rows):
        array[i, :] = row
    return array


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
        self._names = {line.value: line.name for line in self.net.cell.equations}
        self._names |= {line.target: line.name for line in self.net.cell.equations}

    def names(self, position: Position, t: int | None = None) -> Names:
        """Return the names at a layer, direction and step, or at any step."""
        return Names.at(self.net, self.notation, position, t)

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

        def exact(
            position: Position, t: int, b: int, state: str, unit: int
        ) -> Interval:
            node = self.results.target(state)
            return enclosure(self.results.exact(position, t, b, node).at(unit, 0))

        return largest_drift(self.results.carried, exact)

    # --- what is given ---

    def parameter(self, position: Position, name: str) -> Shown:
        """Return a parameter as it is stored; one with few decimals is exact."""
        return self._parameter(position, name, turned=False)

    def _parameter(self, position: Position, name: str, *, turned: bool) -> Shown:
        key = (position, name, turned)
        if key not in self._shown:
            numbers = self.results.parameter(position, name)
            self._shown[key] = self._show(
                numbers,
                Origin(
                    quantity=name, layer=position.layer, direction=position.direction
                ),
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

    def initial(self, position: Position, b: int, state: str) -> Shown:
        """Return the state that sequence b starts from."""
        direction = position.direction
        before = direction.before(direction.start(self.trace.inputs.lengths[b]))
        origin = self._origin(state, position, before, b)
        return self._show(
            self.results.initial(position, b, state), origin, by_unit=True
        )

    # --- what is computed ---

    def node(self, position: Position, t: int, b: int, node: MatrixExpr) -> Shown:
        """Return a node of the equations at a step of sequence b."""
        if isinstance(node, Parameter):
            return self._parameter(position, node.name, turned=True)
        if isinstance(node, Input) and position.layer == 0:
            return self.input(t, b)
        if isinstance(node, Previous):
            before = self.results.before(position, t, b)
            if before is None:
                return self.initial(position, b, node.state)
            return self.node(position, before, b, self.results.target(node.state))
        key = (position, t, b, node)
        if key not in self._shown:
            origin = None
            if node in self._names:
                origin = self._origin(self._names[node], position, t, b)
            elif isinstance(node, Input):
                origin = self._origin("x", (position.layer, ""), t, b)
            numbers = self.results.node(position, t, b, node)
            self._shown[key] = self._show(
                numbers, origin, by_unit=self._has_units(node)
            )
        return self._shown[key]

    def evaluated(
        self, position: Position, t: int, b: int, node: MatrixExpr
    ) -> Shown | None:
        """Return the decimals of a node that is printed in closed form, if it is."""
        if self.options.numbers != "closed":
            return None
        if not _has_function(self.node(position, t, b, node).math):
            return None
        numbers = self.results.node(position, t, b, node)
        return self._show(
            numbers, None, by_unit=self._has_units(node), options=self._plain
        )

    def _has_units(self, node: MatrixExpr) -> bool:
        """Tell whether the rows of a node are units."""
        is_input = isinstance(node, Input)
        return not is_input and node.shape[0] in set(self.net.cell.state_sizes)

    def products(self, position: Position, t: int, b: int, node: Matmul) -> Math | None:
        """Return a matrix times a vector as sums of products of two numbers.

        Returns:
            Mathematics; ``None`` where there is nothing to add up.
        """
        left, right = (self.results.node(position, t, b, part) for part in node.args)
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
        self, parts: Sequence[Sequence[tuple[Position, int, str]]], b: int
    ) -> list[Shown]:
        """Return a matrix whose rows are states of sequence b, laid end to end.

        Args:
            parts: For each row, the (position, step, state) that it is made of.
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
            position, t, state = parts[row][part]
            return self.results.quantity(position, t, b, state).at(i, 0)

        shape = len(parts), len(columns)
        numbers = Numbers(shape, element)
        shown = [self._show(numbers, None, turn=False)]
        if self.options.numbers == "closed" and _has_function(shown[0].math):
            shown.append(self._show(numbers, None, turn=False, options=self._plain))
        return shown

    def state(self, position: Position, t: int, b: int, state: str, unit: int) -> Math:
        """Return one element of a state, as a number rather than in closed form."""
        element = self.results.quantity(position, t, b, state).at(unit, 0)
        (text,) = write_numbers([element], self._numeric).texts
        return _with_origin(text, self._origin(state, position, t, b))

    def decimals(self, position: Position, t: int, b: int, name: str) -> dict[int, str]:
        """Return a quantity's exact values as decimals, by unit from 1.

        The units that are shown, to as many digits as are printed; none where no
        precision finds them.
        """
        numbers = self.results.exact(position, t, b, self.results.target(name))
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

    def _origin(
        self, quantity: str, position: tuple[int, str], t: int, b: int
    ) -> Origin:
        layer, direction = position
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


Cells = tuple[tuple[Math, ...], ...]
"""Rows of a matrix."""


def dotted(
    cells: Mapping[tuple[int, int], Math],
    rows: Sequence[int],
    columns: Sequence[int],
    shape: tuple[int, ...],
) -> Cells:
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


_TURNED: Mapping[SignName, SignName] = {"cdots": "vdots", "vdots": "cdots"}


def transposed(cells: Cells) -> Cells:
    r"""Return rows as columns, with their dots turned.

    >>> transposed((((Sign("cdots"),),),))
    (((Sign(name='vdots'),),),)
    """
    return tuple(tuple(map(_turned, row)) for row in zip(*cells, strict=True))


def _turned(math: Math) -> Math:
    if len(math) == 1 and isinstance(math[0], Sign):
        return (Sign(_TURNED.get(math[0].name, math[0].name)),)
    return math


def sum_of_products(
    factors: Sequence[tuple[Math, Math]], terms: Sequence[int | Gap]
) -> Math:
    """Return a sum of products of two numbers.

    Args:
        factors: The pairs that are shown.
        terms: All terms in order, those that are shown by number.
    """
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
