# SPDX-License-Identifier: BSD-3-Clause
"""True errors of many results at once, from float64 enclosures of the exact values.

Balls of any precision know each element as well as it takes; float64 knows states to
some 1e-14, which is little enough beside an ulp of float32 and coarser formats, and takes
no Python for an element. Errors here are intervals that wide.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.audit.findings import ElementError, TensorReport
from symrnn.audit.local.departures import ulps
from symrnn.audit.places import Grid
from symrnn.audit.results.summary import float_text
from symrnn.audit.subjects.rounding import round_array
from symrnn.audit.subjects.subject import Subject
from symrnn.directed import up
from symrnn.domains.enclosure import Enclosed
from symrnn.formats import as_float, power_of_two
from symrnn.network import DIRECTIONS
from symrnn.trace import Trace

__all__ = ["compare_enclosed"]

Floats = npt.NDArray[np.float64]


def compare_enclosed(trace: Trace, subject: Subject, name: str) -> TensorReport:
    """Report on a result from a trace of float64 enclosures.

    Args:
        trace: From ``evaluate(…, domain="enclosure")``.
        subject: The subject, in a format coarser than float64.
        name: Of the result.
    """
    grid, values = subject.grids[name], subject.values[name]
    exact = _arranged(trace, grid, name)
    return _Comparison(subject, grid, values, exact).report()


class _Comparison:
    """One result, all elements at once; arrays have its shape."""

    def __init__(
        self, subject: Subject, grid: Grid, values: Floats, exact: Enclosed
    ) -> None:
        self.subject, self.grid, self.values, self.exact = subject, grid, values, exact
        target, (mid, rad) = subject.format, exact
        half_ulp = power_of_two(target.emax - target.precision)
        threshold = as_float(power_of_two(target.emax + 1) - half_ulp)
        size = np.abs(mid)
        with np.errstate(all="ignore"):
            self.overflows = size - up(rad) >= threshold
            right = self.overflows & (values == np.copysign(np.inf, mid))
            error = np.where(right, 0.0, np.abs(values - mid))
            error = np.where(np.isnan(error), np.inf, error)
            # One rounding each, and more than made up for.
            slack = 4 * np.finfo(np.float64).eps
            spread = np.where(right, 0.0, rad)
            self.high = up(error * (1 + slack) + spread)
            self.low = np.maximum(error * (1 - slack) - up(spread), 0.0)
            self.high_ulps = up(self.high / ulps(np.maximum(size - up(rad), 0), target))
            self.low_ulps = self.low / ulps(up(size + rad), target)
        ends = (round_array(end, target) for end in (-up(rad - mid), up(mid + rad)))
        self.correct = np.logical_and.reduce([end == values for end in ends])
        self.wrong = ~np.isfinite(values) & ~right

    def report(self) -> TensorReport:
        counted = ~self.grid.padding
        not_finite = ~np.isfinite(self.values)
        return TensorReport(
            name=self.grid.tensor,
            shape=self.grid.shape,
            elements=int(np.count_nonzero(counted)),
            padding=int(np.count_nonzero(self.grid.padding)),
            violations=int(np.count_nonzero(self.wrong)),
            not_finite=int(np.count_nonzero(not_finite)),
            overflows=int(np.count_nonzero(not_finite & ~self.wrong)),
            **self._statistics(counted),
            worst=self._element(self.grid.first(self.high == self.high.max())),
            first_violation=self._element(self.grid.first(self.wrong)),
            first_not_finite=self._element(self.grid.first(not_finite)),
        )

    def _statistics(self, counted: npt.NDArray[np.bool_]) -> dict[str, Any]:
        if not counted.any():
            return {}
        found = self.high_ulps[counted]
        return {
            "max_ulps": float(found.max()),
            "max_absolute": float(self.high[counted].max()),
            "mean_ulps": float(found.mean()),
            "median_ulps": float(np.median(found)),
            "correctly_rounded": float(self.correct[counted].mean()),
        }

    def _element(self, index: tuple[int, ...] | None) -> ElementError | None:
        if index is None:
            return None
        decimal, hexadecimal = float_text(
            float(self.values[index]), self.subject.format
        )
        mid, rad = float(self.exact.mid[index]), float(self.exact.rad[index])
        return ElementError(
            location=self.grid.locate(index),
            subject=decimal,
            subject_hex=hexadecimal,
            exact=f"{mid!r} ± {up(rad):.2g}",
            ulps=(float(self.low_ulps[index]), float(self.high_ulps[index])),
            absolute=float(self.high[index]),
            tolerance=None,
            holds=not bool(self.wrong[index]),
            exact_overflows=bool(self.overflows[index]),
        )


def _arranged(trace: Trace, grid: Grid, name: str) -> Enclosed:
    """Return enclosures in the shape of a result; what is padding is exactly 0."""
    inputs, net = trace.inputs, trace.net
    order = list(inputs.order)
    if name.endswith("_n") or (net.single_step and name != net.cell.states[0]):
        state = name.removesuffix("_n")
        finals = [trace.records[place].final[state] for place in net.places]
        rows = grid.layer * len(net.directions) + grid.direction
        return Enclosed(
            *(
                np.stack([_by_batch(f[part], order) for f in finals])[
                    rows, grid.batch, grid.unit
                ]
                for part in (0, 1)
            )
        )
    width = net.state_sizes[net.cell.states[0]]
    column = grid.direction * width + grid.unit
    parts = []
    for part in (0, 1):
        whole = np.zeros((inputs.time, inputs.batch, width * len(DIRECTIONS)))
        for t, matrix in enumerate(trace._outputs):
            found = matrix[part]
            whole[t, order[: found.shape[1]], : found.shape[0]] = found.T
        parts.append(whole[grid.step, grid.batch, column])
    return Enclosed(*parts)


def _by_batch(matrix: Floats, order: list[int]) -> Floats:
    """Return (batch, features) of a matrix whose columns are sorted by length."""
    found = np.empty(matrix.T.shape)
    found[order] = matrix.T
    return found
