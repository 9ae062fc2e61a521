# SPDX-License-Identifier: BSD-3-Clause
"""Expressions stay as they were written, print so, and admit nothing else."""

import pickle

import pytest
import sympy
from sympy import MatrixSymbol, Symbol, latex

from symrnn.equations.language import (
    Add,
    Elementwise,
    Hadamard,
    Matmul,
    add,
    elementwise,
    hadamard,
    matmul,
    neg,
    ones,
    operands,
    postorder,
    relu,
    sigmoid,
    subtract,
    tanh,
    transpose,
    validate,
    zeros,
)
from symrnn.equations.symbols import matrix, vector
from symrnn.errors import EquationError

N = Symbol("n", integer=True, positive=True)
A, B, S = matrix("A_ij", 2, 3), matrix("B", 3, 2), matrix("S", 2, 2)
a, b, c = (vector(name, 2) for name in "abc")
u = vector("u", 3)


# --- printing ----------------------------------------


@pytest.mark.parametrize(
    ("expression", "plain", "tex"),
    [
        (add(c, a, b), "c + a + b", "c + a + b"),
        (add(a, neg(b), c), "a - b + c", "a - b + c"),
        (subtract(ones(2), a), "1 - a", "1 - a"),
        (add(neg(a), ones(2)), "-a + 1", "-a + 1"),
        (subtract(a, add(b, c)), "a - (b + c)", r"a - \left(b + c\right)"),
        (add(a, add(b, c)), "a + (b + c)", r"a + \left(b + c\right)"),
        (add(add(a, b), c), "(a + b) + c", r"\left(a + b\right) + c"),
        (neg(neg(a)), "-(-a)", r"-\left(-a\right)"),
        (neg(add(a, b)), "-(a + b)", r"-\left(a + b\right)"),
        (neg(hadamard(a, b)), "-a ⊙ b", r"-a \odot b"),
        (matmul(A, u), "A_ij*u", "A_{ij} u"),
        (matmul(S, matmul(A, u)), "S*A_ij*u", "S A_{ij} u"),
        (matmul(S, add(b, a)), "S*(b + a)", r"S \left(b + a\right)"),
        (matmul(S, hadamard(b, a)), "S*(b ⊙ a)", r"S \left(b \odot a\right)"),
        (matmul(S, neg(a)), "S*(-a)", r"S \left(-a\right)"),
        (hadamard(b, a), "b ⊙ a", r"b \odot a"),
        (hadamard(matmul(S, a), b), "(S*a) ⊙ b", r"\left(S a\right) \odot b"),
        (
            hadamard(subtract(ones(2), b), a),
            "(1 - b) ⊙ a",
            r"\left(1 - b\right) \odot a",
        ),
        (hadamard(a, hadamard(b, c)), "a ⊙ b ⊙ c", r"a \odot b \odot c"),
        (tanh(add(b, a)), "tanh(b + a)", r"\tanh\left(b + a\right)"),
        (sigmoid(a), "sigmoid(a)", r"\sigma\left(a\right)"),
        (relu(neg(a)), "relu(-a)", r"\operatorname{relu}\left(-a\right)"),
        (hadamard(tanh(a), b), "tanh(a) ⊙ b", r"\tanh\left(a\right) \odot b"),
        (transpose(A), "A_ij^T", r"A_{ij}^{\top}"),
        (transpose(matmul(S, a)), "(S*a)^T", r"\left(S a\right)^{\top}"),
        (matmul(transpose(A), a), "A_ij^T*a", r"A_{ij}^{\top} a"),
        (add(zeros(2), a), "0 + a", "0 + a"),
        (add(None, a, None), "a", "a"),
    ],
)
def test_expressions_print_as_written(expression, plain, tex):
    """Nothing is reordered, and brackets are where reading needs them."""
    assert plain == str(expression)
    assert tex == latex(expression)


def test_names_print_as_told():
    """The part after the first underscore is a subscript, unless LaTeX is given."""
    assert ("W_ih", "W_{ih}") == (
        str(matrix("W_ih", 2, 2)),
        latex(matrix("W_ih", 2, 2)),
    )
    assert r"\beta_{t-1}" == latex(vector("beta_prev", 2, latex=r"\beta_{t-1}"))
    assert "a_{b_c}" == latex(vector("a_b_c", 2))


def test_expressions_print_in_a_terminal_too():
    """SymPy's pretty printer shows the plain form."""
    assert "c - a" == sympy.pretty(add(c, neg(a)))
    assert "S*(b ⊙ a)" == sympy.pretty(matmul(S, hadamard(b, a)))


def test_expressions_print_as_written_inside_an_equation():
    """SymPy's Eq around them changes nothing."""
    equation = sympy.Eq(c, add(b, neg(a)), evaluate=False)
    assert "c = b - a" == latex(equation)


# --- structure ----------------------------------------


def test_expressions_equal_themselves_and_nothing_else():
    """Equality and hash go by structure and order."""
    assert add(a, b) == add(a, b)
    assert hash(tanh(add(a, b))) == hash(tanh(add(a, b)))
    assert add(a, b) != add(b, a)
    assert hadamard(a, b) != hadamard(b, a)
    assert add(add(a, b), c) != add(a, b, c)
    assert neg(neg(a)) != a
    assert transpose(transpose(A)) != A
    assert vector("a", 2) != vector("a", 3)
    assert vector("a", 2) != vector("a", 2, latex="x")


def test_evaluation_by_sympy_leaves_them_alone():
    """doit, simplify and substitution of nothing change nothing."""
    expression = add(hadamard(subtract(ones(2), a), b), neg(matmul(S, tanh(a))))
    assert expression == expression.doit()
    assert expression == expression.subs(vector("zz", 2), a)
    assert expression == expression.func(*expression.args)
    assert expression == pickle.loads(pickle.dumps(expression))


def test_symbols_can_be_substituted():
    """A quantity can be replaced by what it stands for."""
    assert add(tanh(b), b) == add(a, b).xreplace({a: tanh(b)})


def test_elements_are_sympy_expressions():
    """Each element of each node is the scalar mathematics says."""
    x, y = a[0, 0], b[0, 0]
    assert x + y == add(a, b)[0, 0]
    assert 1 - x == subtract(ones(2), a)[0, 0]
    assert x * y == hadamard(a, b)[0, 0]
    assert sympy.tanh(x) == tanh(a)[0, 0]
    row = sum(A[1, k] * u[k, 0] for k in range(3))
    assert row == matmul(A, u)[1, 0]
    assert A[1, 2] == transpose(A)[2, 1]
    assert sympy.Matrix([[x], [a[1, 0]]]) == sympy.Matrix(a.as_explicit())
    wide = matrix("M", 2, 3)
    assert wide[1, 2] + a[1, 0] == add(wide, a)[1, 2]


def test_shapes():
    """A column added to a matrix has the matrix's shape."""
    assert (2, 3) == add(a, matrix("M", 2, 3)).shape == add(matrix("M", 2, 3), a).shape
    assert (3, 2) == transpose(A).shape
    assert (2, 1) == matmul(A, u).shape == tanh(a).shape == ones(2).shape
    assert (N, 1) == tanh(vector("v", N)).shape


def test_postorder_visits_each_node_once_operands_first():
    """Shared parts are not visited again."""
    shared = tanh(a)
    root = add(hadamard(shared, b), shared)
    order = list(postorder(root))
    assert [a, shared, b, hadamard(shared, b), root] == order
    assert () == operands(a) == operands(ones(2))
    assert (a,) == operands(shared)


def test_postorder_of_deep_expressions():
    """A sum nested a hundred times is walked like any other."""
    root = a
    for _ in range(100):
        root = Add(root, b)
    assert 102 == len(list(postorder(root)))


# --- what is refused ----------------------------------------


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: matmul(A, a),
            r"matmul: A_ij of shape \(2, 3\) cannot multiply a of shape",
        ),
        (
            lambda: matmul(matrix("W", N, N), a),
            r"W of shape \(n, n\) cannot multiply a",
        ),
        (
            lambda: add(a, u),
            r"add: a of shape \(2, 1\) does not fit u of shape \(3, 1\)",
        ),
        (lambda: add(a, b, u), "add: a of shape"),
        (lambda: add(A, S), r"add: A_ij of shape \(2, 3\) does not fit S"),
        (lambda: hadamard(a, u), "hadamard: a of shape"),
        (lambda: add(), "there is nothing to add"),
        (lambda: add(None, None), "there is nothing to add"),
        (
            lambda: elementwise("softplus", a),
            "no function named 'softplus'; there are relu, ",
        ),
        (
            lambda: tanh(MatrixSymbol("M", 2, 1)),
            "MatrixSymbol M is not part of the vocabulary",
        ),
        (lambda: add(a, 1), "int 1 is not part of the vocabulary"),
        (lambda: hadamard(Symbol("k"), a), "Symbol k is not part of the vocabulary"),
        (lambda: neg(a + b), "MatAdd a \\+ b is not part of the vocabulary"),
        (lambda: matmul(A, "u"), "str u is not part of the vocabulary"),
    ],
)
def test_what_constructors_refuse(build, message):
    """Shapes that do not fit, and operands from elsewhere, are named."""
    with pytest.raises(EquationError, match=message):
        build()


@pytest.mark.parametrize(
    ("expression", "node"),
    [
        (a + b, "MatAdd"),
        (A * u, "MatMul"),
        (2 * a, "MatMul|Mul"),
        (a - b, "MatAdd"),
        (a.applyfunc(sympy.tanh), "ElementwiseApplyFunction"),
        (sympy.hadamard_product(a, b), "HadamardProduct"),
        (A.T, "Transpose"),
        (MatrixSymbol("M", 2, 1), "MatrixSymbol"),
        (S.inv(), "Inverse"),
        (sympy.ZeroMatrix(2, 1), "ZeroMatrix"),
        (Add(a, a + b), "MatAdd"),
        (Elementwise(sympy.core.symbol.Str("tanh"), a + b), "MatAdd"),
    ],
)
def test_validation_names_foreign_nodes(expression, node):
    """What SymPy's own operators build is refused, at whatever depth."""
    message = (
        f"cell, equation y: the node ({node}) in '.*' is not part of the vocabulary"
    )
    with pytest.raises(EquationError, match=message):
        validate(expression, "cell, equation y")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (Matmul(A, a), "matmul: A_ij of shape"),
        (Add(a, u), "add: a of shape"),
        (Hadamard(a, u), "hadamard: a of shape"),
        (
            Elementwise(sympy.core.symbol.Str("sin"), a),
            "elementwise: no function named 'sin'",
        ),
        (add(a, Hadamard(b, Matmul(A, a))), "matmul: A_ij of shape"),
    ],
)
def test_validation_checks_nodes_built_by_their_class(expression, message):
    """Going around the constructors does not go around the checks."""
    with pytest.raises(EquationError, match=f"here: {message}"):
        validate(expression, "here")


def test_validation_accepts_the_vocabulary():
    """Every constructor's result passes."""
    everything = add(
        matmul(A, u),
        neg(hadamard(a, ones(2))),
        matmul(transpose(B), u),
        sigmoid(a),
        zeros(2),
    )
    validate(everything, "demo")


def test_text_as_a_size_is_refused_not_evaluated():
    """SymPy would evaluate a string; a size is a number or a symbol."""
    with pytest.raises(EquationError, match="a size must be a whole number"):
        matrix("W", "__import__('os').getpid()", 2)
