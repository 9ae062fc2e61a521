# SPDX-License-Identifier: BSD-3-Clause
"""Differences of nearby trajectories: every pair of points moves as the domain says."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symrnn
from symrnn.domains.differences import Difference, DifferenceDomain, row_sums
from symrnn.domains.dual import Dual, DualDomain
from symrnn.domains.enclosure import Enclosed
from symrnn.equations.functions import FUNCTIONS
from symrnn.equations.program import execute, lower
from symrnn.numerics.exact import exact_array

KINDS = ("rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before")
ROWS = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3, "gru_reset_before": 3}


def exactly(values):
    return Enclosed(values, np.zeros_like(values))


@given(
    st.sampled_from(KINDS),
    st.integers(0, 2**32 - 1),
    st.floats(-20, 3),
    st.sampled_from([2.0**-16, 0.25, 1.0]),
)
@settings(max_examples=120, deadline=None)
def test_cells_move_pairs_of_points_as_stated(kind, seed, exponent, kappa):
    """F(ŷ) - F(y) - G ξ is within the box, for the ξ of the starting points."""
    draw = np.random.default_rng(seed)
    hidden, inputs, columns = 4, 3, 6
    rows = ROWS[kind] * hidden
    arrays = {
        "weight_ih_l0": draw.normal(size=(rows, inputs)),
        "weight_hh_l0": draw.normal(size=(rows, hidden)),
    }
    net = symrnn.load(arrays, cell=kind)
    program, sizes = lower(net.cell), net.sizes[0, "forward"]
    domain, plain = DifferenceDomain(kappa), DualDomain()
    scale = 2.0**exponent
    sets, above, below = {}, {}, {}
    xi, eta = draw.choice([-1.0, 1.0], (2, columns)), draw.choice([-1.0, 1.0], (2, 1))
    names = {program.x: inputs}
    names |= {r: net.state_sizes[s] for s, r in program.previous.items()}
    for register, size in names.items():
        center = draw.normal(size=(size, 1))
        generators = draw.normal(size=(size, columns)) * scale
        box = draw.random((size, 1)) * scale
        sets[register] = Difference(exactly(center), (generators,), box)
        y = center + kappa * (generators @ xi[1:].T + box * eta[1])
        below[register] = y
        above[register] = y + generators @ xi[:1].T + box * eta[0]
    results = []
    for arithmetic, start in (
        (domain, sets),
        (plain, {r: Dual(v) for r, v in above.items()}),
        (plain, {r: Dual(v) for r, v in below.items()}),
    ):
        registers = dict(start)
        for name, register in program.parameters.items():
            value = exact_array(net.parameters[0, "forward"][name])
            registers[register] = arithmetic.matrix(value)
        with arithmetic.context():
            for phase in (program.once, program.input, program.step):
                execute(arithmetic, phase, registers, sizes)
        results.append(registers)
    found, upper, lower_ = results
    for register in program.quantities.values():
        value = found[register]
        moved = upper[register].value - lower_[register].value
        (block,) = value.blocks
        rest = moved - block @ xi[:1].T
        noise = 1e-13 * (1 + np.abs(upper[register].value))  # of the witnesses
        assert (np.abs(rest) <= value.box + noise).all()
        assert (np.abs(moved) <= value.size + noise).all()


def test_linear_operations_keep_correlations():
    """X - x is 0 up to rounding, where intervals would double it."""
    domain = DifferenceDomain(1.0)
    x = Difference(exactly(np.ones((2, 1))), (np.diag([1.0, 3.0]),))
    left = domain.matrix(np.array([[1.0, 1.0], [0.5, -2.0]]))
    zero = domain.add(domain.matmul(left, x), domain.neg(domain.matmul(left, x)))
    assert (zero.size < 1e-14).all()
    assert (domain.matmul(left, x).size >= [[4.0], [6.5]]).all()


def test_rounding_is_in_the_box():
    """Generators times inexact factors, against rational arithmetic."""
    domain = DifferenceDomain(1.0)
    draw = np.random.default_rng(1)
    matrix, block = draw.normal(size=(3, 5)), draw.normal(size=(5, 7))
    found = domain.matmul(
        domain.matrix(matrix), Difference(exactly(np.zeros((5, 1))), (block,))
    )
    for i in range(3):
        lost = sum(
            abs(
                sum(Fraction(matrix[i, k]) * Fraction(block[k, j]) for k in range(5))
                - Fraction(found.blocks[0][i, j])
            )
            for j in range(7)
        )
        assert 0 < lost <= Fraction(found.box[i, 0])


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_functions_are_first_order(name):
    """The box is of second order: a hundredth of the set makes a ten-thousandth of it."""
    domain = DifferenceDomain(0.0)
    boxes = []
    for scale in (1e-3, 1e-5):
        x = Difference(exactly(np.full((1, 1), 0.4)), (np.full((1, 1), scale),))
        boxes.append(domain.elementwise(FUNCTIONS[name], x).box[0, 0])
    assert boxes[0] / boxes[1] == pytest.approx(1e4, rel=0.05)


def test_row_sums_are_upper_bounds():
    """Against rational arithmetic, with cancellation impossible and subnormal numbers."""
    draw = np.random.default_rng(2)
    block = draw.normal(size=(4, 1000)) * np.exp2(draw.integers(-1070, 5, (4, 1000)))
    sums = row_sums([block[:, :300], block[:, 300:]])
    for row, found in zip(block, sums[:, 0], strict=True):
        exact = sum(abs(Fraction(v)) for v in row)
        assert exact <= Fraction(found) <= exact * (1 + Fraction(1, 2**30))
