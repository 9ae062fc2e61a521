# SPDX-License-Identifier: BSD-3-Clause
"""A stream gives what evaluate gives, in memory that does not grow, and stops in time."""

import gc
import tracemalloc
from itertools import count, islice

import numpy as np
import pytest
from flint import arb

from symrnn.equations.cells import find_cell
from symrnn.errors import NotFiniteError, ShapeError, UndecidedError, UnsupportedError
from symrnn.networks.network import Network
from symrnn.runs.evaluate import evaluate
from symrnn.runs.propagation.stream import stream
from tests.cases import GATES
from tests.runs.test_tube import chaotic, random_arrays


def network(kind, **options):
    arrays = random_arrays(kind, **options)
    return Network.from_arrays(find_cell(kind), arrays)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("batch", [None, 3])
def test_outputs_are_those_of_evaluate(kind, batch):
    """Layer upon layer, every step has evaluate's digits, and encloses its values."""
    net = network(kind, layers=2)
    shape = (12, 3) if batch is None else (12, batch, 3)
    x = np.random.default_rng(1).normal(size=shape)
    truth = evaluate(net, x, digits=60, keep="states").output
    found = list(stream(net, x, digits=25))
    assert 12 == len(found)
    for mine, theirs in zip(found, truth, strict=True):
        assert theirs.shape == mine.shape
        for a, b in zip(mine.intervals().flat, theirs.intervals().flat, strict=True):
            assert a[0] <= b[1]
            assert b[0] <= a[1]
        assert theirs.decimal(places=24) == mine.decimal(places=24)


def test_initial_states_and_exact_decimals():
    """States and inputs that are no binary numbers count from the first step on."""
    net = network("lstm")
    hx = ([["1/3"] * 4], [["-1/7"] * 4])
    x = [["0.1", "1/3", 2]] * 5
    truth = evaluate(net, x, hx, digits=40).output.decimal(30)
    assert truth == [o.decimal(30) for o in stream(net, x, hx, digits=35)]


def test_batch_first_and_single_steps():
    """Steps have no time dimension, whatever the network's layout is."""
    arrays = random_arrays("gru")
    x = np.random.default_rng(1).normal(size=(4, 2, 3))
    plain = Network.from_arrays(find_cell("gru"), arrays)
    expected = [o.decimal(20) for o in stream(plain, x)]
    first = Network.from_arrays(find_cell("gru"), arrays, batch_first=True)
    assert expected == [o.decimal(20) for o in stream(first, x)]
    cell = {n.removesuffix("_l0"): a for n, a in arrays.items()}
    single = Network.from_arrays(find_cell("gru"), cell, single_step=True)
    assert expected == [o.decimal(20) for o in stream(single, x)]


def test_memory_does_not_grow():
    """An endless input is consumed step by step, and nothing of it is kept.

    Garbage waits for a collection that may come at any step: it is no growth, so it is
    collected before memory is read.
    """
    net = network("gru")
    rng = np.random.default_rng(0)
    outputs = stream(net, (rng.normal(size=3) for _ in count()), digits=15)

    def held_after(steps):
        next(islice(outputs, steps, steps), None)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    held_after(50)
    tracemalloc.start()
    before = held_after(100)
    after = held_after(400)
    tracemalloc.stop()
    assert after - before < 400 * 100  # a single kept array of a step takes more


def test_it_says_when_digits_are_no_longer_known():
    """A chaotic network uses up the reserve; the step before was right."""
    net, x = chaotic(400)
    found = []
    with pytest.raises(
        UndecidedError, match=r"step \d+: \d+ digits are known at 80 bits"
    ):
        found.extend(stream(net, x, digits=15, precision=80))
    assert 5 < len(found) < 400
    truth = evaluate(net, x[: len(found)], digits=30, keep="states").output
    for mine, theirs in zip(found, truth, strict=True):
        assert theirs.decimal(places=12) == mine.decimal(places=12)


def test_digits_beyond_float64_s_exponents():
    """400 digits are checked as numbers, not as floats that underflow."""
    net = network("rnn_tanh")
    (output,) = stream(net, [[1, 2, 3]], digits=400)
    assert max(v.rad() for v in output.tolist()) < arb(10) ** -400
    with pytest.raises(UndecidedError, match="not 400"):
        list(stream(net, [[1, 2, 3]], digits=400, precision=600))


def test_zeros_stay_zeros():
    """Nothing in, nothing out: no digit is lost of an exact zero."""
    arrays = {n: a * 0 for n, a in random_arrays("rnn_relu").items()}
    net = Network.from_arrays(find_cell("rnn_relu"), arrays)
    for output in stream(net, np.ones((5, 3))):
        assert all(v == 0 for v in output.tolist())


def test_what_cannot_be_streamed_is_refused():
    """Reverse directions, wrong shapes and infinities, each with its own error."""
    with pytest.raises(UnsupportedError, match="cannot be streamed"):
        stream(network("gru", both=True), [])
    with pytest.raises(ShapeError):
        list(stream(network("gru"), [[1, 2]]))
    with pytest.raises(NotFiniteError):
        list(stream(network("gru"), [[1, 2, float("inf")]]))
