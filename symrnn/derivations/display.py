# SPDX-License-Identifier: BSD-3-Clause
"""What values show of themselves in a notebook: a few blocks, in three formats.

Large values are shortened before anything of them is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import numpy as np
from flint import fmpq

from symrnn.audits.pages.wording import (
    LAYER_HEADINGS,
    RESULT_HEADINGS,
    layer_rows,
    result_rows,
    sentence,
)
from symrnn.audits.report import Report
from symrnn.derivations.derive import Derivation
from symrnn.derivations.equations import Names
from symrnn.derivations.letters import Notation
from symrnn.derivations.number_forms import Element, write_numbers
from symrnn.derivations.numbers import dotted
from symrnn.derivations.opening import (
    architecture,
    cell_equations,
    network_equations,
    position_title,
    shape_text,
)
from symrnn.derivations.options import Options
from symrnn.derivations.selection import Gap, Selection, with_gaps
from symrnn.derivations.summary import all_states
from symrnn.documents.displayed import Form
from symrnn.documents.html.page import write_fragment
from symrnn.documents.latex.math import math
from symrnn.documents.latex.writer import write_latex
from symrnn.documents.layout import columns_that_fit, selected
from symrnn.documents.markdown import write_markdown
from symrnn.documents.model import (
    Block,
    Display,
    Document,
    Equations,
    Line,
    Math,
    Matrix,
    Paragraph,
    Sign,
    Strong,
    Table,
)
from symrnn.equations.cells import Cell
from symrnn.equations.symbols import x
from symrnn.errors import SymrnnError
from symrnn.networks.network import Network, Position
from symrnn.runs.arrays import Array, PackedArray
from symrnn.runs.trace import Trace
from symrnn.runs.unroll import Unrolled, UnrolledStep

__all__ = ["show"]

_DIGITS = 6
_MOST_ROWS = 8
_MOST_MATRICES = 4
_MOST_STEPS = 4
_MOST_LAYERS = 3
_LAYER_COLUMNS = {
    "layer": "l",
    "direction": "l",
    "judged": "r",
    "beyond": "r",
    "largest": "r",
    "where it is largest": "l",
}
_RESULT_COLUMNS = {
    "result": "l",
    "shape": "l",
    "elements": "r",
    "beyond": "r",
    "max ulps": "r",
    "max error": "r",
    "rounded right": "r",
}
_SMALL, _LARGE = fmpq(1, 1000), 10**6


def show(value: Any, form: Form) -> str | None:
    r"""Return what a notebook shows of a value, or ``None`` to leave it at its ``repr``.

    Args:
        value: A derivation, trace, array, network, cell, unrolled network or report.
        form: The format.

    >>> from symrnn.equations.cells import rnn
    >>> print(show(rnn(bias=False), "markdown"))
    **RNN (tanh)**
    <BLANKLINE>
    $$
    \begin{aligned}
    h_{t} &= \tanh(W_{ih} x_{t} + W_{hh} h_{t-1})
    \end{aligned}
    $$
    <BLANKLINE>
    """
    colour = isinstance(value, Derivation) and value.options.colour
    try:
        document = Document(tuple(_blocks(value)))
    except SymrnnError:  # such as digits that cannot be decided
        return None
    if form == "html":
        return write_fragment(document, label=type(value).__name__, colour=colour)
    if form == "markdown":
        return write_markdown(document)
    formulas = [block for block in document if isinstance(block, Display)]
    if isinstance(value, Array | PackedArray):
        lines = (line for block in formulas for line in block.lines)
        return "\n\n".join(rf"$\displaystyle {math(line)}$" for line in lines)
    return write_latex(document, form="fragment", colour=colour)


@singledispatch
def _blocks(value: Any) -> Iterator[Block]:
    """Yield what is shown of a value."""
    raise TypeError(f"nothing to show of {type(value).__name__}")


@_blocks.register
def _(derivation: Derivation) -> Iterator[Block]:
    yield from derivation.document


# --- networks -----------------------------------------------------------------------


@_blocks.register
def _(cell: Cell) -> Iterator[Block]:
    yield Paragraph((Strong(cell.name),), leads=True)
    yield cell_equations(Names(cell=cell, notation=Notation.of(cell, Options())))


@_blocks.register
def _(net: Network) -> Iterator[Block]:
    yield architecture(net)
    yield from network_equations(net, Notation.of(net.cell, Options()))


@_blocks.register
def _(unrolled: Unrolled) -> Iterator[Block]:
    net = unrolled.net
    layers = selected(net.num_layers, _MOST_LAYERS)
    for layer in with_gaps(layers, range(net.num_layers)):
        if isinstance(layer, Gap):
            yield Display(((Sign("vdots"),),))
            continue
        for position in net.layer(layer):
            title = position_title(net, position)
            if title:
                yield Paragraph((f"{title}:",), leads=True)
            yield from _steps(unrolled, position)


@_blocks.register
def _(step: UnrolledStep) -> Iterator[Block]:
    yield Equations(tuple(_step_lines(step)))


def _steps(unrolled: Unrolled, position: Position) -> Iterator[Block]:
    """Yield the equations of the first steps of a direction, and of the last."""
    order = position.direction.order(unrolled.steps)
    shown = [order[i] for i in selected(len(order), _MOST_STEPS)]
    for t in with_gaps(shown, order):
        if isinstance(t, Gap):
            yield Display(((Sign("vdots"),),))
        else:
            yield from _blocks(unrolled[(*position, t)])


def _step_lines(step: UnrolledStep) -> Iterator[Line]:
    net, (layer, _) = step.unrolled.net, step.position
    notation = Notation.of(net.cell, Options())
    names = Names.at(net, notation, step.position, step.t)
    if layer:
        below = tuple(
            Names.at(net, notation, p, step.t).state(net.cell.states[0])
            for p in net.layer(layer - 1)
        )
        parts: Math = below
        if len(below) > 1:
            parts = (Matrix(tuple(((symbol,),) for symbol in below)),)
        yield Line((names.symbol(x),), "equals", parts)
    yield from cell_equations(names).lines


# --- numbers ------------------------------------------------------------------------


@_blocks.register
def _(array: Array) -> Iterator[Block]:
    if not np.prod(array.shape):
        yield Paragraph((f"No numbers: shape {shape_text(array.shape)}.",))
        return
    places = list(np.ndindex(array.shape[:-2]))  # of the matrices in it
    count = len(places)
    matrices: list[Math] = []
    kinds = set()
    for i in with_gaps(selected(count, _MOST_MATRICES), range(count)):
        if isinstance(i, Gap):
            matrices.append((Sign("vdots"),))
            continue
        formula, kind = _matrix(array[places[i]])
        matrices.append(formula)
        kinds.add(kind)
    yield Display(tuple(matrices))
    what = f"Shape {shape_text(array.shape)}" if array.ndim else "One number"
    yield Paragraph((f"{what}, {' and '.join(sorted(kinds))}.",))


@_blocks.register
def _(packed: PackedArray) -> Iterator[Block]:
    yield from _blocks(packed.data)
    sizes = ", ".join(map(str, packed.batch_sizes[:_MOST_ROWS]))
    more = ", …" if len(packed.batch_sizes) > _MOST_ROWS else ""
    yield Paragraph((f"Packed; sequences running at each step: {sizes}{more}.",))


def _matrix(array: Array) -> tuple[Math, str]:
    """Return a matrix, a row or a number, and how well its digits are known."""
    shape = (1,) * (2 - array.ndim) + array.shape
    rows = selected(shape[0], _MOST_ROWS)
    columns = selected(shape[1], columns_that_fit(_DIGITS))
    where = [(i, j) for i in rows for j in columns]
    numbers = [array[(i, j)[2 - array.ndim :]] for i, j in where]
    texts, kind = _written(numbers)
    if not array.ndim:
        return texts[0], kind
    cells = dict(zip(where, texts, strict=True))
    return (Matrix(dotted(cells, rows, columns, shape)),), kind


def _element(number: Array) -> Element:
    known: Any = number.elements[()]
    return Element(number, known if isinstance(known, fmpq) else None)


def _written(numbers: Sequence[Array]) -> tuple[list[Math], str]:
    """Write numbers to some decimals, or where those say little, significant digits."""
    sizes = [max(map(abs, number.intervals()[()])) for number in numbers]
    significant = 0 < max(sizes) < _SMALL or max(sizes) >= _LARGE
    options = Options(
        digits=_DIGITS,
        rounding="significant" if significant else "decimals",
        numbers="fraction",
    )
    texts, exact = write_numbers([_element(number) for number in numbers], options)
    what = "significant digits" if significant else "decimals"
    return texts, "exact" if exact else f"rounded to {_DIGITS} {what}"


# --- runs ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """The states of a run, as its tables ask for them."""

    trace: Trace
    selection: Selection
    columns: dict[Any, Array] = field(default_factory=dict)

    def names(self, position: Position, t: int | None = None) -> Names:
        net = self.trace.net
        return Names.at(net, Notation.of(net.cell, self.selection.options), position, t)

    def state(self, position: Position, t: int, b: int, state: str, unit: int) -> Math:
        key = (position, t, b, state)
        if key not in self.columns:
            self.columns[key] = self._column(position, t, b, state)
        element = _element(self.columns[key][unit])
        return write_numbers([element], self.selection.options).texts[0]

    def _column(self, position: Position, t: int, b: int, state: str) -> Array:
        column = self.trace.inputs.order.index(b)

        def select(trace: Trace) -> Any:
            rows = trace.domain.rows(trace.records[position].steps[t][state])
            found = np.empty(len(rows), dtype=object)
            found[:] = [row[column] for row in rows]
            return found

        return self.trace._array(select)


@_blocks.register
def _(trace: Trace) -> Iterator[Block]:
    net, inputs = trace.net, trace.inputs
    steps, sequences = max(inputs.lengths), inputs.batch
    size = _counted(steps, "step"), _counted(sequences, "sequence")
    yield Paragraph((Strong(net.cell.name), f", {' and '.join(size)}."))
    few = len(net.positions) <= 2
    options = Options(layers=None if few else (net.num_layers,), numbers="fraction")
    what = "The states" if few else "The states of the last layer"
    which = ", the first sequence" if sequences > 1 else ""
    yield Paragraph((f"{what}{which}, to {options.digits} decimals:",), leads=True)
    yield from all_states(_Run(trace, Selection(options, net, inputs)), 0)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


@_blocks.register
def _(report: Report) -> Iterator[Block]:
    yield Paragraph((Strong(sentence(report)),))
    yield Paragraph((f"{report.subject}: {report.network}, {report.dtype}.",))
    if report.layers:
        yield _table(LAYER_HEADINGS, layer_rows(report), _LAYER_COLUMNS)
    if report.tensors:
        yield _table(RESULT_HEADINGS, result_rows(report), _RESULT_COLUMNS)
    for statement in report.statements:
        yield Paragraph((Strong(statement.kind.capitalize()), f": {statement.text}"))


def _table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    columns: Mapping[str, str],
) -> Table:
    """Return the columns of a report's table that have room on a page."""
    shown = [headings.index(name) for name in columns]
    return Table(
        tuple((name,) for name in columns),
        tuple(tuple((row[i],) for i in shown) for row in rows),
        "".join(columns.values()),
    )
