# SPDX-License-Identifier: BSD-3-Clause
r"""Equality of expressions over the rationals, elementwise functions uninterpreted.

An expression is brought to a *normal form*: a polynomial with rational coefficients under
the elementwise product, in atoms that are names, functions of normal forms, products of
matrices over which sums are distributed, and transposes. Two expressions with the same
normal form are equal for all real matrices, whatever the functions are: every rewriting
is an identity of real matrices (distributivity, associativity, commutativity of sums and
elementwise products, $(AB)^\top = B^\top A^\top$). The converse is not claimed: identities
of a function, such as $\sigma(-x) = 1 - \sigma(x)$, are unknown here, and so is
$(u \odot A) B = u \odot (A B)$ for a column u.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

from sympy import MatrixExpr

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
from symrnn.equations.symbols import Named
from symrnn.errors import EquationError

__all__ = ["Polynomial", "normal_form", "spell"]

Atom: TypeAlias = tuple[Any, ...]
"""("name", symbol), ("function", name, polynomial), ("product", monomials), ("ones",
shape) as a factor of a product, or ("transpose", symbol)."""

Monomial: TypeAlias = frozenset[tuple[Atom, int]]
"""Atoms with how often they occur in an elementwise product; empty for 1."""

Polynomial: TypeAlias = frozenset[tuple[Monomial, Fraction]]
"""Monomials with their coefficients, none of them 0."""

_ONE: Monomial = frozenset()


def normal_form(
    root: MatrixExpr, known: Mapping[MatrixExpr, Polynomial] | None = None
) -> Polynomial:
    """Return the normal form of an expression.

    Args:
        root: An expression of `symrnn.equations.language`.
        known: What to put in the place of names; others stand for themselves.

    >>> from symrnn.equations import add, hadamard, neg, ones, subtract
    >>> from symrnn.equations import vector
    >>> z, n, h = (vector(name, 4) for name in "znh")
    >>> written = add(hadamard(subtract(ones(4), z), n), hadamard(z, h))
    >>> computed = add(hadamard(add(h, neg(n)), z), n)
    >>> normal_form(written) == normal_form(computed)
    True
    """
    forms: dict[MatrixExpr, Polynomial] = dict(known or {})
    for node in postorder(root):
        if node not in forms:
            forms[node] = _apply(node, [forms[child] for child in operands(node)])
    return forms[root]


def _apply(node: MatrixExpr, parts: list[Polynomial]) -> Polynomial:
    match node:
        case Named():
            return _single(("name", node))
        case Constant():
            return _collect([(_ONE, Fraction(int(node.args[0])))])
        case Add():
            return _collect(term for part in parts for term in part)
        case Neg():
            return frozenset((m, -c) for m, c in parts[0])
        case Hadamard():
            a, b = parts
            return _collect((_times(m, n), c * d) for m, c in a for n, d in b)
        case Matmul():
            left, right = (
                [(_factors(m, child), c) for m, c in part]
                for part, child in zip(parts, operands(node), strict=True)
            )
            return _collect(
                (_as_monomial(("product", (*m, *n))), c * d)
                for m, c in left
                for n, d in right
            )
        case Transpose():
            return _transposed(parts[0])
        case Elementwise():
            return _single(("function", node.args[0].name, parts[0]))
    raise EquationError(f"no normal form for the node {type(node).__name__}")


def _collect(terms: Iterable[tuple[Monomial, Fraction]]) -> Polynomial:
    total: dict[Monomial, Fraction] = {}
    for monomial, coefficient in terms:
        total[monomial] = total.get(monomial, Fraction(0)) + coefficient
    return frozenset((m, c) for m, c in total.items() if c)


def _as_monomial(atom: Atom) -> Monomial:
    return frozenset({(atom, 1)})


def _single(atom: Atom) -> Polynomial:
    return frozenset({(_as_monomial(atom), Fraction(1))})


def _times(m: Monomial, n: Monomial) -> Monomial:
    powers = dict(m)
    for atom, count in n:
        powers[atom] = powers.get(atom, 0) + count
    return frozenset(powers.items())


def _factors(monomial: Monomial, whole: MatrixExpr) -> tuple[Monomial, ...]:
    """Return a term of a factor as factors: a product's own, for it is associative.

    The 1 of ``1 - z`` stands for a matrix of ones, whose shape is that of the whole.
    """
    if not monomial:
        return (_as_monomial(("ones", *whole.shape)),)
    if len(monomial) == 1:
        ((atom, count),) = monomial
        if atom[0] == "product" and count == 1:
            factors: tuple[Monomial, ...] = atom[1]
            return factors
    return (monomial,)


def _transposed(form: Polynomial) -> Polynomial:
    return _collect((_transposed_monomial(m), c) for m, c in form)


def _transposed_monomial(monomial: Monomial) -> Monomial:
    return frozenset((_transposed_atom(atom), count) for atom, count in monomial)


def _transposed_atom(atom: Atom) -> Atom:
    match atom:
        case ("transpose", symbol):
            return ("name", symbol)
        case ("name", symbol):
            return ("transpose", symbol)
        case ("function", name, form):
            return ("function", name, _transposed(form))
        case ("ones", rows, columns):
            return ("ones", columns, rows)
        case ("product", factors):
            turned = tuple(_transposed_monomial(m) for m in reversed(factors))
            return ("product", turned)
    raise EquationError(f"no transpose of {atom[0]}")


# --- spelling -----------------------------------------------------------------------


def spell(form: Polynomial) -> str:
    """Write a polynomial in a fixed order of its terms.

    >>> from symrnn.equations import add, hadamard, neg
    >>> from symrnn.equations import vector
    >>> a, b = vector("a", 2), vector("b", 2)
    >>> spell(normal_form(add(hadamard(b, a), neg(b), neg(b))))
    'a ⊙ b - 2 b'
    """
    terms = sorted((_spell_monomial(m), c) for m, c in form)
    text = ""
    for monomial, coefficient in terms:
        sign = "-" if coefficient < 0 else "+"
        size = abs(coefficient)
        factors = [] if size == 1 and monomial else [str(size)]
        body = " ".join([*factors, monomial]).strip()
        text += f" {sign} {body}" if text else (f"-{body}" if sign == "-" else body)
    return text or "0"


def _spell_monomial(monomial: Monomial) -> str:
    return " ⊙ ".join(
        sorted(_spell_atom(atom) for atom, count in monomial for _ in range(count))
    )


def _spell_atom(atom: Atom) -> str:
    match atom:
        case ("name", symbol):
            return str(symbol)
        case ("transpose", symbol):
            return f"{symbol}^T"
        case ("function", name, form):
            return f"{name}({spell(form)})"
        case ("ones", *_):
            return "1"
        case ("product", factors):
            return "*".join(
                _spell_monomial(m) if len(m) == 1 else f"({_spell_monomial(m)})"
                for m in factors
            )
    return str(atom)
