# SPDX-License-Identifier: BSD-3-Clause
"""Equations as mathematics of a document, with layer, direction and step filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sympy import MatrixExpr

from symrnn.cells import Cell, previous, x
from symrnn.documents.model import (
    Brackets,
    Function,
    Math,
    Matrix,
    Number,
    Sign,
    SignName,
    Symbol,
)
from symrnn.errors import EquationError
from symrnn.language import (
    Add,
    Constant,
    Elementwise,
    Hadamard,
    Matmul,
    Named,
    Neg,
    Transpose,
)
from symrnn.network import Network, Place

__all__ = ["Names", "Shown", "bracketed", "letter", "spell"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A value as it is printed: a matrix, or a number where it has one element.

    Attributes:
        math: What to print.
        exact: Whether the printed decimals are exactly the value.
    """

    math: Math
    exact: bool

    @property
    def is_matrix(self) -> bool:
        """Whether it has several elements."""
        return len(self.math) == 1 and isinstance(self.math[0], Matrix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How the names of a cell's equations are written at one layer and direction.

    Layers and steps are counted from 1. A layer's number is written where the network
    has several, a direction's arrow where it has two.

    Attributes:
        cell: The cell.
        layer: The superscript: ``"(2)"``, or nothing.
        arrow: The direction's arrow, or nothing.
        now: The step: ``"3"``, or ``"t"`` where any step is meant.
        before: The step that the direction comes from: ``"2"``.
    """

    cell: Cell
    layer: str = ""
    arrow: Literal["", "right", "left"] = ""
    now: str = "t"
    before: str = "t-1"

    @classmethod
    def at(cls, net: Network, place: Place, t: int | None = None) -> Names:
        """Return the names at a layer, direction and step t (from 0), or any step."""
        layer, direction = place
        back = direction == "reverse"
        return cls(
            cell=net.cell,
            layer=f"({layer + 1})" if net.num_layers > 1 else "",
            arrow=("left" if back else "right") if net.bidirectional else "",
            now="t" if t is None else str(t + 1),
            before=("t+1" if back else "t-1")
            if t is None
            else str(t + 2 if back else t),
        )

    def symbol(self, name: Named) -> Symbol:
        """Return the symbol of a parameter, the input, a state or a quantity."""
        if name in self.cell.parameters:
            symbol = _split(_latex(name))
            return replace(symbol, sup=self.layer, arrow=self.arrow)
        stem = re.sub(r"_(t|\{t(-1)?\})$", "", _latex(name))
        symbol = _split(stem)
        step = self.before if name.name.endswith("_prev") else self.now
        sub = f"{symbol.sub},{step}" if symbol.sub else step
        if name == x:  # both directions read it; in the first layer it is the network's
            return replace(symbol, sub=sub, sup=self.layer.replace("(1)", ""))
        return replace(symbol, sub=sub, sup=self.layer, arrow=self.arrow)

    def state(self, state: str, *, before: bool = False) -> Symbol:
        """Return the symbol of a state at this step, or at the step before."""
        sizes = dict(zip(self.cell.states, self.cell.state_sizes, strict=True))
        targets = {line.name: line.target for line in self.cell.equations}
        return self.symbol(previous(state, sizes[state]) if before else targets[state])


def letter(state: str) -> Symbol:
    """Return the symbol of a state at no step in particular."""
    return _split(state)


def _latex(name: Named) -> str:
    return str(name.args[3].name)


def _split(latex: str) -> Symbol:
    """Split ``W_{ih}`` into base and subscript; anything richer stays whole."""
    found = re.fullmatch(r"([^_^]+)_(?:\{([^{}]*)\}|(\w+))", latex)
    if found:
        return Symbol(found[1], found[2] or found[3])
    return Symbol(latex)


# --- expressions --------------------------------------------------------------------

_TIGHT: Mapping[type, tuple[type, ...]] = {
    Matmul: (Add, Neg, Hadamard),
    Hadamard: (Add, Neg, Matmul),
    Neg: (Add, Neg),
    Transpose: (Add, Neg, Matmul, Hadamard, Elementwise),
    Add: (Add,),
}
"""The operands that need brackets below each node, as in `symrnn.language`."""


def spell(
    node: MatrixExpr, names: Names, values: Mapping[MatrixExpr, Shown] | None = None
) -> Math:
    """Write `node` as it stands, with `values` in place of the nodes that have one."""
    return _Speller(names, values or {}).spell(node, first=True)


@dataclass(frozen=True, slots=True)
class _Speller:
    names: Names
    values: Mapping[MatrixExpr, Shown]

    def spell(self, node: MatrixExpr, *, first: bool) -> Math:
        """Write a node; `first` tells that no sign stands to the left of it."""
        if node in self.values:
            return bracketed(self.values[node].math, first=first)
        match node:
            case Named():
                return (self.names.symbol(node),)
            case Constant():
                return (Number(str(node.args[0])),)
            case Matmul() | Hadamard():
                return self._product(node, first=first)
            case Neg():
                inner = self.operand(node, node.args[0], first=False)
                negative = (Sign("negative"), *inner)
                return negative if first else (Brackets(negative),)
            case Transpose():
                return (
                    *self.operand(node, node.args[0], first=True),
                    Sign("transposed"),
                )
            case Elementwise():
                function = Function(node.function.name, node.function.latex)
                return function, Brackets(self.spell(node.args[1], first=True))
            case Add():
                return self._sum(node, first=first)
        raise EquationError(f"no notation for the node {type(node).__name__}")

    def operand(self, parent: MatrixExpr, child: MatrixExpr, *, first: bool) -> Math:
        if child not in self.values and isinstance(child, _TIGHT[type(parent)]):
            return (Brackets(self.spell(child, first=True)),)
        return self.spell(child, first=first)

    def _product(self, node: MatrixExpr, *, first: bool) -> Math:
        left, right = node.args
        a = self.operand(node, left, first=first)
        b = self.operand(node, right, first=False)
        numbers = any(
            n in self.values and not self.values[n].is_matrix for n in node.args
        )
        if numbers:
            return (*a, Sign("dot"), *b)
        return (*a, Sign("odot"), *b) if isinstance(node, Hadamard) else (*a, *b)

    def _sum(self, node: MatrixExpr, *, first: bool) -> Math:
        head, *rest = node.args
        math = self.operand(node, head, first=first)
        for term in rest:
            sign: SignName = "plus"
            parent = node
            if isinstance(term, Neg) and term not in self.values:
                sign, parent, term = "minus", term, term.args[0]
            math = (*math, Sign(sign), *self.operand(parent, term, first=False))
        return math


def bracketed(value: Math, *, first: bool) -> Math:
    """Return a number in brackets where it is a sum, or negative after a sign."""
    head = value[0]
    negative = head == Sign("negative") or (
        isinstance(head, Number) and head.text.startswith("-")
    )
    is_sum = Sign("plus") in value or Sign("minus") in value
    return (Brackets(value),) if is_sum or (negative and not first) else value
