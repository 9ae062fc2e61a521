# SPDX-License-Identifier: BSD-3-Clause
"""Proven bounds on whole runs: nobody honest exceeds them, and they are not vacuous."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import symrnn
from symrnn.audits.explain.bound import Zonotope, bound_errors, probabilistic_unit
from symrnn.domains.dual import Dual, DualDomain
from symrnn.domains.rounded import ProductOrder, RoundedDomain
from symrnn.domains.rounding_bounds import FloatingDomain
from symrnn.equations.cells import Cell
from symrnn.equations.language import add, hadamard, matmul, sigmoid, tanh
from symrnn.equations.symbols import (
    hidden_size,
    input_size,
    matrix,
    previous,
    quantity,
    vector,
    x,
)
from symrnn.networks.inputs import read_inputs
from symrnn.numerics.exact import exact_array
from symrnn.numerics.formats import FORMATS
from symrnn.numerics.upward import gamma
from symrnn.runs.run import run

DTYPES = ("float32", "float64", "float16", "bfloat16")


def honest(dtype):
    """What honest arithmetic is for a module of torch."""
    half = dtype in ("float16", "bfloat16")
    return FloatingDomain(FORMATS[dtype], FORMATS["float32"] if half else None)


def module_of(name, dtype, *, seed=0, scale=1.0, **options):
    torch.manual_seed(seed)
    module = getattr(torch.nn, name)(4, 6, **options)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(scale)
    return module.to(getattr(torch, dtype))


def exceeded(module, x, domain, hx=None):
    """Return by how much torch is beyond the bounds, and the bounds of its output."""
    with torch.no_grad():
        output, states = module(x, hx)
    states = states if isinstance(states, tuple) else (states,)
    net = symrnn.load(module)
    found = bound_errors(net, read_inputs(net, x, hx), domain).results()
    trace = symrnn.evaluate(net, x, hx, digits=25, keep="states")
    exact = [trace.output, *(trace.state(s) for s in net.cell.states)]
    beyond = -np.inf
    for subject, value, bound in zip(
        (output, *states), exact, found.values(), strict=True
    ):
        assert bound.shape == tuple(subject.shape)
        error = np.abs(exact_array(subject) - np.asarray(value))
        # The exact value is known to half an ulp of float64 here.
        slack = np.abs(np.asarray(value)) * 2.0**-53
        beyond = max(beyond, float(np.max(error - slack - bound)))
    return beyond, found["output"]


@pytest.mark.torch_bits
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_torch_stays_within(name, dtype, scale):
    """Contracting, ordinary and saturating networks, every format."""
    module = module_of(name, dtype, scale=scale)
    x = torch.randn(12, 2, 4).to(getattr(torch, dtype))
    beyond, _ = exceeded(module, x, honest(dtype))
    assert beyond <= 0


@pytest.mark.torch_bits
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 3},
        {"bidirectional": True, "num_layers": 2, "batch_first": True},
        {"bias": False},
    ],
)
def test_layers_and_directions(name, options):
    """Errors of layers below enter the ones above; shapes are torch's."""
    module = module_of(name, "float32", seed=1, **options)
    beyond, bound = exceeded(module, torch.randn(3, 7, 4), honest("float32"))
    assert beyond <= 0
    assert np.isfinite(bound).all()
    assert bound.max() < 1e-3


@pytest.mark.torch_bits
def test_projection_relu_and_states():
    """Other cells of torch, with initial states."""
    lstm = module_of("LSTM", "float32", seed=2, proj_size=3)
    hx = (torch.randn(1, 2, 3), torch.randn(1, 2, 6))
    assert exceeded(lstm, torch.randn(9, 2, 4), honest("float32"), hx)[0] <= 0
    rnn = module_of("RNN", "float32", seed=3, nonlinearity="relu")
    hx = torch.randn(1, 2, 6)
    assert exceeded(rnn, torch.randn(9, 2, 4), honest("float32"), hx)[0] <= 0


@pytest.mark.torch_bits
@pytest.mark.parametrize("factor", [2.0**-140, 2.0**-70, 2.0**7])
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_extreme_inputs(name, factor):
    """Subnormal inputs, and such as saturate every gate."""
    module = module_of(name, "float32", seed=4)
    beyond, _ = exceeded(module, torch.randn(6, 1, 4) * factor, honest("float32"))
    assert beyond <= 0


@pytest.mark.torch_bits
def test_cancelling_sums():
    """Weights that cancel leave little but rounding; the bound still holds."""
    module = module_of("RNN", "float32", seed=5)
    with torch.no_grad():
        module.weight_ih_l0[:, 1] = -module.weight_ih_l0[:, 0] * (1 + 2.0**-20)
        module.weight_ih_l0.mul_(1000)
        module.weight_ih_l0[:, 2:].mul_(1e-6)
    x = torch.randn(10, 1, 4)
    x[:, :, 1] = x[:, :, 0]
    beyond, bound = exceeded(module, x, honest("float32"))
    assert beyond <= 0
    assert bound[0].max() > 1e-5  # and it knows that these sums cancel


ORDERS = {
    "in order": ProductOrder(),
    "pairwise": ProductOrder(pairwise=True),
    "lanes, fma": ProductOrder(lanes=4, fma=True),
    "blocks": ProductOrder(block=2),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm", "gru", "gru_reset_before"])
def test_any_order_of_summation(order, kind):
    """Emulated arithmetic in several orders, in a format narrow enough to show much."""
    net = network(kind)
    inputs = read_inputs(net, np.random.default_rng(6).normal(size=(10, 3)))
    rounded = run(net, inputs, RoundedDomain("float16", products=ORDERS[order]))
    found = bound_errors(net, inputs, FloatingDomain(FORMATS["float16"])).results()
    exact = np.asarray(symrnn.evaluate(net, inputs.x[:, 0]).output)
    error = np.abs(np.array(rounded.output.tolist(), dtype=float) - exact)
    # Parameters and inputs are no numbers of float16: their rounding is covered too.
    assert (error <= found["output"]).all()
    assert error.max() > 1e-4


def network(kind, *, inputs=3, hidden=5, seed=0, scale=0.4):
    draw = np.random.default_rng(seed)
    rows = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4}.get(kind, 3) * hidden
    shapes = {"weight_ih_l0": (rows, inputs), "weight_hh_l0": (rows, hidden)}
    shapes |= {"bias_ih_l0": (rows,), "bias_hh_l0": (rows,)}
    arrays = {name: draw.uniform(-scale, scale, s) for name, s in shapes.items()}
    return symrnn.load(arrays, cell=kind)


class Adversary(DualDomain):
    """Float64 whose every operation errs by a whole unit roundoff of float16."""

    def __init__(self, draw):
        self.draw = draw

    def _err(self, a):
        signs = self.draw(a.value.shape)
        return Dual(a.value * (1 + 2.0**-11 * signs))

    def matmul(self, a, b):
        total = self._err(Dual(a.value[:, :1] * b.value[:1]))
        for k in range(1, a.value.shape[1]):
            term = self._err(Dual(a.value[:, k : k + 1] * b.value[k : k + 1]))
            total = self._err(super().add(total, term))
        return total

    def add(self, *terms):
        total = terms[0]
        for term in terms[1:]:
            total = self._err(super().add(total, term))
        return total

    def hadamard(self, a, b):
        return self._err(super().hadamard(a, b))

    def elementwise(self, function, a):
        return self._err(super().elementwise(function, a))


@pytest.mark.parametrize("kind", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
def test_the_worst_that_the_model_allows(kind):
    """Every rounding errs as far as it may, up, down or at random: still within.

    And the worst of them comes near: the bound is no more than so many times as large.
    """
    net = network(kind, seed=7)
    # All numbers are float16's, so that nothing but operations is rounded.
    half = {
        position: {n: a.astype(np.float16).astype(float) for n, a in arrays.items()}
        for position, arrays in net.parameters.items()
    }
    net = symrnn.Network(cell=net.cell, parameters=half)
    given = np.random.default_rng(8).normal(size=(8, 3)).astype(np.float16)
    inputs = read_inputs(net, given)
    found = bound_errors(net, inputs, FloatingDomain(FORMATS["float16"])).results()
    exact = np.asarray(symrnn.evaluate(net, given).output)
    worst = np.zeros_like(exact)
    draw = np.random.default_rng(9)
    patterns = [np.ones, lambda shape: -np.ones(shape)]
    patterns += [lambda shape: draw.choice([-1, 1], shape)] * 10
    for pattern in patterns:
        subject = run(net, inputs, Adversary(pattern)).output.tolist()
        worst = np.maximum(worst, np.abs(np.array(subject, dtype=float) - exact))
    assert (worst <= found["output"]).all()
    moved = worst > 0  # relu is exactly 0 for all of them where it is off
    assert np.median(found["output"][moved] / worst[moved]) < 60


def test_not_vacuous_after_a_hundred_steps():
    """Float32, 32 units, default weights: absolute errors stay far below the states."""
    torch.manual_seed(10)
    for name in ("RNN", "LSTM", "GRU"):
        net = symrnn.load(getattr(torch.nn, name)(16, 32))
        inputs = read_inputs(net, torch.randn(100, 16))
        bound = bound_errors(net, inputs, honest("float32")).results()["output"]
        assert bound[-1].max() < 2e-4
        assert bound[-1].max() < 4 * bound[20].max()


def test_ragged_batches_are_their_sequences():
    """A padded batch has each sequence's own bound, and 0 for padding."""
    net = network("gru")
    given = np.random.default_rng(11).normal(size=(5, 2, 3))
    domain = honest("float32")
    together = bound_errors(net, read_inputs(net, given, lengths=[3, 5]), domain)
    alone = bound_errors(net, read_inputs(net, given[:3, 0]), domain)
    output = together.results()["output"]
    assert (output[:3, 0] == alone.results()["output"]).all()
    assert not output[3:, 0].any()
    assert (together.results()["h_n"][0, 0] == output[2, 0]).all()
    assert np.isnan(together.states[0, "forward"]["h"][3:, 0]).all()


def test_fewer_generators_are_wider():
    """Boxes contain what they replace."""
    net = network("rnn_tanh")
    inputs = read_inputs(net, np.random.default_rng(12).normal(size=(30, 3)))
    widths = [
        bound_errors(net, inputs, honest("float32"), columns=n).results()["output"]
        for n in (1000, 40, 10)
    ]
    for narrow, wide in pairwise(widths):
        assert (narrow <= wide * (1 + 1e-9)).all()
        assert (narrow < wide).any()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_boxes_contain_what_they_replace(seed):
    """Whatever is in a zonotope stays in it when old generators are bundled."""
    draw = np.random.default_rng(seed)
    zonotope = Zonotope(np.ones((3, 1)), columns=8)
    blocks = [draw.normal(size=(3, 7)) * 2.0 ** draw.integers(-30, 30, 7)]
    box = draw.random((3, 1))
    points = blocks[0] @ draw.choice([-1, 1], (7, 50))
    points += box * draw.choice([-1, 1], (3, 50))
    zonotope.become(blocks, box)
    kept = np.hstack(zonotope.blocks)
    assert kept.shape[1] < 10
    for direction in draw.normal(size=(20, 3)):
        assert np.abs(direction @ points).max() <= np.abs(direction @ kept).sum() * (
            1 + 1e-12
        )


def test_what_overflows_is_unknown():
    """An expanding network's bound becomes infinite, never NaN, and says so as None."""
    net = symrnn.load(
        {"weight_ih_l0": [[1]], "weight_hh_l0": [[2.0**20]]}, cell="rnn_relu"
    )
    inputs = read_inputs(net, [[1.0]] * 12)
    found = bound_errors(net, inputs, honest("float32"))
    output = found.results()["output"]
    assert np.isfinite(output[0]).all()
    assert np.isinf(output[-1]).all()
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["largest_by_step"][0]["bounds"][-1] is None


@pytest.mark.torch_bits
def test_decimal_parameters():
    """Weights and states that no float holds are covered with their rounding."""
    arrays = {"weight_ih_l0": [["0.3"]], "weight_hh_l0": [["-0.7"]]}
    net = symrnn.load(arrays, cell="rnn_tanh")
    x_text, h_text = [["0.1"], ["-0.2"], ["1/3"]], [["1/7"]]
    inputs = read_inputs(net, x_text, h_text)
    for dtype in DTYPES:
        bound = bound_errors(net, inputs, honest(dtype)).results()["output"]
        kind = getattr(torch, dtype)
        module = torch.nn.RNN(1, 1, bias=False, dtype=kind)
        with torch.no_grad():
            module.weight_ih_l0.fill_(0.3)
            module.weight_hh_l0.fill_(-0.7)
            given = torch.tensor([[0.1], [-0.2], [1 / 3]], dtype=kind)
            output, _ = module(given, torch.tensor([[1 / 7]], dtype=kind))
        exact = np.asarray(symrnn.evaluate(net, x_text, h_text).output)
        assert (np.abs(exact_array(output) - exact) <= bound).all()
        assert bound.max() < 40 * 2.0 ** -FORMATS[dtype].precision


def test_a_cell_of_ones_own():
    """Any cell whose functions have registered derivatives."""
    H = hidden_size
    W, U, b = matrix("W", H, input_size), matrix("U", H, H), vector("b", H)
    h, f = previous("h", H), quantity("f", H)
    cell = Cell.define(
        "leaky",
        parameters=[W, U, b],
        equations={
            f: sigmoid(add(matmul(W, x), b)),
            quantity("h", H): add(hadamard(f, h), tanh(matmul(U, hadamard(f, h)))),
        },
    )
    draw = np.random.default_rng(13)
    arrays = {"W_l0": draw.normal(size=(4, 3)), "b_l0": draw.normal(size=4) - 2}
    arrays["U_l0"] = draw.normal(size=(4, 4)) / 8
    net = symrnn.load(arrays, cell=cell)
    inputs = read_inputs(net, draw.normal(size=(20, 3)), draw.normal(size=(1, 4)))
    domain = FloatingDomain(FORMATS["float16"])
    bound = bound_errors(net, inputs, domain).results()["output"]
    subject = run(net, inputs, RoundedDomain("float16")).output.tolist()
    exact = np.asarray(
        symrnn.evaluate(net, inputs.x[:, 0], inputs.states["h"][:, 0]).output
    )
    assert (np.abs(np.array(subject, dtype=float) - exact) <= bound).all()
    assert bound[-1].max() < 0.5


@pytest.mark.torch_bits
def test_probable_bounds_are_smaller_and_say_so():
    """Higham & Mary's constant replaces n u; the result is no proof."""
    torch.manual_seed(14)
    module = torch.nn.LSTM(300, 24)
    net, x_torch = symrnn.load(module), torch.randn(10, 300)
    inputs = read_inputs(net, x_torch)
    proven = bound_errors(net, inputs, honest("float32"))
    probable = bound_errors(net, inputs, honest("float32"), confidence=0.999)
    assert proven.proven
    assert not probable.proven
    assert probable.failure == pytest.approx(0.001)
    ratio = proven.results()["output"] / probable.results()["output"]
    assert (ratio > 1.5).all()
    with torch.no_grad():
        output, _ = module(x_torch)
    exact = np.asarray(symrnn.evaluate(net, x_torch).output)
    error = np.abs(exact_array(output) - exact)
    assert (error <= probable.results()["output"]).all()


def test_probabilistic_unit():
    """It grows with the root of n, and is never above γ_n."""
    for n in (1, 10, 1000, 10**6):
        assert probabilistic_unit(6.0, n, 24) <= gamma(n, 24)
    ratio = probabilistic_unit(6.0, 40_000, 24) / probabilistic_unit(6.0, 10_000, 24)
    assert ratio == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 2.0])
def test_confidence_is_a_probability(confidence):
    """Anything else is refused."""
    net = network("rnn_tanh")
    inputs = read_inputs(net, np.zeros((1, 3)))
    with pytest.raises(ValueError, match="between 0 and 1"):
        bound_errors(net, inputs, honest("float32"), confidence=confidence)


def test_not_finite_is_refused():
    """There is no exact trajectory to be near to."""
    net = network("rnn_tanh")
    with pytest.raises(symrnn.NotFiniteError):
        bound_errors(net, read_inputs(net, [[0, np.inf, 0]]), honest("float32"))


@pytest.mark.torch_bits
def test_errors_of_the_layer_below_enter():
    """The first layer cancels, the second only magnifies: its error is the first's."""
    module = torch.nn.RNN(2, 1, 2, nonlinearity="relu", bias=False)
    with torch.no_grad():
        module.weight_ih_l0[:] = torch.tensor([[1.1, -1.1 + 2.0**-18]])
        module.weight_ih_l1.fill_(1000.0)
        module.weight_hh_l0.zero_()
        module.weight_hh_l1.zero_()
        x = torch.tensor([[0.3, 0.3], [0.7, 0.7], [0.9, 0.9]])
        output, _ = module(x)
    beyond, bound = exceeded(module, x, honest("float32"))
    exact = np.asarray(symrnn.evaluate(module, x).output)
    error = np.abs(exact_array(output) - exact)
    # Far beyond what the second layer's own roundings can do.
    assert (error > 100 * 2.0**-24 * np.abs(exact)).any()
    assert beyond <= 0
    assert bound.max() < 1e-3


def test_rounding_of_initial_states_enters():
    """An initial state that is no number of the format makes the bound larger by that."""
    net = symrnn.load({"weight_ih_l0": [[0]], "weight_hh_l0": [[1]]}, cell="rnn_relu")
    bounds = []
    for start in ("0.3", float(torch.tensor(0.3).bfloat16())):
        inputs = read_inputs(net, [[0]], [[start]])
        found = bound_errors(net, inputs, FloatingDomain(FORMATS["bfloat16"]))
        bounds.append(found.results()["output"][0, 0])
    assert bounds[0] - bounds[1] > 0.9 * abs(float(torch.tensor(0.3).bfloat16()) - 0.3)
