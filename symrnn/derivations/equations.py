# SPDX-License-Identifier: BSD-3-Clause
"""Equations as mathematics of a document, with layer, direction and step filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sympy import MatrixExpr

from symrnn.derivations.letters import Notation
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
from symrnn.equations.cells import Cell
from symrnn.equations.language import (
    Add,
    Constant,
    Elementwise,
    Hadamard,
    Matmul,
    Neg,
    Transpose,
)
from symrnn.equations.symbols import Input, Named, Parameter, Previous
from symrnn.errors import EquationError
from symrnn.networks.network import Direction, Network, Position

__all__ = ["Names", "Shown", "bracketed", "spell"]


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
        notation: Its letters.
        layer: The superscript: ``"(2)"``, or nothing.
        arrow: The direction's arrow, or nothing.
        now: The step: ``"3"``, or ``"t"`` where any step is meant.
        before: The step that the direction comes from: ``"2"``.
    """

    cell: Cell
    notation: Notation
    layer: str = ""
    arrow: Literal["", "right", "left"] = ""
    now: str = "t"
    before: str = "t-1"

    @classmethod
    def at(
        cls, net: Network, notation: Notation, position: Position, t: int | None = None
    ) -> Names:
        """Return the names at a layer, direction and step t (from 0), or any step."""
        layer, direction = position
        back = direction is Direction.REVERSE
        return cls(
            cell=net.cell,
            notation=notation,
            layer=f"({layer + 1})" if net.num_layers > 1 else "",
            arrow=("left" if back else "right") if net.bidirectional else "",
            now="t" if t is None else str(t + 1),
            before=f"t{-direction.stride:+}"
            if t is None
            else str(direction.before(t) + 1),
        )

    def symbol(self, name: Named) -> Symbol:
        """Return the symbol of a parameter, the input, a state or a quantity."""
        symbols = self.notation.symbols
        if isinstance(name, Parameter):
            symbol = symbols[name.name]
            sup = _beside(symbol.sup, self.layer)
            return replace(symbol, sup=sup, arrow=self.arrow)
        if isinstance(name, Previous):
            symbol = symbols[name.state]
            sub = _beside(symbol.sub, self.before)
        else:
            symbol = symbols[name.name]
            sub = _beside(symbol.sub, self.now)
        if isinstance(
            name, Input
        ):  # both directions read it; in the first layer it is the network's
            sup = _beside(symbol.sup, self.layer.replace("(1)", ""))
            return replace(symbol, sub=sub, sup=sup)
        sup = _beside(symbol.sup, self.layer)
        return replace(symbol, sub=sub, sup=sup, arrow=self.arrow)

    def letter(self, state: str) -> Symbol:
        """Return the symbol of a state at no step in particular."""
        return self.notation.symbols[state]

    def state(self, state: str, *, before: bool = False) -> Symbol:
        """Return the symbol of a state at this step, or at the step before."""
        if before:
            return self.symbol(self.cell.previous[state])
        targets = {line.name: line.target for line in self.cell.equations}
        return self.symbol(targets[state])


def _beside(own: str, further: str) -> str:
    return f"{own},{further}" if own and further else own or further


# --- expressions --------------------------------------------------------------------

_TIGHT: Mapping[type, tuple[type, ...]] = {
    Matmul: (Add, Neg, Hadamard),
    Hadamard: (Add, Neg, Matmul),
    Neg: (Add, Neg),
    Transpose: (Add, Neg, Matmul, Hadamard, Elementwise, Transpose),
    Add: (Add,),
}
"""The operands that need brackets below each node, as in `symrnn.equations.language`."""


def spell(
    node: MatrixExpr, names: Names, values: Mapping[MatrixExpr, Shown] | None = None
) -> Math:
    """Write `node` as it stands, with `values` in place of the nodes that have one.

    Where vectors are rows, what is written is the transpose of `node`.
    """
    turned = names.notation.row
    return _Speller(names, values or {}, turned).spell(node, first=True)


@dataclass(frozen=True, slots=True)
class _Speller:
    """Writes nodes.

    Attributes:
        names: How names are written. Where vectors are rows, the letter of a vector and
            the numbers of a value are transposes of the nodes.
        values: What is written in place of nodes.
        turned: Whether the transpose of a node is written.
    """

    names: Names
    values: Mapping[MatrixExpr, Shown]
    turned: bool

    def spell(self, node: MatrixExpr, *, first: bool) -> Math:
        """Write a node; `first` tells that no sign stands to the left of it."""
        if node in self.values:
            shown = self.values[node]
            again = shown.is_matrix and self.turned != self.names.notation.row
            math = bracketed(shown.math, first=first)
            return (*math, Sign("transposed")) if again else math
        match node:
            case Named():
                symbol: Math = (self.names.symbol(node),)
                as_row = self.names.notation.row and node.shape[1] == 1
                return (
                    (*symbol, Sign("transposed")) if self.turned != as_row else symbol
                )
            case Constant():
                return (Number(str(node.args[0])),)
            case Matmul() | Hadamard():
                return self._product(node, first=first)
            case Neg():
                inner = self.operand(node, node.args[0], first=False)
                negative = (Sign("negative"), *inner)
                return negative if first else (Brackets(negative),)
            case Transpose():
                if self.names.notation.row:
                    return self._transposed().spell(node.args[0], first=first)
                inner = self.operand(node, node.args[0], first=True)
                return (*inner, Sign("transposed"))
            case Elementwise():
                function = Function(node.function.name, node.function.latex)
                return function, Brackets(self.spell(node.args[1], first=True))
            case Add():
                return self._sum(node, first=first)
        raise EquationError(f"no notation for the node {type(node).__name__}")

    def _transposed(self) -> _Speller:
        return replace(self, turned=not self.turned)

    def operand(self, parent: MatrixExpr, child: MatrixExpr, *, first: bool) -> Math:
        """Write an operand, in brackets where its parent binds tighter."""
        if child not in self.values:
            if isinstance(child, Transpose) and self.names.notation.row:
                return self._transposed().operand(parent, child.args[0], first=first)
            if isinstance(child, _TIGHT[type(parent)]):
                return (Brackets(self.spell(child, first=True)),)
        return self.spell(child, first=first)

    def _product(self, node: MatrixExpr, *, first: bool) -> Math:
        left, right = node.args
        if self.turned and isinstance(node, Matmul):
            left, right = right, left  # (W x)ᵀ = xᵀ Wᵀ
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
