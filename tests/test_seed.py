# SPDX-License-Identifier: BSD-3-Clause
"""Five printed examples of a tutorial are what their printed weights allow.

Weights and outputs were printed to 4 decimals, so each stands for all numbers within
half a unit of the fourth. Computing with these intervals, every printed output must be
possible. Inputs are small integers, hence exact.
"""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from flint import fmpq

from symrnn.equations.cells import rnn
from symrnn.networks.inputs import read_inputs
from symrnn.networks.network import Network
from symrnn.numerics.formats import round_decimal
from symrnn.runs.run import run
from tests.cases import WideBallDomain

DATA = json.loads((Path(__file__).parent / "data" / "seed.json").read_text("utf-8"))
EXAMPLES = DATA["examples"]
WITH_WEIGHTS = [example for example in EXAMPLES if example["weights"]]
HALF = 5.0000001e-05  # half a unit of the fourth decimal, rounded up

each_example = pytest.mark.parametrize("example", WITH_WEIGHTS, ids=lambda e: e["name"])


def trace_of(example, radius=HALF):
    bias = "bias_ih_l0" in example["weights"]
    net = Network.from_arrays(rnn(bias=bias), example["weights"])
    return run(net, read_inputs(net, example["x"]), WideBallDomain(128, radius))


def printed_and_enclosed(example, trace):
    """Yield every printed number of an example with the enclosure of what it shows."""
    yield from pairs(example["output"], trace.output)
    if example["h_n"]:
        yield from pairs(example["h_n"], trace.h_n)
    for t, row in enumerate(example.get("layer_0", [])):
        yield from pairs([row], [trace[0, "forward", t].h])


def pairs(rows, arrays):
    for row, array in zip(rows, arrays, strict=True):
        for text, interval in zip(row, array.intervals(), strict=True):
            yield Fraction(text), [Fraction(int(q.p), int(q.q)) for q in interval]


def is_possible(printed, interval):
    half = Fraction(1, 20000)
    return interval[0] <= printed + half and printed - half <= interval[1]


def test_there_are_five_examples():
    """All examples of the notebook are here; only the second printed no weights."""
    assert 5 == len(EXAMPLES)
    assert ["more features"] == [e["name"] for e in EXAMPLES if not e["weights"]]


@each_example
def test_every_printed_output_is_possible(example):
    """Outputs, last states and the lower layer agree with the printed weights."""
    found = list(printed_and_enclosed(example, trace_of(example)))
    assert len(found) >= len(example["output"]) * len(example["output"][0])
    for printed, interval in found:
        assert is_possible(printed, interval), (printed, interval)


@each_example
def test_a_wrong_digit_is_not_possible(example):
    """The enclosures are tight enough to refuse any output that is off by 0.01."""
    for printed, interval in printed_and_enclosed(example, trace_of(example)):
        for wrong in (printed + Fraction(1, 100), printed - Fraction(1, 100)):
            assert not is_possible(wrong, interval), (wrong, interval)


@each_example
def test_a_wrong_weight_is_not_possible(example):
    """With the first weight off by 0.1 some printed output is out of reach."""
    first, *others = example["weights"]["weight_ih_l0"]
    changed = [str(Fraction(first[0]) + Fraction(1, 10)), *first[1:]]
    weights = example["weights"] | {"weight_ih_l0": [changed, *others]}
    found = printed_and_enclosed(example, trace_of(example | {"weights": weights}))
    assert not all(is_possible(printed, interval) for printed, interval in found)


@each_example
def test_the_printed_weights_themselves_are_among_the_possible(example):
    """Intervals of radius 0 lie inside those of the printed digits."""
    wide, exact = trace_of(example), trace_of(example, 0.0)
    for outer, inner in zip(wide.output, exact.output, strict=True):
        for (low, high), (a, b) in zip(
            outer.intervals(), inner.intervals(), strict=True
        ):
            assert low <= a
            assert b <= high


def test_outputs_without_weights_are_rounded_correctly():
    """The second example printed its outputs twice, to 4 decimals and as float32."""
    (example,) = [e for e in EXAMPLES if not e["weights"]]
    for short, long in zip(example["output"], example["float32"], strict=True):
        exact = Fraction(long[0])
        q = fmpq(exact.numerator, exact.denominator)
        assert short[0] == round_decimal(q, q, places=4)
