# SPDX-License-Identifier: BSD-3-Clause
"""The local audit: honest arithmetic in any order is explained, faults are found there."""

from __future__ import annotations

import itertools
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symrnn
from symrnn.domains.rounding_bounds import FloatingDomain
from symrnn.equations.cells import Cell
from symrnn.equations.functions import FUNCTIONS
from symrnn.equations.language import add, hadamard, matmul, tanh
from symrnn.equations.symbols import (
    hidden_size,
    input_size,
    matrix,
    previous,
    quantity,
    x,
)
from symrnn.numerics.float_arithmetic import round_array
from symrnn.numerics.formats import FORMATS
from tests.require import require_module

FLOAT32 = FORMATS["float32"]


@pytest.fixture(scope="module")
def torch():
    return require_module("torch")


def make(torch, kind, *sizes, dtype="float32", seed=0, **options):
    torch.manual_seed(seed)
    return getattr(torch.nn, kind)(*sizes, dtype=getattr(torch, dtype), **options)


def run(module, *arguments):
    """Return what a module gives, as arrays that may be changed."""
    import torch

    with torch.no_grad():
        output, states = module(*arguments)
    states = states if isinstance(states, tuple) else (states,)
    return output.clone(), *(state.clone() for state in states)


# --- what is honest -----------------------------------------------------------------


@pytest.mark.torch_bits
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("grad", [False, True])
def test_torch_is_honest(torch, kind, dtype, grad):
    """In every format, in grad mode and not, in every layer, direction and length."""
    module = make(torch, kind, 3, 5, num_layers=2, bidirectional=True, dtype=dtype)
    sequences = torch.randn(7, 4, 3).to(module.weight_ih_l0.dtype)
    report = symrnn.audit(module, sequences, lengths=[7, 3, 5, 1], grad=grad)
    assert report.passed, str(report)
    assert [(0, "forward"), (0, "reverse"), (1, "forward"), (1, "reverse")] == [
        (layer.layer, layer.direction) for layer in report.layers
    ]
    steps, states = 16 * 5, {"RNN": 1, "GRU": 1, "LSTM": 2}[kind]
    assert all(steps + 4 * 5 * states == layer.judged for layer in report.layers)
    assert not report.unseen
    if dtype.startswith(("float16", "bfloat16")):
        assert "float32" == report.arithmetic.accumulate


@pytest.mark.torch_bits
@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_single_steps(torch, kind):
    """A cell's step is judged from the state that it was given."""
    module = make(torch, kind, 3, 4)
    hx = torch.randn(2, 4)
    hx = (hx, torch.randn(2, 4)) if kind == "LSTMCell" else hx
    report = symrnn.audit(module, torch.randn(2, 3), hx)
    assert report.passed
    assert report.layers[0].worst.location.step is None


def float32_sums(terms, order):
    """Add float32 numbers in some order, rounding each time."""
    total = np.float32(0)
    for k in order:
        total = np.float32(total + terms[k])
    return total


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_order_of_summation_is_explained(data):
    """A float32 GRU in plain loops: sums in any order, both forms of h."""
    seed = data.draw(st.integers(0, 2**20))
    rng = np.random.default_rng(seed)
    n, m = 3, 2
    scale = np.float32(data.draw(st.sampled_from([1.0, 30.0, 1e-3])))
    arrays = {
        "weight_ih_l0": rng.normal(size=(3 * m, n)).astype(np.float32) * scale,
        "weight_hh_l0": rng.normal(size=(3 * m, m)).astype(np.float32) * scale,
        "bias_ih_l0": rng.normal(size=3 * m).astype(np.float32),
        "bias_hh_l0": rng.normal(size=3 * m).astype(np.float32),
    }
    steps = rng.normal(size=(4, n)).astype(np.float32)
    h, outputs = np.zeros(m, np.float32), []
    w_i, w_h, b_i, b_h = arrays.values()

    def affine(row, x_t, state, rows):
        terms = [w_i[row, k] * x_t[k] for k in range(n)] if rows != "h" else []
        terms += [b_i[row]] if rows != "h" else []
        terms += [w_h[row, k] * state[k] for k in range(m)] if rows != "x" else []
        terms += [b_h[row]] if rows != "x" else []
        return float32_sums(terms, rng.permutation(len(terms)))

    for x_t in steps:
        new = np.empty(m, np.float32)
        for u in range(m):
            with np.errstate(over="ignore"):
                r = np.float32(1 / (1 + np.exp(-affine(u, x_t, h, "all"))))
                z = np.float32(1 / (1 + np.exp(-affine(m + u, x_t, h, "all"))))
            inner = np.float32(r * affine(2 * m + u, x_t, h, "h"))
            pre = np.float32(affine(2 * m + u, x_t, h, "x") + inner)
            candidate = np.tanh(pre)
            if seed % 2:
                new[u] = (h[u] - candidate) * z + candidate
            else:
                new[u] = (np.float32(1) - z) * candidate + z * h[u]
        h = new
        outputs.append(h)
    report = symrnn.audit(
        symrnn.load(arrays), steps, outputs=np.array(outputs), exact=False
    )
    assert report.passed, str(report)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**30), st.sampled_from([0, 40, 100, 140]))
def test_polynomials_contain_what_float32_makes_of_them(seed, small):
    """Products and sums of float32 atoms, subnormal ones too, in two ways of writing."""
    rng = np.random.default_rng(seed)
    exponents = rng.integers(-small, 3, size=4).astype(np.float32)
    values = (rng.normal(size=4) * np.exp2(exponents)).astype(np.float32)
    a, b, c, d = values
    domain = FloatingDomain(FLOAT32)
    with domain.context():
        A, B, C, D = (domain.atom(np.array([[float(v)]])) for v in values)
        total = domain.settle(
            domain.hadamard(domain.add(A, domain.neg(B)), domain.add(C, D))
        )
    middle, radius = Fraction(total.mid[0, 0]), Fraction(total.rad[0, 0])
    exact = (Fraction(float(a)) - Fraction(float(b))) * (
        Fraction(float(c)) + Fraction(float(d))
    )
    assert abs(exact - middle) <= radius
    for found in (
        (a - b) * (c + d),
        (a - b) * c + (a - b) * d,
        (a * c - b * c) + (a * d - b * d),
        a * (c + d) - b * (c + d),
    ):
        assert np.float32 == found.dtype
        assert abs(Fraction(float(found)) - middle) <= radius


# --- what is not --------------------------------------------------------------------


@pytest.mark.torch_bits
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_number_that_is_off_is_found_where_it_is(torch, kind, dtype, reverse):
    """At its layer, direction, batch element, step and unit, with both values."""
    module = make(torch, kind, 3, 5, bidirectional=True, dtype=dtype)
    sequences = torch.randn(7, 4, 3).to(module.weight_ih_l0.dtype)
    outputs = run(module, sequences)
    column = 5 + 2 if reverse else 2
    outputs[0][4, 1, column] += 0.5
    report = symrnn.audit(module, sequences, outputs=outputs)
    assert "violated" == report.verdict
    first = report.first_violation
    where = first.location
    assert ("h", 0, 1, 4, 2) == (
        where.tensor,
        where.layer,
        where.batch,
        where.step,
        where.unit,
    )
    assert ("reverse" if reverse else "forward") == where.direction
    assert float(outputs[0][4, 1, column]) == float.fromhex(first.subject_hex)
    assert 0.4 < first.error < 0.6
    assert 0 < first.bound < 0.2
    # The next steps are judged from the wrong number, and are right for it or not: none
    # before it is blamed.
    others = [layer for layer in report.layers if layer.direction != where.direction]
    assert 0 == sum(layer.violations for layer in others)


@pytest.mark.torch_bits
def test_last_states_are_judged(torch):
    """c_n against the recursion of c from the observed h, and h_n against the output."""
    module = make(torch, "LSTM", 3, 4, bidirectional=True)
    sequences = torch.randn(6, 2, 3)
    for k, tensor in ((1, "h"), (2, "c")):
        outputs = run(module, sequences)
        outputs[k][1, 1, 3] *= 1 + 2.0**-10
        first = symrnn.audit(module, sequences, outputs=outputs).first_violation
        where = first.location
        assert (tensor, "reverse", 1, 0, 3) == (
            where.tensor,
            where.direction,
            where.batch,
            where.step,
            where.unit,
        )


@pytest.mark.torch_bits
@pytest.mark.parametrize(
    "fault", ["bias", "swapped gates", "one weight", "rough tanh", "other direction"]
)
def test_faults_of_ports_are_found(torch, fault):
    """What people get wrong when they write a layer again."""
    module = make(torch, "LSTM", 8, 16)
    sequences = torch.randn(12, 3, 8)
    other = make(torch, "LSTM", 8, 16)
    with torch.no_grad():
        if fault == "bias":
            other.bias_hh_l0.zero_()
        elif fault == "swapped gates":
            weight = other.weight_ih_l0.clone()
            other.weight_ih_l0[16:32], other.weight_ih_l0[32:48] = (
                weight[32:48],
                weight[16:32],
            )
        elif fault == "one weight":
            other.weight_hh_l0[5, 3] += 2.0**-7
        outputs = run(other, sequences)
        if fault == "rough tanh":
            outputs[0].mul_(1 + 2.0**-12)
        elif fault == "other direction":
            outputs = run(other, sequences.flip(0))
    report = symrnn.audit(module, sequences, outputs=outputs)
    assert "violated" == report.verdict
    assert report.first_violation.ratio > 1


@pytest.mark.torch_bits
def test_an_inner_layer_is_named(torch, monkeypatch):
    """The layer below the last is observed by cutting the network off after it."""
    module = make(torch, "GRU", 3, 4, num_layers=3)
    sequences = torch.randn(5, 2, 3)
    report = symrnn.audit(module, sequences)
    assert [0, 1, 2] == [layer.layer for layer in report.layers]
    # Another network than the one that ran: only layer 1 differs.
    wrong = make(torch, "GRU", 3, 4, num_layers=3)
    with torch.no_grad():
        wrong.bias_ih_l1[1] += 0.25
    from symrnn.audits import local_audit as derived
    from symrnn.audits.torch_run import run_torch

    subject = run_torch(wrong, symrnn.load(module), sequences, None, None, grad=False)
    found = derived.audit_steps(subject)
    assert [False, True, False] == [layer.violations > 0 for layer in found.layers]
    assert 1 == found.layers[1].first_violation.location.unit


# --- what cannot be judged ----------------------------------------------------------


@pytest.mark.torch_bits
def test_outputs_of_a_stack_do_not_show_its_inner_layers(torch):
    """The report says which layers could not be judged."""
    module = make(torch, "LSTM", 3, 4, num_layers=2)
    sequences = torch.randn(5, 2, 3)
    report = symrnn.audit(module, sequences, outputs=run(module, sequences))
    assert () == report.layers
    assert 2 == len(report.unseen)
    assert "layer 0, forward: its states are not known" in map(str, report.unseen)


def test_what_follows_a_nan_is_not_judged(torch):
    """A step from NaN has no exact image; the step that made it is a violation."""
    module = make(torch, "GRU", 2, 3)
    sequences = torch.randn(5, 1, 2)
    outputs = run(module, sequences)
    outputs[0][2, 0, 1] = float("nan")
    report = symrnn.audit(module, sequences, outputs=outputs)
    assert "not finite" == report.verdict
    layer = report.layers[0]
    assert (1, 3) == (layer.violations, layer.unjudged)
    assert (2, 1) == (
        layer.first_violation.location.step,
        layer.first_violation.location.unit,
    )


def test_overflow_is_not_held_against_anyone():
    """Where honest sums may overflow, nothing is judged."""
    net = symrnn.load(
        {"weight_ih_l0": [[60000.0, 60000.0]], "weight_hh_l0": [[0]]}, cell="rnn_relu"
    )
    outputs = np.array([[np.inf]], dtype=np.float16)
    report = symrnn.audit(net, [[1, 1]], outputs=outputs, accumulate="float16")
    assert ("undecided", False) == (report.verdict, report.passed)
    assert (0, 1) == (report.layers[0].judged, report.layers[0].unjudged)


# --- assumptions --------------------------------------------------------------------


def test_accumulation_is_an_assumption_that_can_be_changed(torch):
    """Sums in bfloat16 are not explained by float32 sums, but by bfloat16 sums."""
    rng = np.random.default_rng(0)
    terms = 96
    weight = np.abs(rng.normal(size=(1, terms))).astype(np.float32)
    weight = round_to_bfloat16(weight).astype(np.float32)
    total = 0.0
    for w in weight[0]:
        total = float(round_to_bfloat16(np.array([total + w]))[0])
    net = symrnn.load(
        {
            "weight_ih_l0": weight / np.float32(128),
            "weight_hh_l0": np.zeros((1, 1), np.float32),
        },
        cell="rnn_relu",
    )
    outputs = np.array([[total / 128]])
    arguments = {"outputs": outputs, "dtype": "bfloat16", "exact": False}
    assert not symrnn.audit(net, np.ones((1, terms)), **arguments).passed
    report = symrnn.audit(net, np.ones((1, terms)), accumulate="bfloat16", **arguments)
    assert report.passed
    assert "bfloat16" == report.arithmetic.accumulate


def round_to_bfloat16(value):
    return round_array(value, FORMATS["bfloat16"])


def test_accumulation_coarser_than_the_format_is_refused(torch):
    """It would be another format."""
    with pytest.raises(ValueError, match="at least as precise as float32"):
        symrnn.audit(make(torch, "RNN", 2, 2), torch.ones(1, 2), accumulate="float16")


# --- user cells, splits -------------------------------------------------------------


def test_cells_of_the_user_are_judged():
    """Two hidden states beside the output, one of which feeds a matrix product."""
    H = hidden_size
    W, U, V = matrix("W", H, input_size), matrix("U", H, H), matrix("V", H, H)
    h, c, m = previous("h", H), previous("c", H), previous("m", H)
    cell = Cell.define(
        "two memories",
        parameters=[W, U, V],
        equations={
            quantity("c", H): tanh(add(matmul(W, x), matmul(U, h))),
            quantity("m", H): add(hadamard(c, m), quantity("c", H)),
            quantity("h", H): tanh(add(matmul(V, m), quantity("c", H))),
        },
    )
    rng = np.random.default_rng(3)
    arrays = {
        f"{n}_l0": (rng.normal(size=(3, 3)) / 4).astype(np.float32) for n in "WUV"
    }
    net = symrnn.Network.from_arrays(cell, arrays, dtype="float32")
    w, u, v = arrays.values()
    steps = rng.normal(size=(6, 3)).astype(np.float32)
    outputs = []
    state, memory, slow = (np.zeros(3, np.float32) for _ in range(3))
    for x_t in steps:
        fresh = np.tanh(w @ x_t + u @ state)
        state = np.tanh(v @ slow + fresh)
        memory, slow = fresh, memory * slow + fresh
        outputs.append(state)
    outputs = np.array(outputs)
    assert symrnn.audit(net, steps, outputs=outputs).passed
    outputs[4, 1] += 1e-3
    found = symrnn.audit(net, steps, outputs=outputs).first_violation.location
    assert (4, 1) == (found.step, found.unit)


def test_results_do_not_depend_on_the_split(torch):
    """Serial, threads and processes give the same report."""
    # Groups hold 2^14 elements of a state, here 18, 18 and 4 sequences.
    module = make(torch, "LSTM", 3, 900)
    sequences = torch.randn(3, 40, 3)
    outputs = run(module, sequences)
    arguments = {"outputs": outputs, "exact": False}
    serial = symrnn.audit(module, sequences, **arguments).to_dict()
    with ThreadPoolExecutor(2) as pool:
        threads = symrnn.audit(module, sequences, executor=pool, **arguments).to_dict()
    assert serial == threads


@pytest.mark.slow
def test_processes_judge_as_threads_do(torch):
    """Everything that a group of sequences needs can be pickled."""
    module = make(torch, "LSTM", 3, 40)
    sequences = torch.randn(3, 900, 3)
    serial = symrnn.audit(module, sequences, exact=False).to_dict()
    with ProcessPoolExecutor(2) as pool:
        found = symrnn.audit(module, sequences, exact=False, executor=pool).to_dict()
    assert serial == found


def test_activation_of_wide_sets():
    """Images of sets contain the images of their ends, with the activation's error."""
    domain = FloatingDomain(FLOAT32)
    for name, middle, radius in itertools.product(
        ("tanh", "sigmoid", "relu"), (-3.0, 0.0, 0.7, 40.0), (0.0, 1e-6, 0.3, 50.0)
    ):
        function = FUNCTIONS[name]
        with domain.context():
            value = domain.atom(np.array([[middle]]), np.array([[radius]]))
            image = domain.elementwise(function, value)
        for end in np.linspace(middle - radius, middle + radius, 7):
            exact = float(function.numpy(np.array(end)))
            assert abs(exact - image.mid[0, 0]) <= image.rad[0, 0] + 1e-15


@pytest.mark.torch_bits
@pytest.mark.parametrize("options", [{"num_layers": 1}, {"proj_size": 2}])
def test_bfloat16_products_may_take_subnormals_for_zero(torch, options):
    """OneDNN's bfloat16 products do, whatever the layer, and are honest."""
    kind = "LSTM" if "proj_size" in options else "GRU"
    module = make(torch, kind, 3, 4, dtype="bfloat16", **options)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.startswith("weight_ih"):
                weight.fill_(2.0**-130)
    report = symrnn.audit(module, torch.full((4, 2, 3), 2.0**127).bfloat16())
    assert report.passed, str(report)
    assert report.arithmetic.flushes
