# SPDX-License-Identifier: BSD-3-Clause
"""A trace hands out every quantity in torch's shapes, to any number of digits."""

import numpy as np
import pytest

from symrnn.equations.cells import Cell, find_cell
from symrnn.equations.language import (
    add,
    hadamard,
    matmul,
    ones,
    sigmoid,
    subtract,
    tanh,
)
from symrnn.equations.symbols import (
    hidden_size,
    input_size,
    matrix,
    previous,
    quantity,
    x,
)
from symrnn.equations.symbols import vector as column
from symrnn.errors import UndecidedError
from symrnn.networks.network import Network
from symrnn.numerics.formats import round_decimal
from symrnn.runs.evaluate import evaluate
from tests.cases import GATES

H = hidden_size
X = np.random.default_rng(42).uniform(-1, 1, (4, 3, 3))


def network(kind="lstm", *, layers=1, both=False, single_step=False, size=3, hidden=2):
    """Return a network of numbers between -1 and 1."""
    arrays, rng = {}, np.random.default_rng(7)
    for layer in range(layers):
        for suffix in ("", "_reverse") if both else ("",):
            below = hidden * (1 + both) if layer else size
            place = "" if single_step else f"_l{layer}{suffix}"
            for name, shape in (("weight_ih", (below,)), ("weight_hh", (hidden,))):
                rows = GATES[kind] * hidden
                arrays[f"{name}{place}"] = rng.uniform(-1, 1, (rows, *shape))
    cell = find_cell(kind, bias=False)
    return Network.from_arrays(cell, arrays, single_step=single_step)


def values(array):
    return np.asarray(array)


# --- steps ----------------------------------------


def test_quantities_have_names_and_shapes():
    """Gates, pre-activations and states, (batch, size) each."""
    step = evaluate(network(), X)[0, "forward", 1]
    expected = ["i_pre", "i", "f_pre", "f", "g_pre", "g", "o_pre", "o", "c", "h"]
    assert expected == list(step.names)
    assert set(expected) <= set(dir(step))
    for name in expected:
        assert (3, 2) == step[name].shape == getattr(step, name).shape
    assert (2,) == evaluate(network(), X[:, 0])[0, "forward", 1].i.shape
    np.testing.assert_allclose(values(step.g), np.tanh(values(step.g_pre)), rtol=1e-15)


def test_unknown_quantities_list_the_known_ones():
    """As attribute or as key, the message says what there is."""
    step = evaluate(network("gru"), X)[0, "forward", 0]
    with pytest.raises(
        AttributeError, match="no quantity c; there are r_pre, r, z_pre"
    ):
        _ = step.c
    with pytest.raises(KeyError, match="no quantity c"):
        step["c"]
    with pytest.raises(AttributeError):
        _ = step._private


@pytest.mark.parametrize(
    "key",
    [
        (1, "forward", 0),
        (0, "reverse", 0),
        (0, "forward", 4),
        (0, "forward", -5),
        (0, 0),
        3,
    ],
)
def test_keys_that_are_not_there(key):
    """The message says which layers, directions and steps there are."""
    message = r"layer < 1, direction in \('forward',\), step < 4, got"
    with pytest.raises(IndexError, match=message):
        evaluate(network(), X)[key]


def test_steps_and_layers_count_from_the_end_too():
    """Negative numbers work as in a list."""
    trace = evaluate(network(layers=2), X)
    last = trace[1, "forward", 3].h.decimal(9)
    assert last == trace[-1, "forward", -1].h.decimal(9) == trace.h_n[1].decimal(9)
    assert 8 == len(list(trace))
    assert [(0, 0), (1, 3)] == [(s.layer, s.t) for s in (*trace,)[::7]]


@pytest.mark.parametrize("kind", GATES)
def test_previous_states_chain_the_steps(kind):
    """Each step starts from the state its neighbour ended in, the first from hx."""
    net = network(kind, both=True)
    lengths, rows = [2, 4, 1], 2
    hx = [
        np.random.default_rng(8).uniform(-1, 1, (rows, 3, 2)) for _ in net.cell.states
    ]
    trace = evaluate(net, X, tuple(hx), lengths=lengths)
    for row, (_, direction) in enumerate(net.positions):
        for state, initial in zip(net.cell.states, hx, strict=True):
            for b, length in enumerate(lengths):
                order = range(length)
                before = initial[row, b]
                for t in reversed(order) if direction == "reverse" else order:
                    step = trace[0, direction, t]
                    assert step.running[b]
                    found = values(step.previous(state))[b]
                    assert before.tolist() == found.tolist(), (direction, state, b, t)
                    before = values(step[state])[b]
                assert before.tolist() == values(trace.state(state))[row, b].tolist()
                if length < 4:
                    ended = trace[0, direction, length]
                    assert not ended.running[b]
                    assert [0, 0] == values(ended[state])[b].tolist()


def test_quantities_of_parameters_alone_are_there_for_every_sequence():
    """A learned constant gate is the same for all of a batch."""
    W, U, a = matrix("W", H, input_size), matrix("U", H, H), column("a", H)
    h, k, n = previous("h", H), quantity("k", H), quantity("n", H)
    cell = Cell.define(
        "leaky",
        parameters=[W, U, a],
        equations={
            k: sigmoid(a),
            n: tanh(add(matmul(W, x), matmul(U, h))),
            quantity("h", H): add(hadamard(k, h), hadamard(subtract(ones(H), k), n)),
        },
    )
    arrays = {
        "W_l0": X[0, :2],
        "U_l0": np.eye(2),
        "a_l0": [1, "-1/3"],
    }
    for domain in ("ball", "exact", "mp"):
        net = Network.from_arrays(cell, arrays)
        trace = evaluate(net, X, domain=domain, lengths=[4, 2, 3])
        expected = ["0.73105858", "0.41742979"]
        for t, running in enumerate((3, 3, 2, 1)):
            step = trace[0, "forward", t]
            rows = step.k.decimal(8)
            assert running == rows.count(expected) == sum(step.running)
            assert 3 - running == rows.count(["0", "0"])
        alone = evaluate(net, X[:2, 1], domain=domain)
        assert alone.h_n[0].decimal(9) == trace.h_n[0, 1].decimal(9)


def test_states_of_parameters_alone_survive_variable_lengths():
    """A state that never changes is carried on like any other."""
    W, a, d = matrix("W", H, input_size), column("a", H), quantity("d", H)
    total = add(tanh(matmul(W, x)), previous("d", H), previous("h", H))
    cell = Cell.define(
        "offset", parameters=[W, a], equations={d: tanh(a), quantity("h", H): total}
    )
    net = Network.from_arrays(cell, {"W_l0": np.ones((2, 3)), "a_l0": [1, 2]})
    trace = evaluate(net, X, lengths=[4, 1, 2])
    alone = evaluate(net, X[:2, 2])
    assert alone.output[-1].decimal(9) == trace.h_n[0, 2].decimal(9)


def test_nodes_are_kept_where_asked_for():
    """keep="nodes" has every subexpression, keep="states" the states only."""
    net = network("gru")
    product = net.cell.equations[0].value.args[1].args[0]
    trace = evaluate(net, X, keep="nodes")
    expected = X[1] @ net.parameters[0, "forward"]["W_ir"].T
    np.testing.assert_allclose(
        values(trace[0, "forward", 1][product]), expected, rtol=1e-13
    )
    assert all(isinstance(name, str) for name in trace[0, "forward", 1].names)
    few = evaluate(net, X, keep="states")
    assert ("h",) == few[0, "forward", 1].names
    assert trace.output.decimal(20) == few.output.decimal(20)


def test_states_that_a_cell_does_not_have():
    """A GRU has no c_n."""
    trace = evaluate(network("gru"), X)
    with pytest.raises(AttributeError, match="GRU has no state 'c'; it has h"):
        _ = trace.c_n
    assert (1, 3, 2) == evaluate(network(), X).c_n.shape


def test_a_trace_says_what_it_is():
    """Its text has the network, the steps and the arithmetic."""
    trace = evaluate(network("gru"), X)
    assert "Trace(Network(GRU, input_size=3" in repr(trace)
    assert "steps=4, domain=ball)" in repr(trace)
    assert "Step(0, 'forward', 2: r_pre, r" in repr(trace[0, "forward", 2])


# --- arrays ----------------------------------------


def test_arrays_are_indexed_as_in_numpy():
    """Integers, slices, ellipses and masks; a part refines like the whole."""
    output = evaluate(network(), X, digits=3).output
    floats = values(output)
    assert (4, 3, 2) == output.shape
    assert 3 == output.ndim
    assert 4 == len(output)
    parts = [(1,), (slice(1, 3), 0), (..., -1), (slice(None), [2, 0]), (0, 1, 1)]
    for index in parts:
        part = output[index]
        assert floats[index].shape == part.shape
        assert floats[index].tolist() == values(part).tolist()
    one = output[2, 1, 0]
    assert () == one.shape
    assert floats[2, 1, 0] == float(one)
    assert output.decimal(80)[2][1][0] == one.decimal(80)
    assert [row.decimal(9) for row in output] == output.decimal(9)


def test_only_one_element_becomes_a_float():
    """As in NumPy, float() of more than one is a mistake."""
    output = evaluate(network(), X).output
    with pytest.raises(
        TypeError, match=r"only one element can become a float.*\(4, 3, 2\)"
    ):
        float(output)


def test_numpy_sees_correctly_rounded_floats():
    """Each float is rounded once, to the dtype asked for after float64."""
    output = evaluate(network(), X).output
    assert output.nearest("float64").tolist() == np.asarray(output).tolist()
    assert np.float32 == np.asarray(output, dtype=np.float32).dtype
    assert np.float32 == output.nearest("bfloat16").dtype
    lowest = output.nearest("bfloat16").view(np.uint32) & 0xFFFF
    assert not lowest.any()
    with pytest.raises(ValueError, match="no float format named 'int8'"):
        output.nearest("int8")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"digits": 3, "places": 3}, TypeError, "digits= or places=, not both"),
        ({"digits": 0}, ValueError, "digits must be a whole number of at least 1"),
        ({"places": -1}, ValueError, "places must be a whole number of at least 0"),
        (
            {"digits": 2.0},
            ValueError,
            r"digits must be a whole number of at least 1 \(got 2.0\)",
        ),
    ],
)
def test_what_decimal_refuses(arguments, error, message):
    """Digits and places are whole numbers, one of them."""
    with pytest.raises(error, match=message):
        evaluate(network(), X).output.decimal(**arguments)


def test_fifteen_digits_are_the_default():
    """As many as every float64 can tell apart."""
    output = evaluate(network(), X).output
    assert output.decimal(15) == output.decimal()


def test_any_rule_can_be_decided():
    """A rule of one's own sees enclosures until it has an answer."""
    output = evaluate(network(), X, digits=3).output
    signs = output.decide(lambda lo, hi: 1 if lo > 0 else -1 if hi < 0 else None)
    assert np.sign(values(output)).tolist() == signs.tolist()
    narrow = output.decide(lambda lo, hi: (hi - lo) * 2**900 < 1 or None)
    assert narrow.all()


def test_intervals_hold_their_decimals():
    """Lower and upper end are exact rationals around the value."""
    output = evaluate(network(), X, digits=20).output
    for (low, high), text in zip(
        output.intervals().reshape(-1), np.ravel(output.decimal(15)), strict=True
    ):
        assert low < high
        assert (
            text
            == round_decimal(low, low, digits=15)
            == round_decimal(high, high, digits=15)
        )


def test_parts_of_mp_traces_do_not_refine():
    """Without a proof there is nothing to refine; the digits are what was computed."""
    output = evaluate(network(), X, domain="mp", digits=20).output
    assert not output.proven
    assert output.decimal(10)[1] == output[1].decimal(10)
    with pytest.raises(UndecidedError, match=r"element \[0, 0, 0\] is known only"):
        output.decide(lambda lo, hi: None)


def test_texts_of_arrays():
    """Small ones show their digits, large ones their shape."""
    output = evaluate(network(), X).output
    assert repr(output[0, 0]) == f"Array({output[0, 0].decimal(8)!r})"
    large = evaluate(network(hidden=20), X).output
    assert "Array(shape=(4, 3, 20), domain=ball)" == repr(large)


# --- layouts ----------------------------------------


def test_a_single_step_is_its_state():
    """Of a cell, output and h_n are the same, without time or layers."""
    net = network("gru", single_step=True)
    for x_, shape in ((X[0], (3, 2)), (X[0, 0], (2,))):
        trace = evaluate(net, x_)
        assert shape == trace.output.shape == trace.h_n.shape
        assert trace.output.decimal(12) == trace.h_n.decimal(12)
        assert trace.output.decimal(12) == trace[0, "forward", 0].h.decimal(12)


def test_steps_fed_one_by_one_are_the_sequence():
    """Four calls of a cell are one call of a layer."""
    layer = network("lstm")
    arrays = {
        name: np.vstack([layer.parameters[0, "forward"][m] for m in members])
        for name, members in layer.cell.stacking.items()
    }
    cell = Network.from_arrays(layer.cell, arrays, single_step=True)
    whole, hx = evaluate(layer, X, exact=True), None
    for t, x_ in enumerate(X[:3]):
        step = whole[0, "forward", t]
        trace = evaluate(cell, x_, hx)
        np.testing.assert_allclose(values(trace.h_n), values(step.h), rtol=1e-13)
        hx = (values(trace.h_n), values(trace.c_n))


def test_batch_elements_do_not_disturb_each_other():
    """A sequence has the same digits alone as in any batch."""
    net = network("gru", layers=2, both=True)
    trace = evaluate(net, X, lengths=[2, 4, 3])
    for b, length in enumerate((2, 4, 3)):
        alone = evaluate(net, X[:length, b])
        assert alone.output.decimal(25) == trace.output[:length, b].decimal(25)
        assert alone.h_n.decimal(25) == trace.h_n[:, b].decimal(25)
