# SPDX-License-Identifier: BSD-3-Clause
"""NaN and infinity: a clear verdict, never a crash, never a silent pass."""

import json
import math

import numpy as np
import pytest

import symrnn
from symrnn import Tolerance

NAN, INF = float("nan"), float("inf")
KINDS = ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"]


def make(torch, kind, **options):
    torch.manual_seed(0)
    return getattr(torch.nn, kind)(2, 3, **options)


def summing(torch, dtype="float32", factor=1.0):
    """A network that adds its inputs up: h becomes relu(x + factor h)."""
    module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    with torch.no_grad():
        module.weight_ih_l0.fill_(1)
        module.weight_hh_l0.fill_(factor)
    return module.to(getattr(torch, dtype))


@pytest.mark.torch_bits
@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("kind", KINDS)
def test_parameter_that_is_not_finite(torch, kind, value):
    """The verdict says so, and names parameter and element."""
    module = make(torch, kind)
    weight = getattr(module, "weight_hh" if kind.endswith("Cell") else "weight_hh_l0")
    with torch.no_grad():
        weight[1, 2] = value
    x = torch.ones(4, 2) if kind.endswith("Cell") else torch.ones(5, 4, 2)
    report = symrnn.audit(module, x)
    assert ("not finite", False) == (report.verdict, report.passed)
    (cause,) = report.causes
    assert f"[1, 2] = {value}" in cause
    assert "parameter W_" in cause
    assert cause in str(report)
    assert report.worst is None
    assert "proven" not in [s.kind for s in report.statements]
    json.dumps(report.to_dict(), allow_nan=False)


@pytest.mark.torch_bits
@pytest.mark.parametrize("value", [NAN, INF])
def test_input_that_is_not_finite(torch, value):
    """Its step, batch element and feature are named, and where outputs go wrong."""
    module = make(torch, "LSTM")
    x = torch.ones(5, 4, 2)
    x[3, 1, 0] = value
    report = symrnn.audit(module, x)
    assert "not finite" == report.verdict
    assert (
        f"input x at step 3, batch element 1, feature 0 = {value}" in report.causes[0]
    )
    if math.isnan(value):
        first = report.first_not_finite.location
        assert ("output", 3, 1, 0) == (
            first.tensor,
            first.step,
            first.batch,
            first.unit,
        )
        assert "nan" == report.first_not_finite.subject
        assert 2 * 3 == report.tensors[0].not_finite
    else:  # gates saturate
        assert report.first_not_finite is None
        assert any("outputs of the subject are finite" in n for n in report.notes)


@pytest.mark.torch_bits
def test_initial_state_that_is_not_finite(torch):
    """It is named as such."""
    h = torch.zeros(1, 4, 3)
    h[0, 2, 1] = NAN
    report = symrnn.audit(make(torch, "GRU"), torch.ones(5, 4, 2), h)
    assert "not finite" == report.verdict
    assert "initial state h of row 0, batch element 2, unit 1 = nan" == report.causes[0]


def test_input_that_rounding_made_infinite(torch):
    """1e60 is no float32; the note says what the subject saw."""
    report = symrnn.audit(make(torch, "GRU"), [["1e60", 1]] * 3)
    assert "not finite" == report.verdict
    assert "from about 1.00000000000e+60 to inf" in report.notes[0]
    assert "= inf" in report.causes[0]
    assert "not finite" == symrnn.audit(make(torch, "GRU"), [["1e9000", 1]]).verdict


def test_reverse_direction_goes_wrong_at_the_end(torch):
    """In time order, a NaN at step 3 reaches the reverse direction at its 2nd step."""
    module = make(torch, "GRU", bidirectional=True)
    x = torch.ones(5, 2)
    x[3] = NAN
    first = symrnn.audit(module, x).first_not_finite.location
    assert ("reverse", 3) == (first.direction, first.step)


def test_padding_may_be_anything(torch):
    """What lies beyond a sequence's length is not read."""
    x = torch.ones(5, 2, 2)
    x[3:, 1] = NAN
    assert symrnn.audit(make(torch, "GRU"), x, lengths=[5, 3]).passed
    assert not symrnn.audit(make(torch, "GRU"), x, lengths=[5, 4]).passed


# --- finite parameters and inputs ---------------------------------------------------


@pytest.mark.torch_bits
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_output_that_should_be_finite(torch, kind, value):
    """It is "not finite", located, with the finite exact value beside it."""
    module = make(torch, kind)
    x = torch.ones(4, 2) if kind.endswith("Cell") else torch.ones(5, 4, 2)
    with torch.no_grad():
        outputs = module(x)
    array = outputs if torch.is_tensor(outputs) else outputs[0]
    array[-1, 0] = value
    report = symrnn.audit(module, x, outputs=outputs)
    assert ("not finite", False) == (report.verdict, report.passed)
    first = report.first_not_finite
    assert array.dim() == len(first.location.index)
    assert (array.shape[0] - 1, 0) == first.location.index[:2]
    assert not first.exact_overflows
    assert abs(float(first.exact)) < 1
    assert (INF, INF) == first.ulps
    assert first == report.tensors[0].worst
    for step in (report.worst, report.first_violation):
        where = step.location
        assert (INF, False) == (step.error, step.holds)
        assert (first.location.step, first.location.unit) == (where.step, where.unit)
    assert INF == report.tensors[0].max_ulps
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert ["inf", "inf"] == data["tensors"][0]["worst"]["ulps"]


@pytest.mark.torch_bits
@pytest.mark.parametrize(
    ("dtype", "largest"),
    [("float16", 2.0**15), ("bfloat16", 2.0**127), ("float32", 2.0**127)],
)
def test_infinity_is_right_where_the_exact_value_overflows(torch, dtype, largest):
    """The correctly rounded value of 2^16 in float16 is infinity: 0 ulps."""
    report = symrnn.audit(summing(torch, dtype), [[largest], [largest], [1.0]])
    assert report.passed
    output = report.tensors[0]
    assert (2, 2, 0) == (output.not_finite, output.overflows, output.violations)
    assert (0, 1) == (output.max_ulps, output.correctly_rounded)
    first = report.first_not_finite
    assert 1 == first.location.step
    assert first.exact_overflows
    assert any("infinite rightly" in note for note in report.notes)


@pytest.mark.torch_bits
def test_infinity_that_stays_when_the_exact_value_returns(torch):
    """Past an overflow in between, torch's infinity is wrong, and its NaN too."""
    module = summing(torch)
    large = 2.0**127
    report = symrnn.audit(module, [[large], [large], [-large], [-large]])
    assert "not finite" == report.verdict
    assert report.first_not_finite.exact_overflows
    assert 2 == report.tensors[0].first_violation.location.step
    assert not report.tensors[0].first_violation.exact_overflows
    assert 1 == report.first_not_finite.location.step
    assert 1 == report.tensors[0].overflows


@pytest.mark.parametrize(
    ("exact", "verdict"),
    [(65504, "not finite"), (65519, "not finite"), (65520, "holds")],
)
def test_threshold_of_overflow(exact, verdict):
    """Up to half an ulp above the largest float16, 65504, values round to it."""
    net = symrnn.load({"weight_ih": [[1]], "weight_hh": [[0]]}, cell="rnn_relu")
    arguments = {"dtype": "float16", "tolerance": Tolerance(ulps=100)}
    infinite = symrnn.audit(net, [exact], outputs=np.array([INF]), **arguments)
    assert verdict == infinite.verdict
    finite = symrnn.audit(net, [exact], outputs=np.array([65504.0]), **arguments)
    assert ("violated" if verdict == "holds" else "holds") == finite.verdict
    assert (verdict == "holds") is finite.worst.exact_overflows


def test_infinity_of_the_wrong_sign(torch):
    """-inf is no rounding of a large positive number."""
    net = symrnn.load({"weight_ih": [[1]], "weight_hh": [[0]]}, cell="rnn_relu")
    report = symrnn.audit(net, [2**200], outputs=np.array([-INF]), dtype="float32")
    assert "not finite" == report.verdict


@pytest.mark.torch_bits
def test_overflow_far_beyond_float64(torch):
    """Exact values of any size are compared, and the report stays plain data."""
    report = symrnn.audit(summing(torch, "float64", 2.0**60), [[1.0]] * 40)
    assert report.passed
    assert 0 < report.tensors[0].overflows
    subject = np.full((40, 1), 1e300)
    report = symrnn.audit(
        summing(torch, "float64", 2.0**60), [[1.0]] * 40, outputs=subject
    )
    assert "violated" == report.verdict
    assert INF == report.tensors[0].max_ulps
    json.dumps(report.to_dict(), allow_nan=False)
    assert str(report)
