# SPDX-License-Identifier: BSD-3-Clause
"""How the states become what torch returns: ``output``, ``h_n`` and ``c_n``."""

from __future__ import annotations

from collections.abc import Iterator

from symrnn.derivations.equations import Names
from symrnn.derivations.numbers import Values
from symrnn.derivations.opening import shape_text
from symrnn.documents.layout import fill, selected, width
from symrnn.documents.model import (
    Block,
    Code,
    Equations,
    Formula,
    Heading,
    Inline,
    Line,
    Math,
    Matrix,
    Number,
    Paragraph,
    Sign,
    Symbol,
)
from symrnn.networks.network import Position
from symrnn.runs.arrays import PackedArray

__all__ = ["closing"]

Part = tuple[Position, int, str]


def closing(values: Values) -> Iterator[Block]:
    """Yield how the outputs are put together, for the sequences that are shown."""
    yield Heading(2, ("Output",))
    if not values.trace.inputs.layout.single_step:
        yield from _output(values)
    yield from _last_states(values)
    if values.options.carry == "by-hand":
        yield from _drift(values)


def _drift(values: Values) -> Iterator[Block]:
    """Yield how far the states that were carried by hand are from the exact ones."""
    drift = values.drift
    if drift is None:
        return
    yield Heading(2, ("Drift",))
    if drift.size == "0":
        yield Paragraph(("No state differs from exact arithmetic.",))
        return
    names = values.names(drift.position, drift.step)
    where: list[Inline] = [Formula((names.state(drift.state),))]
    if values.net.state_sizes[drift.state] > 1:
        where.append(f", unit {drift.unit + 1}")
    if values.trace.inputs.batch > 1:
        where.append(f", of sequence {drift.sequence + 1}")
    yield Paragraph(
        (
            "Rounding every intermediate result moved the states away from what exact "
            "arithmetic gives, by at most ",
            Formula((Number(drift.size),)),
            ", at ",
            *where,
            ".",
        )
    )


def _shape(values: Values, name: str) -> str:
    array = values.trace.output if name == "output" else values.trace.state(name)
    if isinstance(array, PackedArray):
        return f"{shape_text(array.data.shape)}, packed"
    return shape_text(array.shape)


def _output(values: Values) -> Iterator[Block]:
    net, inputs = values.net, values.trace.inputs
    text: list[Inline] = [
        Code("output"),
        " holds the state ",
        Formula((values.notation.symbols[net.cell.states[0]],)),
        " of the last layer, one step in each row" if net.num_layers > 1
        else ", one step in each row",
    ]  # fmt: skip
    if net.bidirectional:
        text.append(", the two directions side by side")
    text.append(f". Its shape in torch is {_shape(values, 'output')}.")
    if len(set(inputs.lengths)) > 1 and not inputs.layout.packed:
        text.append(" Rows after the end of a sequence are zero.")
    yield Paragraph(tuple(text))
    state, last = net.cell.states[0], net.layer(net.num_layers - 1)
    for b in values.selection.sequences:
        parts: list[list[Part]] = [
            [(p, t, state) for p in last] for t in range(inputs.lengths[b])
        ]
        yield from _assembled(values, "output", parts, b)


def _last_states(values: Values) -> Iterator[Block]:
    net, inputs = values.net, values.trace.inputs
    for state in net.cell.states:
        name = f"{state}_n"
        yield Paragraph(_about_last_states(values, state, name))
        for b in values.selection.sequences:
            parts: list[list[Part]] = [
                [(p, p.direction.end(inputs.lengths[b]), state)] for p in net.positions
            ]
            yield from _assembled(values, name, parts, b)


def _about_last_states(values: Values, state: str, name: str) -> tuple[Inline, ...]:
    net, inputs = values.net, values.trace.inputs
    symbol = Formula((values.notation.symbols[state],))
    shape = f"Its shape in torch is {_shape(values, state)}."
    if inputs.layout.single_step:
        return "The cell returns the new state ", symbol, f". {shape}"
    rows = ", one layer in each row" if net.num_layers > 1 else ""
    if net.bidirectional:
        rows = ", one direction in each row"
        if net.num_layers > 1:
            rows = ", one layer and direction in each row"
    text: list[Inline] = [
        Code(name),
        " holds the last state ",
        symbol,
        f"{rows}. {shape}",
    ]
    if net.bidirectional:
        text.append(" The reverse direction ends at step 1.")
    if len(set(inputs.lengths)) > 1:
        text.append(" The last step of a sequence is where its own length ends.")
    return tuple(text)


def _assembled(
    values: Values, name: str, parts: list[list[Part]], b: int
) -> Iterator[Block]:
    """Yield one result for one sequence: symbols in place, then numbers."""
    if values.trace.inputs.batch > 1:
        yield Paragraph((f"Sequence {b + 1}:",), leads=True)
    shown = values.rows(parts, b)
    symbols = _symbols(values, parts)
    written = [Line((), "equals" if s.exact else "approx", s.math) for s in shown]
    if values.trace.inputs.layout.single_step:
        yield Equations(tuple(fill(symbols, written, width(symbols))))
        return
    left: Math = (Symbol(rf"\mathrm{{{name}}}"),)
    if name != "output":
        left = (
            Names(cell=values.net.cell, notation=values.notation, now="n").state(
                parts[0][0][2]
            ),
        )
    lines = [Line((), "equals", symbols), *written]
    yield Equations(tuple(fill(left, lines, width(left))))


def _symbols(values: Values, parts: list[list[Part]]) -> Math:
    """Return the states that a result is made of, in their places."""
    rows = [tuple(_laid_down(values, part) for part in row) for row in parts]
    return rows[0][0] if len(rows) == len(rows[0]) == 1 else (Matrix(_elided(rows)),)


def _laid_down(values: Values, part: Part) -> Math:
    """Return a state as a row, which a single number is already."""
    position, t, state = part
    symbol = values.names(position, t).state(state)
    if values.net.state_sizes[state] == 1 or values.notation.row:
        return (symbol,)
    return symbol, Sign("transposed")


def _elided(rows: list[tuple[Math, ...]]) -> tuple[tuple[Math, ...], ...]:
    shown = selected(len(rows), 8)
    lines: list[tuple[Math, ...]] = []
    for previous, i in zip([-1, *shown], shown, strict=False):
        if i > previous + 1:
            lines.append(((Sign("vdots"),),) * len(rows[0]))
        lines.append(rows[i])
    return tuple(lines)
