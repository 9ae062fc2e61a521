# SPDX-License-Identifier: BSD-3-Clause
"""Each arithmetic by itself: its operations, its promises, its edges."""

import operator
from fractions import Fraction
from functools import reduce

import mpmath
import numpy as np
import pytest
from flint import arb, arb_mat, ctx, fmpq
from hypothesis import example, given
from hypothesis import strategies as st

from symrnn.domains.ball import BallDomain, Balls, ball_interval, working_precision
from symrnn.domains.enclosure import EnclosureDomain
from symrnn.domains.estimate import EstimateDomain
from symrnn.domains.exact import ExactDomain, closed_form, enclose
from symrnn.domains.mp import MpDomain
from symrnn.equations.cells import rnn
from symrnn.equations.functions import FUNCTIONS
from symrnn.errors import UndecidedError
from symrnn.networks.inputs import read_inputs
from symrnn.networks.network import Network
from symrnn.numerics.exact import exact_array
from symrnn.runs.run import run
from tests.cases import FRACTIONS, WideBallDomain, multiprecision, reference
from tests.strategies import floats, networks, rationals

DOMAINS = {
    "ball": lambda: BallDomain(200),
    "exact": ExactDomain,
    "mp": lambda: MpDomain(200),
    "enclosure": EnclosureDomain,
    "estimate": EstimateDomain,
}
each_domain = pytest.mark.parametrize("name", DOMAINS)


def number(domain, element):
    """Return an element of a domain as a Fraction, to its precision."""
    if domain.name == "estimate":
        return Fraction(element[0])
    lower, upper = domain.interval(element)
    middle = (lower + upper) / 2
    return Fraction(int(middle.p), int(middle.q))


def check(domain, matrix, expected):
    """The matrix has the expected elements, to the domain's precision."""
    found = [[number(domain, v) for v in row] for row in domain.rows(matrix)]
    assert [len(row) for row in expected] == [len(row) for row in found]
    for row, other in zip(expected, found, strict=True):
        for value, approximation in zip(row, other, strict=True):
            assert abs(value - approximation) <= Fraction(1, 10**12) * (1 + abs(value))


def dot(row, column):
    return reduce(operator.add, map(operator.mul, row, column))


# --- operations against fractions ----------------------------------------------------

A = [
    [Fraction(1, 3), Fraction(-2), Fraction(5, 7)],
    [Fraction(0), Fraction(9, 8), Fraction(1)],
]
B = [
    [Fraction(4), Fraction(1, 9), Fraction(-3)],
    [Fraction(2, 3), Fraction(-1), Fraction(6)],
]
COLUMN = [[Fraction(10)], [Fraction(-1, 6)]]


@each_domain
def test_operations_are_those_of_rationals(name):
    """Every operation of every arithmetic against plain Python fractions."""
    domain = DOMAINS[name]()
    with domain.context():
        a, b, column = (domain.matrix(exact_array(m)) for m in (A, B, COLUMN))
        turned = [list(row) for row in zip(*A, strict=True)]
        product = [[dot(row, other) for other in B] for row in A]
        check(domain, a, A)
        check(domain, domain.transpose(a), turned)
        check(domain, domain.matmul(a, domain.transpose(b)), product)
        check(domain, domain.neg(a), [[-v for v in row] for row in A])
        total = [
            [x + y + x for x, y in zip(*rows, strict=True)]
            for rows in zip(A, B, strict=True)
        ]
        check(domain, domain.add(a, b, a), total)
        check(domain, domain.add(a), A)
        products = [
            [x * y for x, y in zip(*rows, strict=True)]
            for rows in zip(A, B, strict=True)
        ]
        check(domain, domain.hadamard(a, b), products)
        for operands in ((a, column), (column, a)):  # a column stands for every column
            wide = [[v + c for v in row] for row, (c,) in zip(A, COLUMN, strict=True)]
            check(domain, domain.add(*operands), wide)
            wide = [[v * c for v in row] for row, (c,) in zip(A, COLUMN, strict=True)]
            check(domain, domain.hadamard(*operands), wide)
        wide = [[v + c + c for v in row] for row, (c,) in zip(A, COLUMN, strict=True)]
        check(domain, domain.add(column, column, a), wide)
        check(domain, domain.constant(1, 2, 3), [[1, 1, 1], [1, 1, 1]])
        check(domain, domain.constant(0, 2), [[0], [0]])
        positive = [[max(v, 0) for v in row] for row in A]
        check(domain, domain.elementwise(FUNCTIONS["relu"], a), positive)


@each_domain
def test_joining_and_splitting(name):
    """Stacks and cuts keep every element; columns beyond the widths are dropped."""
    domain = DOMAINS[name]()
    with domain.context():
        a, b = (domain.matrix(exact_array(m)) for m in (A, B))
        check(domain, domain.vstack([a, b, a]), A + B + A)
        beside = [x + y for x, y in zip(A, B, strict=True)]
        both = domain.hstack([a, b])
        check(domain, both, beside)
        check(domain, domain.hstack([a]), A)
        for widths in ([2, 1, 3], [6], [1, 4], [1], [0, 2]):
            start = 0
            for part, width in zip(domain.split(both, widths), widths, strict=True):
                check(domain, part, [row[start : start + width] for row in beside])
                start += width


@each_domain
def test_empty_matrices_keep_their_height(name):
    """A batch of no sequences is a matrix without columns, not without rows."""
    domain = DOMAINS[name]()
    with domain.context():
        empty = domain.matrix(np.zeros((2, 0)))
        column = domain.matrix(np.ones((2, 1)))
        for matrix in (
            empty,
            domain.add(empty, column),
            domain.hadamard(column, empty),
            domain.matmul(domain.matrix(np.ones((2, 2))), empty),
            domain.elementwise(FUNCTIONS["tanh"], empty),
            domain.hstack([empty, empty]),
        ):
            assert [[], []] == domain.rows(matrix)


# --- ball: extreme networks -----------------------------------------------------------


def ball_ends(context, ball):
    """Return the end points of a finite ball as mpf of full size."""
    parts = []
    for part in (ball.mid(), ball.rad()):
        mantissa, exponent = part.man_exp()
        parts.append(context.ldexp(context.mpf(int(mantissa)), int(exponent)))
    return parts[0] - parts[1], parts[0] + parts[1]


def assert_steps_contained(trace, expected, context, tolerance):
    for position, quantities in expected.steps.items():
        for name, values in quantities.items():
            for element, value in zip(
                trace[position][name].tolist(), values, strict=True
            ):
                if not element.is_finite():
                    continue
                if isinstance(value, Fraction):
                    value = context.mpf(value.numerator) / value.denominator
                low, high = ball_ends(context, element)
                error = tolerance * (1 + abs(value))
                assert low - error <= value <= high + error, (position, name)


# Products of float64 span 10^±700, so 1600 digits hold a first layer's sums exactly.
HUGE = multiprecision(1600)


@given(
    drawn=networks(floats(), ("rnn_tanh", "lstm", "gru", "gru_reset_before")),
    precision=st.sampled_from([2, 24, 53, 200]),
)
def test_extreme_networks_are_contained(drawn, precision):
    """Weights from subnormals to 1e300, saturated or cancelling: no ball is wrong."""
    kind, arrays, net, x = drawn
    trace = run(net, read_inputs(net, x), BallDomain(precision))
    expected = reference(kind, arrays, x, None, None, HUGE)
    context = multiprecision(1600).number(0).context
    assert_steps_contained(trace, expected, context, context.mpf(10) ** -800)


@given(drawn=networks(floats(1e308), ("rnn_relu",)), precision=st.sampled_from([2, 53]))
def test_extreme_relu_networks_are_contained(drawn, precision):
    """The same without bound on the values, against exact fractions."""
    kind, arrays, net, x = drawn
    trace = run(net, read_inputs(net, x), BallDomain(precision))
    for position, quantities in reference(
        kind, arrays, x, None, None, FRACTIONS
    ).steps.items():
        for name, values in quantities.items():
            for element, value in zip(
                trace[position][name].tolist(), values, strict=True
            ):
                lower, upper = ball_interval(element)
                exact = fmpq(value.numerator, value.denominator)
                assert lower <= exact <= upper


@given(drawn=networks(st.floats(-4, 4) | rationals().map(lambda q: str(q / 10**9))))
def test_balls_are_narrow_where_numbers_are_ordinary(drawn):
    """At 200 bits a few steps of a small network are known to 150."""
    _, _, net, x = drawn
    trace = run(net, read_inputs(net, x), BallDomain(200))
    for step in trace:
        for name in step.names:
            for ball in step[name].tolist():
                assert ball.is_exact() or ball.rel_one_accuracy_bits() > 150, name


@given(
    drawn=networks(st.floats(-2, 2)), shift=st.floats(-1, 1), radius=st.floats(0, 0.5)
)
@example(
    drawn=(
        "rnn_tanh",
        {"weight_ih_l0": [[1.0]], "weight_hh_l0": [[1.0]]},
        Network.from_arrays(
            rnn(bias=False), {"weight_ih_l0": [[1.0]], "weight_hh_l0": [[1.0]]}
        ),
        [[20.0], [-20.0]],
    ),
    shift=-1.0,
    radius=0.5,
)
def test_wide_parameters_contain_every_network_within(drawn, shift, radius):
    """With intervals for parameters, each network inside them stays inside."""
    kind, arrays, net, x = drawn
    trace = run(net, read_inputs(net, x), WideBallDomain(100, radius))
    distance = Fraction(shift) * Fraction(radius)
    moved = {name: move(values, distance) for name, values in arrays.items()}
    oracle = multiprecision(60)
    expected = reference(kind, moved, x, None, None, oracle)
    context = oracle.number(0).context
    assert_steps_contained(trace, expected, context, context.mpf(10) ** -50)


def move(values, distance):
    """Return nested lists with `distance` added to each number, exactly."""
    if isinstance(values, list):
        return [move(v, distance) for v in values]
    return str(Fraction(values) + distance)


@given(drawn=networks(st.floats(-3, 3)))
def test_more_precision_never_contradicts_less(drawn):
    """Balls at 60 and at 160 bits overlap, and the finer ones are no wider."""
    _, _, net, x = drawn
    coarse, fine = (run(net, read_inputs(net, x), BallDomain(p)) for p in (60, 160))
    for before, after in zip(coarse, fine, strict=True):
        for name in before.names:
            pairs = zip(before[name].tolist(), after[name].tolist(), strict=True)
            for a, b in pairs:
                assert a.overlaps(b)
                assert b.rad() <= 4 * a.rad()


# --- ball: edges ---------------------------------------------------------------------


def test_ball_interval_is_exact_below_float64():
    """A radius far below 2^-1074 is still a radius."""
    with ctx.workprec(5000):
        third = arb(1) / 3
    lower, upper = ball_interval(third)
    assert lower < fmpq(1, 3) < upper
    assert upper - lower < fmpq(1, 10) ** 1400
    assert (fmpq(3, 4), fmpq(3, 4)) == ball_interval(arb(0.75))


@pytest.mark.parametrize("sign", [1, -1])
def test_ball_interval_of_numbers_too_small_to_write(sign):
    """e^(-1e30) is between zero and something tiny, on its own side."""
    with ctx.workprec(64):
        tiny = sign * arb(-1e30).exp()
    lower, upper = ball_interval(tiny)
    limit = fmpq(1, 1 << 10000)
    assert -limit < lower <= upper < limit
    assert upper > 0 if sign > 0 else lower < 0


@pytest.mark.parametrize("ball", [arb("nan"), arb(0, float("inf")), arb("inf")])
def test_ball_interval_refuses_what_is_not_finite(ball):
    """Nothing is known of such a ball."""
    with pytest.raises(UndecidedError, match="nothing finite is known"):
        ball_interval(ball)


def test_ball_interval_refuses_numbers_too_large_to_write():
    """2^(2^60) is finite, and has no decimal digits that anyone can print."""
    with ctx.workprec(64), pytest.raises(UndecidedError, match="out of the range"):
        ball_interval(arb(2) ** (1 << 60))


def test_working_precision_is_put_back():
    """Also where the block raises, and inside another one."""
    before = ctx.prec

    def fail():
        with working_precision(300):
            with working_precision(77):
                assert 77 == ctx.prec
            assert 300 == ctx.prec
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert before == ctx.prec


def test_balls_keep_both_forms():
    """The flat list and FLINT's matrix hold the same numbers, row by row."""
    flat = [arb(v) for v in range(6)]
    balls = Balls(2, 3, flat)
    assert arb_mat(2, 3, flat).entries()[4] == balls.mat.entries()[4] == arb(4)
    again = Balls(2, 3, mat=balls.mat)
    assert flat[3:] == again.row(1)


# --- exact --------------------------------------------------------------------------


def test_exact_values_are_closed_forms_or_rationals():
    """tanh(0) is 0, sigmoid(0) is 1/2, and the rest keeps its SymPy form."""
    domain = ExactDomain()
    values = domain.matrix(exact_array([[0, "1/3", -2]]))
    tanh = domain.rows(domain.elementwise(FUNCTIONS["tanh"], values))[0]
    sigmoid = domain.rows(domain.elementwise(FUNCTIONS["sigmoid"], values))[0]
    assert fmpq(0) == tanh[0]
    assert fmpq(1, 2) == sigmoid[0]
    assert "tanh(1/3)" == str(closed_form(tanh[1]))
    assert (
        abs(mpmath.mpf(str(closed_form(sigmoid[2]).evalf(30))) - 0.119202922022) < 1e-12
    )


def test_equal_irrational_terms_cancel():
    """1/3·tanh(1) - 1/3·tanh(1) is the rational 0."""
    domain = ExactDomain()
    one = domain.matrix(exact_array([[1], [1]]))
    same = domain.elementwise(FUNCTIONS["tanh"], one)
    row = domain.matrix(exact_array([["1/3", "-1/3"]]))
    assert [[fmpq(0)]] == domain.rows(domain.matmul(row, same))


def test_enclose_is_as_narrow_as_asked():
    """A closed form has an enclosure at any precision."""
    value = ExactDomain().elementwise(
        FUNCTIONS["tanh"], ExactDomain().matrix(exact_array([["7/5"]]))
    )[0, 0]
    narrow = enclose(value, 1000)
    context = multiprecision(320).number("7/5").context
    low, high = ball_ends(context, narrow)
    error = context.mpf(10) ** -315
    assert low - error <= context.tanh(context.mpf(7) / 5) <= high + error
    assert high - low < context.mpf(10) ** -295


# --- mp and estimate ----------------------------------------------------------------


def test_mp_leaves_the_global_precision_alone():
    """It neither reads nor writes mpmath.mp.prec."""
    before = mpmath.mp.prec
    domain = MpDomain(500)
    values = domain.elementwise(
        FUNCTIONS["tanh"], domain.matrix(exact_array([["1/3"]]))
    )
    assert before == mpmath.mp.prec
    lower, upper = domain.interval(values[0, 0])
    assert lower == upper
    expected = multiprecision(200).tanh(multiprecision(200).number("1/3"))
    assert abs(
        Fraction(int(lower.p), int(lower.q)) - Fraction(str(expected))
    ) < Fraction(1, 10**148)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_mp_refuses_what_is_not_finite(value):
    """Infinity is no number of the equations."""
    with pytest.raises(UndecidedError):
        MpDomain(53).interval(mpmath.mpf(value))


def test_mp_refuses_exponents_too_large_to_write():
    """A power of two of 10^30 bits is not written out."""
    context = mpmath.MPContext()
    with pytest.raises(UndecidedError, match="out of range"):
        MpDomain(53).interval(context.exp(-1e30))


def test_an_estimate_encloses_nothing():
    """It plans precision, and may never be read as a value."""
    with pytest.raises(NotImplementedError, match="only plans precision"):
        EstimateDomain().interval((0.0, 0.0))


def test_estimates_of_numbers_beyond_float64():
    """They are infinite, with their sign, instead of an error."""
    domain = EstimateDomain()
    found = domain.matrix(exact_array([["1e999", "-1e999", "1e-999"]]))
    assert [[np.inf, -np.inf, 0.0]] == found.value.tolist()
