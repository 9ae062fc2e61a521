# SPDX-License-Identifier: BSD-3-Clause
"""Equations, lowered once to a straight-line program that any domain can execute.

Every distinct subexpression gets one register. Instructions fall into three phases:
``once`` (parameters only), ``input`` (parameters and x: all steps at once, as one matrix
product instead of one a step) and ``step`` (anything that needs the previous state).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sympy import MatrixExpr

from symrnn.equations.cells import Cell
from symrnn.equations.domain import Domain
from symrnn.equations.language import (
    Add,
    Constant,
    Elementwise,
    Hadamard,
    Matmul,
    Neg,
    Transpose,
    operands,
    postorder,
)
from symrnn.equations.symbols import Named, x
from symrnn.errors import EquationError

__all__ = ["Instruction", "Program", "lower"]


@dataclass(frozen=True, slots=True)
class Instruction:
    """``registers[target] = node(registers[operands])``.

    Attributes:
        node: What to do.
        target: The register of its value.
        operands: The registers that it reads.
        named: Whether the value is a quantity's, which a domain may keep in another
            form than what lies between quantities.
    """

    node: MatrixExpr
    target: int
    operands: tuple[int, ...]
    named: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A cell as straight-line code over numbered registers.

    Attributes:
        cell: Where it came from.
        registers: The register of every subexpression of the equations.
        quantities: The register of every named quantity and pre-activation.
        x: The register of the input.
        previous: The register of each state at t - 1.
        parameters: The register of each parameter.
        once: Instructions that depend on parameters only.
        input: Instructions that depend on x but on no state.
        step: All others, in order.
    """

    cell: Cell
    registers: Mapping[MatrixExpr, int]
    quantities: Mapping[str, int]
    x: int
    previous: Mapping[str, int]
    parameters: Mapping[str, int]
    once: tuple[Instruction, ...]
    input: tuple[Instruction, ...]
    step: tuple[Instruction, ...]


@lru_cache
def lower(cell: Cell, observed: tuple[str, ...] = ()) -> Program:
    """Lower the equations of `cell`; equal subexpressions share a register.

    Args:
        cell: The cell.
        observed: States whose values at t - 1 are known before the run, as those that
            somebody else computed are. What depends on them and on x alone belongs to
            the ``input`` phase, so all steps can be computed at once.
    """
    registers: dict[MatrixExpr, int] = {}
    quantities: dict[str, int] = {}
    states = cell.previous
    leaves: list[Named] = [x, *states.values(), *cell.parameters]
    for leaf in leaves:
        registers[leaf] = len(registers)
    phase = dict.fromkeys(registers.values(), 0)
    phase[registers[x]] = 1
    phase |= {registers[s]: 1 if n in observed else 2 for n, s in states.items()}

    phases: tuple[list[Instruction], ...] = ([], [], [])
    named = {line.value for line in cell.equations}
    for line in cell.equations:
        for node in postorder(line.value):
            if node in registers:
                continue
            sources = tuple(registers[child] for child in operands(node))
            registers[node] = target = len(phase)
            phase[target] = max((phase[s] for s in sources), default=0)
            instruction = Instruction(node, target, sources, node in named)
            phases[phase[target]].append(instruction)
        if line.preactivation is not None:
            quantities[f"{line.name}_pre"] = registers[line.preactivation]
        # The name is another name for the value's register, not a copy of it.
        quantities[line.name] = registers[line.target] = registers[line.value]
    return Program(
        cell=cell,
        registers=registers,
        quantities=quantities,
        x=registers[x],
        previous={state: registers[symbol] for state, symbol in states.items()},
        parameters={p.name: registers[p] for p in cell.parameters},
        once=tuple(phases[0]),
        input=tuple(phases[1]),
        step=tuple(phases[2]),
    )


def execute(
    domain: Domain[Any],
    instructions: Iterable[Instruction],
    registers: dict[int, Any],
    sizes: Mapping[Any, int],
) -> None:
    """Run `instructions` over `domain`, reading and writing `registers` in place.

    Args:
        domain: The arithmetic.
        instructions: One phase of a program.
        registers: Values by register number.
        sizes: What the size symbols stand for.
    """
    for instruction in instructions:
        values = [registers[source] for source in instruction.operands]
        value = _apply(domain, instruction.node, values, sizes)
        registers[instruction.target] = (
            domain.stored(value) if instruction.named else value
        )


def _apply(
    domain: Domain[Any], node: MatrixExpr, values: list[Any], sizes: Mapping[Any, int]
) -> Any:
    match node:
        case Matmul():
            return domain.matmul(*values)
        case Add():
            return domain.add(*values)
        case Hadamard():
            return domain.hadamard(*values)
        case Elementwise():
            return domain.elementwise(node.function, *values)
        case Neg():
            return domain.neg(*values)
        case Transpose():
            return domain.transpose(*values)
        case Constant():
            value, size = node.args
            return domain.constant(int(value), int(sizes.get(size, size)))
    raise EquationError(f"no meaning for the node {type(node).__name__}")
