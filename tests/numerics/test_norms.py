# SPDX-License-Identifier: BSD-3-Clause
"""Bounds of norms against norms that are known exactly, and against rational vectors."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from symrnn.numerics import norms
from symrnn.numerics.norms import (
    frobenius_bound,
    spectral_norm_bound,
    vector_norm_bound,
)
from symrnn.numerics.upward import TINY

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
matrices = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=finite
)
small_integers = st.integers(-9, 9)


def hadamard(size):
    """Return a matrix of ±1 whose rows are orthogonal; `size` is a power of two."""
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def squares(values):
    return sum(Fraction(float(v)) ** 2 for v in values)


def exact(values):
    return [[Fraction(float(v)) for v in row] for row in values]


def covers(bound, square):
    """Whether `bound` is at least the root of an exact square."""
    return bound == math.inf or Fraction(bound) ** 2 >= square


@given(matrices, st.lists(small_integers, min_size=6, max_size=6))
@settings(max_examples=300, deadline=None)
def test_no_vector_is_stretched_further(matrix, numbers):
    """‖Mv‖ <= bound·‖v‖ in exact arithmetic, for matrices of any floats whatever."""
    vector = numbers[: matrix.shape[1]]
    image = [
        sum(a * v for a, v in zip(row, vector, strict=True)) for row in exact(matrix)
    ]
    length = sum(v * v for v in vector)
    bound = spectral_norm_bound(matrix)
    if bound < math.inf:
        assert sum(x * x for x in image) <= Fraction(bound) ** 2 * length


@given(matrices)
def test_frobenius_is_exact_to_some_ulps(matrix):
    """Above the exact sum of squares, and not by much."""
    bound, square = frobenius_bound(matrix), squares(matrix.flat)
    assert covers(bound, square)
    if bound < math.inf:
        assert (
            Fraction(bound) ** 2
            <= square * (1 + Fraction(1, 2**40)) + Fraction(TINY) * Fraction(bound) * 4
        )


SHAPES = [
    (1, 1),
    (2, 2),
    (3, 7),
    (40, 11),
    (64, 64),
    (128, 128),
    (384, 128),
    (512, 512),
]


SCALES = [(3, 7), (40, 11)]


@pytest.mark.parametrize(
    ("shape", "power"),
    [(s, 0) for s in SHAPES] + [(s, p) for s in SCALES for p in (-700, 600)],
)
def test_within_one_per_cent(shape, power):
    """Of LAPACK's singular values, for random matrices of any scale and both shapes."""
    rng = np.random.default_rng(sum(shape))
    for matrix in (rng.normal(size=shape), rng.uniform(-1, 3, shape)):
        norm = np.linalg.norm(matrix, 2)
        bound = spectral_norm_bound(np.ldexp(matrix, power))
        assert norm * (1 - 1e-12) <= math.ldexp(bound, -power) <= 1.01 * norm
        turned = spectral_norm_bound(np.ldexp(matrix.T, power))
        assert norm * (1 - 1e-12) <= math.ldexp(turned, -power) <= 1.01 * norm


@pytest.mark.parametrize("size", [2, 8, 64, 256])
def test_known_norms(size):
    """diag(d)·H has the norm max|d|·√n exactly: clustered, spread and equal values."""
    rng = np.random.default_rng(size)
    for d in (
        np.ones(size),
        rng.integers(1, 2**20, size).astype(float),
        2.0 ** -np.arange(size),
        np.ldexp(1.0, rng.integers(-300, 300, size)),
        1 - rng.integers(0, 3, size) * 2.0**-50,
    ):
        for matrix in (d[:, None] * hadamard(size), hadamard(size) * d):
            bound = spectral_norm_bound(matrix)
            square = size * Fraction(float(max(d))) ** 2
            assert covers(bound, square)
            assert Fraction(bound) ** 2 <= square * Fraction(102, 100)


@pytest.mark.parametrize("size", [2, 8, 32])
def test_estimates_may_be_wrong(size, monkeypatch):
    """Whatever shift is tried, a bound below the norm never passes for one.

    The exact norm is known, and the shifts are about it, to a few units in the last
    place, where rounding decides whether the factorisation succeeds. Some do that are
    below the norm: there the terms for the rounding of the factorisation are needed.
    """
    monkeypatch.setattr(norms, "_MARGINS", (0.0,))
    low, passed = 0, 0
    for seed in range(60):
        d = np.random.default_rng(seed).uniform(0, 1, size)
        matrix = d[:, None] * hadamard(size) / 2
        square = Fraction(float(max(d))) ** 2 * size / 4
        for steps in (*range(-20, 6), -(2**20), -(2**40)):
            guess = float(square) * (1 + steps * 2.0**-52)
            monkeypatch.setattr(norms, "_largest_eigenvalue", lambda _, g=guess: g)
            found = norms._squared_norm(matrix)
            assert found == math.inf or Fraction(found) >= square
            passed += found < math.inf
            low += found < math.inf and Fraction(guess) < square
    assert 0 < low < passed < 60 * 28


@pytest.mark.parametrize("orthogonal", [1, 5, 8, 99])
@pytest.mark.parametrize("scale", [1.0, 2.0**-530, 1e200])
def test_orthogonal_columns(orthogonal, scale):
    """Elimination may start at columns that are orthogonal; the hint may be wrong.

    The matrix is [H/8 D] with H of norm √8 and D diagonal, so M·Mᵀ is D² + I/8.
    """
    rng = np.random.default_rng(orthogonal)
    for d in (np.ones(8), rng.uniform(0, 1, 8), np.array([1.0, *[0.0] * 7])):
        matrix = np.hstack([hadamard(8) / 8, np.diag(d)])
        square = Fraction(float(max(d))) ** 2 + Fraction(1, 8)
        tall = np.vstack([matrix, np.zeros((8, 16))]) * scale
        for values in (matrix * scale, tall, tall[:, ::-1]):
            bound = spectral_norm_bound(values, orthogonal=orthogonal)
            assert covers(bound, square * Fraction(scale) ** 2)
            assert Fraction(bound) ** 2 <= square * Fraction(scale) ** 2 * Fraction(
                102, 100
            )


@pytest.mark.parametrize("orthogonal", [0, 16])
def test_shifts_about_the_norm_with_orthogonal_columns(orthogonal, monkeypatch):
    """The same game as above: no bound is below the norm, whichever shift succeeds."""
    monkeypatch.setattr(norms, "_MARGINS", (0.0,))
    passed = 0
    for seed in range(40):
        d = np.random.default_rng(seed).uniform(0, 0.9, 16)
        tall = np.vstack(
            [np.hstack([hadamard(16) / 4, np.diag(d)]), np.zeros((16, 32))]
        )
        square = Fraction(float(max(d))) ** 2 + 1
        for steps in range(-20, 6):
            guess = float(square) * (1 + steps * 2.0**-52)
            monkeypatch.setattr(norms, "_largest_eigenvalue", lambda _, g=guess: g)
            found = norms._squared_norm(tall, orthogonal=orthogonal)
            assert found == math.inf or Fraction(found) >= square
            passed += found < math.inf
    assert 0 < passed < 40 * 26


@pytest.mark.parametrize("enough", [1e-300, 1.0, 3.9, 4.0, 4.5, 100.0, 1e300])
def test_enough_is_tried_first(enough):
    """The bound holds whatever is enough, and is no more than that or than 1 % off."""
    matrix = np.diag([4.0, 3.0, 1.0])
    for rad in (None, 1e-3, 1e290):
        bound = spectral_norm_bound(matrix, rad, enough=enough)
        spread = 3 * (rad or 0)
        assert 4 <= bound <= max(4.04, enough * (1 + 1e-12)) + spread * (1 + 1e-12)
    assert 4e-300 <= spectral_norm_bound(matrix * 1e-300, 1e300, enough=1e250)


def test_against_mpmath():
    """Singular values at 200 bits, of matrices that are nearly singular or nearly equal."""
    rng = np.random.default_rng(4)
    base = rng.normal(size=(6, 6))
    rank_one = np.outer(base[0], base[1])
    with mpmath.workprec(200):
        for matrix in (base, rank_one + 1e-14 * base, np.eye(6) + 1e-15 * base):
            top = max(mpmath.svd_r(mpmath.matrix(matrix.tolist()), compute_uv=False))
            assert top <= spectral_norm_bound(matrix) <= top * mpmath.mpf("1.01")


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (4, 32)])
def test_intervals(shape):
    """All signs of the radius: the norm of c + r everywhere is (c + r)·√(mn)."""
    rows, columns = shape
    for c, r in ((1.0, 0.25), (0.0, 2.0), (2.0**500, 2.0**490), (1.0, 2.0**-60)):
        square = (Fraction(c) + Fraction(r)) ** 2 * rows * columns
        for radius in (r, np.full(shape, r)):
            bound = spectral_norm_bound(np.full(shape, c), radius)
            assert covers(bound, square)
            assert Fraction(bound) ** 2 <= square * Fraction(1021, 1000)


@given(matrices, st.data())
@settings(max_examples=100, deadline=None)
def test_every_matrix_within_the_radius(matrix, data):
    """Any member of the interval stretches no vector further than the bound."""
    radii = data.draw(arrays(np.float64, matrix.shape, elements=st.floats(0, 1e300)))
    signs = data.draw(arrays(np.int64, matrix.shape, elements=st.integers(-1, 1)))
    vector = data.draw(st.lists(small_integers, min_size=6, max_size=6))[
        : matrix.shape[1]
    ]
    bound = spectral_norm_bound(matrix, radii)
    if bound == math.inf:
        return
    image = [
        sum((m + s * r) * v for m, s, r, v in zip(*rows, vector, strict=True))
        for rows in zip(exact(matrix), signs.tolist(), exact(radii), strict=True)
    ]
    length = sum(v * v for v in vector)
    assert sum(x * x for x in image) <= Fraction(bound) ** 2 * length


def test_edges():
    """Zero, empty, one element, overflow, subnormal numbers, and what is not finite."""
    assert 0.0 == spectral_norm_bound(np.zeros((3, 2)))
    assert 0.0 == spectral_norm_bound(np.zeros((0, 4)))
    assert 0.0 == vector_norm_bound([])
    assert 7.0 <= spectral_norm_bound([[-7.0]]) <= 7.0001
    assert TINY <= spectral_norm_bound([[TINY]]) <= 3 * TINY
    largest = np.finfo(np.float64).max
    assert math.inf == spectral_norm_bound(np.full((2, 2), largest))
    assert largest <= spectral_norm_bound([[largest]])
    for bad in (np.nan, np.inf, -np.inf):
        assert math.inf == spectral_norm_bound([[1.0, bad]])
        assert math.inf == vector_norm_bound([1.0, bad])
        assert math.inf == spectral_norm_bound([[1.0, 0.0]], [[0.0, abs(bad)]])
    assert 1.0 <= spectral_norm_bound(np.zeros((2, 2)), np.diag([1.0, 0.0])) <= 1.01


def test_the_same_bound_every_time():
    """The estimate starts from a fixed vector, and leaves NumPy's generator alone."""
    matrix = np.random.default_rng(0).normal(size=(50, 50))
    assert spectral_norm_bound(matrix) == spectral_norm_bound(matrix)
