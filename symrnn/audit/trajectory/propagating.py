# SPDX-License-Identifier: BSD-3-Clause
"""Local errors, carried to the outputs by derivatives, each group in a column of its own.

A walk goes through a network as somebody computed it. After every instruction, what that
somebody holds is compared with the exact result of the instruction *on what it held
before*: the difference is a local error. It enters the tangent of the value in two
columns, that of its source and that of its step, and from there on moves as derivatives
say. Steps may share a column (see `windows_of`), so that memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.audit.trajectory.dual import Dual, DualDomain
from symrnn.audit.trajectory.local_errors import (
    Errors,
    Source,
    Subject,
    classes,
    difference,
    to_floats,
)
from symrnn.domains.base import Domain
from symrnn.inputs import Inputs
from symrnn.language import Named
from symrnn.network import Network, Place
from symrnn.program import Program, execute, lower

__all__ = ["Carried", "Window", "carry", "windows_of"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """Steps `start` to `stop` - 1 of one layer and direction."""

    layer: int
    direction: str
    start: int
    stop: int


def windows_of(net: Network, time: int, most: int) -> tuple[Window, ...]:
    """Return at most `most` windows of equal length, but for the last, for each place."""
    length = -(-time // most)
    return tuple(
        Window(*place, start, min(start + length, time))
        for place in net.places
        for start in range(0, time, length)
    )


@dataclass(frozen=True, slots=True)
class Carried:
    """Tangents of the output of one sequence: what local errors have become.

    Attributes:
        outputs: For each step, (features × columns): sources first, then windows.
        values: The output itself, (time, features).
        made: For each window, the 2-norm of its errors in the first state of its own
            layer at the window's last step in the order of computing.
    """

    outputs: Sequence[Floats]
    values: Floats
    made: Floats


def carry(
    net: Network,
    inputs: Inputs,
    subject: Subject,
    windows: tuple[Window, ...],
    shadow: Domain[Any],
) -> Carried:
    """Walk through a network with one sequence; see this module's documentation."""
    with shadow.context(), DualDomain().context():
        return _Walk(net, inputs, subject, windows, shadow).run()


class _Walk:
    def __init__(
        self,
        net: Network,
        inputs: Inputs,
        subject: Subject,
        windows: tuple[Window, ...],
        shadow: Domain[Any],
    ) -> None:
        self.net = net
        self.inputs = inputs
        self.subject = subject
        self.shadow = shadow
        self.program: Program = lower(net.cell)
        self.columns: dict[Any, int] = {}
        for key in (*subject.sources, *windows):
            self.columns.setdefault(key, len(self.columns))
        self.window = {
            ((w.layer, w.direction), t): w
            for w in windows
            for t in range(w.start, w.stop)
        }
        self.made = np.zeros(len(windows))
        self.first_window = len(self.columns) - len(windows)
        self.dual = DualDomain()

    def run(self) -> Carried:
        time = len(self.inputs.widths)
        below = [self._input(t) for t in range(time)]
        for layer in range(self.net.num_layers):
            parts = [
                self._pass((layer, direction), below)
                for direction in self.net.directions
            ]
            below = [self.dual.vstack(step) for step in zip(*parts, strict=True)]
        return Carried(
            [self._tangent(step) for step in below],
            np.array([step.value[:, 0] for step in below]),
            self.made,
        )

    def _input(self, t: int) -> Dual:
        return Dual(to_floats(self.shadow.matrix(self.inputs.step(t))))

    def _pass(self, place: Place, below: Sequence[Dual]) -> list[Dual]:
        """Run one layer in one direction and return its first state at every step."""
        order = list(range(len(below)))
        if place[1] == "reverse":
            order.reverse()
        held, exact = self._parameters(place)
        states = self._initial(place, order[0])
        first = self.net.cell.states[0]
        outputs: list[Dual] = [below[0]] * len(below)
        for position, t in enumerate(order):
            states = self._step(
                place, t, held, exact, self._entry(place, t, below[t]), states
            )
            outputs[t] = states[first][1]
            window = self.window[place, t]
            last = position + 1 == len(order)
            if last or self.window[place, order[position + 1]] != window:
                column = self.columns[window]
                size = np.linalg.norm(self._tangent(outputs[t])[:, column])
                self.made[column - self.first_window] = size
        return outputs

    def _parameters(self, place: Place) -> tuple[dict[int, Any], dict[int, Any]]:
        """Return what was held and what is exact, for all that parameters determine."""
        sizes = self.net.sizes[place]
        exact = {
            register: self.shadow.matrix(self.net.parameters[place][name])
            for name, register in self.program.parameters.items()
        }
        held = {
            register: self.subject.parameter(place, name, exact[register])
            for name, register in self.program.parameters.items()
        }
        execute(self.shadow, self.program.once, exact, sizes)
        for instruction in self.program.once:
            operands = [held[source] for source in instruction.operands]
            image = dict(zip(instruction.operands, operands, strict=True))
            execute(self.shadow, [instruction], image, sizes)
            held[instruction.target], _ = self.subject.result(
                place, 0, instruction, image[instruction.target], operands
            )
        off = {r for r in held if np.any(difference(self.shadow, held[r], exact[r]))}
        return held, {register: exact[register] for register in off}

    def _initial(self, place: Place, t: int) -> dict[str, tuple[Any, Dual]]:
        index = self.net.places.index(place)
        states = {}
        for state, size in self.net.state_sizes.items():
            symbol = self._symbol(self.program.previous[state])
            exact = self.shadow.matrix(self.inputs.initial(state, index, size))
            source = Source(*place, state, "initial rounding")
            states[state] = self._enter(place, t, symbol, exact, source)
        return states

    def _entry(self, place: Place, t: int, below: Dual) -> tuple[Any, Dual]:
        """Return the input of a layer at a step."""
        if place[0]:
            return self.shadow.matrix(below.value), below
        symbol = self._symbol(self.program.x)
        exact = self.shadow.matrix(self.inputs.step(t))
        return self._enter(
            place, t, symbol, exact, Source(*place, "x", "input rounding")
        )

    def _enter(
        self, place: Place, t: int, symbol: Named, exact: Any, source: Source
    ) -> tuple[Any, Dual]:
        held = self.subject.entered(place, t, symbol, exact)
        error = difference(self.shadow, held, exact)
        value = Dual(to_floats(held))
        return held, self._inject(value, place, t, [(source, error)])

    def _symbol(self, register: int) -> Named:
        found = (n for n, r in self.program.registers.items() if r == register)
        return next(n for n in found if isinstance(n, Named))

    def _step(
        self,
        place: Place,
        t: int,
        held: Mapping[int, Any],
        exact: Mapping[int, Any],
        entry: tuple[Any, Dual],
        states: Mapping[str, tuple[Any, Dual]],
    ) -> dict[str, tuple[Any, Dual]]:
        program, sizes = self.program, self.net.sizes[place]
        values = dict(held)
        duals = {register: Dual(to_floats(value)) for register, value in held.items()}
        values[program.x], duals[program.x] = entry
        for state, register in program.previous.items():
            values[register], duals[register] = states[state]
        for instruction in (*program.input, *program.step):
            target, operands = instruction.target, instruction.operands
            execute(self.shadow, [instruction], values, sizes)
            image = values[target]
            value, errors = self.subject.result(
                place, t, instruction, image, [values[source] for source in operands]
            )
            if exact.keys() & set(operands):
                better = values | {r: exact[r] for r in operands if r in exact}
                execute(self.shadow, [instruction], better, sizes)
                quantity, _ = classes(self.net.cell)[instruction.node]
                source = Source(*place, quantity, "parameter rounding")
                error = difference(self.shadow, image, better[target])
                errors = [*errors, (source, error)]
            values[target] = value
            execute(self.dual, [instruction], duals, sizes)
            moved = Dual(to_floats(value), duals[target].tangent)
            duals[target] = self._inject(moved, place, t, errors)
        return {
            state: (values[register], duals[register])
            for state, register in (
                (s, program.quantities[s]) for s in self.net.cell.states
            )
        }

    def _inject(self, value: Dual, place: Place, t: int, errors: Errors) -> Dual:
        made = [(source, error) for source, error in errors if np.any(error)]
        if not made:
            return value
        tangent = np.array(self._tangent(value))
        window = self.columns[self.window[place, t]]
        for source, error in made:
            tangent[:, [self.columns[source]]] += error
            tangent[:, [window]] += error
        return Dual(value.value, tangent)

    def _tangent(self, value: Dual) -> Floats:
        if value.tangent is not None:
            return value.tangent
        return np.zeros((len(value.value), len(self.columns)))
