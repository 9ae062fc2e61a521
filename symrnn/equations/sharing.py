# SPDX-License-Identifier: BSD-3-Clause
"""SymPy expressions whose common parts are computed once.

Note [Sharing]
    A hidden state appears in every gate of every unit of the next step, so the tree of a
    state substituted back to the inputs grows exponentially with the number of steps. In
    memory it is a small graph, but SymPy walks it as a tree: 6 steps at hidden size 4 take
    half a minute to build. `Shared` marks the nodes of the graph. It prints, evaluates and
    differentiates as its value, remembering the answers, so that SymPy's own ``evalf``,
    ``subs`` and ``diff`` take time linear in the graph, and so do ``cse`` and
    ``lambdify(…, cse=…, use_imps=False)`` with the `cse` below. `unshare` returns the plain tree.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import sympy
from sympy import (
    Add,
    Basic,
    Dummy,
    Expr,
    Function,
    ImmutableDenseMatrix,
    MatrixBase,
    MatrixSymbol,
    Mul,
    S,
    Symbol,
)
from sympy.core.evalf import evalf, evalf_table
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.printing.precedence import precedence

__all__ = ["Shared", "cse", "share", "unshare"]

_CHUNK = 64
_LEAVES = (Symbol, MatrixSymbol, MatrixElement)
_INTERNED: weakref.WeakValueDictionary[Expr, Any] = weakref.WeakValueDictionary()


class Shared(Expr):
    """An expression that is held once, however often it is used; see Note [Sharing].

    >>> from sympy import symbols, tanh
    >>> x = symbols("x")
    >>> h = share(tanh(x))
    >>> (2 * h + 1).diff(x)
    2*(1 - tanh(x)**2)
    """

    # The values of a recurrent network are real. Saying so here, once, keeps SymPy from
    # walking the whole graph whenever it wants to know.
    is_real = True

    def __new__(cls, value: Any) -> Expr:
        """Wrap `value`; leaves are returned as they are."""
        if (
            not value.args
            or isinstance(value, cls)
            or (value.is_number and value.is_Rational)
        ):
            return value
        node = _INTERNED.get(value)
        if node is None:
            node = _INTERNED[value] = Basic.__new__(cls, value)
            node._memo = {}
        return node

    # Equal values have one node, so that comparing two graphs never walks them as trees.
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Basic.__hash__

    @property
    def value(self) -> Expr:
        """The expression itself."""
        return self.args[0]

    @property
    def precedence(self) -> int:
        """That of the value, so that printers put brackets where it needs them."""
        return precedence(self.value)

    def doit(self, **hints: Any) -> Expr:
        """Return the plain expression, with nothing shared below it."""
        return self._once("doit", lambda: self.value.doit(**hints))

    @property
    def free_symbols(self) -> set[Basic]:
        return set(self._once("free", lambda: self.value.free_symbols))

    @property
    def is_number(self) -> bool:
        return self._once("number", lambda: self.value.is_number)

    def could_extract_minus_sign(self) -> bool:
        return False

    def diff(self, *symbols: Any, **assumptions: Any) -> Any:
        """Differentiate; by one symbol or element without walking the result as a tree."""
        if len(symbols) == 1 and isinstance(symbols[0], _LEAVES):
            return self._eval_derivative(symbols[0])
        return super().diff(*symbols, **assumptions)

    def _eval_derivative(self, symbol: Expr) -> Expr:
        return self._once(
            ("diff", symbol), lambda: share(_derivative(self.value, symbol))
        )

    def _eval_subs(self, old: Any, new: Any) -> Expr:
        def substitute(node: Any) -> Any:
            return node._subs(old, new)

        if isinstance(old, _LEAVES):
            return self._once(
                ("subs", old, new), lambda: share(_rebuild(self.value, substitute))
            )
        return self._once(("subs", old, new), lambda: share(self.value._subs(old, new)))

    def _xreplace(self, rule: Any) -> tuple[Any, bool]:
        if self in rule:
            return rule[self], True
        # One answer is kept, for the call that is under way; a rule may change between calls.
        key = tuple(rule.items())
        kept = self._memo.get("xreplace")
        if kept is None or kept[0] != key:
            value = share(_rebuild(self.value, lambda node: node.xreplace(rule)))
            kept = self._memo["xreplace"] = (key, (value, value is not self))
        return kept[1]

    def atoms(self, *types: Any) -> set[Any]:
        """Return the atoms of the value, or its parts of the given types."""

        def collect() -> set[Any]:
            found: set[Any] = set()

            def visit(node: Any) -> Any:
                found.update(node.atoms(*types))
                return node

            _rebuild(self.value, visit)
            if types and isinstance(
                self, tuple(t for t in types if isinstance(t, type))
            ):
                found.add(self)
            return found

        return set(self._once(("atoms", types), collect))

    def recall(self, key: Any) -> Any:
        """Return what `remember` was given under `key`, ``None`` if nothing was."""
        return self._memo.get(key)

    def remember(self, key: Any, answer: Any) -> None:
        """Keep an answer that depends on the value and `key` alone."""
        self._memo[key] = answer

    def _once(self, key: Any, compute: Any) -> Any:
        if key not in self._memo:
            self._memo[key] = compute()
        return self._memo[key]

    def _print(self, printer: Any) -> Any:
        return printer._print(self.value)

    _latex = _sympystr = _pretty = _sympyrepr = _print
    _numpycode = _pythoncode = _mpmathcode = _lambdacode = _ccode = _print


def _evalf(node: Shared, prec: int, options: Any) -> Any:
    """Evaluate the value once for all who ask for about this precision.

    A whole number of chunks, so that the slightly different precisions that SymPy asks for
    on different paths share one evaluation.
    """
    bits = -(-prec // _CHUNK) * _CHUNK
    if "subs" in options:
        return evalf(node.value, bits, options)
    return node._once(("evalf", bits), lambda: evalf(node.value, bits, options))


evalf_table[Shared] = _evalf


def _rebuild(node: Any, replace: Callable[[Any], Any]) -> Any:
    """Apply `replace` to the leaves and shared nodes below `node`.

    SymPy's own substitution compares each unchanged argument with itself by walking it as
    a tree, and looks into the arguments of a function for signs; this does neither.
    """
    if not node.args or isinstance(node, (Shared, *_LEAVES)):
        return replace(node)
    args = [_rebuild(argument, replace) for argument in node.args]
    if all(new is old for new, old in zip(args, node.args, strict=True)):
        return node
    if isinstance(node, Function):
        return node.func(*args, evaluate=all(a.is_Rational for a in args))
    return node.func(*args)


def _derivative(node: Any, symbol: Any) -> Any:
    """Differentiate by the sum, product and chain rules, which is all that is needed.

    SymPy's own ``diff`` walks the result as a tree at every step.
    """
    if isinstance(node, Shared):
        return node._eval_derivative(symbol)
    if not isinstance(node, (Add, Mul, Function)):
        return node.diff(symbol)
    slopes = [_derivative(argument, symbol) for argument in node.args]
    if node.is_Add:
        return Add(*slopes)
    if node.is_Mul:
        factors = node.args
        return Add(
            *(
                Mul(*factors[:i], d, *factors[i + 1 :])
                for i, d in enumerate(slopes)
                if d != 0
            )
        )
    if isinstance(node, Function) and len(slopes) == 1:
        return Mul(_slope(node), slopes[0]) if slopes[0] != 0 else S.Zero
    return node.diff(symbol)


def _slope(node: Any) -> Any:
    """Return f'(a) of ``f(a)``, written in the shared ``f(a)`` where f' is: 1 - tanh(a)²."""
    placeholder = Dummy(real=True)
    generic = node.func(placeholder)
    return generic.fdiff(1).xreplace({generic: share(node), placeholder: node.args[0]})


def share(value: Expr) -> Expr:
    """Mark `value` as shared, unless it is a symbol or a number."""
    return Shared(value)


def cse(expressions: Any) -> Any:
    """Return SymPy's ``cse`` of one expression or matrix, in the order of appearance.

    This is ``sympy.cse(…, list=False, order="none")``: SymPy's default order counts the
    nodes of the tree. It is what ``lambdify(…, cse=symrnn.equations.cse, use_imps=False)``
    takes.

    >>> from sympy import symbols, tanh
    >>> x = symbols("x")
    >>> h = share(tanh(x + 1))
    >>> cse(h * x + h)
    ([(x0, tanh(x + 1))], x*x0 + x0)
    """
    return sympy.cse(expressions, list=False, order="none")


def unshare(value: Any) -> Any:
    """Return `value`, an expression or a matrix of them, as a plain SymPy tree.

    Its size grows exponentially with the number of steps.

    >>> from sympy import symbols, tanh
    >>> unshare(share(tanh(symbols("x"))))
    tanh(x)
    """
    if isinstance(value, MatrixBase):
        return ImmutableDenseMatrix(*value.shape, [unshare(v) for v in value])
    return value.doit()
