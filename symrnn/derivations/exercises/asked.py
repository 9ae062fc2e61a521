# SPDX-License-Identifier: BSD-3-Clause
"""The numbers that a sheet asks for: which they are, and blanks in place of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from fractions import Fraction
from typing import Any

from flint import fmpq
from sympy import MatrixExpr

from symrnn.derivations.equations import Shown
from symrnn.derivations.exercises.keys import Key
from symrnn.derivations.number_forms import write_numbers
from symrnn.derivations.numbers import Values
from symrnn.derivations.opening import position_title
from symrnn.derivations.options import Options
from symrnn.documents.model import Blank, Math, Matrix, Number
from symrnn.equations.language import Constant
from symrnn.equations.symbols import Input, Parameter, Previous
from symrnn.networks.network import Network, Position
from symrnn.runs.trace import Trace

__all__ = ["Answer", "Asked", "blanks_in", "filled"]

_KNOWN = 40  # decimals of an irrational answer in the key


@dataclass(frozen=True, slots=True)
class Answer:
    """What belongs into a blank.

    Attributes:
        printed: The number as the solution prints it.
        node: The name of the quantity, or the expression.
        position: Its layer and direction.
        where: What the sheet calls them; empty where there is one layer only.
        step: From 1.
        unit: From 1; 0 where there is one only.
        value: A ratio where it is exact, or else a decimal of many digits.
    """

    printed: str
    node: str
    position: Position
    where: str
    step: int
    unit: int
    value: str

    @property
    def key(self) -> str:
        """What the answer is called."""
        unit = f"[{self.unit}]" if self.unit else ""
        where = f"{self.where[0].lower()}{self.where[1:]}, " if self.where else ""
        return f"{where}step {self.step}: {self.node}{unit}"


class Asked(Values):
    """The values of a document, with blanks for all that is computed at some steps.

    Args:
        trace: The exact run.
        options: How numbers that are given are printed.
        digits: Decimals that are asked for.
        worked: Whether the steps that can be are given.

    Attributes:
        places: Decimals that are asked for.
        asked: The layers, directions and steps that have blanks.
        answers: What belongs into the blanks, by key.
    """

    def __init__(
        self, trace: Trace, options: Options, *, digits: int, worked: bool
    ) -> None:
        super().__init__(trace, options)
        self.places = digits
        self._answered = replace(options, digits=digits)
        self.asked = _asked(self.net, trace.inputs.time, worked=worked)
        self.answers: dict[str, Answer] = {}

    def given(self) -> dict[Key, dict[int, Fraction]]:
        """Return the states that are printed for the student to go on with."""
        found: dict[Key, dict[int, Fraction]] = {}
        for position in self.net.positions:
            for t in range(self.trace.inputs.time):
                if (position, t) in self.asked:
                    continue
                for state in self.net.cell.states:
                    shown = self.node(position, t, 0, self.results.target(state))
                    numbers = [row[0] for row in _rows(shown.math)]
                    found[position, t, state] = {
                        unit: Fraction(number.text)
                        for unit, number in enumerate(numbers)
                        if isinstance(number, Number)
                    }
        return found

    def node(self, position: Position, t: int, b: int, node: MatrixExpr) -> Shown:
        if isinstance(node, Input) and position.layer > 0:
            return self._output_below(position.layer - 1, t, b)
        shown = super().node(position, t, b, node)
        if (position, t) not in self.asked or not self._is_computed(node):
            return shown
        (piece,) = shown.math
        numbers = self.results.node(position, t, b, node)
        texts, exact = write_numbers(
            [numbers.at(unit, 0) for unit in range(numbers.shape[0])], self._answered
        )
        blanks: list[Math] = [
            (self._blank(number, position, t, node, unit),)
            for unit, (number,) in enumerate(texts)
        ]
        if not isinstance(piece, Matrix):
            return Shown(blanks[0], exact)
        return Shown((replace(piece, rows=_column(blanks)),), exact)

    def state(self, position: Position, t: int, b: int, state: str, unit: int) -> Math:
        if (position, t) not in self.asked:
            return super().state(position, t, b, state, unit)
        element = self.results.quantity(position, t, b, state).at(unit, 0)
        ((number,),) = write_numbers([element], self._answered).texts
        return (self._blank(number, position, t, self.results.target(state), unit),)

    def _output_below(self, layer: int, t: int, b: int) -> Shown:
        """Return what a layer reads: states of the layer below, with their blanks."""
        output = self.results.target(self.net.cell.states[0])
        parts = [self.node(p, t, b, output) for p in self.net.layer(layer)]
        rows = [row for part in parts for row in _rows(part.math)]
        exact = all(part.exact for part in parts)
        return Shown(rows[0] if len(rows) == 1 else (Matrix(_column(rows)),), exact)

    def _is_computed(self, node: MatrixExpr) -> bool:
        return not isinstance(node, (Constant, Parameter, Input, Previous))

    def _blank(
        self, printed: Any, position: Position, t: int, node: MatrixExpr, unit: int
    ) -> Blank:
        numbers = self.results.exact(position, t, 0, node)
        exact = numbers.at(unit, 0)
        if isinstance(exact.known, fmpq):
            value = f"{exact.known.p}/{exact.known.q}"
        else:
            assert exact.value is not None
            value = exact.value.decimal(places=_KNOWN)
        answer = Answer(
            printed=printed.text,
            node=self._names.get(node, str(node)),
            position=position,
            where=position_title(self.net, position),
            step=t + 1,
            unit=unit + 1 if numbers.shape[0] > 1 else 0,
            value=value,
        )
        self.answers[answer.key] = answer
        return Blank(self.places + 3, answer.key)


def _asked(net: Network, steps: int, *, worked: bool) -> set[tuple[Position, int]]:
    """Return where blanks are: everywhere, or where each layer and direction ends.

    What is computed from a blank is asked too, or it would give the answer away.
    """
    asked: set[tuple[Position, int]] = set()
    for position in net.positions:
        below = net.layer(position.layer - 1) if position.layer else ()
        given = worked
        for count, t in enumerate(position.direction.order(steps), 1):
            given &= count < steps and not any((p, t) in asked for p in below)
            if not given:
                asked.add((position, t))
    return asked


def _rows(math: Math) -> list[Math]:
    (piece,) = math
    return [row[0] for row in piece.rows] if isinstance(piece, Matrix) else [math]


def _column(rows: Sequence[Math]) -> tuple[tuple[Math, ...], ...]:
    return tuple((row,) for row in rows)


def blanks_in(part: Any) -> Iterator[Blank]:
    """Yield all blanks in a part of a document, in reading order."""
    if isinstance(part, Blank):
        yield part
    elif isinstance(part, tuple):
        for inner in part:
            yield from blanks_in(inner)
    elif is_dataclass(part):
        for attribute in fields(part):
            yield from blanks_in(getattr(part, attribute.name))


def filled(part: Any, answers: Mapping[str, Answer]) -> Any:
    """Return a part of a document with the numbers in its blanks."""
    if isinstance(part, Blank):
        answer = answers.get(part.answer)
        return replace(part, filled=answer.printed if answer else "")
    if isinstance(part, tuple):
        return tuple(filled(inner, answers) for inner in part)
    if is_dataclass(part) and not isinstance(part, type):
        inner = {f.name: filled(getattr(part, f.name), answers) for f in fields(part)}
        return replace(part, **inner)
    return part
