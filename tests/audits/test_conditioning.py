# SPDX-License-Identifier: BSD-3-Clause
"""Condition numbers against definitions in exact arithmetic, and what they predict."""

import json
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import symrnn
from symrnn.audits.explain.conditioning import condition, function_condition
from symrnn.equations.cells import Cell
from symrnn.equations.functions import FUNCTIONS
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

KINDS = ("rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before")
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3, "gru_reset_before": 3}


def network(kind, *, inputs=3, hidden=4, layers=1, both=False, seed=0, scale=1.0):
    draw = np.random.default_rng(seed)
    arrays = {}
    for layer in range(layers):
        size = inputs if layer == 0 else hidden * (2 if both else 1)
        for suffix in ("", "_reverse") if both else ("",):
            rows = GATES[kind] * hidden
            arrays |= {
                f"weight_ih_l{layer}{suffix}": draw.normal(size=(rows, size)) * scale,
                f"weight_hh_l{layer}{suffix}": draw.normal(size=(rows, hidden)) * scale,
                f"bias_ih_l{layer}{suffix}": draw.normal(size=rows),
                f"bias_hh_l{layer}{suffix}": draw.normal(size=rows),
            }
    return symrnn.load(arrays, cell=kind)


def exact_condition(terms):
    """Σ|terms| / |Σ terms| of Fractions."""
    return float(sum(map(abs, terms)) / abs(sum(terms)))


def test_first_step_is_the_textbook_number():
    """κ of an RNN's pre-activation at step 0 is (|W||x| + |b|) / |Wx + b|, exactly."""
    net = network("rnn_tanh")
    given = np.random.default_rng(1).normal(size=(1, 3))
    found = condition(net, read_inputs(net, given)).sums[0, "forward"]["h"][0, 0]
    p = net.parameters[0, "forward"]
    for unit in range(4):
        terms = [
            Fraction(w) * Fraction(v)
            for w, v in zip(p["W_ih"][unit], given[0], strict=True)
        ]
        terms += [Fraction(p[b][unit, 0]) for b in ("b_ih", "b_hh")]
        assert found[unit] == pytest.approx(exact_condition(terms), rel=1e-12)


def test_cancellation_is_seen():
    """Terms that cancel to 2^-20 of themselves have κ of about 2^21; to 0, infinity."""
    net = symrnn.load(
        {"weight_ih_l0": [[1, -1]], "weight_hh_l0": [[0]]}, cell="rnn_tanh"
    )
    given = [[1, 1 - 2.0**-20], [1, 1], [0, 0]]
    found = condition(net, read_inputs(net, given)).sums[0, "forward"]["h"]
    assert found[:, 0, 0].tolist() == [2.0**21 - 1, np.inf, 1.0]


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_function_condition_agrees_with_mpmath(name):
    """κ_f = |a f'(a)/f(a)|, f' taken numerically at 60 digits."""
    arguments = np.array([-30.0, -3.0, -1e-9, 1e-300, 0.5, 2.0, 17.0])
    with mpmath.workdps(60):
        f = {"tanh": mpmath.tanh, "sigmoid": lambda v: 1 / (1 + mpmath.exp(-v))}[name]
        expected = [float(abs(v * mpmath.diff(f, v) / f(v))) for v in arguments[[0, 1]]]
        expected += [1.0, 1.0] if name == "tanh" else [5e-10, 5e-301]
        expected += [float(abs(v * mpmath.diff(f, v) / f(v))) for v in arguments[4:]]
    found = function_condition(FUNCTIONS[name], arguments)
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("both", [False, True])
def test_every_quantity_of_every_cell(kind, both):
    """Arrays cover each quantity, step and sequence; κ >= 1; padding is NaN."""
    net = network(kind, layers=2, both=both)
    given = np.random.default_rng(2).normal(size=(4, 3, 3))
    inputs = read_inputs(net, given, lengths=[2, 4, 3])
    found = condition(net, inputs)
    for position in net.positions:
        assert set(found.sums[position]) == {line.name for line in net.cell.equations}
        for name, values in found.sums[position].items():
            assert values.shape == (4, 3, 4), name
            padding = np.arange(4)[:, None] >= np.array([2, 4, 3])
            assert (np.isnan(values).all(axis=2) == padding).all()
            assert (values[~padding] >= 1).all()
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["quantities"]


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_do_not_depend_on_the_batch(kind):
    """Each sequence has the numbers that it has alone."""
    net = network(kind)
    given = np.random.default_rng(3).normal(size=(3, 2, 3))
    together = condition(net, read_inputs(net, given, lengths=[2, 3]))
    alone = condition(net, read_inputs(net, given[:2, 0]))
    for name, values in alone.sums[0, "forward"].items():
        batched = together.sums[0, "forward"][name][:2, 0]
        assert values[:, 0] == pytest.approx(batched, rel=1e-9)


def test_first_order_error_is_within_the_product():
    """Relative perturbations of the terms move a gate by at most κ κ_f, to first order."""
    net = network("gru", seed=5)
    given = np.random.default_rng(6).normal(size=(1, 3))
    found = condition(net, read_inputs(net, given))
    sums, functions = found.sums[0, "forward"], found.functions[0, "forward"]
    draw, u = np.random.default_rng(7), 1e-7
    p = net.parameters[0, "forward"]

    def z(wobble):
        terms = np.hstack([p["W_iz"] * given, p["b_iz"], p["b_hz"]])
        return 1 / (1 + np.exp(-np.sum(terms * wobble, axis=1)))

    largest = np.zeros(4)
    for _ in range(300):
        signs = draw.choice([-1, 1], size=(4, 5))
        largest = np.maximum(largest, np.abs(z(1 + u * signs) / z(1) - 1))
    limit = (sums["z"] * functions["z"])[0, 0] * u
    assert (largest <= limit * 1.001).all()
    assert (largest >= limit * 0.5).all()  # and some signs come near it


def test_a_cell_of_ones_own():
    """Quantities without a function have κ of their expression, and no κ_f."""
    H = hidden_size
    W, U, b = matrix("W", H, input_size), matrix("U", H, H), vector("b", H)
    h = previous("h", H)
    f = quantity("f", H)
    cell = Cell.define(
        "leaky",
        parameters=[W, U, b],
        equations={
            f: sigmoid(add(matmul(W, x), matmul(U, h), b)),
            quantity("h", H): add(hadamard(f, h), tanh(b)),
        },
    )
    net = symrnn.load({"W_l0": [[1.0]], "U_l0": [[1.0]], "b_l0": [[-2.0]]}, cell=cell)
    found = condition(net, read_inputs(net, [[0.0]], [[1.5]]))
    f_value = 1 / (1 + np.exp(0.5))
    size, value = 1.5 * f_value + np.tanh(2), 1.5 * f_value - np.tanh(2)
    assert found.sums[0, "forward"]["h"][0, 0, 0] == pytest.approx(size / abs(value))
    assert set(found.functions[0, "forward"]) == {"f"}


def test_summary_points_at_the_worst():
    """The worst figure is where the summary says."""
    net = network("lstm")
    given = np.random.default_rng(8).normal(size=(5, 2, 3))
    found = condition(net, read_inputs(net, given))
    for row in found.summary():
        values = found.sums[row.layer, row.direction][row.quantity]
        where = (row.sum_step, row.sum_batch, row.sum_unit)
        assert values[where] == row.sum_worst == values.max()
        assert row.sum_median <= row.sum_worst


def test_not_finite_is_refused():
    """NaN has no condition number; the message says where it is."""
    net = network("rnn_tanh")
    with pytest.raises(symrnn.NotFiniteError, match="step 0"):
        condition(net, read_inputs(net, [[np.nan, 0, 0]]))
