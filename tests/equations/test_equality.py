# SPDX-License-Identifier: BSD-3-Clause
"""Normal forms: equal expressions have equal ones, and what differs does not."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symrnn.domains.exact import ExactDomain
from symrnn.equations.equality import normal_form, spell
from symrnn.equations.language import (
    Add,
    Constant,
    Hadamard,
    Matmul,
    Neg,
    Transpose,
    add,
    hadamard,
    matmul,
    neg,
    ones,
    operands,
    postorder,
    relu,
    subtract,
    tanh,
    transpose,
    zeros,
)
from symrnn.equations.symbols import Named, matrix, vector
from symrnn.numerics.exact import exact_array

A, B = matrix("A", 2, 2), matrix("B", 2, 2)
u, v, w = (vector(name, 2) for name in "uvw")

EQUAL = {
    "sums in any order": (add(u, v, w), add(w, add(u, v))),
    "distributed": (matmul(add(A, B), u), add(matmul(B, u), matmul(A, u))),
    "over a sum of vectors": (
        matmul(A, add(u, neg(v))),
        subtract(matmul(A, u), matmul(A, v)),
    ),
    "associative": (matmul(matmul(A, B), u), matmul(A, matmul(B, u))),
    "transposed product": (transpose(matmul(A, B)), matmul(transpose(B), transpose(A))),
    "transposed twice": (matmul(transpose(transpose(A)), u), matmul(A, u)),
    "transposed function": (
        transpose(tanh(add(A, B))),
        tanh(add(transpose(B), transpose(A))),
    ),
    "one": (hadamard(ones(2), u), u),
    "zero": (add(u, zeros(2), hadamard(zeros(2), v)), u),
    "squares": (
        hadamard(add(u, v), subtract(u, v)),
        subtract(hadamard(u, u), hadamard(v, v)),
    ),
    "inside a function": (tanh(add(u, v, neg(u))), tanh(v)),
    "ones in a product": (
        matmul(A, subtract(ones(2), u)),
        subtract(matmul(A, ones(2)), matmul(A, u)),
    ),
    "interpolation": (
        add(hadamard(subtract(ones(2), u), v), hadamard(u, w)),
        add(hadamard(subtract(w, v), u), v),
    ),
}

DIFFERENT = {
    "factors swapped": (matmul(matmul(A, B), u), matmul(matmul(B, A), u)),
    "not transposed": (matmul(transpose(A), u), matmul(A, u)),
    "other function": (tanh(u), relu(u)),
    "other sign": (add(u, neg(v)), add(u, v)),
    "twice": (add(u, u), u),
    "squared": (hadamard(u, u), u),
    "Hadamard is no product": (matmul(A, hadamard(u, v)), hadamard(matmul(A, u), v)),
    "ones are no identity of a product": (matmul(A, ones(2)), ones(2)),
    "a function of a sum": (tanh(add(u, v)), add(tanh(u), tanh(v))),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_expressions(name):
    """Identities of real matrices, whatever the functions are."""
    first, second = EQUAL[name]
    assert normal_form(first) == normal_form(second)
    assert values(first, 1) == values(second, 1)


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_expressions(name):
    """What differs somewhere has another normal form."""
    first, second = DIFFERENT[name]
    assert normal_form(first) != normal_form(second)
    assert values(first, 1) != values(second, 1)


def values(root, seed):
    """Evaluate an expression exactly, with relu and a made-up tanh of rationals."""
    rng = np.random.default_rng(seed)
    domain, known = ExactDomain(), {}
    leaves = {"A": (2, 2), "B": (2, 2), "u": (2, 1), "v": (2, 1), "w": (2, 1)}
    drawn = {n: rng.integers(-9, 10, shape) for n, shape in leaves.items()}
    for node in postorder(root):
        parts = [known[child] for child in operands(node)]
        match node:
            case Named():
                known[node] = domain.matrix(exact_array(drawn[node.name].tolist()))
            case Constant():
                known[node] = domain.constant(int(node.args[0]), int(node.args[1]))
            case Matmul():
                known[node] = domain.matmul(*parts)
            case Add():
                known[node] = domain.add(*parts)
            case Hadamard():
                known[node] = domain.hadamard(*parts)
            case Neg():
                known[node] = domain.neg(*parts)
            case Transpose():
                known[node] = domain.transpose(*parts)
            case _:
                made_up = (lambda q: q * q + 3) if "tanh" in str(node) else abs
                known[node] = _map(made_up, parts[0])
    return [[Fraction(int(q.p), int(q.q)) for q in row] for row in known[root]]


def _map(function, array):
    result = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        result[index] = function(array[index])
    return result


@st.composite
def expressions(draw, depth=3):
    """Draw an expression of vectors."""
    kind = draw(st.sampled_from(["leaf", "add", "neg", "hadamard", "matmul", "tanh"]))
    if depth == 0 or kind == "leaf":
        return draw(st.sampled_from([u, v, ones(2), zeros(2)]))
    part = draw(expressions(depth - 1))
    match kind:
        case "neg":
            return neg(part)
        case "tanh":
            return tanh(part)
        case "matmul":
            return matmul(draw(st.sampled_from([A, transpose(A), add(A, B)])), part)
    other = draw(expressions(depth - 1))
    return (add if kind == "add" else hadamard)(part, other)


@given(expressions(), expressions(), expressions())
def test_equal_normal_forms_mean_equal_values(a, b, c):
    """Rewritten by a law, the normal form and the value stay; if it is equal, so are values."""
    for first, second in (
        (hadamard(a, add(b, c)), add(hadamard(a, c), hadamard(b, a))),
        (matmul(A, subtract(a, b)), add(matmul(A, a), neg(matmul(A, b)))),
    ):
        assert normal_form(first) == normal_form(second)
        assert values(first, 2) == values(second, 2)
    if normal_form(a) == normal_form(b):
        assert values(a, 3) == values(b, 3)


def test_known_names_are_replaced():
    """A quantity stands for its own normal form."""
    sum_of_both = {w: normal_form(add(u, v))}
    assert normal_form(add(w, neg(u)), sum_of_both) == normal_form(v)


def test_spelling():
    """Terms in a fixed order, with their coefficients."""
    form = normal_form(
        subtract(add(hadamard(u, tanh(subtract(v, u))), ones(2)), matmul(A, u))
    )
    assert "1 - A*u + tanh(-u + v) ⊙ u" == spell(form)
    assert "0" == spell(normal_form(subtract(u, u)))
    assert "A*(u ⊙ v)" == spell(normal_form(matmul(A, hadamard(u, v))))
    assert "A^T*u" == spell(normal_form(matmul(transpose(A), u)))
