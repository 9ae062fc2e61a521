# SPDX-License-Identifier: BSD-3-Clause
"""No honest program is accused, and no exact value is missed: `benchmarks/soundness.py`."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import symrnn
from symrnn.domains.rounding_bounds import FloatingDomain
from symrnn.numerics.formats import FORMATS, as_rational, nearest_float
from tests.require import flushed_subnormals, require_module

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def soundness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    require_module("torch")
    require_module("ml_dtypes")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("soundness")


def check(check_one, seed: int, networks: int) -> Counter:
    """Check so many random networks; fail at a miss with what reproduces it."""
    total: Counter = Counter()
    for index in range(networks):
        about, found = check_one(seed, index)
        assert 0 == found["misses"], f"seed {seed}, index {index}: {about}"
        total += found
    return total


@pytest.mark.torch_bits
@pytest.mark.parametrize("seed", range(100, 103))
def test_torch_is_not_accused(soundness, seed):
    """All modules, formats, kernels and options, in all regimes; most can be judged."""
    found = check(soundness.audit_torch, seed, 8)
    judged = sum(found.values()) - found["unknown"]
    assert judged > 2 * found["unknown"]


@pytest.mark.parametrize("seed", range(110, 113))
def test_other_orders_are_not_accused(soundness, seed):
    """Sums in any order, fused or not, biases first or last, both forms of a GRU."""
    found = check(soundness.audit_foreign, seed, 12)
    judged = sum(found.values()) - found["unknown"]
    assert judged > 2 * found["unknown"]


@pytest.mark.parametrize("seed", range(120, 123))
def test_exact_values_are_enclosed(soundness, seed):
    """Of mpmath, by bounds, by bounds without rounding, and by the enclosure domain."""
    found = check(soundness.enclose_steps, seed, 15)
    for name in ("bounds", "midpoints", "enclosures"):
        assert found[name] > 500


@pytest.mark.torch_bits
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_at_length(soundness, seed):
    """As the command does, 10^6 elements a seed."""
    for one, networks in (
        (soundness.audit_torch, 100),
        (soundness.audit_foreign, 100),
        (soundness.enclose_steps, 200),
    ):
        check(one, 1000 + seed, networks)


# --- the checks can fail ------------------------------------------------------------


def test_bounds_a_tenth_as_wide_are_missed(soundness, monkeypatch):
    """So the enclosures compared with mpmath are near what they need to be."""

    def rows(self, a):
        return [[(m, r / 10) for m, r in row] for row in plain(self, a)]

    plain = FloatingDomain.rows
    monkeypatch.setattr(FloatingDomain, "rows", rows)
    misses = sum(soundness.enclose_steps(130, k)[1]["misses"] for k in range(20))
    assert misses > 0


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_sums_that_lose_every_term_come_near_the_bound(soundness, dtype):
    """So it could not be much smaller: 1 + u + u + … = 1, summed one by one."""
    foreign = importlib.import_module("foreign")
    networks = importlib.import_module("networks")
    torch = soundness.torch
    module = torch.nn.RNN(40, 1, nonlinearity="relu", dtype=getattr(torch, dtype))
    rng = np.random.default_rng(0)
    networks.set_parameters(rng, module, networks.REGIMES["stagnating"])
    x = np.ones((1, 1, 40))
    style = foreign.Style(dtype=dtype, accumulate=dtype)
    layer = foreign.Layer("rnn_relu", soundness.numbers(module), style)
    output, _ = layer.run(x, np.zeros((1, 1)))
    report = symrnn.audit(
        symrnn.load(module),
        x,
        outputs=output.astype(np.float64),
        dtype=dtype,
        accumulate=dtype,
        exact=False,
    )
    # 39 of N = 43 roundings are as bad as can be; float64 has to bound its own, too.
    least = {"float64": 0.3, "bfloat16": 0.6}.get(dtype, 0.8)
    assert 1.0 == float(output[0, 0, 0])
    assert least < report.layers[0].worst.ratio <= 1


@pytest.mark.torch_bits
@pytest.mark.parametrize("order", ["sequential", "reversed", "pairwise", "random tree"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_styles_differ_and_agree(soundness, order, dtype):
    """The NumPy layers compute what torch does, but for the last bits."""
    foreign = importlib.import_module("foreign")
    module, x, states = soundness.random_layer(
        np.random.default_rng(7), "gru", dtype, "default", time=4, batch=3
    )
    style = foreign.Style(dtype=dtype, accumulate="float64", order=order)
    layer = foreign.Layer("gru", soundness.numbers(module), style)
    output, _ = layer.run(*(v.double().numpy() for v in (x, *states)))
    expected = module(x, states[0][None])[0].detach().double().numpy()
    close = 64 * 2.0 ** -FORMATS[dtype].precision
    assert np.abs(output.astype(np.float64) - expected).max() <= close


def test_fused_products_are_rounded_once(soundness):
    """Also where a rounding to float64 in between would spoil them."""
    foreign = importlib.import_module("foreign")
    rng = np.random.default_rng(0)
    a, b, c = (
        (rng.normal(size=3000) * np.exp2(rng.integers(-40, 40, 3000))).astype(
            np.float32
        )
        for _ in range(3)
    )
    # 1 + 2^-24 + 2^-60: a tie of float32, but for a bit that float64 loses.
    a[0], b[0], c[0] = 2.0**-30, 2.0**-30, 1 + 2.0**-23
    a[1], b[1], c[1] = 1 + 2.0**-12, 1 + 2.0**-12, -(2.0**-60)
    found = foreign.fused(a, b, c)
    for k in range(len(a)):
        exact = as_rational(float(a[k])) * as_rational(float(b[k]))
        exact += as_rational(float(c[k]))
        assert nearest_float(exact, exact, FORMATS["float32"]) == float(found[k])


# --- overflow on the way ------------------------------------------------------------


def test_a_factor_that_overflows_is_not_held_against_anyone():
    """r·(W_hn h + b): the product is small, but the sum is infinite in float16."""
    weights = np.array([[0.0], [0.0], [600.0]])
    net = symrnn.load(
        {
            "weight_ih_l0": np.array([[-12.0], [0.0], [0.0]]),
            "weight_hh_l0": weights,
            "bias_ih_l0": np.zeros(3),
            "bias_hh_l0": np.zeros(3),
        }
    )
    # r = 6e-6, so r·600·200 = 0.7; honest float16 computes r·inf, and tanh(inf) = 1.
    report = symrnn.audit(
        net,
        [[1.0]],
        [[200.0]],
        outputs=np.array([[100.5]], np.float16),
        exact=False,
    )
    assert (0, 1) == (report.layers[0].judged, report.layers[0].unjudged)


def test_functions_do_not_hide_an_overflow():
    """Infinity minus infinity is NaN, and so is its tanh, though every number has one."""
    net = symrnn.load(
        {"weight_ih_l0": [[60000.0]], "weight_hh_l0": [[-60000.0]]}, cell="rnn_tanh"
    )
    outputs = np.array([[np.nan]], np.float16)
    report = symrnn.audit(net, [[2]], [[2]], outputs=outputs)
    assert (0, 1) == (report.layers[0].judged, report.layers[0].unjudged)
    assert 0 == report.layers[0].violations


@pytest.mark.torch_bits
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_flushing_takes_operands_for_zero(torch, dtype):
    """Subnormal weights too, so what is lost is as large as what they multiply."""
    tiny = 2.0 ** (FORMATS[dtype].emin - 2)
    module = torch.nn.RNN(4, 3, nonlinearity="relu", dtype=getattr(torch, dtype))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(tiny)
    x = torch.full((2, 5, 4), 1000.0, dtype=getattr(torch, dtype))
    with flushed_subnormals(torch):
        report = symrnn.audit(module, x, exact=False)
    layer = report.layers[0]
    assert report.arithmetic.flushes
    assert layer.judged > 0
    assert 0 == layer.violations
