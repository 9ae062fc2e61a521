# SPDX-License-Identifier: BSD-3-Clause
"""SymPy expressions whose common parts are computed once.

Note [Sharing]
    A hidden state appears in every gate of every unit of the next step, so the tree of a
    state substituted back to the inputs grows exponentially with the number of steps. In
    memory it is a small graph, but SymPy walks it as a tree: 6 steps at hidden size 4 take
    half a minute to build. `Shared` marks the nodes of the graph. It prints, evaluates and
    differentiates as its value, remembering the answers, so that SymPy's own ``evalf``,
    ``subs``, ``diff``, ``cse`` and ``lambdify(cse=True)`` take time linear in the graph.
    `unshare` returns the plain tree.
"""

from __future__ import annotations

from typing import Any

from sympy import Basic, Expr, Float, ImmutableDenseMatrix, MatrixBase, S
from sympy.printing.precedence import precedence

__all__ = ["Shared", "share", "unshare"]

_CHUNK = 64


class Shared(Expr):
    """An expression that is held once, however often it is used; see Note [Sharing].

    >>> from sympy import symbols, tanh
    >>> x = symbols("x")
    >>> h = share(tanh(x))
    >>> (2 * h + 1).diff(x)
    2*(1 - tanh(x)**2)
    """

    is_commutative = True

    def __new__(cls, value: Any) -> Expr:
        """Wrap `value`; leaves are returned as they are."""
        if not value.args or isinstance(value, cls) or value.is_number and value.is_Rational:
            return value
        node = Basic.__new__(cls, value)
        node._memo = {}
        return node

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
        return self._once("free", lambda: frozenset(self.value.free_symbols))

    @property
    def is_number(self) -> bool:
        return self._once("number", lambda: self.value.is_number)

    def _eval_is_extended_real(self) -> bool | None:
        return self.value.is_extended_real

    def could_extract_minus_sign(self) -> bool:
        return False

    def _eval_evalf(self, prec: int) -> Expr:
        # A whole number of chunks, so that the slightly different precisions that
        # SymPy asks for on different paths share one evaluation.
        bits = -(-prec // _CHUNK) * _CHUNK
        result = self._once(("evalf", bits), lambda: self.value.evalf(bits * 0.30103, maxn=10**9))
        return Float._new(result._mpf_, prec) if isinstance(result, Float) else result

    def _eval_derivative(self, symbol: Expr) -> Expr:
        return self._once(("diff", symbol), lambda: share(self.value.diff(symbol)))

    def _eval_subs(self, old: Any, new: Any) -> Expr:
        return self._once(("subs", old, new), lambda: share(self.value._subs(old, new)))

    def _xreplace(self, rule: Any) -> tuple[Any, bool]:
        # One answer is kept, for the call that is under way; a rule may change between calls.
        key = tuple(rule.items())
        kept = self._memo.get("xreplace")
        if kept is None or kept[0] != key:
            value, changed = (rule[self], True) if self in rule else self.value._xreplace(rule)
            kept = self._memo["xreplace"] = (key, (share(value), changed))
        return kept[1]

    def _once(self, key: Any, compute: Any) -> Any:
        if key not in self._memo:
            self._memo[key] = compute()
        return self._memo[key]

    def _print(self, printer: Any) -> Any:
        return printer._print(self.value)

    _latex = _sympystr = _pretty = _sympyrepr = _print
    _numpycode = _pythoncode = _mpmathcode = _lambdacode = _ccode = _print


def share(value: Expr) -> Expr:
    """Mark `value` as shared, unless it is a symbol or a number."""
    return Shared(value)


def unshare(value: Any) -> Any:
    """Return `value`, an expression or a matrix of them, as a plain SymPy tree.

    Its size grows exponentially with the number of steps.

    >>> from sympy import symbols, tanh
    >>> unshare(share(tanh(symbols("x"))))
    tanh(x)
    """
    if isinstance(value, MatrixBase):
        return ImmutableDenseMatrix(*value.shape, [unshare(v) for v in value])
    return S(value).doit()
