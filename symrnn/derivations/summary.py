# SPDX-License-Identifier: BSD-3-Clause
"""A table of all states of a sequence, to look a number up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from symrnn.derivations.equations import Names
from symrnn.derivations.opening import position_title
from symrnn.derivations.selection import Gap, Selection, with_gaps
from symrnn.documents.layout import columns_that_fit, selected
from symrnn.documents.model import (
    Block,
    Brackets,
    Formula,
    Inline,
    Math,
    Paragraph,
    Sign,
    Symbol,
    Table,
)
from symrnn.networks.network import Position

__all__ = ["States", "all_states"]

_FIRST_ROWS = 16
_LAST_ROWS = 4

Cell = tuple[Inline, ...]


class States(Protocol):
    """What the tables ask of a run."""

    @property
    def selection(self) -> Selection:
        """What of it is shown."""

    def names(self, position: Position, t: int | None = None) -> Names:
        """Return the names at a layer and direction."""

    def state(self, position: Position, t: int, b: int, state: str, unit: int) -> Math:
        """Return one element of a state, as it is printed."""


def all_states(values: States, b: int) -> Iterator[Block]:
    """Yield a table for each layer and direction that is shown: a row for each step."""
    for position in values.selection.positions:
        title = position_title(values.selection.net, position)
        if title:
            yield Paragraph((f"{title}:",), leads=True)
        for states in _side_by_side(values):
            yield _states(values, position, b, states)


def _side_by_side(values: States) -> list[tuple[str, ...]]:
    """Return the states of each table: all in one, if the chosen units have room."""
    states = values.selection.net.cell.states
    chosen = values.selection.options.units or ()
    if len(chosen) * len(states) > columns_that_fit(values.selection.options.digits):
        return [(state,) for state in states]
    return [states]


def _states(
    values: States, position: Position, b: int, states: tuple[str, ...]
) -> Table:
    columns = [
        (state, unit)
        for state in states
        for unit in _units(values, values.selection.net.state_sizes[state], len(states))
    ]
    header: list[Cell] = [("Step",)]
    for state, unit in columns:
        header.append(_formula(_label(values, position, state, unit)))
    rows = []
    count = values.selection.inputs.lengths[b]
    steps = (
        values.selection.steps(b) if values.selection.options.steps else range(count)
    )
    for t in with_gaps(_with_room(steps), range(count)):
        if isinstance(t, Gap):
            rows.append(_dots(len(header)))
        else:
            rows.append(_row(values, position, t, b, columns))
    return Table(tuple(header), tuple(rows), "r" * len(header))


def _with_room(steps: Sequence[int]) -> Sequence[int]:
    """Return which of some steps have room in the table."""
    if len(steps) <= _FIRST_ROWS + _LAST_ROWS:
        return steps
    return (*steps[:_FIRST_ROWS], *steps[-_LAST_ROWS:])


def _units(values: States, size: int, states: int) -> list[int | None]:
    """Return the units that have room, with ``None`` for those that have not."""
    most = max(2, columns_that_fit(values.selection.options.digits) // states)
    chosen = values.selection.units(size) or tuple(range(size))
    shown = [chosen[i] for i in selected(len(chosen), most)]
    found: list[int | None] = []
    for unit in with_gaps(shown, range(size)):
        found.append(None if isinstance(unit, Gap) else unit)
    return found


def _label(values: States, position: Position, state: str, unit: int | None) -> Math:
    if unit is None:
        return (Sign("cdots"),)
    symbol = values.names(position).state(state)
    if values.selection.net.state_sizes[state] == 1:
        return (symbol,)
    return (Brackets((symbol,)), Symbol("", sub=str(unit + 1)))


def _row(
    values: States,
    position: Position,
    t: int,
    b: int,
    columns: list[tuple[str, int | None]],
) -> tuple[Cell, ...]:
    cells: list[Cell] = [(str(t + 1),)]
    for state, unit in columns:
        if unit is None:
            cells.append(_formula((Sign("cdots"),)))
        else:
            cells.append(_formula(values.state(position, t, b, state, unit)))
    return tuple(cells)


def _dots(width: int) -> tuple[Cell, ...]:
    return (_formula((Sign("vdots"),)),) * width


def _formula(math: Math) -> Cell:
    return (Formula(math),)
