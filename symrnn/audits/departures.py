# SPDX-License-Identifier: BSD-3-Clause
"""A subject's numbers against what honest arithmetic could return, and what was found.

Note [No false alarm]
    ``mid`` and ``rad`` of `symrnn.domains.rounding_bounds` are such that an honest subject is
    within. The distance is computed with one rounding; a violation must exceed the
    radius by more than that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from symrnn.domains.rounding_sets import Floating
from symrnn.networks.network import Position
from symrnn.numerics.formats import FloatFormat

__all__ = ["Departure", "Distances", "Judged", "measure_distances", "ulps"]

Floats = npt.NDArray[np.float64]

_ROUNDED = 1 + 2.0**-50


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """One number of the subject, and what honest arithmetic could return there.

    Attributes:
        position: Layer and direction.
        step: The step of the sequence, whatever the direction.
        batch: The batch element.
        unit: The unit.
        quantity: The state, ``"h"`` or ``"c"``.
        subject: What the subject returned.
        expected: The exact image of the subject's own inputs, correct to within what
            float64 knows of it.
        bound: The largest distance from `expected` that rounding explains.
        ulp: The subject's unit in the last place at `expected`.
    """

    position: Position
    step: int
    batch: int
    unit: int
    quantity: str
    subject: float
    expected: float
    bound: float
    ulp: float

    @property
    def distance(self) -> float:
        """Of the two; infinite where the subject is not a number."""
        found = abs(self.subject - self.expected)
        return math.inf if math.isnan(found) else found

    @property
    def holds(self) -> bool:
        """Whether rounding explains the distance."""
        return self.distance <= self.bound * _ROUNDED

    @property
    def ratio(self) -> float:
        """The distance over the bound: above 1, rounding does not explain it."""
        if self.bound:
            return self.distance / self.bound
        return math.inf if self.distance else 0.0


@dataclass(slots=True, kw_only=True)
class Judged:
    """What was found at one layer and direction.

    Arrays are over (time, unit), the worst of the batch; 0 where nothing was judged.

    Attributes:
        position: Layer and direction.
        judged: Number of states that were judged.
        unjudged: Number that could not be: the step started from numbers that are not
            finite, or the arithmetic may have overflowed.
        violations: Number beyond their bound.
        ratio: Largest |subject - expected| / bound.
        error: Largest |subject - expected|, in ulps of the subject's format.
        bound: Largest bound, in the same unit.
        first: The first violation in the order of computing.
        worst: The element with the largest ratio.
        ratios: The ratios of all judged elements of the first state, float32.
    """

    position: Position
    judged: int = 0
    unjudged: int = 0
    violations: int = 0
    ratio: Floats
    error: Floats
    bound: Floats
    first: Departure | None = None
    worst: Departure | None = None
    ratios: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def absorb(self, other: Judged) -> None:
        """Add what was found in other sequences of the same layer and direction."""
        self.judged += other.judged
        self.unjudged += other.unjudged
        self.violations += other.violations
        for name in ("ratio", "error", "bound"):
            mine, theirs = getattr(self, name), getattr(other, name)
            np.maximum(mine, theirs, out=mine)
        self.ratios += other.ratios
        self.first = _earlier(self.first, other.first)
        self.worst = _worse(self.worst, other.worst)


@dataclass(slots=True)
class Distances:
    """A subject's numbers against an image; all (features × columns).

    What is not known has ratio, error and bound 0.
    """

    subject: Floats
    mid: Floats
    rad: Floats
    ulp: Floats
    ratio: Floats
    error: Floats
    bound: Floats
    top: float  # the largest ratio
    known: npt.NDArray[np.bool_] | None = None  # everywhere
    beyond: npt.NDArray[np.bool_] | None = None  # nowhere


def measure_distances(
    subject: Floats, image: Floating, target: FloatFormat
) -> Distances:
    """Compare; see Note [No false alarm]."""
    rad = np.zeros_like(image.mid) if image.rad is None else image.rad
    mid, rad = (np.broadcast_to(a, subject.shape) for a in (image.mid, rad))
    distance = subject - mid
    np.abs(distance, out=distance)
    ulp = ulps(mid, target)
    ratio, bound = distance / rad, rad / ulp
    top = float(np.max(ratio, initial=0.0))
    # No ratio is NaN then, so no number is; an infinite radius remains.
    if top <= 1 and math.isfinite(float(np.max(rad, initial=0.0))):
        error = np.divide(distance, ulp, out=distance)
        return Distances(subject, mid, rad, ulp, ratio, error, bound, top)
    known = np.isfinite(mid) & np.isfinite(rad)
    beyond = known & ~(distance <= rad * _ROUNDED)  # which NaN is
    error = distance / ulp
    ratio = np.where(distance == 0, 0.0, np.where(np.isnan(ratio), np.inf, ratio))
    error = np.where(np.isnan(error), np.inf, error)
    ratio, error, bound = (np.where(known, a, 0.0) for a in (ratio, error, bound))
    top = float(np.max(ratio, initial=0.0))
    return Distances(subject, mid, rad, ulp, ratio, error, bound, top, known, beyond)


def ulps(values: Floats, target: FloatFormat) -> Floats:
    """Return the unit in the last place of `target` at each value, as a power of two.

    As `symrnn.kernels.FloatFormat.ulp_exponent`, but at least 2^-1022 for float64.

    >>> from symrnn.numerics.formats import FORMATS
    >>> ulps(np.array([1.0, -3.0, 0.0]), FORMATS["float16"]).tolist()
    [0.0009765625, 0.001953125, 5.960464477539063e-08]
    """
    bits = np.ascontiguousarray(values.T).view(np.int64) & (0x7FF << 52)
    least = max(target.emin, target.precision - 1023)
    found = np.maximum(bits.view(np.float64), 2.0**least)
    found *= 2.0 ** (1 - target.precision)
    return found.T


def _earlier(a: Departure | None, b: Departure | None) -> Departure | None:
    if a is None or b is None:
        return a or b
    sign = a.position.direction.stride
    return a if (sign * a.step, a.batch) <= (sign * b.step, b.batch) else b


def _worse(a: Departure | None, b: Departure | None) -> Departure | None:
    if a is None or b is None:
        return a or b
    return a if a.ratio >= b.ratio else b
