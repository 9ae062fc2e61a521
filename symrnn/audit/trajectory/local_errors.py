# SPDX-License-Identifier: BSD-3-Clause
"""Whose errors are carried: an emulated arithmetic's, or somebody's of whom states are known.

A local error is what is held minus the exact result of an instruction on what was held
before it. Exact results come from a *shadow*, an arithmetic far finer than the subject's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sympy import MatrixExpr

from symrnn.audit.trajectory.dual import DualDomain
from symrnn.cells import Cell
from symrnn.domains.ball import BallDomain, Balls
from symrnn.domains.base import Domain
from symrnn.language import (
    Add,
    Elementwise,
    Hadamard,
    Matmul,
    Named,
    postorder,
)
from symrnn.language import operands as operands_of
from symrnn.network import Network, Place
from symrnn.program import Instruction, execute, lower
from symrnn.trace import Trace

__all__ = ["Emulated", "Errors", "Seen", "Source", "Subject", "shadow_domain"]

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

    def parameter(self, place: Place, name: str, exact: Any) -> Any:
        """Return what was held for a parameter, in the shadow."""

    def entered(self, place: Place, t: int, what: Named, exact: Any) -> Any:
        """Return what was held for an input or initial state, in the shadow."""

    def result(
        self,
        place: Place,
        t: int,
        instruction: Instruction,
        image: Any,
        operands: Sequence[Any],
    ) -> tuple[Any, Errors]:
        """Return what was held for a result, and the errors made in getting there.

        Args:
            place: The layer and direction.
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

    def parameter(self, place: Place, name: str, exact: Any) -> Any:
        symbol = next(p for p in self.trace.net.cell.parameters if p.name == name)
        return self._held(place, self._first(place), symbol)

    def entered(self, place: Place, t: int, what: Named, exact: Any) -> Any:
        return self._held(place, t, what)

    def result(
        self,
        place: Place,
        t: int,
        instruction: Instruction,
        image: Any,
        operands: Sequence[Any],
    ) -> tuple[Any, Errors]:
        step, node = self.trace.records[place].steps[t], instruction.node
        quantity, kind = classes(self.trace.net.cell)[node]
        held = self._held(place, t, node)
        domain, errors = self.trace.domain, Errors()

        def add(kind: str, error: Floats) -> None:
            errors.append((Source(*place, quantity, kind), error))

        raw = [step[child] for child in operands_of(node)]
        if isinstance(node, Add):
            raw_value = self._partial_sums(node, raw, operands, add, kind)
        else:
            registers = dict(zip(instruction.operands, raw, strict=True))
            sizes = self.trace.net.sizes[place]
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

    def _held(self, place: Place, t: int, node: MatrixExpr) -> Any:
        return self._take(self.trace.records[place].steps[t][node])

    def _take(self, raw: Any) -> Any:
        return self.shadow.matrix(np.array(raw, dtype=np.float64))

    def _first(self, place: Place) -> int:
        return 0 if place[1] == "forward" else len(self.trace.inputs.widths) - 1


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
        states: Mapping[tuple[Place, str], Floats],
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
            Source(*place, state, "local error") for place, state in states
        )

    def parameter(self, place: Place, name: str, exact: Any) -> Any:
        return exact

    def entered(self, place: Place, t: int, what: Named, exact: Any) -> Any:
        return exact

    def result(
        self,
        place: Place,
        t: int,
        instruction: Instruction,
        image: Any,
        operands: Sequence[Any],
    ) -> tuple[Any, Errors]:
        state = self.registers.get(instruction.target)
        if state is None or (place, state) not in self.states:
            return image, []
        held = self.shadow.matrix(self.states[place, state][t][:, np.newaxis])
        error = difference(self.shadow, held, image)
        return held, [(Source(*place, state, "local error"), error)]


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
            leaves = {n.name for n in postorder(node.args[1]) if isinstance(n, Named)}
            if any(name.endswith("_prev") for name in leaves):
                return "recurrent product"
            return "input product" if "x" in leaves else "projection"
        case Elementwise():
            return "activation"
        case Hadamard():
            return "Hadamard product"
    return "gate sum" if inside else "cell sum"


def _sources(net: Network) -> Iterator[Source]:
    """Yield every source that an emulated run can have."""
    cell = net.cell
    kinds = dict.fromkeys(classes(cell).values())
    for place in net.places:
        quantities = [line.name for line in cell.equations]
        yield Source(*place, "x", "input rounding")
        for state in cell.states:
            yield Source(*place, state, "initial rounding")
        for quantity in quantities:
            mine = [kind for name, kind in kinds if name == quantity]
            for kind in (*mine, "bias", "storing", "parameter rounding"):
                yield Source(*place, quantity, kind)
