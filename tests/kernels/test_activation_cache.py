# SPDX-License-Identifier: BSD-3-Clause
"""Bounds from figures by binade are sound and sharp; the cache gives back what it was given."""

import json
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st

from symrnn.domains.activation_errors import (
    BINADES,
    ActivationErrors,
    Worst,
    assumed_errors,
    nearly_subnormal,
)
from symrnn.errors import SourceError
from symrnn.kernels.activation_cache import (
    cache_path,
    find_errors,
    processor,
    save_errors,
)
from symrnn.kernels.environment import Environment
from symrnn.numerics.formats import FORMATS

FLOAT32 = FORMATS["float32"]
FINITE = st.floats(allow_nan=False, allow_infinity=False)
ENVIRONMENT = Environment(
    symrnn="0.1.0",
    python="3.11.0",
    dtype="float32",
    torch="2.13.0",
    device="cpu",
    threads=2,
    cpu_capability="AVX2",
    flushes_subnormals=False,
)


def errors_with(profile, underflow=0.0, target=FLOAT32) -> ActivationErrors:
    """Return exhaustive figures as `find_errors` would look for them in `ENVIRONMENT`."""
    return ActivationErrors(
        function="tanh",
        format=target,
        kernel="elementwise",
        provenance="measured exhaustively",
        arguments=5,
        library="torch 2.13.0",
        cpu=processor(ENVIRONMENT),
        threads=2,
        profile=np.asarray(profile, np.float64),
        underflow=underflow,
        worst=Worst(ulps=float(np.max(profile)), argument="-0x1.8p+1", path="tail"),
    )


def uneven(seed: int) -> np.ndarray:
    """Return a profile in which every binade has a figure of its own."""
    return np.random.default_rng(seed).uniform(0.5, 100, (2, BINADES))


def binade_of(a: float) -> tuple[int, int]:
    """Return row and column of an argument, by `math.frexp`."""
    exponent = math.frexp(a)[1] - 1 if a else -1023
    return int(a < 0), max(exponent + 1023, 0)


def bound_one(errors, mid, rad, value) -> float:
    arrays = (np.array([number]) for number in (mid, rad, value))
    return float(errors.bound(*arrays)[0])


# --- bounds -------------------------------------------------------------------------


@given(
    a=FINITE,
    offset=FINITE,
    value=st.floats(0, 2.0**1000),
    seed=st.integers(0, 20),
    target=st.sampled_from(list(FORMATS.values())),
)
def test_bound_covers_every_argument_of_the_interval(a, offset, value, seed, target):
    """The figure of a's binade, times the ulp at the value, is at most the bound."""
    errors = errors_with(uneven(seed), target=target)
    mid = a + offset
    if not math.isfinite(mid):
        return
    rad = math.nextafter(abs(mid - a), math.inf)  # not below the real distance
    ulp = Fraction(2) ** target.ulp_exponent(fmpq(*value.as_integer_ratio()))
    wanted = Fraction(errors.profile[binade_of(a)]) * ulp
    assert Fraction(bound_one(errors, mid, rad, value)) >= wanted


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (1.0, 1.5),
        (1.5, 2.5),
        (0.1, 100.0),
        (-3.0, -1.0),
        (-1e-300, 1e300),
        (0.0, 0.0),
        (-0.25, 4.0),
    ],
)
def test_bound_takes_nothing_from_other_binades(low, high):
    """The bound is the largest figure between the two ends, by enumeration."""
    errors = errors_with(uneven(1))
    mid = (low + high) / 2
    rad = high - mid
    rows = [
        (
            math.ldexp(1.0, k - 1023) if k else 0.0,
            math.ldexp(1.0, min(k, 2045) - 1022),
            k,
        )
        for k in range(BINADES)
    ]
    touched = [errors.profile[0, k] for a, end, k in rows if a <= high and end > low]
    touched += [errors.profile[1, k] for a, end, k in rows if -end < high and -a >= low]
    if low >= 0:
        touched = touched[: sum(a <= high and end > low for a, end, _ in rows)]
    assert bound_one(errors, mid, rad, 1.0) == max(touched) * 2.0**-23


def test_bound_is_the_same_whatever_the_shape():
    """More elements than are done at a time, in rows with gaps: each as if alone."""
    errors = errors_with(uneven(2))
    random = np.random.default_rng(0)
    wide = random.normal(size=(3, 40_000)) * 10.0 ** random.integers(-9, 9, (3, 40_000))
    mid, rad = wide[:, ::2], np.abs(wide[:, 1::2])
    value = np.tanh(np.abs(mid) + rad)
    found = errors.bound(mid, rad, value)
    assert found.shape == mid.shape
    for place in [(0, 0), (1, 12_769), (2, 19_999), (2, 0)]:
        alone = bound_one(errors, mid[place], rad[place], value[place])
        assert found[place] == alone


def test_flat_profile_takes_its_largest_figure():
    """Where figures hardly differ, the largest is for all, and it is an upper bound."""
    profile = np.full((2, BINADES), 0.5)
    profile[1, 1023] = 0.55
    assert bound_one(errors_with(profile), 0.25, 0.0, 1.0) == 0.55 * 2.0**-23
    profile[1, 1023] = 24.0
    assert bound_one(errors_with(profile), 0.25, 0.0, 1.0) == 0.5 * 2.0**-23


def test_underflow_is_a_floor():
    """Results that have underflowed have an absolute error, wherever the bound is less."""
    errors = errors_with(uneven(3), underflow=2.0**-126)
    assert bound_one(errors, -90.0, 0.0, 1e-39) == 2.0**-126
    assert bound_one(errors, 1.0, 0.0, 1.0) > 2.0**-126


def test_smallest_ulps_of_float64_are_rounded_up():
    """1.4 ulps of 2^-1074 are not 2^-1074."""
    errors = errors_with(np.full((2, BINADES), 1.4), target=FORMATS["float64"])
    assert bound_one(errors, 1.0, 0.0, 1e-310) >= 2 * 5e-324


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_no_bound_for_what_is_not_finite(value, level):
    """An infinite or unknown value has an infinite bound, even of an exact function."""
    errors = errors_with(np.full((2, BINADES), level))
    assert bound_one(errors, 1.0, 0.5, value) == math.inf


def test_unknown_arguments_take_the_worst_figure():
    """A radius that is infinite touches every binade."""
    errors = errors_with(uneven(4))
    assert bound_one(errors, 0.0, math.inf, 1.0) == errors.peak * 2.0**-23


@pytest.mark.parametrize(
    ("target", "level", "wanted"),
    [
        ("float64", 2.5, 4.5),
        ("float32", 0.5, 1.0),
        ("bfloat16", 0.5, 0.5 + 2.0**-17),
    ],
)
def test_sampled_figures_have_a_margin(target, level, wanted):
    """What exceeds half an ulp counts twice, and is a quarter ulp of the work at least."""
    found = errors_with(np.full((2, BINADES), level), target=FORMATS[target])
    sampled = replace(found, provenance="measured on samples")
    ulp = 2.0 ** (1 - FORMATS[target].precision)
    assert bound_one(sampled, 1.0, 0.0, 1.0) == wanted * ulp
    assert bound_one(found, 1.0, 0.0, 1.0) == level * ulp


def test_relu_has_no_error():
    """Nothing is rounded, so the bound is 0."""
    errors = assumed_errors("relu", FLOAT32)
    assert bound_one(errors, 1.0, 3.0, 4.0) == 0.0


def test_float16_does_not_lose_its_small_numbers():
    """float32 has all of them; the other formats may lose what is nearly subnormal."""
    half, single = FORMATS["float16"], FORMATS["float32"]
    assert assumed_errors("sigmoid", half).underflow < nearly_subnormal(half) / 256
    assert assumed_errors("sigmoid", single).underflow == nearly_subnormal(single)


@pytest.mark.parametrize("profile", [np.zeros((2, 5)), np.full((2, BINADES), -1.0)])
def test_no_profile_is_refused(profile):
    """Another shape, or negative errors."""
    with pytest.raises(ValueError, match="profile"):
        errors_with(profile)


# --- the cache ----------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMRNN_CACHE", str(tmp_path))
    return tmp_path


def find(environment=ENVIRONMENT, **options) -> ActivationErrors:
    return find_errors("tanh", FLOAT32, environment, **options)


def test_cache_gives_back_what_it_was_given(cache):
    """Every figure to the last bit, infinite ones too."""
    profile = uneven(5)
    profile[0, :7] = math.inf
    given_errors = errors_with(profile, underflow=1e-39)
    save_errors(given_errors)
    found = find()
    assert np.array_equal(found.profile, profile)
    for name in (
        "provenance",
        "arguments",
        "library",
        "cpu",
        "threads",
        "underflow",
        "worst",
    ):
        assert getattr(found, name) == getattr(given_errors, name), name


@pytest.mark.parametrize(
    "change",
    [
        {"torch": "2.14.0"},
        {"torch": None},
        {"threads": 3},
        {"cpu_capability": "AVX512"},
        {"flushes_subnormals": True},
        {"device": "cuda:0"},
    ],
    ids=str,
)
def test_figures_of_something_else_are_not_used(cache, change):
    """Another version, processor, device or setting has assumed errors."""
    save_errors(errors_with(uneven(6)))
    assert find().provenance == "measured exhaustively"
    assert find(replace(ENVIRONMENT, **change)).provenance == "assumed"
    assert find(kernel="lstm/onednn").provenance == "assumed"


def drop_key(content):
    del content["underflow"]


def shorten(content):
    content["profile"][0].pop()


def spoil(content):
    content["profile"][1][0][1] = -0.5


def not_a_number(content):
    content["profile"][1][0][1] = math.nan


def rename(content):
    content["function"] = "sigmoid"


def claim(content):
    content["provenance"] = "proven"


def endless(content):
    content["profile"][1][0][0] = math.inf


def flatter(content):
    content["profile"] = [[[BINADES, 0.0]]] * 2


def unmeasured(content):
    content["arguments"] = 0


@pytest.mark.parametrize(
    "harm",
    [
        drop_key,
        shorten,
        spoil,
        not_a_number,
        rename,
        claim,
        endless,
        flatter,
        unmeasured,
    ],
)
def test_malformed_files_are_not_trusted(cache, harm):
    """The error names the file, and what to do."""
    path = save_errors(errors_with(uneven(7)))
    content = json.loads(path.read_text())
    harm(content)
    path.write_text(json.dumps(content))
    with pytest.raises(SourceError, match="delete it") as caught:
        find()
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}'])
def test_files_of_something_else_are_not_trusted(cache, text):
    """Half-written or foreign files raise the same error, and can be written anew."""
    errors = errors_with(uneven(8))
    path = save_errors(errors)
    path.write_text(text)
    with pytest.raises(SourceError, match="delete it"):
        find()
    save_errors(replace(errors, provenance="measured on samples"))
    assert find().provenance == "measured on samples"


def test_samples_do_not_replace_complete_figures(cache):
    """A quick measurement after a complete one changes nothing; the other way it does."""
    complete = errors_with(uneven(9))
    sampled = replace(complete, provenance="measured on samples", arguments=1)
    save_errors(sampled)
    save_errors(complete)
    save_errors(sampled)
    assert (find().provenance, find().arguments) == ("measured exhaustively", 5)


def test_cache_is_where_the_platform_keeps_caches(monkeypatch, tmp_path):
    """SYMRNN_CACHE first, then XDG_CACHE_HOME."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("SYMRNN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_path() == tmp_path / "symrnn"
    monkeypatch.setenv("SYMRNN_CACHE", str(tmp_path / "mine"))
    assert cache_path() == tmp_path / "mine"


def test_description_says_how_figures_were_found(cache):
    """Assumptions are called that; measurements name what they were made on."""
    assert "assumed" in find().describe()
    save_errors(errors_with(uneven(10)))
    assert "all 5 arguments (torch 2.13.0, " in find().describe()
