# SPDX-License-Identifier: BSD-3-Clause
"""The program of a cell, divided by what needs hidden states and what does not.

A subject shows one state at every step, so most of a cell can be computed for many steps
at once. States that it does not show, such as an LSTM's c, are hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from symrnn.language import Add, Matmul
from symrnn.program import Instruction, Program

__all__ = ["Affine", "Phases"]


@dataclass(frozen=True, slots=True)
class Affine:
    """A register that is a sum of parameters and of parameters times leaves.

    A leaf is the layer's input or the subject's own state before the step.
    """

    target: int
    matrices: tuple[int, ...]
    leaves: tuple[int, ...]
    constants: tuple[int, ...] = ()


class Phases:
    """The program of a cell, by when what can run.

    Attributes:
        affine: Whole sums, or products alone where these are stored one by one: for a
            whole block of steps at once.
        ahead: What else does not need hidden states: a part of a block at a time.
        recursion: What leads from hidden states to the next ones: step by step.
        after: What else there is: a part of a block at a time.
        hidden: The register of each hidden state.
        wanted: What the last reads, and the states.
        kept: What the last two read, and the states.
        read: What the last three read, and the states.
    """

    def __init__(
        self, program: Program, hidden: Sequence[str], *, whole_sums: bool
    ) -> None:
        states = {program.quantities[s] for s in program.cell.states}
        candidates = _find_affine(program, whole_sums)
        needed = _operands(program.step) | states
        affine, ahead = [], []
        for i in reversed(program.input):
            if i.target not in needed:
                continue
            if i.target in candidates:
                affine.append(candidates[i.target])
            else:
                ahead.append(i)
                needed |= set(i.operands)
        self.affine = tuple(reversed(affine))
        self.ahead = tuple(reversed(ahead))
        self.hidden = {state: program.quantities[state] for state in hidden}
        needed = set(self.hidden.values())
        recursion = []
        for i in reversed(program.step):
            if i.target in needed:
                recursion.append(i)
                needed |= set(i.operands)
        self.recursion = tuple(reversed(recursion))
        self.after = tuple(i for i in program.step if i not in recursion)
        self.wanted = _operands(self.after) | states
        self.kept = _operands(self.recursion) | self.wanted
        self.read = _operands(self.ahead) | self.kept


def _find_affine(program: Program, whole_sums: bool) -> dict[int, Affine]:
    fixed = {i.target for i in program.once} | set(program.parameters.values())
    leaves = {program.x, *program.previous.values()}
    found: dict[int, Affine] = {}
    products: dict[int, tuple[int, int]] = {}
    for i in program.input:
        if isinstance(i.node, Matmul):
            left, right = i.operands
            if left in fixed and right in leaves:
                products[i.target] = (left, right)
                found[i.target] = Affine(i.target, (left,), (right,))
        elif whole_sums and isinstance(i.node, Add):
            pairs = [products[s] for s in i.operands if s in products]
            constants = tuple(s for s in i.operands if s in fixed)
            if pairs and len(pairs) + len(constants) == len(i.operands):
                matrices, inputs = zip(*pairs, strict=True)
                found[i.target] = Affine(i.target, matrices, inputs, constants)
    return found


def _operands(instructions: Iterable[Instruction]) -> set[int]:
    return {source for i in instructions for source in i.operands}
