# SPDX-License-Identifier: BSD-3-Clause
"""What is right for somebody who goes on with numbers of their own."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from symrnn.domains.ball import BallDomain, Balls
from symrnn.errors import SymrnnError
from symrnn.exercises.keys import Known
from symrnn.inputs import Inputs, read_inputs
from symrnn.network import Network
from symrnn.program import execute, lower
from symrnn.sources import load

__all__ = ["Following"]

_PRECISION = 256
_PLACE = (0, "forward")


class Following:
    """The run of a sheet's network in which given numbers replace what is computed.

    Args:
        sheet: The sheet, from a key.
        numbers: What was answered, by key.
    """

    def __init__(
        self, sheet: Mapping[str, Any], numbers: Mapping[str, Fraction]
    ) -> None:
        self._numbers: dict[tuple[int, str], dict[int, Fraction]] = {}
        for answer in sheet["answers"]:
            if answer["key"] in numbers:
                units = self._numbers.setdefault((answer["step"], answer["node"]), {})
                units[max(answer["unit"] - 1, 0)] = numbers[answer["key"]]
        self._expected: dict[tuple[int, str], list[Known]] = {}
        self._domain = BallDomain(_PRECISION)
        net = load(sheet["parameters"], cell=sheet["cell"])
        inputs = read_inputs(net, sheet["x"], None, lengths=None)
        with self._domain.context():
            self._run(net, inputs)

    def expected(self, answer: Mapping[str, Any]) -> Known | None:
        """Return what follows for an answer from the numbers given before it."""
        values = self._expected.get((answer["step"], answer["node"]), [])
        unit = max(answer["unit"] - 1, 0)
        return values[unit] if unit < len(values) else None

    def _run(self, net: Network, inputs: Inputs) -> None:
        program, domain = lower(net.cell), self._domain
        parameters = net.parameters[0, "forward"]
        fixed = {
            register: domain.parameter(name, parameters[name], _PLACE)
            for name, register in program.parameters.items()
        }
        states = {
            state: domain.initial(state, inputs.initial(state, 0, size), _PLACE)
            for state, size in net.state_sizes.items()
        }
        names = {line.value: line.name for line in net.cell.equations}
        for t in range(len(inputs.widths)):
            registers = fixed | {program.x: domain.input(inputs.step(t), t)}
            registers |= {program.previous[s]: value for s, value in states.items()}
            for phase in (program.once, program.input, program.step):
                for instruction in phase:
                    execute(domain, [instruction], registers, net.sizes[0, "forward"])
                    name = names.get(instruction.node, str(instruction.node))
                    computed = registers[instruction.target]
                    registers[instruction.target] = self._own(t + 1, name, computed)
            states = {s: registers[program.quantities[s]] for s in net.cell.states}

    def _own(self, step: int, name: str, computed: Balls) -> Balls:
        """Note what is computed, and return it with the given numbers in it."""
        rows = self._domain.rows(computed)
        try:
            ends = [self._domain.interval(value) for (value,) in rows]
        except SymrnnError:  # numbers so large that nothing is known
            return computed
        self._expected[step, name] = [Known(*map(_fraction, pair)) for pair in ends]
        given = self._numbers.get((step, name))
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


def _fraction(value: Any) -> Fraction:
    return Fraction(int(value.p), int(value.q))
