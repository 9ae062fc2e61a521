# SPDX-License-Identifier: BSD-3-Clause
"""Sizes of inner products in groups: never below Σ|w||x|, and no fault is missed for them."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import symrnn
from symrnn.audits import judging
from symrnn.domains.rounding_bounds import left_sizes, right_sizes
from symrnn.domains.rounding_sets import Floating
from tests.require import require_module

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.data(), st.integers(1, 19), st.sampled_from([1, 2, 3, 8]))
def test_groups_never_make_a_sum_smaller(data, terms, group):
    """Of any float32 numbers, subnormal and largest ones included; in exact arithmetic."""
    w = data.draw(arrays(np.float32, (1, terms), elements=FLOAT32)).astype(np.float64)
    x = data.draw(arrays(np.float32, (terms, 1), elements=FLOAT32)).astype(np.float64)
    with np.errstate(over="ignore"):
        left = left_sizes(Floating(mid=w), group, np.float32)[0]
        right = right_sizes(Floating(mid=x), group, np.float32)[:, 0]
    pairs = list(zip(left.tolist(), right.tolist(), strict=True))
    if not np.isfinite(pairs).all():
        return
    bound = sum(Fraction(a) * Fraction(b) for a, b in pairs)
    products = [
        abs(Fraction(a) * Fraction(b))
        for a, b in zip(w[0].tolist(), x[:, 0].tolist(), strict=True)
    ]
    assert sum(products) <= bound
    assert terms // group + terms % group == len(pairs)


@pytest.mark.torch_bits
def test_a_fault_that_groups_alone_would_not_show_is_found(monkeypatch):
    """Weights and inputs are one number of each group: the bound in groups is 8^½ wider."""
    torch = require_module("torch")
    size, group = 256, 8
    torch.manual_seed(0)
    layer = torch.nn.LSTM(size, size)
    with torch.no_grad():
        for weight in (layer.weight_ih_l0, layer.weight_hh_l0):
            weight[:, size // group :] = 0
    x = torch.randn(3, 2, size)
    output, (h_n, c_n) = layer(x)
    right = symrnn.audit(layer, x, outputs=(output, h_n, c_n))
    assert right.passed
    bound = right.layers[0].worst.bound
    output = output.detach().clone()
    output[1, 0, 5] += 4 * bound
    wrong = symrnn.audit(layer, x, outputs=(output, h_n, c_n))
    assert "violated" == wrong.verdict
    assert 1 == wrong.layers[0].first_violation.location.step


@pytest.mark.torch_bits
@pytest.mark.parametrize("weights", [1, 1 << 40])
def test_a_violation_reports_the_same_bound_however_it_was_found(monkeypatch, weights):
    torch = require_module("torch")
    torch.manual_seed(0)
    layer = torch.nn.GRU(20, 24)
    x = torch.randn(4, 2, 20)
    output, h_n = layer(x)
    output = output.detach().clone()
    output[2, 1, 3] += 1e-3
    reference = symrnn.audit(layer, x, outputs=(output, h_n))
    monkeypatch.setattr(judging, "_MANY", weights)
    found = symrnn.audit(layer, x, outputs=(output, h_n))
    assert reference.layers[0].first_violation == found.layers[0].first_violation
    assert reference.layers[0].ratio_by_unit == found.layers[0].ratio_by_unit
