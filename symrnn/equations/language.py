# SPDX-License-Identifier: BSD-3-Clause
r"""The vocabulary in which cells are written, and nothing else.

Eight kinds of node, all SymPy matrix expressions, built only by the functions below and
in `symrnn.equations.symbols`:

==================  ============================================  =================
constructor         meaning                                       printed
==================  ============================================  =================
`matrix`, …         a parameter, an input, a state, a quantity     ``W_{ih}``
`ones`, `zeros`     constant column vectors                        ``1``, ``0``
`matmul`            matrix product                                 ``W x``
`add`, `subtract`   sum, in the order written                      ``a + b - c``
`neg`               negation                                       ``-a``
`hadamard`          elementwise product                            ``a \odot b``
`elementwise`       a function of every element                    ``\tanh(a)``
`transpose`         transpose                                      ``A^\top``
==================  ============================================  =================

Nothing here reorders, flattens or simplifies: an expression stays as it was written, is
structurally equal to itself, and prints as written. SymPy's own operators do none of
that (they reorder sums, print ``-z + 1``, and make ``x.applyfunc(tanh)`` unequal to
itself), which is why equations never use ``+ * .T .doit() .applyfunc``.

A new node is a decision: it touches every domain and every writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Basic, Expr, Integer, MatrixExpr, Symbol
from sympy.core.symbol import Str
from sympy.printing.precedence import PRECEDENCE

from symrnn.equations.functions import FUNCTIONS, ElementwiseFunction
from symrnn.equations.symbols import Named, as_size
from symrnn.errors import EquationError

__all__ = [
    "Add",
    "Constant",
    "Elementwise",
    "Hadamard",
    "Matmul",
    "Neg",
    "Transpose",
    "add",
    "elementwise",
    "hadamard",
    "matmul",
    "neg",
    "ones",
    "postorder",
    "relu",
    "sigmoid",
    "subtract",
    "tanh",
    "transpose",
    "validate",
    "zeros",
]


# --- nodes --------------------------------------------------------------------------


class _Node(MatrixExpr):
    """A matrix expression that is left exactly as it was written."""

    is_commutative = False

    @property
    def shape(self) -> tuple[Expr, Expr]:
        return _broadcast(self.args)

    def doit(self, **hints: Any) -> MatrixExpr:
        """Return the expression unchanged but for its arguments' own evaluation."""
        return self.func(*(argument.doit(**hints) for argument in self.args))

    def _sympystr(self, printer: Any) -> str:
        return _spell(self, printer, _PLAIN)

    def _latex(self, printer: Any) -> str:
        return _spell(self, printer, _LATEX)

    def _pretty(self, printer: Any) -> Any:
        return printer._print(Symbol(sympy.sstr(self)))


class Constant(_Node):
    """A column vector of one repeated integer, 0 or 1."""

    def __new__(cls, value: Any, size: Any) -> Constant:
        return Basic.__new__(cls, Integer(value), as_size(size))

    @property
    def shape(self) -> tuple[Expr, Expr]:
        return self.args[1], Integer(1)

    def _entry(self, i: Any, j: Any, **_: Any) -> Expr:
        return self.args[0]

    def doit(self, **hints: Any) -> Constant:
        return self


class Matmul(_Node):
    """The matrix product of two expressions."""

    @property
    def shape(self) -> tuple[Expr, Expr]:
        return self.args[0].shape[0], self.args[1].shape[1]

    def _entry(self, i: Any, j: Any, **_: Any) -> Expr:
        a, b = self.args
        inner = as_size(a.shape[1])
        if not inner.is_Integer:
            k = sympy.Dummy("k", integer=True)
            return sympy.Sum(a[i, k] * b[k, j], (k, 0, inner - 1))
        return sympy.Add(*(a[i, k] * b[k, j] for k in range(int(inner))))


class Add(_Node):
    """A sum in the order written; a column is added to every column of a matrix."""

    def _entry(self, i: Any, j: Any, **_: Any) -> Expr:
        return sympy.Add(*(_pick(term, i, j) for term in self.args))


class Neg(_Node):
    """The negative of an expression."""

    def _entry(self, i: Any, j: Any, **_: Any) -> Expr:
        return -self.args[0][i, j]


class Hadamard(_Node):
    """The elementwise product of two expressions."""

    def _entry(self, i: Any, j: Any, **_: Any) -> Expr:
        return sympy.Mul(*(_pick(factor, i, j) for factor in self.args))


class Transpose(_Node):
    """The transpose of an expression."""

    @property
    def shape(self) -> tuple[Expr, Expr]:
        rows, columns = self.args[0].shape
        return columns, rows

    def _entry(self, i: Any, j: Any, **_: Any) -> Expr:
        return self.args[0][j, i]


class Elementwise(_Node):
    """A registered function of every element. Its first argument is the name."""

    @property
    def function(self) -> ElementwiseFunction:
        """The entry of `FUNCTIONS` that is applied."""
        return FUNCTIONS[self.args[0].name]

    @property
    def shape(self) -> tuple[Expr, Expr]:
        rows, columns = self.args[1].shape
        return rows, columns

    def _entry(self, i: Any, j: Any, **_: Any) -> Expr:
        return self.function.of(self.args[1][i, j])

    def doit(self, **hints: Any) -> MatrixExpr:
        return self.func(self.args[0], self.args[1].doit(**hints))


NODES = (Named, Constant, Matmul, Add, Neg, Hadamard, Transpose, Elementwise)


def _pick(term: MatrixExpr, i: Any, j: Any) -> Expr:
    """Element (i, j) of `term`, a column standing for every column."""
    return term[i, 0 if term.shape[1] == 1 else j]


def _broadcast(terms: tuple[MatrixExpr, ...]) -> tuple[Expr, Expr]:
    columns = {term.shape[1] for term in terms} - {Integer(1)}
    return terms[0].shape[0], columns.pop() if columns else Integer(1)


# --- constructors -------------------------------------------------------------------


def ones(size: Any) -> Constant:
    """Return the column vector of `size` ones, printed ``1``."""
    return Constant(1, size)


def zeros(size: Any) -> Constant:
    """Return the column vector of `size` zeros, printed ``0``."""
    return Constant(0, size)


def matmul(a: MatrixExpr, b: MatrixExpr) -> Matmul:
    """Return the matrix product ``a b``.

    Raises:
        EquationError: The inner sizes differ. Sizes are compared as written, so a size
            symbol equals only itself.
    """
    _check_nodes(a, b)
    if a.shape[1] != b.shape[0]:
        raise EquationError(f"matmul: {_shaped(a)} cannot multiply {_shaped(b)}")
    return Matmul(a, b)


def add(*terms: MatrixExpr | None) -> MatrixExpr:
    """Return the sum of `terms`, left to right; ``None`` (a bias left out) is skipped.

    >>> from symrnn.equations import vector
    >>> str(add(vector("a", 2), None, neg(vector("b", 2))))
    'a - b'
    """
    present = tuple(term for term in terms if term is not None)
    if not present:
        raise EquationError("add: there is nothing to add")
    _check_same("add", present)
    return present[0] if len(present) == 1 else Add(*present)


def subtract(a: MatrixExpr, b: MatrixExpr) -> MatrixExpr:
    """Return ``a - b``, which is ``add(a, neg(b))``."""
    return add(a, neg(b))


def neg(a: MatrixExpr) -> Neg:
    """Return ``-a``."""
    _check_nodes(a)
    return Neg(a)


def hadamard(a: MatrixExpr, b: MatrixExpr) -> Hadamard:
    """Return the elementwise product ``a ⊙ b``."""
    _check_same("hadamard", (a, b))
    return Hadamard(a, b)


def transpose(a: MatrixExpr) -> Transpose:
    """Return the transpose of `a`."""
    _check_nodes(a)
    return Transpose(a)


def elementwise(name: str, a: MatrixExpr) -> Elementwise:
    """Return the registered function `name` of every element of `a`.

    Raises:
        EquationError: No function of that name is registered.
    """
    _check_nodes(a)
    if name not in FUNCTIONS:
        known = ", ".join(sorted(FUNCTIONS))
        raise EquationError(
            f"elementwise: no function named {name!r}; there are {known}"
        )
    return Elementwise(Str(name), a)


def sigmoid(a: MatrixExpr) -> Elementwise:
    """Return the logistic function of every element of `a`."""
    return elementwise("sigmoid", a)


def tanh(a: MatrixExpr) -> Elementwise:
    """Return the hyperbolic tangent of every element of `a`."""
    return elementwise("tanh", a)


def relu(a: MatrixExpr) -> Elementwise:
    """Return ``max(0, a)`` of every element of `a`."""
    return elementwise("relu", a)


def _shaped(a: MatrixExpr) -> str:
    return f"{a} of shape ({a.shape[0]}, {a.shape[1]})"


def _check_nodes(*operands: Any) -> None:
    for operand in operands:
        if not isinstance(operand, NODES):
            raise EquationError(
                f"{type(operand).__name__} {operand!s} is not part of the vocabulary; "
                "build it with the functions of symrnn.equations"
            )


def _check_same(what: str, operands: tuple[MatrixExpr, ...]) -> None:
    """Operands share their rows; their columns are equal or one."""
    _check_nodes(*operands)
    first = operands[0]
    for other in operands[1:]:
        columns = {first.shape[1], other.shape[1]} - {Integer(1)}
        if first.shape[0] != other.shape[0] or len(columns) > 1:
            raise EquationError(
                f"{what}: {_shaped(first)} does not fit {_shaped(other)}"
            )


# --- traversal ----------------------------------------------------------------------


def operands(node: MatrixExpr) -> tuple[MatrixExpr, ...]:
    """Return the nodes that `node` is made of, in order; none for a leaf."""
    if isinstance(node, (Named, Constant)):
        return ()
    return node.args[1:] if isinstance(node, Elementwise) else node.args


def postorder(root: MatrixExpr) -> Iterator[MatrixExpr]:
    """Yield every distinct node below `root` once, operands before their users."""
    seen: set[MatrixExpr] = set()
    stack: list[tuple[MatrixExpr, bool]] = [(root, False)]
    while stack:
        node, expanded = stack.pop()
        if node in seen:
            continue
        if expanded:
            seen.add(node)
            yield node
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(_children(node)))


def _children(node: Any) -> tuple[MatrixExpr, ...]:
    return operands(node) if isinstance(node, NODES) else ()


def validate(root: MatrixExpr, where: str) -> None:
    """Refuse anything outside the vocabulary, and operands that do not fit.

    Args:
        root: The expression to check.
        where: Names the equation in the message, such as ``"LSTM, equation c"``.

    Raises:
        EquationError: Naming the offending node and `where`.

    >>> from symrnn.equations import vector
    >>> validate(vector("a", 2) + vector("b", 2), "demo, equation y")
    Traceback (most recent call last):
    symrnn.errors.EquationError: demo, equation y: the node MatAdd in 'a + b' is not part
    of the vocabulary; ...
    """
    for node in postorder(root):
        if not isinstance(node, NODES):
            raise EquationError(
                f"{where}: the node {type(node).__name__} in '{node}' is not part of the "
                "vocabulary; build it with the functions of symrnn.equations "
                "(matmul, add, subtract, neg, hadamard, elementwise, transpose, …)"
            )
        try:
            _recheck(node)
        except EquationError as error:
            raise EquationError(f"{where}: {error}") from None


def _recheck(node: MatrixExpr) -> None:
    """Check a node that may have been built from its class instead of a constructor."""
    if isinstance(node, Matmul):
        matmul(*node.args)
    elif isinstance(node, Add):
        _check_same("add", node.args)
    elif isinstance(node, Hadamard):
        hadamard(*node.args)
    elif isinstance(node, Elementwise):
        elementwise(node.args[0].name, node.args[1])


# --- spelling -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Style:
    times: str
    odot: str
    transposed: str
    function: Callable[[ElementwiseFunction], str]
    brackets: tuple[str, str]


_PLAIN = _Style("*", " ⊙ ", "^T", lambda f: f.name, ("(", ")"))
_LATEX = _Style(" ", r" \odot ", r"^{\top}", lambda f: f.latex, (r"\left(", r"\right)"))

_LEVEL = {Add: "Add", Neg: "Add", Hadamard: "Mul", Matmul: "Mul", Transpose: "Pow"}
for _node_class, _level in _LEVEL.items():
    _node_class.precedence = PRECEDENCE[_level]


def _spell(node: MatrixExpr, printer: Any, style: _Style) -> str:
    """Spell a node as written: no operand is moved, none is simplified."""

    def bracket(child: MatrixExpr, *tight: type) -> str:
        text = printer._print(child)
        return (
            style.brackets[0] + text + style.brackets[1]
            if isinstance(child, tight)
            else text
        )

    match node:
        case Constant():
            return str(node.args[0])
        case Matmul():
            return style.times.join(bracket(c, Add, Neg, Hadamard) for c in node.args)
        case Hadamard():
            return style.odot.join(bracket(c, Add, Neg, Matmul) for c in node.args)
        case Neg():
            return "-" + bracket(node.args[0], Add, Neg)
        case Transpose():
            return (
                bracket(node.args[0], Add, Neg, Matmul, Hadamard, Elementwise)
                + style.transposed
            )
        case Elementwise():
            left, right = style.brackets
            return (
                style.function(node.function)
                + left
                + printer._print(node.args[1])
                + right
            )
        case Add():
            text = bracket(node.args[0], Add)
            for term in node.args[1:]:
                if isinstance(term, Neg):
                    text += " - " + bracket(term.args[0], Add, Neg)
                else:
                    text += " + " + bracket(term, Add)
            return text
    raise EquationError(f"no spelling for the node {type(node).__name__}")
