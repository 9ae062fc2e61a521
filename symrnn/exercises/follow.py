# SPDX-License-Identifier: BSD-3-Clause
"""What is right for somebody who goes on with numbers of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from symrnn.domains.ball import BallDomain, Balls
from symrnn.errors import SymrnnError
from symrnn.exercises.keys import Known
from symrnn.inputs import read_inputs
from symrnn.network import Network, Place
from symrnn.program import execute, lower
from symrnn.sources import load

__all__ = ["Following", "Key"]

_PRECISION = 256


Key = tuple[Place, int, str]
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
            outputs = [self._pass((layer, d), below) for d in self._net.directions]
            below = [self._domain.vstack(parts) for parts in zip(*outputs, strict=True)]

    def _pass(self, place: Place, below: Sequence[Balls]) -> list[Balls]:
        """Run one layer in one direction; return its output at every step."""
        net, domain, program = self._net, self._domain, lower(self._net.cell)
        fixed = {
            register: domain.parameter(name, net.parameters[place][name], place)
            for name, register in program.parameters.items()
        }
        index = net.places.index(place)
        states = {
            s: domain.initial(s, self._inputs.initial(s, index, size), place)
            for s, size in net.state_sizes.items()
        }
        outputs = list(below)
        order = range(len(below))
        for t in order if place[1] == "forward" else reversed(order):
            registers = fixed | {program.x: below[t]}
            registers |= {program.previous[s]: value for s, value in states.items()}
            for phase in (program.once, program.input, program.step):
                for instruction in phase:
                    execute(domain, [instruction], registers, net.sizes[place])
                    name = self._names.get(instruction.node, str(instruction.node))
                    computed = registers[instruction.target]
                    registers[instruction.target] = self._own(
                        (place, t, name), computed
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
    place = (answer["layer"] - 1, answer["direction"])
    return place, answer["step"] - 1, answer["node"]


def _fraction(value: Any) -> Fraction:
    return Fraction(int(value.p), int(value.q))
