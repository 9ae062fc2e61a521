# SPDX-License-Identifier: BSD-3-Clause
"""A subject's numbers against enclosures of the exact ones.

Errors are counted in ulps of the subject's format **at the exact value**: the distance
between neighbouring floats of the binade that holds it, the subnormal spacing below the
smallest normal number, and as if exponents had no limit beyond the largest
(`symrnn.kernels.FloatFormat.ulp_exponent`). A correctly rounded number is off by at
most 1/2 ulp.

Note [Judged once, exactly]
    An element holds if the upper end of its error is within tolerance, and is violated
    if the lower end is beyond. The few in between, and those whose correct rounding is
    open, are asked for again more precisely. All comparisons are between rationals;
    floats are made at the end, rounded outwards.

Note [Overflow]
    Where the exact value rounds to infinity, infinity is right: an error of 0 ulps.
    A finite number is wrong there, however near, and so is an infinity elsewhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from flint import fmpq

from symrnn.audits.tolerance import Enclosure, Tolerance, narrow_in_ulps
from symrnn.equations.domain import Interval
from symrnn.errors import UndecidedError
from symrnn.networks.layout import Grid
from symrnn.numerics.float_arithmetic import round_array
from symrnn.numerics.formats import (
    FloatFormat,
    as_float,
    as_rational,
    nearest_float,
    power_of_two,
    round_up,
)
from symrnn.runs.arrays import Array, Rule

__all__ = ["Judgement", "compare"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One element of a subject.

    Attributes:
        low: Lower bound of its error, in ulps.
        high: Upper bound.
        absolute: Upper bound of its error.
        tolerance: What is allowed there; infinite if nothing was stated.
        holds: Whether its error is within that.
        correct: Whether it is the format's number nearest to the exact value.
        overflows: Whether that number is infinite.
    """

    low: float
    high: float
    absolute: float
    tolerance: float
    holds: bool
    correct: bool
    overflows: bool


class _Judge:
    """The rules of this module for one format and tolerance."""

    def __init__(
        self, target: FloatFormat, tolerance: Tolerance | float | None
    ) -> None:
        self.target = target
        self.tolerance = tolerance
        half_ulp = power_of_two(target.emax - target.precision)
        self.overflow = power_of_two(target.emax + 1) - half_ulp

    def judge(
        self, subject: float, representable: bool, value: Enclosure
    ) -> Judgement | None:
        """Return the judgement, or ``None`` where the enclosure leaves it open."""
        overflows = value.least >= self.overflow
        if not overflows and value.most >= self.overflow:
            return None
        allowed = self._allowed(value)
        if not math.isfinite(subject):
            # NaN compares as neither.
            right = overflows and (subject > 0 < value.lo or subject < 0 > value.hi)
            error = 0.0 if right else math.inf
            tolerance = _limit(allowed)
            return Judgement(error, error, error, tolerance, right, right, overflows)
        low, high = _distance(as_rational(subject), value)
        if allowed is not None and low <= allowed[1] and high > allowed[0]:
            return None
        correct = representable and self._is_nearest(subject, low, high, value)
        if correct is None:
            return None
        return Judgement(
            _round_down(low * power_of_two(-value.most_exponent)),
            round_up(high * power_of_two(-value.least_exponent)),
            round_up(high),
            _limit(allowed),
            (allowed is None or high <= allowed[0]) and not overflows,
            correct,
            overflows,
        )

    def _allowed(self, value: Enclosure) -> Interval | None:
        if self.tolerance is None or self.tolerance == math.inf:
            return None
        if isinstance(self.tolerance, float):
            bound = as_rational(self.tolerance)
            return bound, bound
        return self.tolerance.at(value)

    def again(self, subject: float, representable: bool) -> Rule:
        """Return `judge` as a rule for `symrnn.Array.decide`."""
        enclose = narrow_in_ulps(self.target)

        def rule(lo: Any, hi: Any) -> Judgement | None:
            value = enclose(lo, hi)
            return None if value is None else self.judge(subject, representable, value)

        return rule

    def _is_nearest(
        self, subject: float, low: fmpq, high: fmpq, value: Enclosure
    ) -> bool | None:
        half = power_of_two(value.least_exponent - 1)
        if low > 2 * half:  # 2: the ulp at the other end may be twice as large
            return False
        if high < half:
            return True  # floats below the binade are at least as far as that from it
        nearest = nearest_float(value.lo, value.hi, self.target)
        if nearest is not None:
            return nearest == subject
        ends = (nearest_float(q, q, self.target) for q in (value.lo, value.hi))
        return None if subject in ends else False


def compare(
    exact: Array,
    subject: npt.NDArray[np.float64],
    grid: Grid,
    target: FloatFormat,
    tolerance: Tolerance | npt.NDArray[np.float64] | None,
) -> npt.NDArray[np.object_]:
    """Return a `Judgement` of every element of a result.

    Args:
        exact: The exact values, of the same shape.
        subject: The subject's numbers as float64.
        grid: What the elements stand for.
        target: The subject's format.
        tolerance: What is allowed: a rule, a bound for each element, or nothing stated;
            finite errors hold without.

    Raises:
        UndecidedError: An element is within tolerance or not by less than the precision
            limit can tell.
    """
    rule = tolerance if isinstance(tolerance, Tolerance) else None
    judges: Iterator[_Judge] = itertools.repeat(_Judge(target, rule))
    if isinstance(tolerance, np.ndarray):
        judges = (_Judge(target, bound) for bound in tolerance.reshape(-1).tolist())
    values = exact.decide(narrow_in_ulps(target)).reshape(-1)
    representable = (round_array(subject, target) == subject).reshape(-1).tolist()
    numbers = subject.reshape(-1).tolist()
    found = np.empty(len(numbers), dtype=object)
    for i, (number, judge) in enumerate(zip(numbers, judges, strict=False)):
        found[i] = judge.judge(number, representable[i], values[i])
        if found[i] is None:
            index = tuple(int(n) for n in np.unravel_index(i, subject.shape))
            again = judge.again(number, representable[i])
            found[i] = _refined(exact[index], again, f"{grid.locate(index)} = {number}")
    return found.reshape(subject.shape)


def _refined(exact: Array, rule: Rule, what: str) -> Judgement:
    """Judge one element with as much precision as that takes."""
    try:
        found: Any = exact.decide(rule)
    except UndecidedError as error:
        raise UndecidedError(
            f"{what} is so near to the limit of the tolerance, or to a tie between two "
            f"floats, that the precision limit does not tell on which side: {error}"
        ) from None
    return cast(Judgement, found[()])


def _distance(subject: fmpq, value: Enclosure) -> Interval:
    """Enclose |subject - exact|."""
    to_lo, to_hi = subject - value.lo, subject - value.hi
    if to_hi >= 0:
        return to_hi, to_lo
    if to_lo <= 0:
        return -to_lo, -to_hi
    return fmpq(0), max(to_lo, -to_hi)


def _limit(allowed: Interval | None) -> float:
    return math.inf if allowed is None else as_float(allowed[0])


def _round_down(q: fmpq) -> float:
    return float(np.nextafter(as_float(q), 0.0))
