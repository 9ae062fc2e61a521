# SPDX-License-Identifier: BSD-3-Clause
"""Attributed errors against actual ones, and against errors planted on purpose."""

import json

import numpy as np
import pytest
import torch

import symrnn
from symrnn.audits.explain.attribution import attribute, attribute_observed
from symrnn.audits.subject import Observed, observe
from symrnn.networks.inputs import read_inputs
from symrnn.numerics.exact import exact_array
from symrnn.numerics.float_arithmetic import Arithmetic
from symrnn.numerics.formats import find_emulated_format

KINDS = ("rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before")
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3, "gru_reset_before": 3}


def arrays_of(kind, *, inputs=3, hidden=5, layers=1, both=False, seed=0, scale=0.45):
    draw = np.random.default_rng(seed)
    arrays = {}
    for layer in range(layers):
        size = inputs if layer == 0 else hidden * (2 if both else 1)
        for suffix in ("", "_reverse") if both else ("",):
            rows = GATES[kind] * hidden
            shapes = {"weight_ih": (rows, size), "weight_hh": (rows, hidden)}
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            arrays |= {
                f"{name}_l{layer}{suffix}": draw.uniform(-scale, scale, shape)
                for name, shape in shapes.items()
            }
    return arrays


def network(kind, **options):
    return symrnn.load(arrays_of(kind, **options), cell=kind)


def rounded(arrays, form):
    nearest = Arithmetic(find_emulated_format(form)).nearest
    return {name: nearest(values) for name, values in arrays.items()}


def draw_inputs(net, time=9, batch=None, seed=1, **options):
    shape = (time, net.input_size) if batch is None else (time, batch, net.input_size)
    return read_inputs(net, np.random.default_rng(seed).normal(size=shape), **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("form", "limit"), [("float64", 1e-10), ("float32", 1e-4), ("bfloat16", 0.3)]
)
def test_contributions_add_up_to_the_actual_error(kind, form, limit):
    """The sum over sources is the sum over steps, and the actual error to first order."""
    net = network(kind)
    found = attribute(net, draw_inputs(net, batch=2, lengths=[9, 6]), form)
    assert found.window_contributions.sum(axis=0) == pytest.approx(
        found.explained, rel=1e-9, abs=1e-13 * np.abs(found.explained).max()
    )
    assert np.linalg.norm(found.error) > 0
    assert found.relative_remainder < limit
    assert found.steps == (8, 5)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("schedule", ["torch cpu", "as written"])
def test_layers_directions_and_orders(kind, schedule):
    """Stacked bidirectional networks in the orders of kernels are explained as well."""
    net = network(kind, layers=2, both=True)
    found = attribute(net, draw_inputs(net), "float32", schedule, step=4)
    assert found.relative_remainder < 1e-4
    by_layer = found.by("layer")
    assert set(by_layer) == {0, 1}
    assert all(np.any(v) for v in by_layer.values())
    # The reverse half of the last layer's output knows nothing of earlier steps there.
    for window, part in zip(found.windows, found.window_contributions, strict=True):
        if (window.layer, window.direction) == (1, "reverse") and window.start < 4:
            assert not np.any(part)
        if (window.layer, window.direction) == (1, "forward") and window.start > 4:
            assert not np.any(part)


def test_rounding_of_parameters_is_what_it_changes():
    """Its contribution is the distance between two exact evaluations, to first order."""
    given = arrays_of("gru")
    net = symrnn.load(given, cell="gru")
    changed = symrnn.load(rounded(given, "float16"), cell="gru")
    x = rounded({"x": np.random.default_rng(2).normal(size=(6, 3))}, "float16")["x"]
    expected = np.asarray(symrnn.evaluate(changed, x).output[-1]) - np.asarray(
        symrnn.evaluate(net, x).output[-1]
    )
    found = attribute(net, read_inputs(net, x), "float16").by("kind")
    assert found["parameter rounding"][0] == pytest.approx(expected, rel=0.02, abs=1e-7)
    assert not np.any(found["input rounding"])


def test_rounding_of_inputs_is_what_it_changes():
    """Likewise for inputs and initial states, with parameters that need no rounding."""
    net = symrnn.load(rounded(arrays_of("lstm"), "bfloat16"), cell="lstm")
    draw = np.random.default_rng(3)
    x, h, c = (
        draw.normal(size=(4, 3)),
        draw.normal(size=(1, 5)),
        draw.normal(size=(1, 5)),
    )
    near = rounded({"x": x, "h": h, "c": c}, "bfloat16")
    outputs = [
        np.asarray(symrnn.evaluate(net, *given).output[-1])
        for given in ((near["x"], (h, c)), (x, (near["h"], near["c"])), (x, (h, c)))
    ]
    found = attribute(net, read_inputs(net, x, (h, c)), "bfloat16").by("kind")
    assert not np.any(found["parameter rounding"])
    for kind, output in zip(
        ("input rounding", "initial rounding"), outputs, strict=False
    ):
        change = output - outputs[2]
        assert found[kind][0] == pytest.approx(
            change, rel=0.1, abs=np.abs(change).max() * 0.05
        )


def test_kinds_and_quantities_of_an_lstm():
    """Each quantity has the operations of its equation, and storing where formats differ."""
    net = network("lstm")
    found = attribute(net, draw_inputs(net), "float32")
    kinds = {}
    for source, part in zip(found.sources, found.contributions, strict=True):
        if np.any(part):
            kinds.setdefault(source.quantity, set()).add(source.kind)
    gate = {
        "input product",
        "recurrent product",
        "bias",
        "gate sum",
        "activation",
        "parameter rounding",
    }
    assert {q: k for q, k in kinds.items() if q in "ifgo"} == dict.fromkeys(
        "ifgo", gate
    )
    assert kinds["c"] == {"Hadamard product", "cell sum"}
    assert kinds["h"] == {"activation", "Hadamard product"}
    stored = attribute(net, draw_inputs(net), "bfloat16").by("kind")["storing"]
    assert np.any(stored)


def test_shares_add_up_and_serialise():
    """Shares of any grouping sum to 1, and all of it is plain JSON."""
    net = network("gru", layers=2)
    found = attribute(net, draw_inputs(net), "float32")
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    for name in ("by_kind", "by_quantity", "by_layer", "by_direction", "by_step"):
        assert sum(part["share"] for part in plain[name]) == pytest.approx(1)


def test_windows_only_join_steps():
    """Fewer windows are sums of neighbouring ones."""
    net = network("rnn_tanh")
    inputs = draw_inputs(net)
    fine, coarse = (attribute(net, inputs, "float32", windows=n) for n in (9, 4))
    assert [(w.start, w.stop) for w in coarse.windows] == [(0, 3), (3, 6), (6, 9)]
    joined = fine.window_contributions.reshape(3, 3, 1, -1).sum(axis=1)
    assert coarse.window_contributions == pytest.approx(joined, rel=1e-9)
    assert coarse.made[-1] == pytest.approx(coarse.history[-1, -1])


def test_forgetting_is_seen():
    """In a contracting network old errors fade; the last step's arrive as they were."""
    net = network("rnn_tanh", scale=0.1)
    found = attribute(net, draw_inputs(net), "float32")
    assert found.amplification[-1, 0] == pytest.approx(1)
    assert found.amplification[0, 0] < 1e-3


# --- observed -----------------------------------------------------------------------


def exact_states(net, x):
    """The exact outputs, rounded to float64."""
    return np.asarray(symrnn.evaluate(net, x).output)


@pytest.mark.parametrize("kind", KINDS)
def test_planted_errors_are_attributed_to_their_step(kind):
    """A trajectory that is exact but for one step's jump gets its error from there."""
    net = network(kind, seed=4)
    x = np.random.default_rng(5).normal(size=(8, 3))
    before = exact_states(net, x[:4])
    state = list(before)
    jump = np.zeros(5)
    jump[2] = 1e-5
    state[3] = state[3] + jump
    hx = state[3][np.newaxis]
    if kind == "lstm":
        hx = (hx, np.asarray(symrnn.evaluate(net, x[:4]).c_n))
    after = np.asarray(symrnn.evaluate(net, x[4:], hx).output)
    outputs = np.concatenate([state, after])[:, np.newaxis]
    observed = Observed(outputs={(0, "forward"): outputs}, finals={})
    found = attribute_observed(net, read_inputs(net, x), observed, "float32")
    assert np.linalg.norm(found.error) > 1e-9
    assert found.share(found.by_step()[3, 4]) == pytest.approx(1, abs=1e-5)
    assert found.relative_remainder < 1e-3
    assert found.made[3, 0] == pytest.approx(1e-5, rel=1e-6)


@pytest.mark.torch_bits
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_errors_of_torch_are_explained(name, dtype):
    """What torch returned is explained by its steps' own errors."""
    torch.manual_seed(6)
    module = getattr(torch.nn, name)(3, 8, batch_first=True, dtype=dtype)
    x = torch.randn(2, 12, 3, dtype=dtype)
    with torch.no_grad():
        output, _ = module(x)
    net = symrnn.load(module)
    inputs = read_inputs(net, x)
    values = {"output": np.asarray(exact_array(output))}
    form = str(dtype).removeprefix("torch.")
    found = attribute_observed(net, inputs, observe(net, inputs, values), form)
    assert np.linalg.norm(found.error) > 0
    assert found.relative_remainder < 1e-3
    assert {source.kind for source in found.sources} == {"local error"}


def test_unknown_outputs_are_refused():
    """Without the last layer's outputs there is nothing to explain."""
    net = network("rnn_tanh")
    with pytest.raises(symrnn.ShapeError, match="last layer"):
        attribute_observed(
            net, draw_inputs(net), Observed(outputs={}, finals={}), "float32"
        )


def test_overflow_is_refused():
    """An emulated run that leaves the finite numbers has no error to split."""
    net = symrnn.load(
        {"weight_ih_l0": [[1]], "weight_hh_l0": [[1000]]}, cell="rnn_relu"
    )
    with pytest.raises(symrnn.NotFiniteError, match="step 2"):
        attribute(net, read_inputs(net, [[1], [1], [1], [1]]), "float16")
