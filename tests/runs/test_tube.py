# SPDX-License-Identifier: BSD-3-Clause
"""Propagated errors enclose what a much higher precision finds, however long the run."""

import importlib
import math
from itertools import chain

import mpmath
import numpy as np
import pytest
from flint import arb, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from symrnn.domains.ball import BallDomain
from symrnn.domains.enclosure import Enclosed
from symrnn.equations.cells import find_cell
from symrnn.errors import UndecidedError
from symrnn.networks.inputs import read_inputs
from symrnn.networks.network import Network
from symrnn.runs.evaluate import evaluate
from symrnn.runs.propagation.contraction import StepNorms
from symrnn.runs.propagation.tube import Propagation
from symrnn.runs.run import run
from tests.cases import GATES, exact_value, multiprecision, reference

KINDS = [*GATES]


def random_arrays(kind, hidden=4, size=3, *, layers=1, both=False, seed=0, scale=0.6):
    rng = np.random.default_rng(seed)
    arrays = {}
    for layer in range(layers):
        for suffix in ("", "_reverse") if both else ("",):
            rows = GATES[kind] * hidden
            width = hidden * (1 + both) if layer else size
            shapes = {
                "weight_ih": (rows, width),
                "weight_hh": (rows, hidden),
                "bias_ih": (rows,),
                "bias_hh": (rows,),
            }
            for name, shape in shapes.items():
                arrays[f"{name}_l{layer}{suffix}"] = rng.uniform(-scale, scale, shape)
    return arrays


def propagated(net, x, precision, **options):
    inputs = read_inputs(net, x, **options)
    return Propagation(net, inputs).trace(precision, "states")


def holds(trace, truth):
    """Whether every enclosure of a trace's output overlaps a far narrower one."""
    for mine, theirs in zip(
        trace.output.intervals().flat, truth.output.intervals().flat, strict=True
    ):
        if not (mine[0] <= theirs[1] and theirs[0] <= mine[1]):
            return False
    return True


# --- soundness ----------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_enclosures_hold_the_oracle_s_values(kind):
    """After 60 steps at a low precision, mpmath's values at a high one are inside."""
    arrays, steps = random_arrays(kind, seed=3), 60
    x = np.random.default_rng(4).uniform(-1, 1, (steps, 3))
    trace = propagated(Network.from_arrays(find_cell(kind), arrays), x, 70)
    expected = reference(kind, arrays, x, None, None, multiprecision(120)).output
    tiny = fmpq(1, 10**100)
    for row, found in zip(expected, trace.output.intervals(), strict=True):
        for value, (lo, hi) in zip(row, found, strict=True):
            exact = exact_value(value)
            exact = fmpq(exact.numerator, exact.denominator)
            assert lo - tiny <= exact <= hi + tiny
            assert hi - lo < fmpq(1, 2**50)


@settings(max_examples=40)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1e-300, 1e-3, 0.5, 1.0, 3.0, 30.0, 1e8]),
    size=st.sampled_from([1e-310, 1e-2, 1.0, 1e4]),
    precision=st.sampled_from([53, 64, 90]),
)
def test_enclosures_hold_for_any_weights(kind, seed, scale, size, precision):
    """Contracting, expanding, saturated and vanishing networks; plain balls are the truth."""
    arrays = random_arrays(kind, hidden=3, size=2, seed=seed, scale=scale)
    net = Network.from_arrays(find_cell(kind), arrays)
    x = np.random.default_rng(seed).normal(size=(12, 2)) * size
    inputs = read_inputs(net, x)
    truth = run(net, inputs, BallDomain(3000), keep="states")
    assert holds_or_unknown(Propagation(net, inputs), precision, truth)


def holds_or_unknown(runs, precision, truth):
    """Whether nothing is claimed that excludes the truth."""
    for trace in (runs.trace(precision, "states"), runs.enclosures("states")):
        for record, other in zip(
            trace.records.values(), truth.records.values(), strict=True
        ):
            for step, true_step in zip(record.steps, other.steps, strict=True):
                for state, values in step.items():
                    pairs = zip(
                        chain(*trace.domain.rows(values)),
                        true_step[state].flat,
                        strict=True,
                    )
                    for mine, true in pairs:
                        if certainly_meet(mine, true):
                            continue
                        try:
                            lo, hi = trace.domain.interval(mine)
                        except UndecidedError:
                            continue  # nothing is claimed
                        true_lo, true_hi = truth.domain.interval(true)
                        if not (lo <= true_hi and true_lo <= hi):
                            return False
    return True


def certainly_meet(mine, true):
    """Whether a ball has a point of an enclosure, without writing out e^-(10^8).

    An enclosure in float64 becomes a smaller ball: FLINT rounds radii up, to 30 bits.
    """
    if not isinstance(mine, arb):
        if not math.isfinite(mine.rad):
            return False
        radius = mine.rad * (1 - 2.0**-20)
        mine = arb(mine.mid, radius if radius > 1e-300 else 0)
    return mine.is_finite() and true.is_finite() and mine.overlaps(true)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_relu"])
@pytest.mark.parametrize("precision", [60, 200])
def test_stacked_bidirectional_batches_of_unequal_lengths(kind, precision):
    """Every sequence, layer and direction has an error of its own, and it holds."""
    arrays = random_arrays(kind, layers=2, both=True, seed=9)
    net = Network.from_arrays(find_cell(kind), arrays)
    x = np.random.default_rng(1).uniform(-1, 1, (15, 4, 3))
    options = {"lengths": [15, 3, 9, 15]}
    hx = np.random.default_rng(2).uniform(-1, 1, (4, 4, 4))
    options["hx"] = (hx, -hx) if kind == "lstm" else hx
    trace = propagated(net, x, precision, **options)
    truth = evaluate(net, x, digits=90, keep="states", **options)
    assert holds(trace, truth)
    for state in net.cell.states:
        pairs = zip(
            trace.state(state).intervals().flat,
            truth.state(state).intervals().flat,
            strict=True,
        )
        assert all(a[0] <= b[1] and b[0] <= a[1] for a, b in pairs)
    assert trace.output.radius().max() < 2.0 ** (20 - precision)


def test_inputs_and_states_that_are_no_binary_numbers():
    """Thirds are balls from the start, and stay enclosed."""
    net = Network.from_arrays(find_cell("rnn_tanh"), random_arrays("rnn_tanh"))
    x, hx = [["1/3", "1/7", "0.1"]] * 10, [["1/3"] * 4]
    truth = evaluate(net, x, hx, digits=60)
    assert holds(propagated(net, x, 64, hx=hx), truth)


@given(st.integers(0, 10**6), st.sampled_from(KINDS))
@settings(max_examples=25)
def test_bounds_of_norms_hold_between_any_two_points_of_a_box(seed, kind):
    """|F(a) - F(b)| <= L |a - b| for points that nobody chose, far apart in the box."""
    rng = np.random.default_rng(seed)
    scale = float(10 ** rng.uniform(-2, 1))
    net = Network.from_arrays(
        find_cell(kind), random_arrays(kind, seed=seed, scale=scale)
    )
    states = net.cell.states
    factors = {s: float(2.0 ** rng.integers(-2, 3)) for s in states}
    width = float(10 ** rng.uniform(-6, -0.5))
    centre = {s: rng.uniform(-1, 1, (4, 1)) for s in states} | {
        "x": rng.normal(size=(3, 1))
    }
    box = {
        n: Enclosed(v, np.full_like(v, width * (n != "x"))) for n, v in centre.items()
    }
    bounds, _ = StepNorms(net, (0, "forward"), states, factors).bounds(box)
    for _ in range(4):
        ends = [
            {s: centre[s] + width * rng.choice([-1, 0.3, 1], (4, 1)) for s in states}
            for _ in range(2)
        ]
        images = [one_step(net, centre["x"], e) for e in ends]
        before = mpmath.sqrt(
            sum(
                (factors[s] * (mpmath.mpf(a) - mpmath.mpf(b))) ** 2
                for s in states
                for a, b in zip(ends[0][s].flat, ends[1][s].flat, strict=True)
            )
        )
        after = mpmath.sqrt(
            sum(
                (factors[s] * (images[0][s][i] - images[1][s][i])) ** 2
                for s in states
                for i in range(4)
            )
        )
        assert after <= mpmath.mpf(float(bounds[0])) * before + mpmath.mpf(10) ** -40


def one_step(net, x, states):
    """Return a step's states as mpmath numbers of 60 digits."""
    hx = tuple(v.T[np.newaxis] for v in states.values())
    trace = evaluate(
        net,
        x.T[np.newaxis],
        hx if len(hx) > 1 else hx[0],
        digits=60,
        places=None,
        keep="states",
    )
    with mpmath.workdps(60):
        return {
            s: [mpmath.mpf(v) for v in trace.state(s).decimal(places=58)[0][0]]
            for s in states
        }


# --- it does not blow up ----------------------------------------


@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm", "gru"])
def test_precision_does_not_grow_with_the_length_of_a_contraction(kind):
    """Ten times as many steps need a few bits more, not ten times as many."""
    net = Network.from_arrays(
        find_cell(kind), random_arrays(kind, hidden=8, scale=0.35)
    )
    x = np.random.default_rng(0).normal(size=(600, 3))
    bits = [
        Propagation(net, read_inputs(net, x[:n])).plan(100, absolute=False).precision
        for n in (60, 600)
    ]
    assert bits[1] <= bits[0] + 20


def test_the_plan_is_enough_and_not_much_more():
    """A run at the planned precision has the digits; 24 bits less would not do."""
    net = Network.from_arrays(find_cell("lstm"), random_arrays("lstm", hidden=8))
    inputs = read_inputs(net, np.random.default_rng(0).normal(size=(80, 3)))
    runs = Propagation(net, inputs)
    plan = runs.plan(100, absolute=False)
    assert worst_bits(runs.trace(plan.precision, "states")) >= 100
    assert worst_bits(runs.trace(plan.precision - 24, "states")) < 100


def worst_bits(trace):
    return min(v.rel_accuracy_bits() for row in trace.output.tolist() for v in row)


def chaotic(steps):
    """Return a network whose Jacobians expand, and inputs too small to saturate it."""
    arrays = random_arrays("rnn_tanh", hidden=16, seed=2, scale=1.2)
    net = Network.from_arrays(find_cell("rnn_tanh"), arrays)
    return net, np.random.default_rng(3).normal(size=(steps, 3)) / 10


def test_an_expanding_network_gets_the_precision_it_needs():
    """A chaotic RNN loses bits at every step; its digits are right all the same."""
    net, x = chaotic(120)
    inputs = read_inputs(net, x)
    runs = Propagation(net, inputs)
    plan = runs.plan(60, absolute=True)
    assert plan.precision > 150
    trace = runs.trace(plan.precision, "states")
    assert holds(trace, run(net, inputs, BallDomain(4000), keep="states"))
    assert trace.output.radius().max() < 2.0**-40


def test_a_run_that_leaves_its_boxes_claims_nothing():
    """At a precision that is far too low for a chaotic network, radii are infinite."""
    net, x = chaotic(120)
    assert np.isinf(propagated(net, x, 40).output.radius()).any()


def test_dead_relu_units_stay_exact_zeros():
    """What a step maps all of its box to is known exactly, not to within an error."""
    arrays = {
        "weight_ih_l0": [["-1/3"], ["1/3"]],
        "weight_hh_l0": [[0, 0], ["1/7", "1/5"]],
        "bias_ih_l0": [0, 0],
        "bias_hh_l0": [0, 0],
    }
    net = Network.from_arrays(find_cell("rnn_relu"), arrays)
    trace = propagated(net, [[1]] * 5, 64)
    assert [arb(0)] * 5 == [row[0] for row in trace.output.tolist()]
    assert not trace.output.tolist()[4][1].is_exact()


# --- through the front door ----------------------------------------


@pytest.fixture
def always(monkeypatch):
    """Propagate, however short the sequence."""
    module = importlib.import_module("symrnn.runs.evaluate")
    monkeypatch.setattr(module, "_PLAIN_UP_TO", -1)
    return module


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", ["all", "nodes", "states"])
def test_both_ways_give_the_same_digits(always, monkeypatch, kind, keep):
    """Output, states and named quantities have the digits that plain balls find."""
    net = Network.from_arrays(find_cell(kind), random_arrays(kind, layers=2))
    x = np.random.default_rng(5).uniform(-1, 1, (8, 2, 3))
    options = {"lengths": [5, 8], "keep": keep, "digits": 20}
    found = evaluate(net, x, **options)
    monkeypatch.setattr(always, "_PLAIN_UP_TO", 10**9)
    plain = evaluate(net, x, **options)
    assert plain.output.decimal(25) == found.output.decimal(25)
    assert plain.h_n.decimal(60) == found.h_n.decimal(60)
    for name in plain[1, "forward", 6].names:
        theirs = plain[1, "forward", 6][name].decimal(places=20)
        assert theirs == found[1, "forward", 6][name].decimal(places=20)


def test_more_digits_reuse_the_bounds(always, monkeypatch):
    """Bounds are found once; only the points are computed again."""
    net = Network.from_arrays(find_cell("gru"), random_arrays("gru"))
    trace = evaluate(net, np.ones((6, 3)), digits=10)
    monkeypatch.setattr(StepNorms, "bounds", None)
    assert 200 == len(trace.output[-1].decimal(places=198)[0].lstrip("-"))


def test_the_limit_ends_it_with_what_was_reached(always):
    """The message names the step, the bits it needs and the digits within the limit."""
    net, x = chaotic(300)
    with pytest.raises(UndecidedError, match=r"step \d+ needs about \d+ bits; max_pr"):
        evaluate(net, x, digits=30, max_precision=300)


def test_long_sequences_are_propagated():
    """Where plain balls would lose more than 512 bits, the precision stays low."""
    net = Network.from_arrays(
        find_cell("rnn_tanh"), random_arrays("rnn_tanh", hidden=32, scale=0.17)
    )
    x = np.random.default_rng(0).normal(size=(800, 3))
    trace = evaluate(net, x, digits=30, keep="states")
    assert trace.domain.precision < 200
    assert trace.output[-1].radius().max() < 1e-30


@pytest.mark.parametrize("keep", ["all", "states"])
def test_float64_enclosures(keep):
    """domain='enclosure' is certified float64; more digits come from balls."""
    net = Network.from_arrays(find_cell("lstm"), random_arrays("lstm", layers=2))
    x = np.random.default_rng(0).normal(size=(50, 3))
    trace = evaluate(net, x, domain="enclosure", keep=keep)
    truth = evaluate(net, x, digits=40)
    assert "enclosure" == trace.domain.name
    assert trace.output.proven
    assert 0 < trace.output.radius().max() < 1e-12
    assert holds(trace, truth)
    assert truth.output.decimal(30) == trace.output.decimal(30)
