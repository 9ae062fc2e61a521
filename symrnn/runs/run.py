# SPDX-License-Identifier: BSD-3-Clause
"""Layers × directions × time: the only place that knows in which order a network runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from symrnn.equations.cells import Cell
from symrnn.equations.domain import Domain
from symrnn.equations.program import Program, execute, lower
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import Network, Position
from symrnn.runs.trace import Record, Trace

__all__ = ["Keep", "join", "kept", "run"]

Keep = Literal["all", "nodes", "states"]
"""What a trace remembers: every named quantity; every subexpression; or the states."""


def run(
    net: Network, inputs: Inputs, domain: Domain[Any], *, keep: Keep = "all"
) -> Trace:
    """Run a network over a domain and return the trace.

    Args:
        net: The network; its parameters must be finite.
        inputs: From `symrnn.kernels.read_inputs`; finite too.
        domain: The arithmetic.
        keep: What the trace remembers of every step.
    """
    program = lower(net.cell)
    with domain.context():
        layer_input = [
            domain.input(inputs.step(t), t) for t in range(len(inputs.widths))
        ]
        records: dict[Position, Record] = {}
        for layer in range(net.num_layers):
            for position in net.layer(layer):
                records[position] = _Pass(
                    net, inputs, domain, program, position, keep
                ).run(layer_input)
            layer_input = join(net, domain, records, layer)
        return Trace(net, inputs, domain, records, layer_input)


def join(
    net: Network, domain: Domain[Any], records: Mapping[Position, Record], layer: int
) -> list[Any]:
    """Return the output of a layer at every step: its directions on top of each other."""
    output = net.cell.states[0]
    parts = [records[p].steps for p in net.layer(layer)]
    if len(parts) == 1:
        return [values[output] for values in parts[0]]
    return [
        domain.vstack([step[output] for step in steps])
        for steps in zip(*parts, strict=True)
    ]


class _Pass:
    """One layer in one direction."""

    def __init__(
        self,
        net: Network,
        inputs: Inputs,
        domain: Domain[Any],
        program: Program,
        position: Position,
        keep: Keep,
    ) -> None:
        self.cell: Cell = net.cell
        self.domain = domain
        self.program = program
        self.sizes = net.sizes[position]
        self.widths = inputs.widths
        self.kept = kept(program, keep)
        self.registers: dict[int, Any] = {
            register: domain.parameter(name, net.parameters[position][name], position)
            for name, register in program.parameters.items()
        }
        index = net.positions.index(position)
        self.initial = {
            state: domain.initial(state, inputs.initial(state, index, size), position)
            for state, size in net.state_sizes.items()
        }
        self.position = position
        fixed = {i.target for i in program.once} | set(program.parameters.values())
        self.constant_states = {
            program.quantities[state]: size
            for state, size in net.state_sizes.items()
            if program.quantities[state] in fixed
        }

    def run(self, layer_input: Sequence[Any]) -> Record:
        execute(self.domain, self.program.once, self.registers, self.sizes)
        prepared = self._input_phase(layer_input)
        steps: list[dict[Any, Any]] = [{} for _ in self.widths]
        states = self._begin()
        finished: list[dict[str, Any]] = []
        for t in self.position.direction.order(len(self.widths)):
            states = self._resize(states, self.widths[t], finished)
            registers = self.registers | prepared[t]
            registers |= {
                self.program.previous[s]: value for s, value in states.items()
            }
            execute(self.domain, self.program.step, registers, self.sizes)
            # Of these there is one column, however many sequences.
            for register, rows in self.constant_states.items():
                zeros = self.domain.constant(0, rows, self.widths[t])
                registers[register] = self.domain.add(registers[register], zeros)
            values = {key: registers[register] for key, register in self.kept.items()}
            steps[t] = self.domain.name_values(values, self.position, t)
            states = {state: steps[t][state] for state in self.cell.states}
        final = self._end(states, finished)
        return Record(steps, self.initial, final)

    def _input_phase(self, layer_input: Sequence[Any]) -> list[dict[int, Any]]:
        """Compute what depends on the input alone, for all steps at once if possible."""
        x, instructions = self.program.x, self.program.input
        if not self.domain.batched:
            per_step = [{x: value} for value in layer_input]
            for registers in per_step:
                everything = self.registers | registers
                execute(self.domain, instructions, everything, self.sizes)
                registers.update({i.target: everything[i.target] for i in instructions})
            return per_step
        registers = self.registers | {x: self.domain.hstack(layer_input)}
        execute(self.domain, instructions, registers, self.sizes)
        prepared: list[dict[int, Any]] = [{x: value} for value in layer_input]
        for target in _needed_later(self.program, self.kept.values()):
            for values, part in zip(
                prepared, self.domain.split(registers[target], self.widths), strict=True
            ):
                values[target] = part
        return prepared

    # A batch is sorted by decreasing length: forwards, columns leave at the right when
    # their sequence ends; backwards, they join there when their last step comes.

    def _begin(self) -> dict[str, Any]:
        width = self.widths[self.position.direction.start(len(self.widths))]
        return {s: self.domain.split(v, [width])[0] for s, v in self.initial.items()}

    def _resize(
        self, states: dict[str, Any], width: int, finished: list[dict[str, Any]]
    ) -> dict[str, Any]:
        current = self._width
        self._width = width
        if current is None or width == current:
            return states
        if width > current:
            joining = {
                s: self.domain.split(v, [current, width - current])[1]
                for s, v in self.initial.items()
            }
            return {s: self.domain.hstack([v, joining[s]]) for s, v in states.items()}
        parts = {
            s: self.domain.split(v, [width, current - width]) for s, v in states.items()
        }
        finished.append({s: ended for s, (_, ended) in parts.items()})
        return {s: going for s, (going, _) in parts.items()}

    _width: int | None = None

    def _end(
        self, states: dict[str, Any], finished: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Return each sequence's last state, all columns in order."""
        parts = [states, *reversed(finished)]
        return {s: self.domain.hstack([part[s] for part in parts]) for s in states}


def kept(program: Program, keep: Keep) -> dict[Any, int]:
    """Return what to remember of a step, under names, and nodes too where asked for."""
    if keep == "states":
        return {state: program.quantities[state] for state in program.cell.states}
    found: dict[Any, int] = dict(program.quantities)
    if keep == "nodes":
        found |= {node: register for node, register in program.registers.items()}
    return found


def _needed_later(program: Program, kept: Any) -> list[int]:
    """Return the targets of the input phase that the step phase or the trace reads."""
    read = {source for i in program.step for source in i.operands} | set(kept)
    return [i.target for i in program.input if i.target in read]
