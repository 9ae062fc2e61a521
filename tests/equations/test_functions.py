# SPDX-License-Identifier: BSD-3-Clause
"""tanh, sigmoid and relu: enclosures against mpmath, and their SymPy side."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
import sympy
from flint import arb, ctx, fmpq
from hypothesis import example, given
from hypothesis import strategies as st

from symrnn.equations.functions import (
    FUNCTIONS,
    ElementwiseFunction,
    monotone_hull,
    register_function,
    relu,
    sigmoid,
)
from symrnn.errors import EquationError
from symrnn.numerics.elementary import TANH
from tests.cases import to_fmpq
from tests.strategies import balls, rationals

MP = mpmath.MPContext()
MP.prec = 700

ORACLES = {
    "tanh": MP.tanh,
    "sigmoid": lambda v: 1 / (1 + MP.exp(-v)),
    "relu": lambda v: max(v, MP.zero),
}
each_function = pytest.mark.parametrize("name", sorted(ORACLES))


X = sympy.Symbol("x", real=True)


def mpf(value):
    return MP.mpf(value.numerator) / value.denominator


def ends(ball):
    """Return the end points of a finite ball exactly, as mpf."""
    numbers = []
    for part in (ball.mid(), ball.rad()):
        mantissa, exponent = part.man_exp()
        numbers.append(MP.mpf(int(mantissa)) * MP.mpf(2) ** int(exponent))
    return numbers[0] - numbers[1], numbers[0] + numbers[1]


def image(name, ball, precision):
    with ctx.workprec(precision):
        return FUNCTIONS[name].ball(ball)


@each_function
@given(drawn=balls(), precision=st.sampled_from([2, 24, 53, 300]))
@example(drawn=(arb(3), 3), precision=2)
@example(drawn=(arb(0, 20), 20), precision=53)
@example(drawn=(arb(-1e300), -(10**300) // 10**300), precision=53)
@example(drawn=(arb(0, 1e40), 10**39), precision=53)
def test_enclosure_contains_the_image_of_a_point(name, drawn, precision):
    """f(x) lies in the ball of f for any point x of any ball, at any precision."""
    ball, point = drawn
    low, high = ends(ball)
    inside = min(max(mpf(point) if hasattr(point, "numerator") else point, low), high)
    lower, upper = ends(image(name, ball, precision))
    error = abs(ORACLES[name](inside)) * MP.mpf(2) ** -650
    value = ORACLES[name](inside)
    assert lower - error <= value <= upper + error


@each_function
@given(drawn=balls())
@example(drawn=(arb(0, 20), 0))
@example(drawn=(arb(30, 29), 30))
@example(drawn=(arb(-1e30, 1e20), 0))
def test_enclosure_is_no_wider_than_the_range(name, drawn):
    """The image of a ball reaches beyond f of its end points by roundings only."""
    ball, _ = drawn
    low, high = (ORACLES[name](end) for end in ends(ball))
    lower, upper = ends(image(name, ball, 100))
    slack = MP.mpf(2) ** -27  # the radius of a union is rounded up at 30 bits
    assert low - slack * max(1, abs(low), abs(high)) <= lower
    assert upper <= high + slack * max(1, abs(low), abs(high))


@each_function
@given(value=rationals())
def test_narrow_balls_stay_narrow(name, value):
    """At 200 bits the image of a number keeps 190 bits, relative to its size."""
    with ctx.workprec(200):
        ball = FUNCTIONS[name].ball(arb(to_fmpq(value)))
    assert ball.is_exact() or ball.rel_accuracy_bits() >= 190 or abs(value) > 100


@pytest.mark.parametrize("x", [-1e5, -1e9, -745.2, -40.0])
def test_sigmoid_of_very_negative_numbers_keeps_relative_accuracy(x):
    """e^x is known to all bits, however small, though 1 - sigmoid(-x) is not."""
    with ctx.workprec(100):
        ball = FUNCTIONS["sigmoid"].ball(arb(x))
    assert ball > 0
    assert ball.rel_accuracy_bits() >= 95
    assert 1 > ball


@each_function
def test_unbounded_balls_have_an_enclosure(name):
    """Of a ball that says nothing, bounded functions are still bounded."""
    everything = arb(0, float("inf"))
    found = image(name, everything, 53)
    if name == "relu":
        assert not found.is_finite()
        assert found.contains(arb(7)) or found.is_nan()
    else:
        assert found.is_finite() or found.is_nan()
        assert not found.is_finite() or bool(abs(found) <= 1.01)


@each_function
def test_nan_is_not_passed_off_as_a_number(name):
    """A ball that is no number has no image."""
    assert not image(name, arb("nan"), 53).is_finite()


@each_function
@given(value=rationals())
def test_rational_values_are_exact(name, value):
    """Where a rational is claimed it is the value; elsewhere there is none."""
    found = FUNCTIONS[name].rational(to_fmpq(value))
    if name == "relu":
        assert found == to_fmpq(max(value, 0))
    elif value == 0:
        assert found == {"tanh": fmpq(0), "sigmoid": fmpq(1, 2)}[name]
    else:
        assert found is None


@each_function
@given(value=st.floats(-700, 700))
def test_float_and_mpmath_values_agree(name, value):
    """The planner's float64 and the second opinion compute the same function."""
    expected = ORACLES[name](MP.mpf(value))
    assert abs(FUNCTIONS[name].mp(MP, MP.mpf(value)) - expected) <= MP.mpf(2) ** -640
    found = float(FUNCTIONS[name].numpy(np.array([value]))[0])
    assert abs(found - expected) <= 1e-15 + 1e-15 * abs(expected)


def test_monotone_hull_of_a_narrow_ball_is_one_evaluation():
    """Two evaluations are only paid for where one would be wide."""
    calls = []
    enclose = monotone_hull(lambda x: calls.append(x) or x.tanh())
    enclose(arb(1, 1e-12))
    assert 1 == len(calls)
    enclose(arb(1, 1))
    assert 3 == len(calls)


# --- registration -------------------------------------------------------------------


def test_a_name_cannot_be_taken_twice():
    """A second function of the name would change what existing equations mean."""
    other = replace(FUNCTIONS["tanh"], latex="T")
    with pytest.raises(EquationError, match="'tanh' is registered already"):
        register_function(other)
    assert r"\tanh" == FUNCTIONS["tanh"].latex


CONTRADICTIONS = {
    "mp": lambda context, x: context.tanh(x) + 1,
    "numpy": np.sinh,
    "rational": lambda q: fmpq(1),
    "enclose": lambda mid, rad: (mid, rad),
    "with_error": lambda x: (np.tan(x), 0 * x),
    "narrow_balls": lambda balls: [ball.exp() for ball in balls],
    "select": lambda ball: ball,
    "slope": lambda mid, rad: (np.ones_like(mid), 0 * rad),
    "first_order": replace(TANH, slope=lambda value, out: out.fill(0.1)),
}


@pytest.mark.parametrize("fact", CONTRADICTIONS)
def test_an_entry_that_contradicts_itself_is_refused(fact):
    """Proofs would rest on it."""
    entry = replace(FUNCTIONS["tanh"], name="wrong", **{fact: CONTRADICTIONS[fact]})
    with pytest.raises(
        EquationError, match=f"function wrong: {fact} and ball disagree"
    ):
        register_function(entry)
    assert "wrong" not in FUNCTIONS


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("ball", None),
        ("slope", (0.0, 1.0)),
        ("binades", (3, -12)),
        ("binades", (-200, 3)),
        ("torch", "numpy.tanh"),
        ("torch", "torch.tanh; print"),
    ],
)
def test_a_fact_of_another_kind_is_refused(fact, value):
    """At once, by name."""
    with pytest.raises(EquationError, match=f"function tanh: {fact} must be"):
        replace(FUNCTIONS["tanh"], **{fact: value})


def test_bounds_below_zero_are_refused():
    """They would make images smaller than they are."""
    with pytest.raises(ValueError, match="0 or more"):
        replace(TANH, bend=-1.0)


def test_a_function_that_is_not_defined_everywhere_is_registered(monkeypatch):
    """Arguments without a value are no contradiction."""
    root = ElementwiseFunction(
        name="root",
        latex=r"\operatorname{root}",
        scalar=sympy.sqrt(X).func,
        ball=arb.sqrt,
        mp=lambda context, x: context.sqrt(x),
        numpy=np.sqrt,
        rational=lambda q: q if q in (0, 1) else None,
    )
    monkeypatch.setitem(FUNCTIONS, "root", root)  # to take it out again
    monkeypatch.delitem(FUNCTIONS, "root")
    assert root is register_function(root)


# --- the SymPy side -------------------------------------------------------------------


def test_sigmoid_as_a_sympy_function():
    """Derivative, exponential and hyperbolic form, limits, digits, LaTeX."""
    f = sigmoid(X)
    assert f.diff(X) == f * (1 - f)
    assert 1 / (1 + sympy.exp(-X)) == f.rewrite(sympy.exp)
    assert (1 + sympy.tanh(X / 2)) / 2 == f.rewrite(sympy.tanh)
    assert (sympy.S.Half, 1, 0) == tuple(map(sigmoid, (0, sympy.oo, -sympy.oo)))
    expected = 1 / (1 + MP.exp(-1))
    assert abs(MP.mpf(str(sigmoid(1).evalf(60))) - expected) < MP.mpf(10) ** -58
    assert r"\sigma\left(x\right)" == sympy.latex(f)
    assert r"\sigma^{2}\left(x\right)" == sympy.latex(f**2)
    assert f.is_extended_positive
    assert f.is_extended_real


def test_relu_as_a_sympy_function():
    """Known signs are decided; the derivative at 0 is 0, as in torch."""
    assert (3, 0, 0) == tuple(map(relu, (3, 0, -3)))
    assert sympy.sqrt(2) == relu(sympy.sqrt(2))
    assert 0 == relu(1 - sympy.sqrt(2))
    slope = relu(X).diff(X)
    assert (0, 0, 1) == tuple(slope.subs(X, v) for v in (-2, 0, 2))
    assert sympy.Max(0, X) == relu(X).rewrite(sympy.Max)
    assert r"\operatorname{relu}\left(x\right)" == sympy.latex(relu(X))


@pytest.mark.parametrize("function", [sigmoid, relu])
@pytest.mark.parametrize("modules", ["math", "numpy", "mpmath"])
def test_functions_can_be_lambdified(function, modules):
    """SymPy's code printers know them."""
    found = sympy.lambdify(X, function(X), modules)(0.75)
    expected = 1 / (1 + mpmath.exp(-0.75)) if function is sigmoid else 0.75
    assert abs(found - expected) < 1e-15
