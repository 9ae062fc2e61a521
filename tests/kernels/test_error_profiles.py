# SPDX-License-Identifier: BSD-3-Clause
"""The figures are upper bounds of the true errors, and the arguments are all there are."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from flint import fmpq

from symrnn.kernels.error_profiles import (
    Tally,
    Value,
    arguments_of,
    count_arguments,
    measure,
    reference_of,
)
from symrnn.numerics.formats import FORMATS


def mp_value(function: str, x: float) -> mpmath.mpf:
    """Return the function's value to far more digits than are measured."""
    with mpmath.workprec(400 if 1e-30 < abs(x) < 30 else 2400):
        y = (
            mpmath.tanh(x)
            if function == "tanh"
            else 1 / (1 + mpmath.exp(-mpmath.mpf(x)))
        )
        return +y


def true_ulps(function: str, x: float, y: float, target) -> float:
    """Return the error of y in ulps, with rational numbers."""
    value = mp_value(function, x)
    man, exp = int(value.man), int(value.exp)
    exact = Fraction(man) * Fraction(2) ** exp * (-1 if value < 0 and man > 0 else 1)
    ulp = Fraction(2) ** target.ulp_exponent(fmpq(exact.numerator, exact.denominator))
    return float(abs(Fraction(y) - exact) / ulp)


# --- arguments ----------------------------------------------------------------------


@pytest.mark.parametrize("function", ["tanh", "sigmoid", "relu"])
def test_every_float16_is_an_argument_once(function):
    """All 63,488 finite numbers, both zeros among them."""
    found = np.concatenate(list(arguments_of(FORMATS["float16"], function)))
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)]
    bits = np.sort(found.astype(np.float16).view(np.uint16))
    assert np.array_equal(bits, np.sort(every.view(np.uint16)))


def test_every_bfloat16_is_an_argument_once():
    """All 65,280 finite numbers."""
    found = np.concatenate(list(arguments_of(FORMATS["bfloat16"], "tanh")))
    bits = np.sort(found.astype(np.float32).view(np.uint32))
    every = np.arange(1 << 16, dtype=np.uint32) << 16
    assert np.array_equal(bits, every[np.isfinite(every.view(np.float32))])


def test_float32_arguments_are_all_of_a_relevant_binade():
    """Of [1, 2) every number, of [2^-20, 2^-19) some; nothing but float32."""
    count = dict.fromkeys((0, -20), 0)
    for part in arguments_of(FORMATS["float32"], "tanh"):
        assert len(part) <= 1 << 18
        if part[0] < 0:
            break
        for exponent in count:
            inside = (part >= 2.0**exponent) & (part < 2.0 ** (exponent + 1))
            chosen = part[inside]
            assert np.array_equal(chosen, chosen.astype(np.float32))
            count[exponent] += len(np.unique(chosen))
    assert count[0] == 1 << 23
    assert 16_000 < count[-20] < 17_000


@pytest.mark.parametrize("name", ["float32", "float64"])
@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
def test_samples_have_both_ends_of_each_binade(name, function):
    """The first and the last number of every binade, of both signs."""
    target = FORMATS[name]
    found = np.concatenate(list(arguments_of(target, function, exhaustive=False)))
    assert np.isfinite(found).all()
    first = np.ldexp(1.0, np.arange(target.emin, target.emax + 1))
    last = first * (2 - 2.0 ** (1 - target.precision))
    ends = np.concatenate([first, last, -first, -last])
    assert np.isin(ends, found).all()
    wanted = count_arguments(target, function, exhaustive=False)
    assert len(found) == pytest.approx(wanted, rel=0.01)


# --- errors -------------------------------------------------------------------------

HARD = [
    0.0,
    1e-320,
    3e-39,
    1.1754943e-38,
    1e-5,
    0.25,
    0.5493061443340549,
    1.0,
    9.0,
    17.3,
]
HARD += [20.0, 88.0, 88.73, 89.0, 103.0, 745.0, 1e4]


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
def test_ulps_are_upper_bounds_and_close(name, function):
    """Against mpmath: never below the true error, and hardly above."""
    target = FORMATS[name]
    random = np.random.default_rng(3)
    x = np.concatenate([HARD, np.negative(HARD), random.normal(size=200) * 6])
    if name == "float16":
        x = x.clip(-6e4, 6e4)
    dtype = np.float32 if name == "bfloat16" else np.dtype(name)
    x = x.astype(dtype).astype(np.float64)
    with np.errstate(over="ignore"):
        y = np.tanh(x) if function == "tanh" else 1 / (1 + np.exp(-x))
    y = (
        (y * (1 + 2.0**-6 * random.normal(size=y.size)))
        .astype(dtype)
        .astype(np.float64)
    )
    evaluate = reference_of(function, target)
    for argument, result in zip(x, y, strict=True):
        tally = Tally(target)
        one, out = np.array([argument]), np.array([result])
        tally.add(one, out, evaluate(one), "only")
        worst = tally.worst if tally.profile.any() else tally.worst_underflow
        found = 0.0 if worst is None else worst.ulps
        true = true_ulps(function, argument, result, target)
        assert found >= true, argument
        if tally.profile.any():
            # Next to a power of two the reference's error reaches into the binade below,
            # where ulps are half as large.
            value = abs(float(mp_value(function, argument)))
            near = abs(math.frexp(value)[0] - 0.5) < 1e-14
            assert found <= true * (2 if near else 1) * (1 + 1e-6) + 0.01, argument


def test_one_wrong_result_among_all_is_found():
    """With its argument, its path, and its error to the last digits."""
    target = FORMATS["float16"]

    def good(x):
        return np.tanh(x).astype(np.float16).astype(np.float64)

    def faulty(x):
        y = good(x)
        y[x == -0.7001953125] += 3 * 2.0**-11
        return y

    tally = measure({"good": good, "faulty": faulty}, "tanh", target)
    assert tally.arguments == 63_488
    assert tally.worst.path == "faulty"
    assert float.fromhex(tally.worst.argument) == -0.7001953125
    wrong = faulty(np.array([-0.7001953125]))[0]
    true = true_ulps("tanh", -0.7001953125, wrong, target)
    assert true <= tally.worst.ulps <= true * (1 + 1e-9)
    assert np.sort(tally.profile.ravel())[-2] < 0.51  # no other binade has noticed


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_results_that_are_not_finite_are_infinitely_wrong(wrong):
    """A function that returns NaN at one argument has no bound there."""

    def compute(x):
        return np.where(x == 0.5, wrong, np.tanh(x))

    tally = measure({"only": compute}, "tanh", FORMATS["float16"])
    assert tally.profile[0, 1022] == math.inf
    assert float.fromhex(tally.worst.argument) == 0.5


def test_exact_functions_have_no_error():
    """relu, whose reference is ball arithmetic, in all 16-bit numbers."""
    tally = measure({"only": lambda x: np.maximum(x, 0)}, "relu", FORMATS["bfloat16"])
    assert (tally.profile.max(), tally.underflow) == (0.0, 0.0)


def test_lost_results_count_as_underflow():
    """A function that flushes is wrong by an absolute amount, and its profile is clean."""
    target = FORMATS["float16"]

    def flushing(x):
        y = (1 / (1 + np.exp(-x.clip(-700)))).astype(np.float16).astype(np.float64)
        return np.where(y < 2.0**-14, 0.0, y)

    tally = measure({"only": flushing}, "sigmoid", target)
    assert tally.profile.max() < 0.501
    assert 0.99 * 2.0**-14 < tally.underflow < 2.0**-14
    assert tally.worst_underflow.ulps > 1000


def test_errors_below_the_smallest_number_do_not_vanish():
    """A difference of 2^-1074 is not rounded away."""
    one = np.array([1.0])
    exact = Value(np.array([5e-324]), 0.0, np.array([0.0]))
    tally = Tally(FORMATS["float64"])
    tally.add(one, np.array([0.0]), exact, "only")
    assert tally.underflow >= 5e-324
