# SPDX-License-Identifier: BSD-3-Clause
"""Float64 values with a first-order guess of how ball radii will grow.

Used only to choose a working precision before a run; the enclosure that the run returns
is checked afterwards, so nothing rests on this guess but time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from symrnn.equations.domain import Domain, Interval
from symrnn.equations.functions import ElementwiseFunction
from symrnn.numerics.exact import Exact

__all__ = ["EstimateDomain", "Estimates"]

Floats = npt.NDArray[np.float64]


class Estimates(NamedTuple):
    """Values, and their radii in units of the working precision's relative rounding."""

    value: Floats
    radius: Floats


class EstimateDomain(Domain[Estimates]):
    """Value and expected radius, one float64 array each."""

    name = "estimate"
    proven = False

    def context(self) -> Any:
        return np.errstate(all="ignore")

    def matrix(self, values: Exact) -> Estimates:
        if values.dtype != object:  # binary numbers enter exactly
            return Estimates(values, np.zeros_like(values))
        flat = [_to_float(v) for v in values.reshape(-1).tolist()]
        value = np.array(flat, dtype=np.float64).reshape(values.shape)
        return Estimates(value, np.abs(value))  # a ratio is rounded once

    def matmul(self, a: Estimates, b: Estimates) -> Estimates:
        value = a.value @ b.value
        size = np.abs(a.value)
        radius = size @ (b.radius + np.abs(b.value)) + a.radius @ np.abs(b.value)
        return Estimates(value, radius)

    def add(self, *terms: Estimates) -> Estimates:
        value = sum((t.value for t in terms[1:]), terms[0].value)
        radius = sum((t.radius for t in terms[1:]), terms[0].radius)
        return Estimates(value, radius + np.abs(value))

    def neg(self, a: Estimates) -> Estimates:
        return Estimates(-a.value, a.radius)

    def hadamard(self, a: Estimates, b: Estimates) -> Estimates:
        value = a.value * b.value
        radius = np.abs(a.value) * b.radius + a.radius * np.abs(b.value)
        return Estimates(value, radius + np.abs(value))

    def elementwise(self, function: ElementwiseFunction, a: Estimates) -> Estimates:
        value = function.numpy(a.value)
        step = 1e-4
        slope = np.abs(
            function.numpy(a.value + step) - function.numpy(a.value - step)
        ) / (2 * step)
        return Estimates(value, slope * a.radius + np.abs(value))

    def transpose(self, a: Estimates) -> Estimates:
        return Estimates(a.value.T, a.radius.T)

    def constant(self, value: int, rows: int, columns: int = 1) -> Estimates:
        return Estimates(
            np.full((rows, columns), float(value)), np.zeros((rows, columns))
        )

    def vstack(self, parts: Sequence[Estimates]) -> Estimates:
        return Estimates(*(np.vstack(arrays) for arrays in zip(*parts, strict=True)))

    def hstack(self, parts: Sequence[Estimates]) -> Estimates:
        return Estimates(*(np.hstack(arrays) for arrays in zip(*parts, strict=True)))

    def split(self, a: Estimates, widths: Sequence[int]) -> list[Estimates]:
        ends = np.cumsum(widths)
        return [
            Estimates(a.value[:, end - width : end], a.radius[:, end - width : end])
            for width, end in zip(widths, ends, strict=True)
        ]

    def rows(self, a: Estimates) -> list[list[Any]]:
        pairs = zip(a.value.tolist(), a.radius.tolist(), strict=True)
        return [list(zip(values, radii, strict=True)) for values, radii in pairs]

    def interval(self, element: Any) -> Interval:
        """Refuse: an estimate encloses nothing."""
        raise NotImplementedError(
            "an estimate encloses nothing; it only plans precision"
        )


def _to_float(value: Any) -> float:
    """Return a number as a float, infinite where it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
