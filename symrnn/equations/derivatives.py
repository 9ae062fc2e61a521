# SPDX-License-Identifier: BSD-3-Clause
"""Derivatives of a cell: equations in, equations out.

`tangent` writes an equation for the directional derivative (the tangent) of every
quantity, in the vocabulary that the cell itself is written in, so every domain can
execute it and every writer can print it. With the columns of an identity matrix as
directions, the tangents are the Jacobian.

The rules are those of forward accumulation (Griewank & Walther, 'Evaluating
Derivatives', 2008, ch. 3):

    d(W b)     = W db                 W of parameters alone, as cells demand
    d(a ⊙ b)   = da ⊙ b + a ⊙ db
    d f(a)     = f'(a) ⊙ da           f' from SymPy, written in f(a) where it can be

and linear for the rest. A tangent that is zero is left out, never added. Where f has a
kink (relu), f' is the one-sided derivative that SymPy states; over an interval the
`step` function takes both, which is what a mean value theorem needs there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import sympy
from sympy import Expr, MatrixExpr, Symbol
from sympy.core.function import AppliedUndef

from symrnn.equations.cells import Cell, Equation
from symrnn.equations.domain import Domain
from symrnn.equations.functions import find_function
from symrnn.equations.language import (
    Add,
    Constant,
    Elementwise,
    Hadamard,
    Matmul,
    Neg,
    add,
    elementwise,
    hadamard,
    matmul,
    neg,
    operands,
    postorder,
)
from symrnn.equations.program import Instruction, execute
from symrnn.equations.symbols import Named, x
from symrnn.errors import EquationError

__all__ = [
    "Tangent",
    "TangentProgram",
    "derivative",
    "directions",
    "lower_tangent",
    "push",
    "tangent",
]

directions = Symbol("directions", integer=True, positive=True)
"""Number of directions that are differentiated along at once: columns of a tangent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tangent:
    """A cell together with the directional derivative of every quantity.

    Values are columns (features × 1), tangents have one column for each direction.

    Attributes:
        cell: What is differentiated.
        seeds: The tangents one starts from: ``"x"`` and the states, to ``d_x``,
            ``d_h_prev``, …
        equations: The cell's equations, each followed by that of its tangent.
        tangents: For each quantity whose tangent is not identically zero, its symbol.
    """

    cell: Cell
    seeds: Mapping[str, Named]
    equations: tuple[Equation, ...]
    tangents: Mapping[str, Named]

    def __str__(self) -> str:
        return "\n    ".join([f"d {self.cell.name}", *map(str, self.equations)])


def tangent(cell: Cell, wrt: Iterable[str] | None = None) -> Tangent:
    """Return the equations of a cell's directional derivatives.

    Args:
        cell: The cell.
        wrt: What varies: ``"x"`` and names of states; by default all of them. The rest
            is held fixed.

    Raises:
        EquationError: `wrt` names something else, or a function's derivative cannot be
            written with registered functions.

    >>> from symrnn.equations import rnn, lstm
    >>> print(tangent(rnn(bias=False), wrt=["h"]))
    d RNN (tanh)
        h = tanh(W_ih*x + W_hh*h_prev)
        d_h = (1 - h ⊙ h) ⊙ (W_hh*d_h_prev)
    >>> print(tangent(lstm(), wrt=["c"]).equations[-1])
    d_h = o ⊙ (1 - tanh(c) ⊙ tanh(c)) ⊙ d_c
    """
    leaves: dict[str, Named] = {"x": x, **cell.previous}
    chosen = tuple(leaves) if wrt is None else tuple(wrt)
    for name in chosen:
        if name not in leaves:
            raise EquationError(
                f"{cell.name}: cannot differentiate with respect to {name!r}; there are "
                f"{', '.join(leaves)}"
            )
    seeds = {name: _dotted(leaves[name]) for name in chosen}
    known: dict[MatrixExpr, MatrixExpr | None] = {
        leaves[name]: seed for name, seed in seeds.items()
    }
    equations: list[Equation] = []
    tangents: dict[str, Named] = {}
    named: dict[MatrixExpr, Named] = {}
    for line in cell.equations:
        equations.append(line)
        named[line.value] = line.target
        value = _tangent_of(line.value, known, named)
        known[line.target] = None
        if value is not None:
            known[line.target] = tangents[line.name] = _dotted(line.target)
            equations.append(Equation(tangents[line.name], value))
    return Tangent(
        cell=cell, seeds=seeds, equations=tuple(equations), tangents=tangents
    )


def _dotted(value: Named) -> Named:
    """Return the symbol of the tangent of a named column."""
    latex = rf"\mathrm{{d}}{value.latex}"
    return Named(f"d_{value.name}", value.shape[0], directions, latex)


def _tangent_of(
    root: MatrixExpr,
    known: dict[MatrixExpr, MatrixExpr | None],
    named: Mapping[MatrixExpr, Named],
) -> MatrixExpr | None:
    """Return the tangent of an expression, ``None`` for zero; `known` grows by its nodes."""
    for node in postorder(root):
        if node not in known:
            inner = [known[child] for child in operands(node)]
            known[node] = _rule(node, inner, named.get(node, node))
    return known[root]


def _rule(
    node: MatrixExpr, inner: list[MatrixExpr | None], name: MatrixExpr
) -> MatrixExpr | None:
    """Differentiate one node, given its operands' tangents and what it is called."""
    if all(d is None for d in inner):  # leaves too
        return None
    match node:
        case Matmul():
            return matmul(node.args[0], inner[1])
        case Add():
            return _sum(inner)
        case Neg():
            return neg(inner[0])
        case Hadamard():
            a, b = node.args
            da, db = inner
            return _sum(
                [
                    None if da is None else hadamard(da, b),
                    None if db is None else hadamard(a, db),
                ]
            )
        case Elementwise():
            slope = derivative(node, name)
            return None if slope is None else hadamard(slope, inner[0])
    raise EquationError(f"no derivative for the node {type(node).__name__}")


def _sum(terms: Sequence[MatrixExpr | None]) -> MatrixExpr:
    return add(*terms)  # which leaves out what is None


# --- derivatives of elementwise functions -------------------------------------------


def derivative(node: Elementwise, value: MatrixExpr | None = None) -> MatrixExpr | None:
    """Return f'(a) for the node f(a), as equations have it; ``None`` where it is 0.

    SymPy's ``fdiff`` says what f' is. f(a) in it is computed already, and not again.

    Args:
        node: f(a).
        value: What stands for f(a) in the result, such as the quantity it defines; by
            default `node`.

    Raises:
        EquationError: f' needs what the vocabulary lacks: a function that is not
            registered, a quotient, a number that is no integer.

    >>> from symrnn.equations import relu, sigmoid
    >>> from symrnn.equations import vector
    >>> print(derivative(sigmoid(vector("a", 2))), "|", derivative(relu(vector("a", 2))))
    sigmoid(a) ⊙ (1 - sigmoid(a)) | step(a)
    """
    argument = Symbol("argument", real=True)
    image = node.function.scalar(argument, evaluate=False)
    slope = image.fdiff(1)
    if slope == 0:
        return None
    known = {argument: node.args[1], image: node if value is None else value}
    return _Translation(node, known)(slope)


class _Translation:
    """From a SymPy scalar expression in one argument to the vocabulary."""

    def __init__(self, node: Elementwise, known: Mapping[Expr, MatrixExpr]) -> None:
        self.node = node
        self.known = known

    def __call__(self, expr: Expr) -> MatrixExpr:
        if expr in self.known:
            return self.known[expr]
        if expr.is_Integer:
            return Constant(expr, self.node.shape[0])
        if expr.is_Add:
            return add(*map(self, expr.args))
        coefficient, rest = expr.as_coeff_Mul()
        if coefficient.is_negative:
            return neg(self(-coefficient * rest))
        if expr.is_Mul:  # s ⊙ (1 - s): sums last
            factors = sorted(expr.args, key=lambda factor: bool(factor.is_Add))
            return reduce(hadamard, map(self, factors))
        if expr.is_Pow and expr.exp.is_Integer and expr.exp > 0:
            return reduce(hadamard, [self(expr.base)] * int(expr.exp))
        name = self._registered(expr)
        if name is None:
            raise EquationError(
                f"the derivative of {self.node.function.name} cannot be written in "
                f"registered functions, integers, sums and products: it has {expr}"
            )
        return elementwise(name, self(expr.args[0]))

    def _registered(self, expr: Expr) -> str | None:
        """Return the registered name of the function that `expr` applies, if any."""
        if isinstance(expr, sympy.Heaviside) and expr.args[1:] == (0,):
            return "step"
        if isinstance(expr, AppliedUndef) or len(expr.args) != 1:
            return None
        function = find_function(expr.func)
        return None if function is None else function.name


# --- execution ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TangentProgram:
    """A `Tangent` as straight-line code, sorted by what each instruction depends on.

    Attributes:
        tangent: Where it came from.
        x: The register of the input.
        previous: The register of each state at t - 1.
        parameters: The register of each parameter.
        seeds: The register of each seed.
        quantities: The register of every quantity.
        tangents: The register of every tangent that is not zero.
        once: Instructions on parameters alone.
        seeded: On seeds and parameters: the same at every step, for the same seeds.
        values: On x and states, but no seed; run over many steps at once if one likes.
        mixed: All others.
    """

    tangent: Tangent
    x: int
    previous: Mapping[str, int]
    parameters: Mapping[str, int]
    seeds: Mapping[str, int]
    quantities: Mapping[str, int]
    tangents: Mapping[str, int]
    once: tuple[Instruction, ...]
    seeded: tuple[Instruction, ...]
    values: tuple[Instruction, ...]
    mixed: tuple[Instruction, ...]


@lru_cache
def lower_tangent(cell: Cell, wrt: tuple[str, ...] | None = None) -> TangentProgram:
    """Lower the tangent of a cell; equal subexpressions share a register.

    Args:
        cell: The cell.
        wrt: As in `tangent`.
    """
    return _lower(tangent(cell, wrt))


def _lower(source: Tangent) -> TangentProgram:
    cell = source.cell
    states = cell.previous
    values, seeds = {x, *states.values()}, set(source.seeds.values())
    leaves = [x, *states.values(), *source.seeds.values(), *cell.parameters]
    registers: dict[MatrixExpr, int] = {leaf: i for i, leaf in enumerate(leaves)}
    # What a register depends on: bit 0 for values of a step, bit 1 for seeds.
    depends = {registers[n]: (n in values) + 2 * (n in seeds) for n in leaves}
    phases: tuple[list[Instruction], ...] = ([], [], [], [])
    for line in source.equations:
        for node in postorder(line.value):
            if node in registers:
                continue
            sources = tuple(registers[child] for child in operands(node))
            registers[node] = number = len(depends)
            depends[number] = reduce(int.__or__, (depends[s] for s in sources), 0)
            phases[depends[number]].append(Instruction(node, number, sources))
        registers[line.target] = registers[line.value]
    return TangentProgram(
        tangent=source,
        x=registers[x],
        previous={state: registers[symbol] for state, symbol in states.items()},
        parameters={p.name: registers[p] for p in cell.parameters},
        seeds={name: registers[symbol] for name, symbol in source.seeds.items()},
        quantities={line.name: registers[line.target] for line in cell.equations},
        tangents={name: registers[symbol] for name, symbol in source.tangents.items()},
        once=tuple(phases[0]),
        values=tuple(phases[1]),
        seeded=tuple(phases[2]),
        mixed=tuple(phases[3]),
    )


def push(
    domain: Domain[Any],
    program: TangentProgram,
    parameters: Mapping[str, Any],
    at: Mapping[str, Any],
    seeds: Mapping[str, Any],
    sizes: Mapping[Any, int],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Push tangents through one step of a cell, in the arithmetic of `domain`.

    Call it within ``domain.context()``. Everything is a matrix of the domain.

    Args:
        domain: The arithmetic.
        program: From `lower_tangent`.
        parameters: The parameters by name.
        at: The point: ``"x"`` and the states before the step, (features × 1).
        seeds: The tangents of what the program varies, (features × directions).
        sizes: What the size symbols stand for: ``net.sizes[position]``.

    Returns:
        The quantities of the step, and the tangents of those whose tangent is not zero.

    >>> from fractions import Fraction
    >>> from symrnn.equations import rnn
    >>> from symrnn.domains.exact import ExactDomain
    >>> from symrnn.numerics.exact import exact_array
    >>> take = lambda *rows: ExactDomain().matrix(exact_array(rows))
    >>> values, tangents = push(
    ...     ExactDomain(),
    ...     lower_tangent(rnn("relu", bias=False), ("h",)),
    ...     {"W_ih": take(["1/2"]), "W_hh": take(["-1/3"])},
    ...     {"x": take([1]), "h": take([1])},
    ...     {"h": take([1])},
    ...     {},
    ... )
    >>> values["h"].item(), tangents["h"].item()
    (1/6, -1/3)
    """
    registers = {program.x: at["x"]}
    registers |= {program.previous[s]: at[s] for s in program.previous}
    registers |= {program.parameters[n]: value for n, value in parameters.items()}
    registers |= {program.seeds[n]: value for n, value in seeds.items()}
    for phase in (program.once, program.values, program.seeded, program.mixed):
        execute(domain, phase, registers, sizes)
    values = {name: registers[r] for name, r in program.quantities.items()}
    return values, {name: registers[r] for name, r in program.tangents.items()}
