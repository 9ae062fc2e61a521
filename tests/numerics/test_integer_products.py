# SPDX-License-Identifier: BSD-3-Clause
"""Products by digits are those of rational numbers, bit for bit, or are declined."""

import numpy as np
import pytest
from flint import arb, ctx, fmpq_mat
from hypothesis import given
from hypothesis import strategies as st

from symrnn.domains.ball import ball_interval
from symrnn.numerics.formats import as_rational
from symrnn.numerics.integer_products import digits_of, product, slices_of


def exact_product(matrix, numbers, columns):
    left = fmpq_mat(*matrix.shape, [as_rational(float(v)) for v in matrix.flat])
    right = fmpq_mat(
        len(numbers) // columns, columns, [ball_interval(v)[0] for v in numbers]
    )
    return (left * right).entries()


def check(matrix, numbers, columns=1):
    a, b = slices_of(matrix), digits_of(numbers, columns)
    assert a is not None
    assert b is not None
    with ctx.workprec(5000):
        found = product(a, b)
    for ball, expected in zip(
        found, exact_product(matrix, numbers, columns), strict=True
    ):
        assert (expected, expected) == ball_interval(ball)


def integers(bits):
    return st.integers(-(2**bits), 2**bits)


@given(
    data=st.data(),
    rows=st.integers(1, 4),
    inner=st.integers(1, 5),
    columns=st.integers(1, 3),
)
def test_products_are_exact(data, rows, inner, columns):
    """Any float32-like matrix times any numbers of up to 300 bits."""
    mantissas = st.lists(integers(24), min_size=rows * inner, max_size=rows * inner)
    matrix = np.array(data.draw(mantissas), dtype=float).reshape(rows, inner)
    shifts = data.draw(
        st.lists(st.integers(-40, 0), min_size=rows * inner, max_size=rows * inner)
    )
    matrix = np.ldexp(matrix, np.array(shifts).reshape(matrix.shape))
    if not matrix.any():
        assert slices_of(matrix) is None
        return
    count = inner * columns
    numbers = [
        arb((m, e))
        for m, e in data.draw(
            st.lists(
                st.tuples(integers(300), st.integers(-200, 200)),
                min_size=count,
                max_size=count,
            )
        )
    ]
    if all(v == 0 for v in numbers):
        assert digits_of(numbers, columns) is None
        return
    check(matrix, numbers, columns)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(
    "top",
    [
        2**15 - 1,
        2**15,
        2**16 - 1,
        2**31,
        2**60 - 1,
        2**60,
        2**120 - 1,
        2**160 - 1,
        2**159,
    ],
)
def test_extreme_digits(sign, top):
    """All digits at their limits, all terms of one sign: the largest sums and carries."""
    matrix = np.full((3, 512), sign * (2.0**32 - 1))
    check(matrix, [arb(top)] * 512)
    check(matrix, [arb(-top)] * 512)
    check(np.full((1, 512), sign * 2.0**-7), [arb(top), arb(-top)] * 256)


def test_the_product_is_rounded_at_the_working_precision():
    """The result is a ball around the exact product, as narrow as the precision allows."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(5, 7)).astype(np.float32).astype(float)
    with ctx.workprec(200):
        numbers = [(arb(float(v)) / 3).mid() for v in rng.normal(size=7)]
    with ctx.workprec(80):
        found = product(slices_of(matrix), digits_of(numbers, 1))
    for ball, expected in zip(found, exact_product(matrix, numbers, 1), strict=True):
        lo, hi = ball_interval(ball)
        assert lo <= expected <= hi
        assert ball.rel_accuracy_bits() >= 78


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((2, 2)),
        np.array([[1.0, 2.0**-200]]),
        np.array([[1e300]]),
        np.array([[5e-324]]),
        np.array([[np.pi, 1e-60]]),
    ],
)
def test_matrices_that_take_too_many_slices_are_declined(matrix):
    """Zeros, wide ranges and extremes are left to FLINT."""
    assert slices_of(matrix) is None


def test_numbers_that_take_too_many_digits_are_declined():
    """Likewise numbers far apart, or very long."""
    assert digits_of([arb(0), arb(0)], 1) is None
    assert digits_of([arb(1), arb((1, -5000))], 1) is None
    assert digits_of([arb((2**3000 + 1, 0))], 1) is None
    assert digits_of([arb((2**900 + 1, -(10**9)))], 1) is not None
