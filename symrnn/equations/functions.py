# SPDX-License-Identifier: BSD-3-Clause
r"""The scalar functions that equations may apply to every element.

Each is one `ElementwiseFunction`: all that anything here knows of it. `register_function`
adds a user's own, which may say as much of itself as those below do.

Note [Monotone hulls]
    ``arb(0, 1).tanh()`` is [-5.63, 0.77] and ``arb(0, 20).tanh()`` is nan, although the
    true ranges are within ±1: ball arithmetic expands around the midpoint. tanh, sigmoid
    and relu are increasing, so the image of a ball is the hull of the images of its two
    end points, whatever its width. Where a ball is narrow (32 correct bits and more) Arb's
    own evaluation loses nothing and takes one evaluation instead of two, so that is used
    there; both are enclosures.

Note [A parabola]
    The derivatives of tanh and sigmoid are $1 - t^2$ and $\frac14 - (s - \frac12)^2$, in
    terms of their values t and s: they fall with the distance of the value from its
    middle. So their range over a ball follows from the ends of the function's own, which
    is less than what $1 - t \cdot t$ gives, whose two factors are taken for independent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import sympy
from flint import arb, fmpq
from sympy import Expr, Function

from symrnn.documents.model import Brackets, Fraction, Math, Number, Sign, Symbol
from symrnn.errors import EquationError
from symrnn.numerics import elementary
from symrnn.numerics.elementary import FirstOrder, Floats

__all__ = [
    "FUNCTIONS",
    "ElementwiseFunction",
    "FirstOrder",
    "find_function",
    "monotone_hull",
    "parabolic_slope",
    "register_function",
    "relu",
    "rounds",
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


_REQUIRED = ("scalar", "ball", "mp", "numpy", "rational")
_OPTIONAL = ("enclose", "slope", "with_error", "narrow_balls", "select")


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementwiseFunction:
    r"""What there is to know of a function f that equations apply to every element.

    The first seven are enough for everything. The others make arithmetic faster or bounds
    narrower, or give pages and libraries their words; what an entry says is an assumption
    of every proof that uses the function, and `register_function` refuses what contradicts
    itself.

    Attributes:
        name: The name in equations, ``"tanh"``.
        latex: How it prints, ``\tanh``.
        scalar: The SymPy function class; derivatives and closed forms come from it.
        ball: Maps a python-flint ``arb`` to an ``arb`` that contains the image of every
            point of it.
        mp: Maps an ``mpf`` to an ``mpf`` under the given mpmath context. It must not
            share code with `ball`, whose check it is.
        numpy: Maps a float64 array to an array; used to plan precision, never to prove.
        rational: Maps a rational (``fmpq``) to the exact rational value, or to ``None``
            where the value is irrational.
        enclose: Maps float64 arrays (mid, rad), rad >= 0, to (mid, rad) of a ball that
            contains the image of each. Without it, `ball` is applied to one element after
            the other.
        slope: Likewise for f', or any generalised derivative where there is none; see
            `parabolic_slope`. Without it, the derivative that `scalar` states is enclosed.
        with_error: Maps a float64 array to values and bounds of their errors, 0 where they
            are exact; NaN where nothing is known. Without it, correctly rounded values and
            references for measured errors come from `ball`, one by one.
        first_order: A bound on narrow intervals, for audits. Without it, they take
            `enclose` and `slope`.
        narrow_balls: Maps a list of narrow balls to their enclosures, as `ball` does, but
            in one evaluation each; those that are not finite are evaluated again. Without
            it, `ball` is applied.
        select: Only of a function that compares and chooses, so that no library rounds it:
            f(x) is x or one of a few small integers, and nowhere steeper than x. Maps a
            ball to itself where f(x) = x on all of it, to a rational where f is that, and
            to ``None`` where it is neither. Without it, f is taken to be rounded.
        binades: The exponents of the first and the last binade of arguments in which
            a float32 f has to be computed: below them it is its argument or a constant
            to within half an ulp, and above them likewise. Measuring is dense there.
        torch: What torch calls it, ``"torch.tanh"``. Without it, notebooks do not compute
            the cell, and torch's errors are not measured.
        words: What a page calls it, ``"the hyperbolic tangent"``.
        definition: The formula of the symbol a by which a page defines it instead, as
            LaTeX, ``r"\frac{a}{2}"``, or in the pieces of a document.

    Raises:
        EquationError: A fact is not of its kind.
    """

    name: str
    latex: str
    scalar: type[Function]
    ball: Callable[[Any], Any]
    mp: Callable[[Any, Any], Any]
    numpy: Callable[[Any], Any]
    rational: Callable[[Any], Any]
    enclose: Callable[[Any, Any], tuple[Any, Any]] | None = None
    slope: Callable[[Any, Any], tuple[Any, Any]] | None = None
    with_error: Callable[[Any], tuple[Floats, Floats]] | None = None
    first_order: FirstOrder | None = None
    narrow_balls: Callable[[list[arb]], list[arb]] | None = None
    select: Callable[[arb], arb | fmpq | None] | None = None
    binades: tuple[int, int] = (-25, 6)
    torch: str | None = None
    words: str = ""
    definition: Math | str | None = None

    def __post_init__(self) -> None:
        for name in (*_REQUIRED, *_OPTIONAL):
            fact = getattr(self, name)
            missing = fact is None and name in _OPTIONAL
            if not (missing or callable(fact)):
                raise self._refusal(f"{name} must be callable (got {fact!r})")
        if not -126 <= self.binades[0] <= self.binades[1] <= 127:
            raise self._refusal(
                "binades must be two exponents of float32, the smaller one first "
                f"(got {self.binades!r})"
            )
        if self.torch is not None and not re.fullmatch(r"torch(\.\w+)+", self.torch):
            raise self._refusal(
                f"torch must be a name such as 'torch.tanh' (got {self.torch!r})"
            )

    def _refusal(self, reason: str) -> EquationError:
        return EquationError(f"function {self.name}: {reason}")

    @property
    def rounds(self) -> bool:
        """Whether libraries round it: whether its values are not always exact."""
        return self.select is None

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
        EquationError: A different function of that name is registered already, or two
            facts of the entry contradict each other at one of a few arguments.

    >>> register_function(FUNCTIONS["tanh"]).latex
    '\\tanh'
    """
    known = FUNCTIONS.get(function.name)
    if known is None:
        _require_agreement(function)
        FUNCTIONS[function.name] = function
    elif known != function:
        raise EquationError(
            f"a different function named {function.name!r} is registered already; "
            "choose another name"
        )
    return function


def find_function(scalar: type[Function]) -> ElementwiseFunction | None:
    """Return the first entry with a SymPy function, if there is one.

    >>> find_function(sympy.tanh).name
    'tanh'
    """
    return next((f for f in FUNCTIONS.values() if f.scalar is scalar), None)


def rounds(name: str) -> bool:
    """Tell whether libraries round the function of a name; unknown ones, yes.

    >>> rounds("tanh"), rounds("relu")
    (True, False)
    """
    function = FUNCTIONS.get(name)
    return function is None or function.rounds


# --- facts that contradict each other ------------------------------------------------

_ARGUMENTS = (-2.5, -0.5, 0.0, 0.75, 3.0)
_STEP = 2.0**-9  # half the width of the balls around them
_CLOSE = 1e-6  # values that plan or check need not be better


def _require_agreement(function: ElementwiseFunction) -> None:
    """Refuse an entry whose `ball` and another fact exclude each other somewhere."""
    with np.errstate(all="ignore"):
        for x in _ARGUMENTS:
            image = function.ball(arb(x))
            if not image.is_finite():  # f has no value there
                continue
            for fact, claim in _claims(function, x):
                if not claim.overlaps(image):
                    raise function._refusal(f"{fact} and ball disagree at {x}")
            for fact, claim in _slope_claims(function, x):
                if not claim.overlaps(_difference_quotient(function, x)):
                    raise function._refusal(f"{fact} and ball disagree near {x}")


def _claims(function: ElementwiseFunction, x: float) -> Iterator[tuple[str, arb]]:
    """Yield what the facts of an entry say of f(x), as balls."""
    point, ball = np.array([x]), arb(x)
    yield "mp", _about(float(function.mp(mpmath.mp, mpmath.mpf(x))))
    yield "numpy", _about(float(function.numpy(point)[0]))
    if (exact := function.rational(fmpq(*x.as_integer_ratio()))) is not None:
        yield "rational", arb(exact)
    if function.enclose is not None:
        yield "enclose", _ball(*function.enclose(point, np.zeros(1)))
    if function.with_error is not None:
        yield "with_error", _ball(*function.with_error(point))
    if function.narrow_balls is not None:
        yield "narrow_balls", function.narrow_balls([ball])[0]
    if function.select is not None and (chosen := function.select(ball)) is not None:
        yield "select", arb(chosen)
    if function.first_order is not None:
        value = np.empty(1)
        function.first_order.values(point, value)
        yield (
            "first_order",
            _ball(value, abs(value) * function.first_order.relative_error),
        )


def _slope_claims(function: ElementwiseFunction, x: float) -> Iterator[tuple[str, arb]]:
    """Yield what they say of (f(x + h) - f(x - h)) / 2h, a value of f' between."""
    if function.slope is not None:
        yield "slope", _ball(*function.slope(np.array([x]), np.array([_STEP])))
    if function.first_order is not None:
        value, slope = np.empty(1), np.empty(1)
        function.first_order.values(np.array([x]), value)
        function.first_order.slope(value, slope)
        most = float(slope[0]) * (1 + function.first_order.bend * _STEP)
        yield "first_order", arb(0, most)


def _difference_quotient(function: ElementwiseFunction, x: float) -> arb:
    above, below = function.ball(arb(x + _STEP)), function.ball(arb(x - _STEP))
    return (above - below) / (2 * _STEP)


def _ball(mid: Floats, rad: Floats) -> arb:
    return arb(float(mid[0]), float(rad[0]) + elementary.UNDERFLOW)


def _about(value: float) -> arb:
    return arb(value, _CLOSE * (1 + abs(value)))


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


_LOST = 2.0**-50  # more than the roundings of the formulas below, whose terms are <= 1


def parabolic_slope(
    enclose: Callable[[Any, Any], tuple[Any, Any]], *, middle: float, peak: float
) -> Callable[[Any, Any], tuple[Any, Any]]:
    r"""Make an enclosure of $f' = peak - (f - middle)^2$, as tanh and sigmoid have it.

    See Note [A parabola].

    Args:
        enclose: An enclosure of f.
        middle: The value where f is steepest; f is nowhere further than 1 from it.
        peak: The slope there, at most 1; f' is nowhere below 0.

    >>> slope = parabolic_slope(FUNCTIONS["tanh"].enclose, middle=0.0, peak=1.0)
    >>> mid, rad = slope(np.array([0.0]), np.array([0.5]))
    >>> (mid - rad).round(4).tolist(), (mid + rad).round(4).tolist()
    ([0.7864], [1.0])
    """

    def slope(mid: Any, rad: Any) -> tuple[Any, Any]:
        value, radius = enclose(mid, rad)
        distance = np.abs(value - middle)
        near, far = np.maximum(distance - radius, 0), distance + radius
        lo = np.maximum(peak - far * far, 0)
        hi = np.maximum(peak - near * near, 0)
        return (lo + hi) / 2, (hi - lo) / 2 + _LOST

    return slope


# --- the functions of torch's cells, and relu's derivative ---------------------------


def _sigmoid_numpy(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _narrow_tanh(balls: list[arb]) -> list[arb]:
    return list(map(arb.tanh, balls))


def _narrow_sigmoid(balls: list[arb]) -> list[arb]:
    one = arb(1)
    return [one / (one + (-x).exp()) for x in balls]


def _relu_with_error(x: Any) -> tuple[Floats, Floats]:
    return np.maximum(x, 0.0), np.zeros_like(x)


def _relu_select(x: arb) -> arb | fmpq | None:
    if x >= 0:
        return x
    return fmpq(0) if x <= 0 else None


_BUILT_IN = (
    ElementwiseFunction(
        name="tanh",
        latex=r"\tanh",
        scalar=sympy.tanh,
        ball=monotone_hull(arb.tanh),
        mp=lambda context, x: context.tanh(x),
        numpy=np.tanh,
        rational=lambda q: q if q == 0 else None,
        enclose=elementary.tanh_enclosure,
        slope=parabolic_slope(elementary.tanh_enclosure, middle=0.0, peak=1.0),
        with_error=elementary.tanh,
        first_order=elementary.TANH,
        narrow_balls=_narrow_tanh,
        # |tanh x - x| <= |x|³/3 is below half an ulp for |x| < 2^-12, and so is
        # 1 - tanh x for x >= 16.
        binades=(-12, 3),
        torch="torch.tanh",
        words="the hyperbolic tangent",
    ),
    ElementwiseFunction(
        name="sigmoid",
        latex=r"\sigma",
        scalar=sigmoid,
        ball=monotone_hull(_sigmoid_ball),
        mp=lambda context, x: 1 / (1 + context.exp(-x)),
        numpy=_sigmoid_numpy,
        rational=lambda q: fmpq(1, 2) if q == 0 else None,
        enclose=elementary.sigmoid_enclosure,
        slope=parabolic_slope(elementary.sigmoid_enclosure, middle=0.5, peak=0.25),
        with_error=elementary.sigmoid,
        first_order=elementary.SIGMOID,
        narrow_balls=_narrow_sigmoid,
        # |sigmoid x - 1/2| <= |x|/4 for |x| < 2^-25, and beyond 128 it is 1 or has
        # underflowed.
        binades=(-25, 6),
        torch="torch.sigmoid",
        definition=(
            Fraction(
                (Number("1"),), (Number("1"), Sign("plus"), Symbol("e", sup="-a"))
            ),
        ),
    ),
    ElementwiseFunction(
        name="relu",
        latex=r"\operatorname{relu}",
        scalar=relu,
        ball=_relu_ball,
        mp=lambda context, x: x if x > 0 else context.zero,
        numpy=lambda x: np.maximum(x, 0),
        rational=lambda q: max(q, fmpq(0)),
        enclose=_relu_enclosure,
        with_error=_relu_with_error,
        select=_relu_select,
        torch="torch.relu",
        definition=(
            Symbol(r"\max"),
            Brackets((Number("0"), Sign("comma"), Symbol("a"))),
        ),
    ),
    ElementwiseFunction(
        name="step",
        latex=r"\operatorname{step}",
        scalar=step,
        ball=_step_ball,
        mp=lambda context, x: context.one if x > 0 else context.zero,
        numpy=lambda x: np.heaviside(x, 0.0),
        rational=lambda q: fmpq(q > 0),
        enclose=_step_enclosure,
    ),
)

FUNCTIONS |= {function.name: function for function in _BUILT_IN}
