# SPDX-License-Identifier: BSD-3-Clause
"""Keys: the answers of sheets, each known exactly or to far more digits than are asked.

A key is JSON and holds everything that grading needs, weights and inputs included::

    {"schema": "symrnn.exercise/1",
     "sheets": [{"sheet": "gru-2-2-3-easy-7-1", "algorithm": "friendly/1", "name": "",
                 "cell": "gru", "difficulty": "easy", "seed": 7, "number": 1,
                 "parameters": {…}, "x": […],
                 "answers": [{"key": "step 3: h[1]", "node": "h", "layer": 1,
                              "direction": "forward", "step": 3, "unit": 1, "places": 2,
                              "value": "0.5723…"}]}]}

``value`` is exact where it is a ratio (``"4/105"``, ``"0/1"``); a decimal is correctly
rounded to all of its digits. ``unit`` is 0 where there is one only.

`Following` tells what is right for somebody who goes on with numbers of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from symrnn.domains.ball import BallDomain, Balls
from symrnn.equations.program import execute, lower
from symrnn.errors import SourceError, SymrnnError
from symrnn.networks.inputs import read_inputs
from symrnn.networks.network import Direction, Network, Position
from symrnn.networks.sources import load
from symrnn.numerics.exact import to_fraction

__all__ = [
    "FORM",
    "SCHEMA",
    "Following",
    "Key",
    "Known",
    "find_sheet",
    "half_unit",
    "join_keys",
    "known",
    "sheets_of",
]


SCHEMA = "symrnn.exercise/1"
"""The schema of keys."""


FORM = "symrnn.answers/1"
"""The schema of answers."""

_MOST_PLACES = 200


@dataclass(frozen=True, slots=True)
class Known:
    """What a key knows of a number: that it lies from `lo` to `hi`, both exact."""

    lo: Fraction
    hi: Fraction

    @property
    def exact(self) -> bool:
        """Whether it is known exactly."""
        return self.lo == self.hi

    def within(self, value: Fraction, distance: Fraction) -> bool | None:
        """Tell whether it is no further than that from `value`; ``None`` if undecided."""
        if max(abs(value - self.lo), abs(value - self.hi)) <= distance:
            return True
        if self.lo - distance <= value <= self.hi + distance:
            return None
        return False

    def begins(self, places: int) -> str:
        """Return its first digits, cut off: ``0.5723…``; or all, where there are few.

        >>> Known(Fraction(4, 105), Fraction(4, 105)).begins(4)
        '4/105 = 0.0380…'
        """
        scaled = min(abs(self.lo), abs(self.hi)) * 10**places
        whole = scaled.numerator // scaled.denominator
        sign = "-" if self.lo < 0 else ""
        text = sign + format(Decimal(whole).scaleb(-places), "f")
        if not self.exact:
            return f"{text}…"
        if whole == scaled:
            return text
        ratio = str(self.lo)
        return f"{ratio} = {text}…" if len(ratio) <= 12 else f"{text}…"


def half_unit(places: int) -> Fraction:
    """Return half a unit of the last of so many decimals."""
    return Fraction(10) ** -places / 2


def known(value: str) -> Known:
    """Read the value of an answer.

    Raises:
        SourceError: It is no number.

    >>> known("0.5").hi - known("0.5").lo, known("1/2").exact
    (Fraction(1, 10), True)
    """
    middle = to_fraction(value)
    if "/" in value:
        return Known(middle, middle)
    exponent = Decimal(value).as_tuple().exponent
    half = half_unit(-int(exponent))
    return Known(middle - half, middle + half)


def join_keys(keys: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return one key for the sheets of several."""
    sheets = [sheet for key in keys for sheet in key["sheets"]]
    return {"schema": SCHEMA, "sheets": sheets}


def sheets_of(key: Any) -> list[dict[str, Any]]:
    """Return the sheets of a key.

    Raises:
        SourceError: It is no key.
    """
    if not isinstance(key, dict) or key.get("schema") != SCHEMA:
        raise SourceError(f"this is no key: expected an object of schema {SCHEMA!r}")
    sheets = key.get("sheets")
    if not isinstance(sheets, list) or not all(map(_is_sheet, sheets)):
        raise SourceError("the key is damaged: a sheet of it is not as it was written")
    return sheets


def find_sheet(key: Any, sheet: Any) -> dict[str, Any]:
    """Return one sheet of a key.

    Raises:
        SourceError: It is no key, or has no such sheet.
    """
    sheets = sheets_of(key)
    for found in sheets:
        if found["sheet"] == sheet:
            return dict(found)
    there = ", ".join(repr(s["sheet"]) for s in sheets[:3])
    more = f" and {len(sheets) - 3} more" if len(sheets) > 3 else ""
    raise SourceError(
        f"the answers are for sheet {str(sheet)[:80]!r}, the key is for {there}{more}"
    )


def _is_sheet(sheet: Any) -> bool:
    kinds = {"sheet": str, "cell": str, "parameters": dict, "x": list, "answers": list}
    return _has(sheet, kinds) and all(map(_is_answer, sheet["answers"]))


def _has(found: Any, kinds: Mapping[str, type]) -> bool:
    return isinstance(found, dict) and all(
        isinstance(found.get(name), kind) for name, kind in kinds.items()
    )


def _is_answer(answer: Any) -> bool:
    texts, numbers = (
        ("key", "node", "direction", "value"),
        ("layer", "step", "unit", "places"),
    )
    if not _has(answer, dict.fromkeys(texts, str) | dict.fromkeys(numbers, int)):
        return False
    try:
        known(answer["value"])
    except SourceError:
        return False
    return 0 <= answer["places"] <= _MOST_PLACES


_PRECISION = 256


Key = tuple[Position, int, str]
"""Where an answer belongs: layer and direction, step from 0, and quantity."""


class Following:
    """The run of a sheet's network in which given numbers replace what is computed.

    Args:
        net: The network.
        x: Its inputs.
        numbers: What replaces computed numbers, by unit from 0.
    """

    def __init__(
        self, net: Network, x: Any, numbers: Mapping[Key, Mapping[int, Fraction]]
    ) -> None:
        self._numbers = numbers
        self._expected: dict[Key, list[Known]] = {}
        self._domain = BallDomain(_PRECISION)
        self._net = net
        self._names = {line.value: line.name for line in net.cell.equations}
        self._inputs = read_inputs(net, x, None, lengths=None)
        with self._domain.context():
            self._run()

    @classmethod
    def of_answers(
        cls, sheet: Mapping[str, Any], numbers: Mapping[str, Fraction]
    ) -> Following:
        """Follow what was answered, by key, on a sheet from a key."""
        found: dict[Key, dict[int, Fraction]] = {}
        for answer in sheet["answers"]:
            if answer["key"] in numbers:
                units = found.setdefault(_key(answer), {})
                units[max(answer["unit"] - 1, 0)] = numbers[answer["key"]]
        net = load(sheet["parameters"], cell=sheet["cell"])
        return cls(net, sheet["x"], found)

    def expected(self, answer: Mapping[str, Any]) -> Known | None:
        """Return what follows for an answer from the numbers given before it."""
        values = self._expected.get(_key(answer), [])
        unit = max(answer["unit"] - 1, 0)
        return values[unit] if unit < len(values) else None

    def _run(self) -> None:
        steps = range(self._inputs.time)
        below = [self._domain.input(self._inputs.step(t), t) for t in steps]
        for layer in range(self._net.num_layers):
            outputs = [self._pass(p, below) for p in self._net.layer(layer)]
            below = [self._domain.vstack(parts) for parts in zip(*outputs, strict=True)]

    def _pass(self, position: Position, below: Sequence[Balls]) -> list[Balls]:
        """Run one layer in one direction; return its output at every step."""
        net, domain, program = self._net, self._domain, lower(self._net.cell)
        fixed = {
            register: domain.parameter(name, net.parameters[position][name], position)
            for name, register in program.parameters.items()
        }
        index = net.positions.index(position)
        states = {
            s: domain.initial(s, self._inputs.initial(s, index, size), position)
            for s, size in net.state_sizes.items()
        }
        outputs = list(below)
        for t in position.direction.order(len(below)):
            registers = fixed | {program.x: below[t]}
            registers |= {program.previous[s]: value for s, value in states.items()}
            for phase in (program.once, program.input, program.step):
                for instruction in phase:
                    execute(domain, [instruction], registers, net.sizes[position])
                    name = self._names.get(instruction.node, str(instruction.node))
                    computed = registers[instruction.target]
                    registers[instruction.target] = self._own(
                        (position, t, name), computed
                    )
            states = {s: registers[program.quantities[s]] for s in net.cell.states}
            outputs[t] = states[net.cell.states[0]]
        return outputs

    def _own(self, key: Key, computed: Balls) -> Balls:
        """Note what is computed, and return it with the given numbers in it."""
        rows = self._domain.rows(computed)
        try:
            ends = [self._domain.interval(value) for (value,) in rows]
        except SymrnnError:  # numbers so large that nothing is known
            return computed
        self._expected[key] = [Known(*map(_fraction, pair)) for pair in ends]
        given = self._numbers.get(key)
        if not given:
            return computed
        own = np.array([[Fraction(0)] for _ in rows], dtype=object)
        given = {unit: given[unit] for unit in given if unit < len(rows)}
        for unit, value in given.items():
            own[unit, 0] = value
        replaced = self._domain.rows(self._domain.matrix(own))
        flat = [
            (replaced if unit in given else rows)[unit][0] for unit in range(len(rows))
        ]
        return Balls(len(rows), 1, flat)


def _key(answer: Mapping[str, Any]) -> Key:
    position = Position(answer["layer"] - 1, Direction(answer["direction"]))
    return position, answer["step"] - 1, answer["node"]


def _fraction(value: Any) -> Fraction:
    return Fraction(int(value.p), int(value.q))
