# SPDX-License-Identifier: BSD-3-Clause
"""Images of narrow balls contain what they are to contain, and little else."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest

from symrnn.domains.activation_errors import BINADES, assumed_errors
from symrnn.domains.rounding_sets import NARROW, narrow_image
from symrnn.numerics.elementary import sigmoid_enclosure, tanh_enclosure
from symrnn.numerics.formats import FORMATS

EXACT = {"tanh": mpmath.tanh, "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x))}
ENCLOSE = {"tanh": tanh_enclosure, "sigmoid": sigmoid_enclosure}
NARROW_FORMATS = ["float32", "bfloat16", "float16"]

functions = pytest.mark.parametrize("function", [*EXACT])
formats = pytest.mark.parametrize("form", NARROW_FORMATS)


def arguments(rng, size):
    """Of all magnitudes and signs, at powers of two, at table entries, and saturated."""
    edges = [0.0, 1.0, -2.0, 0.5, 1 / 128, -22.0, 45.0, -40.0, -88.8, 800.0, -800.0]
    mid = rng.normal(size=size) * np.exp2(rng.integers(-40, 5, size))
    mid[: len(edges)] = edges
    rad = np.abs(rng.normal(size=size)) * np.exp2(rng.integers(-60, -9, size))
    rad[rng.random(size) < 0.2] = 0
    rad[0], rad[1] = 0.0, NARROW
    return mid, np.minimum(rad, NARROW)


def profiled(function, form, rng):
    """Errors of a library that are other ones in each binade, some of them none."""
    profile = rng.choice([0.0, 0.5, 0.7, 3.0], size=(2, BINADES))
    return replace(assumed_errors(function, FORMATS[form]), profile=profile)


def ulp_of(value, form):
    _, exponent = mpmath.frexp(value)
    return mpmath.ldexp(1, max(exponent - 1, form.emin) + 1 - form.precision)


@functions
@formats
@pytest.mark.parametrize("profile", [False, True])
def test_every_library_within_its_errors_is_contained(function, form, profile):
    """At the ends of a ball, as wrong as it may be to either side."""
    rng = np.random.default_rng([len(function), len(form), profile])
    errors = assumed_errors(function, FORMATS[form])
    if profile:
        errors = profiled(function, form, rng)
    mid, rad = arguments(rng, 400)
    value, radius = narrow_image(mid, rad, errors)
    with mpmath.workprec(400):
        rows = np.stack([mid, rad, value, radius], axis=1).tolist()
        for m, r, v, bound in rows:
            for sign in (-1, 1):
                a = m + sign * r  # the nearest float64 may be outside
                if abs(mpmath.mpf(a) - m) > r:
                    a = m
                exact = EXACT[function](mpmath.mpf(a))
                field = max(0, int(np.frexp(abs(a))[1]) - 1 + 1023) if a else 0
                ulps = errors.profile[int(a < 0), field]
                wrong = ulps * ulp_of(exact, FORMATS[form]) if exact else 0
                if abs(exact) < 2.0 ** (FORMATS[form].emin + 2):
                    wrong = max(wrong, errors.underflow)
                worst = max(abs(exact + s * wrong - v) for s in (-1, 1))
                assert worst <= bound, (m, r, a)


@functions
@formats
def test_nearly_as_sharp_as_step_by_step(function, form):
    """Little is lost to what is covered in one go."""
    rng = np.random.default_rng(3)
    errors = assumed_errors(function, FORMATS[form])
    mid, rad = arguments(rng, 5000)
    value, radius = narrow_image(mid, rad, errors)
    plain, around = ENCLOSE[function](mid, rad)
    assert np.array_equal(value, plain)
    sum_of_both = around + errors.bound(mid, rad, np.abs(plain) + around)
    looser = radius / sum_of_both
    assert np.quantile(looser, 0.99) <= 1.007
    assert looser.max() <= 2.02  # where a power of two lies between: its ulp is taken
    assert (radius >= sum_of_both * (1 - 2.0**-20)).all()


@functions
def test_balls_of_the_same_width_are_sharp(function):
    """Where all radii are tiny, hardly anything is lost."""
    errors = assumed_errors(function, FORMATS["float32"])
    mid, rad = np.linspace(-9, 9, 999), np.full(999, 1e-6)
    _, radius = narrow_image(mid, rad, errors)
    plain, around = ENCLOSE[function](mid, rad)
    expected = around + errors.bound(mid, rad, np.abs(plain) + around)
    assert (radius <= expected * 1.002).all()


@functions
def test_a_library_without_errors(function):
    """The error of the float64 value remains."""
    errors = assumed_errors(function, FORMATS["float32"])
    errors = replace(errors, profile=np.zeros((2, BINADES)), underflow=0.0)
    mid = np.random.default_rng(8).normal(size=500) * 4
    value, radius = narrow_image(mid, np.zeros(500), errors)
    with mpmath.workprec(200):
        for m, v, r in np.stack([mid, value, radius], axis=1).tolist():
            assert abs(EXACT[function](mpmath.mpf(m)) - v) <= r <= 2.0**-38


@functions
@pytest.mark.parametrize(
    ("mid", "rad"),
    [(np.nan, 0.0), (np.inf, 0.0), (1.0, np.inf), (1.0, np.nan), (0.0, 0.01)],
)
def test_what_takes_more_care_is_left_to_others(function, mid, rad):
    """One number that is not known is enough."""
    errors = assumed_errors(function, FORMATS["float32"])
    mids, rads = np.zeros(20000), np.zeros(20000)
    assert narrow_image(mids, rads, errors) is not None
    mids[17000], rads[17000] = mid, rad
    assert narrow_image(mids, rads, errors) is None


def test_other_functions_and_formats_are_left_to_others():
    zero = np.zeros(3)
    assert narrow_image(zero, zero, assumed_errors("tanh", FORMATS["float64"])) is None
    assert narrow_image(zero, zero, assumed_errors("gelu", FORMATS["float32"])) is None


@functions
def test_results_do_not_depend_on_the_block(function):
    """Each element is computed from itself and the largest radius."""
    rng = np.random.default_rng(5)
    errors = assumed_errors(function, FORMATS["float32"])
    mid, rad = rng.normal(size=40000), np.full(40000, 1e-5)
    whole = narrow_image(mid, rad, errors)
    part = narrow_image(mid[30000:30100].copy(), rad[:100], errors)
    for a, b in zip(whole, part, strict=True):
        assert np.array_equal(a[30000:30100], b)
