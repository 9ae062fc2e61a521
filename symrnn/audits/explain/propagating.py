# SPDX-License-Identifier: BSD-3-Clause
"""Local errors, carried to the outputs by derivatives, each group in a column of its own.

A walk goes through a network as somebody computed it. After every instruction, what that
somebody holds is compared with the exact result of the instruction *on what it held
before*: the difference is a local error. It enters the tangent of the value in two
columns, that of its source and that of its step, and from there on moves as derivatives
say. Steps may share a column (see `windows_of`), so that memory stays bounded.

Whose errors are carried: an emulated arithmetic's (`Emulated`), or somebody's of whom states
are known (`Seen`). Exact results come from a *shadow*, an arithmetic far finer than theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sympy import MatrixExpr

from symrnn.domains.ball import BallDomain, Balls
from symrnn.domains.dual import Dual, DualDomain
from symrnn.equations.cells import Cell
from symrnn.equations.domain import Domain
from symrnn.equations.language import Add, Elementwise, Hadamard, Matmul, postorder
from symrnn.equations.language import operands as operands_of
from symrnn.equations.program import Instruction, Program, execute, lower
from symrnn.equations.symbols import Input, Named, Previous
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import Network, Position
from symrnn.runs.trace import Trace

__all__ = [
    "Carried",
    "Emulated",
    "Errors",
    "Seen",
    "Source",
    "Subject",
    "Window",
    "carry",
    "shadow_domain",
    "windows_of",
]


Floats = npt.NDArray[np.float64]


Errors = list[tuple["Source", Floats]]


@dataclass(frozen=True, slots=True)
class Source:
    """Where local errors come from.

    Attributes:
        layer: The layer.
        direction: ``"forward"`` or ``"reverse"``.
        quantity: The quantity in whose equation they are made; ``"x"`` or a state for
            rounding on entry.
        kind: ``"input product"``, ``"recurrent product"``, ``"projection"``, ``"bias"``,
            ``"gate sum"``, ``"activation"``, ``"Hadamard product"``, ``"cell sum"``,
            ``"storing"`` (rounding a finer sum to the format), ``"parameter rounding"``,
            ``"input rounding"``, ``"initial rounding"``; or ``"local error"``, all
            together, of a subject that shows no more.
    """

    layer: int
    direction: str
    quantity: str
    kind: str


# --- the arithmetic that knows local errors -----------------------------------------


def shadow_domain(precision: int) -> Domain[Any]:
    """Return an arithmetic far finer than `precision` bits: float64, or balls."""
    return DualDomain() if precision <= 32 else BallDomain(2 * precision + 64)


def to_floats(value: Any) -> Floats:
    """Return a value of the shadow as float64."""
    if isinstance(value, Balls):
        flat = [float(ball) for ball in value.flat]
        return np.array(flat).reshape(value.height, value.columns)
    return np.asarray(value.value)


def difference(shadow: Domain[Any], a: Any, b: Any) -> Floats:
    return to_floats(shadow.add(a, shadow.neg(b)))


# --- whose errors -------------------------------------------------------------------


class Subject(Protocol):
    """What somebody held, and what of it was an error of their own."""

    sources: tuple[Source, ...]

    def parameter(self, position: Position, name: str, exact: Any) -> Any:
        """Return what was held for a parameter, in the shadow."""

    def entered(self, position: Position, t: int, what: Named, exact: Any) -> Any:
        """Return what was held for an input or initial state, in the shadow."""

    def result(
        self,
        position: Position,
        t: int,
        instruction: Instruction,
        image: Any,
        operands: Sequence[Any],
    ) -> tuple[Any, Errors]:
        """Return what was held for a result, and the errors made in getting there.

        Args:
            position: The layer and direction.
            t: The step.
            instruction: What was done.
            image: Its exact result, in the shadow.
            operands: What it was done to, likewise.
        """


class Emulated:
    """Somebody whose every value is in a trace of a rounding arithmetic.

    Args:
        trace: One sequence, with ``keep="nodes"``.
        shadow: Of `shadow_domain`.
    """

    def __init__(self, trace: Trace, shadow: Domain[Any]) -> None:
        self.trace = trace
        self.shadow = shadow
        self.sources = tuple(_sources(trace.net))

    def parameter(self, position: Position, name: str, exact: Any) -> Any:
        symbol = next(p for p in self.trace.net.cell.parameters if p.name == name)
        return self._held(position, self._first(position), symbol)

    def entered(self, position: Position, t: int, what: Named, exact: Any) -> Any:
        return self._held(position, t, what)

    def result(
        self,
        position: Position,
        t: int,
        instruction: Instruction,
        image: Any,
        operands: Sequence[Any],
    ) -> tuple[Any, Errors]:
        step, node = self.trace.records[position].steps[t], instruction.node
        quantity, kind = classes(self.trace.net.cell)[node]
        held = self._held(position, t, node)
        domain, errors = self.trace.domain, Errors()

        def add(kind: str, error: Floats) -> None:
            errors.append((Source(*position, quantity, kind), error))

        raw = [step[child] for child in operands_of(node)]
        if isinstance(node, Add):
            raw_value = self._partial_sums(node, raw, operands, add, kind)
        else:
            registers = dict(zip(instruction.operands, raw, strict=True))
            sizes = self.trace.net.sizes[position]
            execute(domain, [replace(instruction, named=False)], registers, sizes)
            raw_value = registers[instruction.target]
            add(kind, difference(self.shadow, self._take(raw_value), image))
        if instruction.named:
            add("storing", difference(self.shadow, held, self._take(raw_value)))
        return held, errors

    def _partial_sums(
        self,
        node: Add,
        raw: Sequence[Any],
        operands: Sequence[Any],
        add: Any,
        kind: str,
    ) -> Any:
        """Report the rounding of each partial sum under what was added."""
        total, exact = raw[0], operands[0]
        for child, term, value in zip(
            node.args[1:], raw[1:], operands[1:], strict=True
        ):
            total = self.trace.domain.add(total, term)
            exact = self.shadow.add(exact, value)
            held = self._take(total)
            bias = isinstance(child, Named) and child in self.trace.net.cell.parameters
            add("bias" if bias else kind, difference(self.shadow, held, exact))
            exact = held
        return total

    def _held(self, position: Position, t: int, node: MatrixExpr) -> Any:
        return self._take(self.trace.records[position].steps[t][node])

    def _take(self, raw: Any) -> Any:
        return self.shadow.matrix(np.array(raw, dtype=np.float64))

    def _first(self, position: Position) -> int:
        return position.direction.start(len(self.trace.inputs.widths))


class Seen:
    """Somebody of whom only states are known: each step's error is all in one.

    Args:
        net: The network.
        states: By (layer, direction) and state, one sequence: (time, size).
        shadow: Of `shadow_domain`.
    """

    def __init__(
        self,
        net: Network,
        states: Mapping[tuple[Position, str], Floats],
        shadow: Domain[Any],
    ) -> None:
        self.states = states
        self.shadow = shadow
        self.registers = {
            register: state
            for state, register in lower(net.cell).quantities.items()
            if state in net.cell.states
        }
        self.sources = tuple(
            Source(*position, state, "local error") for position, state in states
        )

    def parameter(self, position: Position, name: str, exact: Any) -> Any:
        return exact

    def entered(self, position: Position, t: int, what: Named, exact: Any) -> Any:
        return exact

    def result(
        self,
        position: Position,
        t: int,
        instruction: Instruction,
        image: Any,
        operands: Sequence[Any],
    ) -> tuple[Any, Errors]:
        state = self.registers.get(instruction.target)
        if state is None or (position, state) not in self.states:
            return image, []
        held = self.shadow.matrix(self.states[position, state][t][:, np.newaxis])
        error = difference(self.shadow, held, image)
        return held, [(Source(*position, state, "local error"), error)]


# --- kinds --------------------------------------------------------------------------


@lru_cache
def classes(cell: Cell) -> Mapping[MatrixExpr, tuple[str, str]]:
    """Return the quantity and the kind of error of every operation of a cell."""
    found: dict[MatrixExpr, tuple[str, str]] = {}
    for line in cell.equations:
        nodes = list(postorder(line.value))
        inside = {n for e in nodes if isinstance(e, Elementwise) for n in _below(e)}
        for node in nodes:
            found.setdefault(node, (line.name, _kind(node, node in inside)))
    return found


def _below(node: Elementwise) -> Iterable[MatrixExpr]:
    return postorder(node.args[1])


def _kind(node: MatrixExpr, inside: bool) -> str:
    match node:
        case Matmul():
            kinds = {type(leaf) for leaf in postorder(node.args[1])}
            if Previous in kinds:
                return "recurrent product"
            return "input product" if Input in kinds else "projection"
        case Elementwise():
            return "activation"
        case Hadamard():
            return "Hadamard product"
    return "gate sum" if inside else "cell sum"


def _sources(net: Network) -> Iterator[Source]:
    """Yield every source that an emulated run can have."""
    cell = net.cell
    kinds = dict.fromkeys(classes(cell).values())
    for position in net.positions:
        quantities = [line.name for line in cell.equations]
        yield Source(*position, "x", "input rounding")
        for state in cell.states:
            yield Source(*position, state, "initial rounding")
        for quantity in quantities:
            mine = [kind for name, kind in kinds if name == quantity]
            for kind in (*mine, "bias", "storing", "parameter rounding"):
                yield Source(*position, quantity, kind)


@dataclass(frozen=True, slots=True)
class Window:
    """Steps `start` to `stop` - 1 of one layer and direction."""

    layer: int
    direction: str
    start: int
    stop: int


def windows_of(net: Network, time: int, most: int) -> tuple[Window, ...]:
    """Return at most `most` windows of equal length, but for the last, for each position."""
    length = -(-time // most)
    return tuple(
        Window(*position, start, min(start + length, time))
        for position in net.positions
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
            parts = [self._pass(p, below) for p in self.net.layer(layer)]
            below = [self.dual.vstack(step) for step in zip(*parts, strict=True)]
        return Carried(
            [self._tangent(step) for step in below],
            np.array([step.value[:, 0] for step in below]),
            self.made,
        )

    def _input(self, t: int) -> Dual:
        return Dual(to_floats(self.shadow.matrix(self.inputs.step(t))))

    def _pass(self, position: Position, below: Sequence[Dual]) -> list[Dual]:
        """Run one layer in one direction and return its first state at every step."""
        order = position.direction.order(len(below))
        held, exact = self._parameters(position)
        states = self._initial(position, order[0])
        first = self.net.cell.states[0]
        outputs: list[Dual] = [below[0]] * len(below)
        for count, t in enumerate(order, 1):
            states = self._step(
                position, t, held, exact, self._entry(position, t, below[t]), states
            )
            outputs[t] = states[first][1]
            window = self.window[position, t]
            if count == len(order) or self.window[position, order[count]] != window:
                column = self.columns[window]
                size = np.linalg.norm(self._tangent(outputs[t])[:, column])
                self.made[column - self.first_window] = size
        return outputs

    def _parameters(self, position: Position) -> tuple[dict[int, Any], dict[int, Any]]:
        """Return what was held and what is exact, for all that parameters determine."""
        sizes = self.net.sizes[position]
        exact = {
            register: self.shadow.matrix(self.net.parameters[position][name])
            for name, register in self.program.parameters.items()
        }
        held = {
            register: self.subject.parameter(position, name, exact[register])
            for name, register in self.program.parameters.items()
        }
        execute(self.shadow, self.program.once, exact, sizes)
        for instruction in self.program.once:
            operands = [held[source] for source in instruction.operands]
            image = dict(zip(instruction.operands, operands, strict=True))
            execute(self.shadow, [instruction], image, sizes)
            held[instruction.target], _ = self.subject.result(
                position, 0, instruction, image[instruction.target], operands
            )
        off = {r for r in held if np.any(difference(self.shadow, held[r], exact[r]))}
        return held, {register: exact[register] for register in off}

    def _initial(self, position: Position, t: int) -> dict[str, tuple[Any, Dual]]:
        index = self.net.positions.index(position)
        states = {}
        for state, size in self.net.state_sizes.items():
            symbol = self._symbol(self.program.previous[state])
            exact = self.shadow.matrix(self.inputs.initial(state, index, size))
            source = Source(*position, state, "initial rounding")
            states[state] = self._enter(position, t, symbol, exact, source)
        return states

    def _entry(self, position: Position, t: int, below: Dual) -> tuple[Any, Dual]:
        """Return the input of a layer at a step."""
        if position.layer:
            return self.shadow.matrix(below.value), below
        symbol = self._symbol(self.program.x)
        exact = self.shadow.matrix(self.inputs.step(t))
        return self._enter(
            position, t, symbol, exact, Source(*position, "x", "input rounding")
        )

    def _enter(
        self, position: Position, t: int, symbol: Named, exact: Any, source: Source
    ) -> tuple[Any, Dual]:
        held = self.subject.entered(position, t, symbol, exact)
        error = difference(self.shadow, held, exact)
        value = Dual(to_floats(held))
        return held, self._inject(value, position, t, [(source, error)])

    def _symbol(self, register: int) -> Named:
        found = (n for n, r in self.program.registers.items() if r == register)
        return next(n for n in found if isinstance(n, Named))

    def _step(
        self,
        position: Position,
        t: int,
        held: Mapping[int, Any],
        exact: Mapping[int, Any],
        entry: tuple[Any, Dual],
        states: Mapping[str, tuple[Any, Dual]],
    ) -> dict[str, tuple[Any, Dual]]:
        program, sizes = self.program, self.net.sizes[position]
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
                position, t, instruction, image, [values[source] for source in operands]
            )
            if exact.keys() & set(operands):
                better = values | {r: exact[r] for r in operands if r in exact}
                execute(self.shadow, [instruction], better, sizes)
                quantity, _ = classes(self.net.cell)[instruction.node]
                source = Source(*position, quantity, "parameter rounding")
                error = difference(self.shadow, image, better[target])
                errors = [*errors, (source, error)]
            values[target] = value
            execute(self.dual, [instruction], duals, sizes)
            moved = Dual(to_floats(value), duals[target].tangent)
            duals[target] = self._inject(moved, position, t, errors)
        return {
            state: (values[register], duals[register])
            for state, register in (
                (s, program.quantities[s]) for s in self.net.cell.states
            )
        }

    def _inject(self, value: Dual, position: Position, t: int, errors: Errors) -> Dual:
        made = [(source, error) for source, error in errors if np.any(error)]
        if not made:
            return value
        tangent = np.array(self._tangent(value))
        window = self.columns[self.window[position, t]]
        for source, error in made:
            tangent[:, [self.columns[source]]] += error
            tangent[:, [window]] += error
        return Dual(value.value, tangent)

    def _tangent(self, value: Dual) -> Floats:
        if value.tangent is not None:
            return value.tangent
        return np.zeros((len(value.value), len(self.columns)))
