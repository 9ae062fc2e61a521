# SPDX-License-Identifier: BSD-3-Clause
"""Bounds that mix rows unit by unit hold, and are near those of dense Jacobians."""

from itertools import chain

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symrnn.runs.propagation.contraction
from symrnn.domains.enclosure import Enclosed
from symrnn.domains.mp import MpDomain
from symrnn.equations.cells import find_cell
from symrnn.equations.derivatives import lower_tangent, push
from symrnn.networks.network import Network
from symrnn.runs.propagation.contraction import StepNorms
from symrnn.runs.propagation.unitwise import is_unitwise
from tests.cases import GATES

UNITWISE = ["rnn_tanh", "rnn_relu", "lstm", "gru"]
SIZE, WIDTH = 5, 3


def network(kind, seed, scale):
    rng = np.random.default_rng(seed)
    rows = GATES[kind] * SIZE
    shapes = {
        "weight_ih_l0": (rows, WIDTH),
        "weight_hh_l0": (rows, SIZE),
        "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,),
    }
    arrays = {n: rng.uniform(-scale, scale, shape) for n, shape in shapes.items()}
    return Network.from_arrays(find_cell(kind), arrays)


def points(net, seed, count, size):
    rng = np.random.default_rng(seed)
    found = {s: rng.uniform(-1, 1, (SIZE, count)) for s in net.cell.states}
    found["x"] = rng.normal(size=(WIDTH, count)) * size
    return {n: Enclosed(v, np.zeros_like(v)) for n, v in found.items()}


def true_norm(net, at, wrt, scale):
    """Return the largest singular value of S J S⁻¹, J from mpmath's arithmetic."""
    domain = MpDomain(200)
    position = net.positions[0]
    program = lower_tangent(net.cell, wrt)
    lengths = {"x": WIDTH, **net.state_sizes}
    with domain.context():
        values = {n: domain.matrix(v) for n, v in net.parameters[position].items()}
        here = {n: domain.matrix(v.mid) for n, v in at.items()}
        blocks = []
        for name in wrt:
            seeds = {
                n: domain.matrix(
                    np.eye(lengths[n]) * (n == name) / scale.get(n, 1.0)
                    if n == name
                    else np.zeros((lengths[n], lengths[name]))
                )
                for n in wrt
            }
            _, tangents = push(
                domain, program, values, here, seeds, net.sizes[position]
            )
            rows = [
                [scale[s] * v for v in row]
                for s in net.cell.states
                for row in domain.rows(tangents[s])
            ]
            blocks.append(rows)
    with mpmath.workdps(50):
        joined = mpmath.matrix([[*chain(*rows)] for rows in zip(*blocks, strict=True)])
        return max(mpmath.svd_r(joined, compute_uv=False))


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(UNITWISE),
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1e-160, 1e-5, 0.3, 1.0, 4.0, 1e6]),
    size=st.sampled_from([0.0, 1.0, 1e3]),
    enough=st.sampled_from([0.0, 0.5, 0.999]),
    factor=st.sampled_from([0.25, 1.0, 4.0]),
    inputs=st.booleans(),
)
def test_bounds_are_above_the_norm(kind, seed, scale, size, enough, factor, inputs):
    """Whatever the network, the scales and what is enough."""
    net = network(kind, seed, scale)
    at = points(net, seed, 1, size)
    wrt = ("x",) if inputs else net.cell.states
    factors = dict.fromkeys(net.cell.states, 1.0) | {net.cell.states[-1]: factor}
    norms = StepNorms(net, net.positions[0], wrt, factors, enough=enough)
    bound = norms.bounds(at)[0][0]
    assert true_norm(net, at, wrt, factors) <= mpmath.mpf(float(bound))


@pytest.mark.parametrize("kind", UNITWISE)
@pytest.mark.parametrize("enough", [0.0, 1.0])
def test_bounds_are_close_to_those_of_dense_jacobians(kind, enough, monkeypatch):
    """What is lost by taking the ∞-norm of nearly diagonal blocks is little."""
    net = network(kind, 7, 0.5)
    at = points(net, 8, 20, 1.0)
    scale = dict.fromkeys(net.cell.states, 1.0)

    def bounds():
        norms = StepNorms(net, net.positions[0], net.cell.states, scale, enough=enough)
        return norms.bounds(at)

    mixed, after = bounds()
    monkeypatch.setattr(
        symrnn.runs.propagation.contraction, "is_unitwise", lambda net, wrt: False
    )
    dense, expected = bounds()
    assert (mixed <= np.maximum(dense, enough) * 1.2).all()
    for state in net.cell.states:
        assert (after[state].mid == expected[state].mid).all()


def test_matrices_that_meet_values_first_are_left_to_dense_jacobians():
    """A GRU that resets before its product multiplies a matrix with tangents of a step."""
    cells = {kind: network(kind, 0, 1.0) for kind in (*UNITWISE, "gru_reset_before")}
    unitwise = {k for k, net in cells.items() if is_unitwise(net, net.cell.states)}
    assert unitwise == {*UNITWISE}


def test_nothing_known_is_infinite():
    """A box of infinite radius has no bound, and spoils no other column."""
    net = network("lstm", 0, 0.5)
    at = points(net, 0, 2, 1.0)
    at["c"].rad[:, 0] = np.inf
    scale = dict.fromkeys(net.cell.states, 1.0)
    bounds, _ = StepNorms(net, net.positions[0], net.cell.states, scale).bounds(at)
    assert bounds[0] == np.inf
    assert bounds[1] < 2
