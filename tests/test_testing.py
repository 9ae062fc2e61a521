# SPDX-License-Identifier: BSD-3-Clause
"""The assertion for test suites: honest outputs pass, and faults are named."""

import re
import subprocess
import sys

import numpy as np
import pytest

import symrnn
from symrnn import ShapeError, SourceError, Tolerance, UnsupportedError
from symrnn.numerics.formats import FORMATS
from symrnn.testing import assert_explained_by_rounding

MODULES = {
    "RNN": {},
    "LSTM": {"batch_first": True},
    "GRU": {"bidirectional": True},
    "LSTMCell": {},
    "GRUCell": {},
}


def run(torch, kind="LSTM", dtype="float32", steps=20, size=8, **options):
    """Return a module, its inputs, and the tuple of what it returned."""
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(4, size, **options).to(getattr(torch, dtype))
    x = torch.randn(3, 4) if kind.endswith("Cell") else torch.randn(steps, 3, 4)
    x = x.to(
        module.weight_ih.dtype if kind.endswith("Cell") else module.weight_ih_l0.dtype
    )
    with torch.no_grad():
        found = module(x)
    if not isinstance(found, tuple):
        return module, x, (found,)
    first, *rest = found
    rest = rest[0] if isinstance(rest[0], tuple) else rest
    return module, x, (first, *rest)


def refusal(*arguments, **options):
    """Return the message of the `AssertionError` that must come."""
    with pytest.raises(AssertionError) as caught:
        assert_explained_by_rounding(*arguments, **options)
    return str(caught.value)


@pytest.mark.torch_bits
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("kind", MODULES)
def test_honest_outputs_pass(torch, kind, dtype):
    """In every format; the report comes back, and judged them all."""
    module, x, results = run(torch, kind, dtype, **MODULES[kind])
    report = assert_explained_by_rounding(results, module, x)
    assert ("holds", dtype) == (report.verdict, report.dtype)
    assert ((), True) == (
        report.unseen,
        sum(layer.judged for layer in report.layers) > 0,
    )


@pytest.mark.torch_bits
def test_outputs_of_any_kind(torch):
    """Tensors, arrays, nested lists with a dtype; output alone, or with last states."""
    module, x, (output, h_n, c_n) = run(torch)
    weights = {name: p.detach().numpy() for name, p in module.named_parameters()}
    net = symrnn.load(weights, cell="lstm")
    for actual, dtype in [
        (output, None),
        ((output, (h_n, c_n)), None),
        (output.numpy(), None),
        (tuple(part.numpy() for part in (output, h_n, c_n)), None),
        (output.double().numpy(), "float32"),
        (output.tolist(), "float32"),
    ]:
        report = assert_explained_by_rounding(actual, net, x.numpy(), dtype=dtype)
        assert "float32" == report.dtype
    with pytest.raises(SourceError, match="dtype"):
        assert_explained_by_rounding(output.tolist(), net, x.numpy())


@pytest.mark.torch_bits
def test_states_and_lengths(torch):
    """Initial states and padded batches are as for `symrnn.audit`."""
    module, x, _ = run(torch)
    hx = torch.randn(1, 3, 8), torch.randn(1, 3, 8)
    with torch.no_grad():
        output, _ = module(x, hx)
    assert_explained_by_rounding(output, module, x, hx)
    assert "step 0" in refusal(output, module, x)
    report = symrnn.audit(module, x, lengths=[20, 3, 7])
    assert report.passed
    padded = torch.nn.utils.rnn.pack_padded_sequence(x, [20, 7, 3])
    with torch.no_grad():
        packed, _ = module(padded)
    output, _ = torch.nn.utils.rnn.pad_packed_sequence(packed)
    assert_explained_by_rounding(output, module, x, lengths=[20, 7, 3])


@pytest.mark.torch_bits
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_fault_that_assert_close_misses(torch, kind):
    """One number off by a part in 4,096 is found, where it is."""
    module, x, (output, *_) = run(torch, kind)
    small = (output.abs() - 0.03).abs()
    at = np.unravel_index(int(small.argmin()), output.shape)
    wrong = output.clone()
    wrong[at] *= 1 + 2.0**-12
    torch.testing.assert_close(wrong, output)
    message = refusal(wrong, module, x)
    step, batch, unit = at
    place = f"layer 0, forward, batch element {batch}, step {step}, unit {unit}"
    assert message.startswith(f"NOT explained by rounding: first at {place}: h = ")


@pytest.mark.torch_bits
def test_the_message(torch):
    """How many, where first, where worst, both values, error, bound, and how it spreads."""
    module, x, (output, *_) = run(torch, "GRU")
    wrong = output.numpy().copy()
    wrong[7, 1, 2] += np.float32(0.125)
    message = refusal(wrong, module, x)
    first, blank, *rest = message.splitlines()
    assert blank == ""
    place = "layer 0, forward, batch element 1, step 7, unit 2"
    pattern = r"h = (\S+), expected (\S+), off by (\S+) \((\S+) ulps\), bound (\S+)"
    found = re.fullmatch(
        rf"NOT explained by rounding: first at {place}: {pattern}", first
    )
    subject, expected, error, ulps, bound = map(float, found.groups())
    assert subject == pytest.approx(float(wrong[7, 1, 2]), rel=1e-7)
    assert expected == pytest.approx(float(output[7, 1, 2]), abs=1e-6)
    assert error == pytest.approx(0.125, abs=1e-5)
    assert bound < 1e-5
    assert ulps == pytest.approx(
        error / float(np.spacing(np.float32(expected))), rel=1e-3
    )
    report = symrnn.audit(module, x, outputs=wrong)
    judged, beyond = report.layers[0].judged, report.layers[0].violations
    share = f"{100 * beyond / judged:.4g} %"
    assert f"Mismatched states: {beyond} / {judged} ({share})" == rest[0]
    assert any(line.startswith("Greatest error for its bound: ") for line in rest)
    assert any(
        re.match(r"Greatest error: \S+ ulps, at layer 0, forward, step", r)
        for r in rest
    )
    spread = (
        "Where it starts, at step 7, 1 of 8 units are beyond: 2; over all steps 8 of 8"
    )
    assert any(line.startswith(spread) for line in rest)
    assert any(
        line.startswith("Greatest distance of output from the exact") for line in rest
    )


def test_a_wrong_last_state(torch):
    """c_n is judged although no output shows it, and nothing smaller is called greatest."""
    module, x, (output, h_n, c_n) = run(torch)
    wrong = c_n.clone()
    wrong[0, 1, 2] += 1
    message = refusal((output, h_n, wrong), module, x)
    place = "layer 0, forward, batch element 1, step 19, unit 2"
    assert message.startswith(f"NOT explained by rounding: first at {place}: c = ")
    assert "Mismatched states: 1 / 528 (0.1894 %)" in message
    assert "Greatest error:" not in message
    assert "Greatest distance of c_n from the exact values: 1, " in message


@pytest.mark.torch_bits
def test_another_function_shows_everywhere(torch):
    """A dropped bias is wrong from the first step, in every unit."""
    module, x, _ = run(torch, "RNN")
    with torch.no_grad():
        saved = module.bias_ih_l0.clone()
        module.bias_ih_l0.zero_()
        output, _ = module(x)
        module.bias_ih_l0.copy_(saved)
    message = refusal(output, module, x)
    assert "step 0" in message.splitlines()[0]
    assert "at step 0, 8 of 8 units are beyond: 0, 1, 2, 3, 4, 5, 6, 7; over" in message
    assert "at 20 of 20 steps" in message


def test_not_finite(torch):
    """NaN is a mismatch, where it first is; so is a model that holds NaN."""
    module, x, (output, *_) = run(torch)
    wrong = output.clone()
    wrong[5, 1, 3] = float("nan")
    wrong[6:, 1] = float("inf")
    message = refusal(wrong, module, x)
    assert message.startswith(
        "NOT FINITE: first at layer 0, forward, batch element 1, step 5"
    )
    assert "output: 113 of 480 are NaN or infinite" in message
    x[2, 1, 0] = float("nan")
    assert refusal(output, module, x).startswith("not finite: input x at step 2")


def test_wrong_shapes_are_no_mismatch(torch):
    """They raise as `symrnn.audit` does: `pytest.raises(AssertionError)` does not hide them."""
    module, x, (output, *_) = run(torch)
    with pytest.raises(
        ShapeError, match=r"output of shape \(20, 3, 8\), got \(19, 3, 8\)"
    ):
        assert_explained_by_rounding(output[1:], module, x)
    with pytest.raises(ShapeError):
        assert_explained_by_rounding((output, output), module, x)


@pytest.mark.torch_bits
def test_stacked_layers_have_a_bound_on_all_of_it(torch):
    """Their results hide states; how far an honest trajectory can stray is proven."""
    module, x, results = run(torch, "GRU", num_layers=2)
    assert assert_explained_by_rounding(results, module, x).unseen
    wrong = results[0].clone()
    wrong[3, 0, 1] += 0.01
    assert refusal(wrong, module, x).startswith("NOT explained by rounding: first at")


def test_what_could_not_be_judged_does_not_pass(torch, monkeypatch):
    """Refused where a bound would take too long, unless wrong or a tolerance is stated."""
    from symrnn.audits import results as limits

    monkeypatch.setattr(limits, "_BOUND_WORK", 0)
    module, x, results = run(torch, "GRU", num_layers=2)
    with pytest.raises(
        UnsupportedError, match=r"layer 0, forward: .*Assert each layer"
    ):
        assert_explained_by_rounding(results, module, x)
    tolerance = Tolerance(1e-5, 1e-6)
    assert assert_explained_by_rounding(results, module, x, tolerance=tolerance).passed
    wrong = results[0].clone()
    wrong[3, 0, 1] += 0.01
    message = refusal(wrong, module, x, tolerance=tolerance)
    assert message.startswith(
        "NOT in tolerance: first at layer 1, forward, batch element 0, step 3"
    )
    assert (
        "Mismatched elements of output: 1 / 480 (0.2083 %), tolerance rtol=1e-05"
        in message
    )
    assert "Not judged: layer 0, forward" in message
    assert "NOT in tolerance" in refusal(wrong, module, x)


def test_the_traceback_ends_at_the_test(torch):
    """Frames of the assertion are hidden from pytest's report."""
    module, x, (output, *_) = run(torch)
    with pytest.raises(AssertionError) as caught:
        assert_explained_by_rounding(-output, module, x)
    shown = [entry for entry in caught.traceback if not entry.ishidden(caught)]
    assert ["test_the_traceback_ends_at_the_test"] == [entry.name for entry in shown]


def test_it_needs_no_pytest():
    """Importing it does not import pytest or torch."""
    code = "import sys, symrnn.testing; assert not {'pytest', 'torch'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
