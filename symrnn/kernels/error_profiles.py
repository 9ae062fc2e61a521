# SPDX-License-Identifier: BSD-3-Clause
"""Measuring a float implementation of a function against proven values of it.

`measure` works for any callable; `symrnn.calibrate` is for users. docs/theory/activations.md
proves that the figures are upper bounds.

Note [What is measured]
    A 16-bit format has so few numbers that all are arguments. Of float32, all those are
    whose binade is among the `binades` of the function's entry: outside of these it is its
    argument or a constant to within half an ulp, and every 509th argument is taken. float64
    is sampled.
    The ends of a binade are always among the arguments: approximations fail there first.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from flint import arb

from symrnn.domains.activation_errors import BINADES, Floats, Worst, nearly_subnormal
from symrnn.domains.ball import working_precision
from symrnn.equations.functions import FUNCTIONS
from symrnn.numerics.formats import FloatFormat

__all__ = [
    "Tally",
    "arguments_of",
    "count_arguments",
    "measure",
    "reference_of",
]

_BLOCK = 1 << 15  # arguments at a time in NumPy: what is written stays in cache
_CHUNK = 1 << 18  # arguments at a time in the function that is measured
_SPARSE = 509  # of so many arguments of a float32 binade one is taken where few matter
_DENSE = 61  # the same in relevant binades, when they are sampled
_RANDOM = {True: 8192, False: 64}  # arguments in a float64 binade, by relevance
_LIMIT = 53 + 64  # bits at which values for float64 are enclosed

Compute = Callable[[Floats], Floats]


# --- arguments ----------------------------------------------------------------------


def arguments_of(
    target: FloatFormat, function: str, *, exhaustive: bool = True
) -> Iterator[Floats]:
    """Yield the arguments on which a function is measured; see Note [What is measured].

    Args:
        target: Their float format.
        function: The name of the function, which tells where it is interesting.
        exhaustive: Whether to take every float32 argument there, not one in 61.

    Yields:
        Float64 arrays of at most 2^18 finite numbers of the format.

    >>> from symrnn.kernels import FORMATS
    >>> sum(len(part) for part in arguments_of(FORMATS["bfloat16"], "tanh"))
    65280
    """
    if target.precision == 53:
        yield from _sample_float64(function)
        return
    fraction = target.precision - 1
    fields = target.emax - target.emin + 2  # subnormal numbers have one as well
    for sign in (0, 1):
        for exponent in range(fields):
            first = (sign * (fields + 1) + exponent) << fraction
            relevant = _is_relevant(function, exponent + target.emin - 1)
            step = _DENSE if relevant else _SPARSE
            if fraction < 23 or (relevant and exhaustive):
                step = 1
            for start in range(0, 1 << fraction, _CHUNK * step):
                offsets = np.arange(
                    start, min(start + _CHUNK * step, 1 << fraction), step
                )
                yield _decode(target, first + offsets)
            if step > 1:
                yield _decode(target, np.array([first + (1 << fraction) - 1]))


def count_arguments(
    target: FloatFormat, function: str, *, exhaustive: bool = True
) -> int:
    """Return how many arguments `arguments_of` yields, about; for a progress bar."""
    low, high = FUNCTIONS[function].binades
    relevant = 2 * (high - low + 1)
    if target.precision == 53:
        widened = 2 * (_wide(function)[1] - _wide(function)[0] + 1)
        return widened * _RANDOM[True] + (2 * BINADES - widened) * _RANDOM[False]
    if target.precision < 24:
        return 2 * (target.emax - target.emin + 2) << (target.precision - 1)
    dense = 1 if exhaustive else _DENSE
    return (relevant << 23) // dense + ((510 - relevant) << 23) // _SPARSE


def _is_relevant(function: str, exponent: int) -> bool:
    low, high = FUNCTIONS[function].binades
    return low <= exponent <= high


def _decode(target: FloatFormat, bits: npt.NDArray[np.int64]) -> Floats:
    """Return the numbers that bit patterns of a format of up to 32 bits stand for."""
    if target.name == "float16":
        return bits.astype(np.uint16).view(np.float16).astype(np.float64)
    if target.name == "bfloat16":
        bits = bits << 16
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)


def _wide(function: str) -> tuple[int, int]:
    """Return what `binades` are for float64, with twice the digits and the exponents."""
    low, high = FUNCTIONS[function].binades
    return 2 * low - 4, high + 3


def _sample_float64(function: str) -> Iterator[Floats]:
    random = np.random.default_rng(0)  # the same arguments in every run
    low, high = _wide(function)
    parts: list[npt.NDArray[np.int64]] = []
    for sign in (0, -1 << 63):
        for exponent in range(BINADES):
            count = _RANDOM[low <= exponent - 1023 <= high]
            fractions = random.integers(0, 1 << 52, count)
            fractions[:2] = 0, (1 << 52) - 1
            parts.append(fractions + (exponent << 52) + sign)
    bits = np.concatenate(parts)
    for start in range(0, bits.size, _CHUNK):
        yield bits[start : start + _CHUNK].view(np.float64)


# --- values -------------------------------------------------------------------------


class Value(NamedTuple):
    """|f(x) - (value + correction)| ≤ error, elementwise."""

    value: Floats
    correction: Floats | float
    error: Floats


def reference_of(function: str, target: FloatFormat) -> Callable[[Floats], Value]:
    """Return a proven evaluation of a function, finer than the ulps of a format.

    Args:
        function: The name of a function in `symrnn.equations.FUNCTIONS`.
        target: The format whose ulps are to be measured.
    """
    entry = FUNCTIONS[function]
    evaluate = entry.with_error
    if evaluate is None or target.precision > 24:
        return _ball_reference(entry.ball)

    def enclose(x: Floats) -> Value:
        value, error = evaluate(x)
        return Value(value, 0.0, error)

    return enclose


def _ball_reference(ball: Callable[[Any], Any]) -> Callable[[Floats], Value]:
    def evaluate(x: Floats) -> Value:
        with working_precision(_LIMIT):
            balls = [ball(arb(number)) for number in x.tolist()]
            value = [float(b.mid()) for b in balls]
            rests = [b - v for b, v in zip(balls, value, strict=True)]
            correction = [float(rest.mid()) for rest in rests]
            # float() rounds to nearest, and what is too small for it to 0.
            error = [
                0.0
                if rest == c
                else math.nextafter(float((rest - c).abs_upper()), math.inf)
                for rest, c in zip(rests, correction, strict=True)
            ]
        return Value(np.array(value), np.array(correction), np.array(error))

    return evaluate


# --- the largest errors -------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """The largest errors so far; the attributes are those of an `ActivationErrors`."""

    format: FloatFormat
    arguments: int = 0
    profile: Floats = field(default_factory=lambda: np.zeros((2, BINADES)))
    underflow: float = 0.0
    worst: Worst | None = None
    worst_underflow: Worst | None = None

    def add(self, x: Floats, y: Floats, exact: Value, path: str) -> None:
        """Take in the results of some arguments.

        Args:
            x: The arguments, float64.
            y: What the implementation returned, float64, of the same shape.
            exact: The values.
            path: The code that computed `y`.
        """
        with np.errstate(all="ignore"):
            error, ulps = _errors(self.format, y, exact)
        least = np.abs(exact.value) - (np.abs(exact.correction) + exact.error)
        small = ~(least >= nearly_subnormal(self.format))
        normal = np.where(small, 0.0, ulps)
        columns = (x.view(np.int64) >> 52) & 0x7FF
        np.maximum.at(self.profile.reshape(-1), columns + BINADES * (x < 0), normal)
        self._note(x, normal, path)
        if small.any():
            absolute = np.where(small, error, 0.0)
            at = int(absolute.argmax())
            if absolute[at] > self.underflow or self.worst_underflow is None:
                self.underflow = float(absolute[at])
                self.worst_underflow = Worst(
                    ulps=float(ulps[at]), argument=float(x[at]).hex(), path=path
                )

    def _note(self, x: Floats, ulps: Floats, path: str) -> None:
        at = int(ulps.argmax())
        if self.worst is None or ulps[at] > self.worst.ulps:
            self.worst = Worst(
                ulps=float(ulps[at]), argument=float(x[at]).hex(), path=path
            )

    def merge(self, other: Tally) -> None:
        """Take in what another tally has seen."""
        self.arguments += other.arguments
        np.maximum(self.profile, other.profile, out=self.profile)
        if other.worst and (self.worst is None or other.worst.ulps > self.worst.ulps):
            self.worst = other.worst
        if other.worst_underflow and (
            self.worst_underflow is None or other.underflow > self.underflow
        ):
            self.worst_underflow = other.worst_underflow
        self.underflow = max(self.underflow, other.underflow)


def _errors(target: FloatFormat, y: Floats, exact: Value) -> tuple[Floats, Floats]:
    """Return upper bounds of |y - f|, and of that in ulps at f."""
    apart = y - exact.value
    known = np.abs(exact.correction)
    slack = 2.0**-51 * (np.abs(apart) + known)  # the roundings of the two differences
    error = np.abs(apart - exact.correction) + (exact.error + slack)
    error = error * (1 + 2.0**-50) + 2.0**-1072  # those of this, and of its underflow
    error[(apart == 0) & (known == 0) & (exact.error == 0)] = 0.0
    error[np.isnan(error)] = np.inf
    least = (np.abs(exact.value) - (known + exact.error)) * (1 - 2.0**-51)
    exponent = np.frexp(np.maximum(least, 2.0**target.emin))[1] - target.precision
    # In two steps: 2^1074, for the smallest ulp of float64, is no float64 itself.
    half = exponent // 2
    ulps = np.ldexp(np.ldexp(error, -half), half - exponent)
    return error, np.where(error > 0, np.nextafter(ulps, np.inf), 0.0)


def measure(
    paths: Mapping[str, Compute],
    function: str,
    target: FloatFormat,
    *,
    exhaustive: bool = True,
    progress: Callable[[int], object] | None = None,
) -> Tally:
    """Find the largest errors of an implementation.

    Args:
        paths: From the name of a path of the code to a function of a float64 array of
            numbers of the format, which returns its results as a float64 array. They
            are called by several threads.
        function: The name of the function that they should compute.
        target: The format of arguments and results.
        exhaustive: See `arguments_of`.
        progress: Called with the number of arguments that have been done, again and again.
    """
    reference = reference_of(function, target)

    def one(x: Floats) -> Tally:
        return _measure_chunk(paths, x, reference, target)

    total = Tally(target)
    chunks = arguments_of(target, function, exhaustive=exhaustive)
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        while batch := list(islice(chunks, 4 * workers)):
            for part in pool.map(one, batch):
                total.merge(part)
                if progress is not None:
                    progress(part.arguments)
    return total


def _measure_chunk(
    paths: Mapping[str, Compute],
    x: Floats,
    reference: Callable[[Floats], Value],
    target: FloatFormat,
) -> Tally:
    tally = Tally(target, arguments=x.size)
    computed = {path: compute(x) for path, compute in paths.items()}
    for start in range(0, x.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        exact = reference(x[part])
        for path, y in computed.items():
            tally.add(x[part], y[part], exact, path)
    return tally
