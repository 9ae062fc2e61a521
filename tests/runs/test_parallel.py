# SPDX-License-Identifier: BSD-3-Clause
"""Whoever evaluates the parts of a batch, and however many do, the results are the same."""

import pickle
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

import symrnn
from symrnn.domains.ball import Balls
from symrnn.equations.cells import Cell, find_cell
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
from symrnn.errors import NotFiniteError, UndecidedError
from symrnn.networks.inputs import read_inputs
from symrnn.networks.network import Network
from symrnn.runs.arrays import PackedArray
from symrnn.runs.evaluate import _PLAIN_UP_TO, _growth, evaluate
from symrnn.runs.parallel import split_batch
from tests.cases import CASES, GATES, SINGLE, arguments, sample
from tests.runs.test_tube import chaotic, random_arrays

H = hidden_size
LENGTHS = [3, 1, 4, 4, 2] * 2 + [3]  # 11 sequences: groups of two, and one of one


class Serial(Executor):
    """Runs everything at once, in order, here."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope="module")
def executors():
    """Return executors of every kind, none like another in its number of workers."""
    with ThreadPoolExecutor(3) as threads, ProcessPoolExecutor(2) as processes:
        yield {"serial": Serial(), "threads": threads, "processes": processes}


def network(kind, **options):
    return Network.from_arrays(find_cell(kind), random_arrays(kind, **options))


def batch(size=3, seed=1):
    return np.random.default_rng(seed).normal(size=(4, len(LENGTHS), size))


def outputs(trace):
    output = trace.output
    return output.data if isinstance(output, PackedArray) else output


def results(trace):
    """Return every result of a trace: its shape, digits and radii."""
    arrays = [outputs(trace), *(trace.state(s) for s in trace.net.cell.states)]
    return [(a.shape, a.decimal(25), a.radius().tolist()) for a in arrays]


def digits(trace):
    return [(shape, decimals) for shape, decimals, _ in results(trace)]


TABLE = [
    case
    for case in CASES
    if (case.bidirectional and case.layers == 2 and case.bias) or case.layout in SINGLE
]


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.id)
def test_results_do_not_depend_on_the_executor(case, executors):
    """Cells, layouts, lengths, states: digits, shapes and radii are the same."""
    net, given_ = sample(case).network, arguments(case)
    found = {
        name: results(evaluate(net, **given_, digits=12, keep="states", executor=each))
        for name, each in executors.items()
    }
    assert found["serial"] == found["threads"] == found["processes"]
    together = evaluate(net, **given_, digits=12, keep="states")
    assert digits(together) == [(s, d) for s, d, _ in found["serial"]]


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("domain", ["ball", "enclosure"])
def test_groups_of_several(kind, domain, executors):
    """Groups of sequences of different lengths, in both directions of two layers."""
    net = network(kind, layers=2, both=True)
    options = {"lengths": LENGTHS, "keep": "states", "domain": domain}
    found = {
        name: results(evaluate(net, batch(), **options, executor=each))
        for name, each in executors.items()
    }
    assert found["serial"] == found["threads"] == found["processes"]
    together = evaluate(net, batch(), **options)
    assert digits(together) == [(s, d) for s, d, _ in found["serial"]]


@pytest.mark.parametrize("domain", ["exact", "mp"])
def test_domains_that_are_not_split(domain, executors):
    """Their values come in one piece, the same with every executor."""
    net = network("rnn_relu")
    plain = evaluate(net, batch()[:, :3], domain=domain)
    for each in executors.values():
        found = evaluate(net, batch()[:, :3], domain=domain, executor=each)
        assert found.output.tolist() == plain.output.tolist()


def test_propagated_errors(executors, monkeypatch):
    """Where errors are propagated instead of balls, groups plan for themselves."""
    monkeypatch.setattr(sys.modules[evaluate.__module__], "_PLAIN_UP_TO", -1)
    net, options = network("lstm", layers=2, both=True), {"lengths": LENGTHS}
    serial = evaluate(net, batch(), **options, executor=executors["serial"])
    threads = evaluate(net, batch(), **options, executor=executors["threads"])
    assert results(serial) == results(threads)
    assert digits(serial) == digits(evaluate(net, batch(), **options))
    assert serial[1, "reverse", 0].i.decimal(20) == threads[1, "reverse", 0].i.decimal(
        20
    )


@pytest.mark.slow
def test_long_sequences(executors):
    """Processes too propagate errors where a network is chaotic."""
    net, steps = chaotic(400)
    assert _growth(net, read_inputs(net, steps)) > _PLAIN_UP_TO
    inputs = np.stack([steps, np.roll(steps, 7, axis=0)], axis=1)
    options = {"digits": 8, "keep": "states"}
    found = [
        results(evaluate(net, inputs, **options, executor=executors[name]))
        for name in ("serial", "processes")
    ]
    assert found[0] == found[1]
    together = evaluate(net, inputs, **options)
    assert digits(together) == [(s, d) for s, d, _ in found[0]]


def leaky():
    """Return a cell of which one quantity, and a node, depend on parameters alone."""
    W, a = matrix("W", H, input_size), vector("a", H)
    leak = sigmoid(add(a, a))
    update = tanh(add(matmul(W, x), hadamard(quantity("leak", H), previous("h", H))))
    cell = Cell.define(
        "leaky",
        parameters=[W, a],
        equations={quantity("leak", H): leak, quantity("h", H): update},
    )
    rng = np.random.default_rng(5)
    return Network.from_arrays(
        cell, {"W_l0": rng.normal(size=(4, 3)), "a_l0": rng.normal(size=4)}
    )


@pytest.mark.parametrize("kind", [*GATES, "leaky"])
@pytest.mark.parametrize("keep", ["all", "nodes"])
@pytest.mark.parametrize("domain", ["ball", "enclosure"])
def test_every_quantity_of_every_step(kind, keep, domain, executors):
    """Traces are whole: each name, node, previous state, and who is running."""
    net = leaky() if kind == "leaky" else network(kind)
    options = {"lengths": LENGTHS, "keep": keep, "domain": domain}
    plain = evaluate(net, batch(), **options)
    found = evaluate(net, batch(), **options, executor=executors["processes"])
    for mine, theirs in zip(found, plain, strict=True):
        assert theirs.names == mine.names
        assert theirs.running == mine.running
        for name in plain.records[theirs.layer, theirs.direction].steps[theirs.t]:
            if keep == "nodes" and not isinstance(name, str):
                shape = theirs.trace.domain.rows(
                    plain.records[0, "forward"].steps[theirs.t][name]
                )
                if len(shape[0]) not in (1, plain.inputs.widths[theirs.t]):
                    continue  # a matrix of parameters: no array of a step
            assert theirs[name].decimal(8) == mine[name].decimal(8)
        for state in net.cell.states:
            assert theirs.previous(state).decimal(8) == mine.previous(state).decimal(8)


def test_parameters_are_nodes_too(executors):
    """A kept node without a column for each sequence is the same in every group."""
    net = leaky()
    found = evaluate(net, batch(), keep="nodes", executor=executors["processes"])
    (weight,) = (p for p in net.cell.parameters if p.name == "W")
    rows = found.domain.rows(found.records[0, "forward"].steps[2][weight])
    wanted = net.parameters[0, "forward"]["W"]
    assert wanted.tolist() == [[float(v) for v in row] for row in rows]


@pytest.mark.parametrize("domain", ["ball", "enclosure"])
def test_digits_can_be_asked_for_later(domain, executors):
    """The executor is not needed again, nor is anything that it held."""
    net = network("gru", both=True)
    plain = evaluate(net, batch(), lengths=LENGTHS, digits=100)
    with ProcessPoolExecutor(1) as pool:
        found = evaluate(
            net, batch(), lengths=LENGTHS, digits=5, domain=domain, executor=pool
        )
    assert plain.output.decimal(90) == found.output.decimal(90)
    quantity_ = found[0, "reverse", 1].r_pre
    assert plain[0, "reverse", 1].r_pre.decimal(90) == quantity_.decimal(90)


def test_errors_come_back_as_they_are(executors):
    """An error of a worker is symrnn's own, and says which sequences it is about."""
    net, values = network("rnn_tanh", hidden=64), np.ones((60, 2, 3))
    for each in executors.values():
        options = {"keep": "states", "max_precision": 40, "executor": each}
        with pytest.raises(
            UndecidedError, match=r"^batch elements \[0\] by themselves: el"
        ):
            evaluate(net, values, **options)
        with pytest.raises(UndecidedError, match=r"^element .* at 40 bits"):
            evaluate(net, values[:, 0], **options)  # one sequence needs no name
        values_ = values.copy()
        values_[3, 1, 2] = np.inf
        with pytest.raises(NotFiniteError, match="step 3, batch element 1, feature 2"):
            evaluate(net, values_, **options)


def test_no_sequences(executors):
    """A batch of none has no group."""
    found = evaluate(
        network("gru"), np.zeros((4, 0, 3)), executor=executors["processes"]
    )
    assert (4, 0, 4) == found.output.shape


# --- splitting ----------------------------------------------------------------------


@given(st.lists(st.integers(1, 4), min_size=1, max_size=300))
def test_groups_cover_the_batch(lengths):
    """All sequences, the longest first, in groups of one size but for the last."""
    net = network("rnn_tanh", size=1, hidden=1)
    inputs = read_inputs(net, np.zeros((4, len(lengths), 1)), lengths=lengths)
    groups = split_batch(inputs)
    assert [b for group in groups for b in group] == list(inputs.order)
    assert len({len(group) for group in groups[:-1]}) <= 1
    assert len(groups[-1]) <= len(groups[0]) <= 4
    assert len(groups) >= min(5, len(lengths))


# --- balls between processes --------------------------------------------------------

mantissas = st.one_of(st.integers(-(1 << 200), 1 << 200), st.just(0), st.just(1))
exponents = st.integers(-100_000, 100_000)
radii = st.one_of(st.integers(0, (1 << 30) - 1), st.integers(1 << 29, (1 << 30) - 1))


@given(st.lists(st.tuples(mantissas, exponents, radii, exponents), max_size=5))
def test_balls_arrive_to_the_last_bit(numbers):
    """Midpoints longer than the precision, and radii of any length, change in nothing."""
    balls = [arb((m, e), (r, p)) for m, e, r, p in numbers]
    with ctx.workprec(64):  # products have radii of full length, odd ones too
        balls += [ball * arb((3, -1), (1, -20)) for ball in balls]
    found = pickle.loads(pickle.dumps(Balls(len(balls), 1, balls))).flat
    for mine, theirs in zip(found, balls, strict=True):
        assert theirs.mid().man_exp() == mine.mid().man_exp()
        assert theirs.rad().man_exp() == mine.rad().man_exp()


def test_odd_radii_of_full_length_occur():
    """The test before this one meets what python-flint cannot be given directly."""
    with ctx.workprec(64):
        products = [arb((k, 0), (1, -9)) * arb((3, -1), (1, -20)) for k in range(64)]
    lengths = {int(p.rad().man_exp()[0]).bit_length() for p in products}
    assert 30 in lengths


def test_balls_that_are_not_finite():
    """Nothing known stays nothing known."""
    balls = [arb("nan"), arb("inf"), arb("-inf"), arb(1, arb("inf"))]
    found = pickle.loads(pickle.dumps(Balls(2, 2, balls)))
    assert (2, 2) == (found.height, found.columns)
    assert [str(b) for b in balls] == [str(b) for b in found.flat]
    assert not any(b.is_finite() for b in found.flat)
    assert 1 == found.flat[3].mid()


def test_pickled_matrices_multiply():
    """What arrives can be used like any other matrix."""
    matrix_ = pickle.loads(pickle.dumps(Balls(2, 2, [arb(k) for k in range(4)])))
    assert [2, 3, 6, 11] == [
        int(v.mid().fmpz()) for v in (matrix_.mat * matrix_.mat).entries()
    ]


def test_what_is_no_executor_is_refused():
    """It says what was expected, before anything is computed."""
    net = symrnn.load({"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    for call in (symrnn.evaluate, symrnn.audit):
        with pytest.raises(TypeError, match=r"concurrent\.futures\.Executor \(got 5\)"):
            call(net, [[1]], executor=5)
