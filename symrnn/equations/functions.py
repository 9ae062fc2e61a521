# SPDX-License-Identifier: BSD-3-Clause
"""The scalar functions that equations may apply to every element.

Each is one `ElementwiseFunction`: its SymPy function (derivative, closed form, LaTeX) and
its value in every arithmetic. `register_function` adds a user's own.

Note [Monotone hulls]
    ``arb(0, 1).tanh()`` is [-5.63, 0.77] and ``arb(0, 20).tanh()`` is nan, although the
    true ranges are within ±1: ball arithmetic expands around the midpoint. tanh, sigmoid
    and relu are increasing, so the image of a ball is the hull of the images of its two
    end points, whatever its width. Where a ball is narrow (32 correct bits and more) Arb's
    own evaluation loses nothing and takes one evaluation instead of two, so that is used
    there; both are enclosures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import sympy
from flint import arb, fmpq
from sympy import Expr, Function

from symrnn.errors import EquationError
from symrnn.numerics.elementary import sigmoid_enclosure, tanh_enclosure

__all__ = [
    "FUNCTIONS",
    "ElementwiseFunction",
    "monotone_hull",
    "register_function",
    "relu",
    "sigmoid",
    "step",
]


def _mp_value(argument: Expr, prec: int, function: Callable[[Any], Any]) -> Expr | None:
    """Evaluate a function of a numeric argument as SymPy's own ``evalf`` would."""
    try:
        x = argument._to_mpmath(prec + 10)
    except (ValueError, NotImplementedError, AttributeError):
        return None
    with mpmath.workprec(prec + 10):
        return Expr._from_mpmath(function(x), prec)


class sigmoid(Function):  # noqa: N801 - SymPy functions are lower case
    r"""The logistic function $\sigma(x) = 1/(1 + e^{-x})$ as a SymPy function."""

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:
        """Evaluate where the value is rational or a limit."""
        if x is sympy.S.Zero:
            return sympy.S.Half
        if x is sympy.S.Infinity:
            return sympy.S.One
        if x is sympy.S.NegativeInfinity:
            return sympy.S.Zero
        return None

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return σ' = σ (1 - σ)."""
        return self * (1 - self)

    def _eval_rewrite_as_exp(self, x: Expr, **hints: Any) -> Expr:
        return 1 / (1 + sympy.exp(-x))

    def _eval_rewrite_as_tanh(self, x: Expr, **hints: Any) -> Expr:
        return (1 + sympy.tanh(x / 2)) / 2

    def _eval_evalf(self, prec: int) -> Expr | None:
        return _mp_value(self.args[0], prec, lambda x: 1 / (1 + mpmath.exp(-x)))

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real

    def _eval_is_extended_positive(self) -> bool | None:
        return self.args[0].is_real

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"\sigma{power}\left({printer._print(self.args[0])}\right)"

    def _as_code(self, printer: Any) -> str:
        return printer._print(self._eval_rewrite_as_exp(self.args[0]))

    _numpycode = _pythoncode = _mpmathcode = _lambdacode = _ccode = _as_code


class relu(Function):  # noqa: N801
    r"""The rectifier $\max(0, x)$ as a SymPy function; its derivative at 0 is 0, as in torch."""

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:
        """Evaluate where the sign is known."""
        if x.is_extended_nonnegative:
            return x
        if x.is_extended_nonpositive:
            return sympy.S.Zero
        return None

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the Heaviside step, 0 at 0."""
        return sympy.Heaviside(self.args[0], 0)

    def _eval_rewrite_as_Max(self, x: Expr, **hints: Any) -> Expr:  # noqa: N802
        return sympy.Max(0, x)

    def _eval_evalf(self, prec: int) -> Expr | None:
        return _mp_value(self.args[0], prec, lambda x: max(x, mpmath.mpf(0)))

    def _eval_is_extended_nonnegative(self) -> bool | None:
        return self.args[0].is_extended_real

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        power = "" if exp is None else f"^{{{exp}}}"
        return (
            rf"\operatorname{{relu}}{power}\left({printer._print(self.args[0])}\right)"
        )

    def _as_code(self, printer: Any) -> str:
        return printer._print(self._eval_rewrite_as_Max(self.args[0]))

    _numpycode = _pythoncode = _mpmathcode = _lambdacode = _ccode = _as_code


class step(Function):  # noqa: N801
    """1 where x > 0, else 0, as a SymPy function: the derivative of relu."""

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:
        """Evaluate where the sign is known."""
        if x.is_extended_positive:
            return sympy.S.One
        if x.is_extended_nonpositive:
            return sympy.S.Zero
        return None

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return 0, which is right everywhere but at the jump."""
        return sympy.S.Zero

    def _eval_rewrite_as_Heaviside(self, x: Expr, **hints: Any) -> Expr:  # noqa: N802
        return sympy.Heaviside(x, 0)

    def _eval_evalf(self, prec: int) -> Expr | None:
        return _mp_value(self.args[0], prec, lambda x: mpmath.mpf(x > 0))

    def _eval_is_extended_nonnegative(self) -> bool | None:
        return self.args[0].is_extended_real

    def _as_code(self, printer: Any) -> str:
        return printer._print(self._eval_rewrite_as_Heaviside(self.args[0]))

    _numpycode = _pythoncode = _mpmathcode = _lambdacode = _ccode = _as_code


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementwiseFunction:
    r"""What a domain must know of a function that equations apply to every element.

    Attributes:
        name: The name in equations, ``"tanh"``.
        latex: How it prints, ``\tanh``.
        scalar: The SymPy function class; derivatives and closed forms come from it.
        ball: Maps a python-flint ``arb`` to an ``arb`` that contains the image of every
            point of it. This is an assumption of every proof that uses the function.
        mp: Maps an ``mpf`` to an ``mpf`` under the given mpmath context. It must not
            share code with `ball`, whose check it is.
        numpy: Maps a float64 array to an array; used to plan precision, never to prove.
        rational: Maps a rational (``fmpq``) to the exact rational value, or to ``None``
            where the value is irrational.
        enclose: Maps float64 arrays (mid, rad), rad >= 0, to (mid, rad) of a ball that
            contains the image of each; an assumption as `ball` is. Without it, `ball` is
            applied to one element after the other.
    """

    name: str
    latex: str
    scalar: type[Function]
    ball: Callable[[Any], Any]
    mp: Callable[[Any, Any], Any]
    numpy: Callable[[Any], Any]
    rational: Callable[[Any], Any]
    enclose: Callable[[Any, Any], tuple[Any, Any]] | None = None

    def of(self, x: Expr) -> Expr:
        """Return the function of a SymPy scalar, simplified only where that is a number.

        SymPy looks for signs and zeros in the argument of ``tanh`` by walking all of it,
        which is what makes nested expressions take forever to build.
        """
        return self.scalar(x, evaluate=x.is_Rational)


FUNCTIONS: dict[str, ElementwiseFunction] = {}
"""Every function that `elementwise` accepts, by name; see `register_function`."""


def register_function(function: ElementwiseFunction) -> ElementwiseFunction:
    r"""Make `function` available to `elementwise`, and return it.

    Raises:
        EquationError: A different function of that name is registered already.

    >>> pass
    >>> register_function(FUNCTIONS["tanh"]).latex
    '\\tanh'
    """
    if FUNCTIONS.setdefault(function.name, function) != function:
        raise EquationError(
            f"a different function named {function.name!r} is registered already; "
            "choose another name"
        )
    return function


# --- enclosures ---------------------------------------------------------------------

_NARROW = 32


def monotone_hull(evaluate: Callable[[arb], arb]) -> Callable[[arb], arb]:
    """Make an enclosure of an increasing function tight on balls of any width.

    See Note [Monotone hulls].

    Args:
        evaluate: An enclosure of the increasing function that is good on narrow balls.

    >>> from flint import arb
    >>> wide = monotone_hull(arb.tanh)(arb(0, 20))
    >>> wide.abs_upper() < 1.01
    True
    """

    def enclose(x: arb) -> arb:
        if x.rel_one_accuracy_bits() >= _NARROW:
            image = evaluate(x)
            if image.is_finite():
                return image
        if x.is_exact():
            return evaluate(x)
        return evaluate(x.lower()).union(evaluate(x.upper()))

    return enclose


def _sigmoid_ball(x: arb) -> arb:
    if x < -64:
        return _rising(x.exp())
    inverse = 1 + (-x).exp()
    if x < 0 and not inverse.rel_accuracy_bits() > 0:
        return _rising(x.exp())
    return 1 / inverse  # its one ball is not divided by itself


def _rising(power: arb) -> arb:
    """Return σ(x) from e^x, which cannot overflow where x is negative."""
    return power / (1 + power)


def _relu_ball(x: arb) -> arb:
    if x >= 0:
        return x
    return arb(0) if x <= 0 else arb(0).union(x.upper())


def _relu_enclosure(mid: Any, rad: Any) -> tuple[Any, Any]:
    # A sum that is rounded to 0 or less is not above 0.
    return np.maximum(mid, 0), np.where(mid + rad <= 0, 0.0, rad)


def _step_ball(x: arb) -> arb:
    if x > 0:
        return arb(1)
    return arb(0) if x <= 0 else arb(0).union(arb(1))


def _step_enclosure(mid: Any, rad: Any) -> tuple[Any, Any]:
    jumps = (mid > -rad) & (mid <= rad)  # comparisons are exact
    return np.where(jumps, 0.5, np.heaviside(mid, 0.0)), np.where(jumps, 0.5, 0.0)


# --- the functions of torch's cells, and relu's derivative ---------------------------


def _sigmoid_numpy(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


register_function(
    ElementwiseFunction(
        name="tanh",
        latex=r"\tanh",
        scalar=sympy.tanh,
        ball=monotone_hull(arb.tanh),
        mp=lambda context, x: context.tanh(x),
        numpy=np.tanh,
        rational=lambda q: q if q == 0 else None,
        enclose=tanh_enclosure,
    )
)
register_function(
    ElementwiseFunction(
        name="sigmoid",
        latex=r"\sigma",
        scalar=sigmoid,
        ball=monotone_hull(_sigmoid_ball),
        mp=lambda context, x: 1 / (1 + context.exp(-x)),
        numpy=_sigmoid_numpy,
        rational=lambda q: fmpq(1, 2) if q == 0 else None,
        enclose=sigmoid_enclosure,
    )
)
register_function(
    ElementwiseFunction(
        name="relu",
        latex=r"\operatorname{relu}",
        scalar=relu,
        ball=_relu_ball,
        mp=lambda context, x: x if x > 0 else context.zero,
        numpy=lambda x: np.maximum(x, 0),
        rational=lambda q: max(q, fmpq(0)),
        enclose=_relu_enclosure,
    )
)
register_function(
    ElementwiseFunction(
        name="step",
        latex=r"\operatorname{step}",
        scalar=step,
        ball=_step_ball,
        mp=lambda context, x: context.one if x > 0 else context.zero,
        numpy=lambda x: np.heaviside(x, 0.0),
        rational=lambda q: fmpq(q > 0),
        enclose=_step_enclosure,
    )
)
