# SPDX-License-Identifier: BSD-3-Clause
"""Tangents are what torch, SymPy and exact differences say they are, for any cell."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from flint import arb, fmpq
from hypothesis import given
from hypothesis import strategies as st

from symrnn.domains.ball import BallDomain
from symrnn.domains.exact import ExactDomain
from symrnn.domains.mp import MpDomain
from symrnn.domains.symbolic import ScalarForm, Symbols
from symrnn.equations.cells import Cell, find_cell, gru, lstm, rnn
from symrnn.equations.derivatives import lower_tangent, push, tangent
from symrnn.equations.functions import FUNCTIONS, ElementwiseFunction, sigmoid
from symrnn.equations.language import (
    add,
    elementwise,
    hadamard,
    matmul,
    neg,
    ones,
    subtract,
)
from symrnn.equations.program import execute, lower
from symrnn.equations.symbols import (
    hidden_size,
    input_size,
    matrix,
    previous,
    quantity,
    vector,
    x,
)
from symrnn.errors import EquationError
from symrnn.networks.network import Network
from symrnn.numerics.exact import exact_array
from tests.cases import GATES
from tests.strategies import rationals

H, I = 4, 3  # noqa: E741


def random_network(kind, hidden=H, size=I, seed=0):
    rng = np.random.default_rng(seed)
    rows = GATES[kind] * hidden
    shapes = {
        "weight_ih_l0": (rows, size),
        "weight_hh_l0": (rows, hidden),
        "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,),
    }
    arrays = {n: rng.uniform(-1, 1, shape) for n, shape in shapes.items()}
    return Network.from_arrays(find_cell(kind), arrays), arrays


def jacobian(net, domain, at, wrt):
    """Return d(states)/d(wrt) as a matrix of the domain's elements, states stacked."""
    position = (0, "forward")
    sizes = {"x": net.input_size, **net.state_sizes}
    total, start, seeds = sum(sizes[n] for n in wrt), 0, {}
    for name in wrt:
        seeds[name] = np.zeros((sizes[name], total))
        seeds[name][:, start : start + sizes[name]] = np.eye(sizes[name])
        start += sizes[name]
    with domain.context():
        _, tangents = push(
            domain,
            lower_tangent(net.cell, tuple(wrt)),
            {n: domain.matrix(a) for n, a in net.parameters[position].items()},
            {n: domain.matrix(exact_array(v)) for n, v in at.items()},
            {n: domain.matrix(v) for n, v in seeds.items()},
            net.sizes[position],
        )
        return [row for s in net.cell.states for row in domain.rows(tangents[s])]


def random_point(net, seed=1):
    rng = np.random.default_rng(seed)
    sizes = {"x": net.input_size, **net.state_sizes}
    return {n: rng.uniform(-1, 1, (size, 1)) for n, size in sizes.items()}


@pytest.mark.parametrize("kind", GATES)
def test_jacobians_enclose_those_of_a_higher_precision(kind):
    """Balls contain mpmath's Jacobian of the same equations, and are narrow."""
    net, _ = random_network(kind)
    at, wrt = random_point(net), ("x", *net.cell.states)
    found = jacobian(net, BallDomain(120), at, wrt)
    for row, other in zip(found, jacobian(net, MpDomain(400), at, wrt), strict=True):
        for ball, value in zip(row, other, strict=True):
            lo, hi = BallDomain(120).interval(ball)
            true, _ = MpDomain(400).interval(value)
            slack = fmpq(1, 2**350)
            assert lo - slack <= true <= hi + slack
            assert hi - lo <= fmpq(1, 2**105)


@pytest.mark.torch_bits
@pytest.mark.parametrize("kind", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
@pytest.mark.parametrize("seed", range(3))
def test_jacobians_are_torch_s(torch, kind, seed):
    """Autograd of torch's own cell, in float64, agrees to rounding."""
    net, arrays = random_network(kind, seed=seed)
    at, wrt = random_point(net, seed), ("x", *net.cell.states)
    options = {"nonlinearity": kind[4:]} if kind.startswith("rnn") else {}
    module = {"lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}.get(
        kind, torch.nn.RNNCell
    )(I, H, dtype=torch.float64, **options)
    module.load_state_dict(
        {n.removesuffix("_l0"): torch.tensor(a) for n, a in arrays.items()}
    )
    points = [torch.tensor(at[n][:, 0]) for n in wrt]

    def forward(x_, *states):
        out = module(x_, tuple(states) if kind == "lstm" else states[0])
        return torch.cat(out) if kind == "lstm" else out

    expected = torch.cat(torch.autograd.functional.jacobian(forward, (*points,)), dim=1)
    found = np.array(jacobian(net, MpDomain(80), at, wrt)).astype(float)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", GATES)
def test_jacobians_are_sympy_s(kind):
    """Differentiating the scalar form of the cell gives the same numbers."""
    net, _ = random_network(kind, hidden=2, size=1, seed=5)
    at, wrt = random_point(net, 6), ("x", *net.cell.states)
    leaves = {n: vector(n, len(v)) for n, v in at.items()}
    domain = ScalarForm(
        Symbols(lambda n, p: None, lambda t: leaves["x"], lambda s, p: leaves[s]),
        numbers=True,
    )
    program = lower(net.cell)
    registers = {
        r: domain.matrix(net.parameters[0, "forward"][n])
        for n, r in program.parameters.items()
    }
    registers[program.x] = domain.input(None, 0)
    registers |= {r: domain.initial(s, None, None) for s, r in program.previous.items()}
    for phase in (program.once, program.input, program.step):
        execute(domain, phase, registers, net.sizes[0, "forward"])
    values = [v for s in net.cell.states for v in registers[program.quantities[s]].flat]
    symbols = [s for n in wrt for s in leaves[n].as_explicit()]
    numbers = dict(
        zip(symbols, [float(v) for n in wrt for v in at[n].flat], strict=True)
    )
    dummies = {s: sympy.Symbol(f"v{i}", real=True) for i, s in enumerate(symbols)}
    points = {dummies[s]: sympy.Rational(v) for s, v in numbers.items()}
    found = jacobian(net, MpDomain(120), at, wrt)
    for value, row in zip(values, found, strict=True):
        expr = value.doit().xreplace(dummies)
        for symbol, entry in zip(symbols, row, strict=True):
            slope = expr.diff(dummies[symbol]).subs(points).evalf(25)
            assert abs(float(slope) - float(entry)) < 1e-15


@given(st.lists(rationals(), min_size=8, max_size=8), st.integers(0, 5))
def test_a_piecewise_linear_cell_moves_along_its_tangent(numbers, seed):
    """Off the kink, relu(w x + u h + b) moves by the tangent exactly, for a small step."""
    w, u, x_, h, dx, dh, b, _ = numbers
    pre = w * x_ + u * h + b
    change = w * dx + u * dh
    if pre == 0:
        return
    step = Fraction(1, 2) * abs(pre) / (1 + abs(change)) / (seed + 1)
    domain = ExactDomain()

    def take(value):
        return domain.matrix(np.array([[value]], dtype=object))

    def value_at(x_, h):
        return push(
            domain,
            lower_tangent(rnn("relu")),
            {"W_ih": take(w), "W_hh": take(u), "b_ih": take(b), "b_hh": take(0)},
            {"x": take(x_), "h": take(h)},
            {"x": take(dx), "h": take(dh)},
            {},
        )

    here, slope = value_at(x_, h)
    there, _ = value_at(x_ + step * dx, h + step * dh)
    moved = there["h"].item() - here["h"].item()
    assert fmpq(step.numerator, step.denominator) * slope["h"].item() == moved


def test_batches_of_one_direction_are_pushed_at_once():
    """Values (features × sequences) with a tangent for each sequence work too."""
    net, _ = random_network("gru")
    domain, position = MpDomain(60), (0, "forward")
    points = [random_point(net, seed) for seed in range(3)]
    moves = [random_point(net, seed) for seed in range(3, 6)]
    parameters = {n: domain.matrix(a) for n, a in net.parameters[position].items()}

    def pushed(points, moves):
        def side_by_side(parts):
            return {
                n: domain.matrix(np.hstack([p[n] for p in parts])) for n in parts[0]
            }

        return push(
            domain,
            lower_tangent(net.cell),
            parameters,
            side_by_side(points),
            side_by_side(moves),
            net.sizes[position],
        )[1]["h"]

    together = pushed(points, moves)
    for i in range(3):
        alone = pushed(points[i : i + 1], moves[i : i + 1])
        assert together[:, i].tolist() == alone[:, 0].tolist()


# --- what the equations look like ----------------------------------------


def test_zero_tangents_are_dropped():
    """Nothing is added that is zero, and what does not vary has no tangent."""
    for_c = tangent(lstm(), ["c"])
    assert {"c", "h"} == set(for_c.tangents)
    assert "d_c = f ⊙ d_c_prev" == str(for_c.equations[-3])
    assert {} == tangent(rnn(), []).tangents


def test_names_and_latex():
    """Tangents print as differentials of the quantities."""
    line = tangent(rnn(bias=False), ["h"]).equations[-1]
    assert r"\mathrm{d}h_{t}" == sympy.latex(line.target)
    assert r"\mathrm{d}h_{t-1}" in sympy.latex(line.value)


def test_what_cannot_vary_is_refused():
    """A parameter is no direction."""
    with pytest.raises(EquationError, match="'W_ih'; there are x, h"):
        tangent(rnn(), ["W_ih"])


# --- functions of one's own ----------------------------------------


class softplus(sympy.Function):  # noqa: N801
    def fdiff(self, argindex=1):
        return sigmoid(self.args[0])


class cube(sympy.Function):  # noqa: N801
    def fdiff(self, argindex=1):
        return 3 * self.args[0] ** 2 - 1


class root(sympy.Function):  # noqa: N801
    def fdiff(self, argindex=1):
        return 1 / (2 * self)


class flat(sympy.Function):  # noqa: N801
    def fdiff(self, argindex=1):
        return sympy.S.Zero


def entry(scalar, value, slope=None):
    return ElementwiseFunction(
        name=scalar.__name__,
        latex=scalar.__name__,
        scalar=scalar,
        ball=value,
        mp=lambda context, v: value(v),
        numpy=value,
        rational=lambda q: value(q),
    )


def cell_of(name):
    """Return a cell h = f(w x + h_prev) ⊙ b."""
    w, b = matrix("w", hidden_size, input_size), vector("b", hidden_size)
    pre = add(matmul(w, x), previous("h", hidden_size))
    value = hadamard(elementwise(name, pre), b)
    return Cell.define(
        name, parameters=[w, b], equations={quantity("h", hidden_size): value}
    )


def test_a_function_of_one_s_own_is_differentiated(monkeypatch):
    """Derivatives with powers, factors and other registered functions are written out."""
    monkeypatch.setitem(FUNCTIONS, "cube", entry(cube, lambda v: v**3 - v))
    monkeypatch.setitem(
        FUNCTIONS, "softplus", entry(softplus, lambda v: mpmath.log(1 + mpmath.exp(v)))
    )
    pre = "w*x + h_prev"
    assert f"d_h = sigmoid({pre}) ⊙ d_h_prev ⊙ b" == str(
        tangent(cell_of("softplus"), ["h"]).equations[-1]
    )
    net = Network.from_arrays(cell_of("cube"), {"w_l0": [["1/3"]], "b_l0": [2]})
    at = {"x": [["1/2"]], "h": [["1/5"]]}
    ((slope,),) = jacobian(net, ExactDomain(), at, ("h",))
    assert (3 * (fmpq(1, 6) + fmpq(1, 5)) ** 2 - 1) * 2 == slope


def test_a_derivative_that_is_zero_is_dropped(monkeypatch):
    """A step function passes no tangent on."""
    monkeypatch.setitem(FUNCTIONS, "flat", entry(flat, lambda v: v))
    assert {} == tangent(cell_of("flat")).tangents
    assert {} == tangent(cell_of("step")).tangents


def test_a_derivative_outside_the_vocabulary_is_refused(monkeypatch):
    """Quotients have no node, and the message says what is missing."""
    monkeypatch.setitem(FUNCTIONS, "root", entry(root, lambda v: v**0.5))
    with pytest.raises(EquationError, match="derivative of root cannot be written"):
        tangent(cell_of("root"))


def test_step_over_a_ball_takes_both_slopes():
    """At relu's kink the enclosure of the slope is [0, 1], so it holds every secant."""
    wide = FUNCTIONS["step"].ball(arb(0, 1))
    assert wide.contains(arb(0))
    assert wide.contains(arb(1))
    assert 1 == FUNCTIONS["step"].ball(arb(2, 1))
    assert 0 == FUNCTIONS["step"].ball(arb(-2, 1)) == FUNCTIONS["step"].ball(arb(0))


def test_subtraction_keeps_its_sign():
    """d(1 - z) is -dz."""
    z = quantity("z", hidden_size)
    h = previous("h", hidden_size)
    cell = Cell.define(
        "minus",
        parameters=[],
        equations={
            z: neg(h),
            quantity("h", hidden_size): subtract(ones(hidden_size), z),
        },
    )
    assert ["d_z = -d_h_prev", "d_h = -d_z"] == [
        str(line) for line in tangent(cell, ["h"]).equations[1::2]
    ]


def test_a_gru_is_linear_in_directions():
    """The seeded part of the program depends on no step, so it runs once."""
    program = lower_tangent(gru(), ("h",))
    assert 3 == len(program.seeded)  # W_hr dh, W_hz dh, W_hn dh
    touched = {s for i in program.values for s in i.operands}
    assert not touched & set(program.seeds.values())
