# SPDX-License-Identifier: BSD-3-Clause
r"""Runs of any length whose errors grow no faster than the network makes them.

Ball arithmetic wraps: radii are multiplied by absolute values of weights at every step,
also where the network contracts. So the points run here, not the balls: step t is taken
from the *midpoint* that step t - 1 ended in, its ball says how far the new midpoint is
from the exact image of the old one (the residual, ρ), and the distance to the exact
trajectory is carried along as one number for each sequence,

.. math:: \varepsilon_t = L_t\,\varepsilon_{t-1} + L^x_t\,\varepsilon^{below}_t + \rho_t,

L being proven bounds of the norms of the step's derivatives
(`symrnn.runs.propagation.contraction`) over a box that holds both trajectories.
docs/theory/propagation.md proves it. L comes from a float64 run and serves every precision;
given L, the precision that some accuracy needs is a sum, not a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from symrnn.domains.ball import BallDomain, working_precision
from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import Network, Position
from symrnn.numerics.elementary import Floats
from symrnn.runs.propagation.contraction import StepNorms
from symrnn.runs.propagation.points import (
    BOX,
    BallPoints,
    BallReplay,
    Errors,
    FloatCentres,
    FloatPoints,
    FloatReplay,
    box_width,
    sum_of_squares,
    with_rounding,
)
from symrnn.runs.run import Keep, join, run
from symrnn.runs.trace import Record, Trace

__all__ = ["Plan", "Propagation"]

_CONTRACTS = 1 - 2.0**-10  # what boxes add to it stays below 1
_CHUNK = 128  # columns whose values are enclosed at once
_FARTHEST = 4.0  # from 1 that states may be scaled
_SAMPLES = 3  # steps that decide on the factors


class Plan(NamedTuple):
    """The working precision that some accuracy needs, and what needs it.

    Attributes:
        precision: In bits.
        position: The layer and direction whose state needs most.
        step: Its step.
    """

    precision: int
    position: Position
    step: int


class Propagation:
    """Runs of one network on one input, to any precision, with the same bounds L.

    Args:
        net: The network, finite.
        inputs: Finite as well.
        sharp: Whether to look for the best bounds where a step does not amplify. It
            matters where the precision is that of floats: what does not grow adds up to
            T residuals, what contracts to a few.
    """

    def __init__(self, net: Network, inputs: Inputs, *, sharp: bool = False) -> None:
        self.enough = 0.0 if sharp else _CONTRACTS
        self.net = net
        self.inputs = inputs
        self.offsets = np.concatenate([[0], np.cumsum(inputs.widths)])
        self._float = run(net, inputs, FloatCentres(), keep="states")
        self._tubes = {position: _Tube(self, position) for position in net.positions}
        self.scales = {position: tube.scale for position, tube in self._tubes.items()}
        self._fit(self._float)

    def enclosures(self, keep: Keep) -> Trace:
        """Return what float64 alone proves of the trajectory; `keep` as in `trace`."""
        points = run(self.net, self.inputs, FloatPoints(self.scales), keep="states")
        self._fit(points)
        trace = self._widened(points, EnclosureDomain())
        if keep == "states":
            return trace
        return run(self.net, self.inputs, FloatReplay(trace.records), keep=keep)

    def trace(self, precision: int, keep: Keep) -> Trace:
        """Run at a working precision; every state ends as a midpoint and its distance ε.

        Args:
            precision: Bits of the midpoints.
            keep: As for `run`. Named quantities are computed once more from the states.
        """
        points = run(
            self.net, self.inputs, BallPoints(precision, self.scales), keep="states"
        )
        self._fit(points)
        trace = self._widened(points, BallDomain(precision))
        if keep == "states":
            return trace
        return run(
            self.net, self.inputs, BallReplay(trace.records, precision), keep=keep
        )

    def plan(self, goal: int, *, absolute: bool) -> Plan:
        """Return the working precision at which every result is known to `goal` bits.

        It is what the bounds L say, for residuals in the proportion of float64's.

        Args:
            goal: Bits of accuracy, relative to each result that is not 0; or
            absolute: bits after the point.
        """
        expected = {
            (position, t): [arb(self._tubes[position].residual)] * width
            for position in self.net.positions
            for t, width in enumerate(self.inputs.widths)
        }
        errors = self._errors(expected, checked=False)
        worst = Plan(goal, self.net.positions[0], 0)
        for (position, t), row in errors.items():
            states = self._float.records[position].steps[t]
            for j, error in enumerate(row):
                lost = 53 + _log2(error)
                if not math.isfinite(lost):
                    continue
                room = 4 - math.log2(BOX)
                if self._shown(position, t):
                    small = 0.0 if absolute else self._smallest(states, j)
                    room = max(room, goal - small)
                if lost + room > worst.precision:
                    worst = Plan(math.ceil(lost + room), position, t)
        return worst

    # --- the recursion ---

    def _shown(self, position: Position, t: int) -> bool:
        """Whether a step's states are results: the last layer's, and the last states."""
        end = position.direction.end(len(self.inputs.widths))
        return position.layer == self.net.num_layers - 1 or t == end

    @staticmethod
    def _smallest(states: Mapping[str, Enclosed], j: int) -> float:
        column = np.concatenate([np.abs(m.mid[:, j]) for m in states.values()])
        column = column[column > 0]
        return math.log2(column.min()) if column.size else 0.0

    def _errors(self, residuals: Errors, *, checked: bool) -> Errors:
        """Carry the distance to the exact trajectory from step to step.

        Args:
            residuals: Of the run.
            checked: Whether an error that leaves its box becomes infinite.
        """
        errors: Errors = {}
        with working_precision(53):  # so that errors are floats but for their exponent
            for position in self.net.positions:
                tube = self._tubes[position]
                current = [arb(0)] * self.inputs.batch
                for t in position.direction.order(len(self.inputs.widths)):
                    row = []
                    for j, residual in enumerate(residuals[position, t]):
                        k = int(self.offsets[t]) + j
                        below = self._below(errors, position.layer, t, j)
                        error = residual + tube.carried(k, current[j], below, checked)
                        current[j] = error.upper() if error.is_finite() else arb("inf")
                        row.append(current[j])
                    errors[position, t] = row
        return errors

    def _below(self, errors: Errors, layer: int, t: int, j: int) -> arb:
        """Return the error of a layer's input; outputs are not scaled."""
        if layer == 0:
            return arb(0)
        parts = [errors[below, t][j] for below in self.net.layer(layer - 1)]
        return parts[0] if len(parts) == 1 else sum_of_squares(parts).sqrt().upper()

    def _fit(self, points: Trace) -> None:
        """Make sure that the boxes are around these points."""
        for position in self.net.positions:
            self._tubes[position].fit(points)

    def _widened(self, points: Trace, domain: Any) -> Trace:
        """Return the trace of enclosures around a run of points."""
        run_domain: Any = points.domain
        errors = self._errors(run_domain.residuals, checked=True)
        records = {}
        with domain.context():
            for position, record in points.records.items():
                records[position] = self._widen_record(
                    position, record, errors, run_domain
                )
            last = self.net.num_layers - 1
            return Trace(
                self.net,
                self.inputs,
                domain,
                records,
                join(self.net, domain, records, last),
            )

    def _widen_record(
        self, position: Position, record: Record, errors: Errors, domain: Any
    ) -> Record:
        tube = self._tubes[position]

        def widen(states: Mapping[str, Any], columns: Sequence[int]) -> dict[str, Any]:
            radii = [row[k] for k in columns]
            return {
                s: domain.widen(
                    m, [e * tube.room[s] for e in radii], tube.known[s][:, columns]
                )
                for s, m in states.items()
            }

        row = [e for t in range(len(record.steps)) for e in errors[position, t]]
        spans = zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True)
        steps = [
            widen(m, range(*span)) for m, span in zip(record.steps, spans, strict=True)
        ]
        lengths = sorted(self.inputs.lengths, reverse=True)
        ends = [position.direction.end(n) for n in lengths]
        last = [int(self.offsets[end]) + j for j, end in enumerate(ends)]
        return Record(steps, record.initial, widen(record.final, last))


class _Tube:
    """Boxes around the points of one position, and the norms of the derivatives over them.

    Columns are the steps, and in each the sequences that are running.

    Attributes:
        scale: The factor of each state.
        known: For each state, what a step makes of all of its box where that is one
            number, as relu does; else NaN.
        residual: What a step in float64 loses, on a few samples.
    """

    def __init__(self, runs: Propagation, position: Position) -> None:
        self.runs = runs
        self.position = position
        self.net = runs.net
        self.centres: dict[str, Floats] = {}
        self.half: dict[str, Floats] = {}
        points = self._points(runs._float)
        self.scale = self._choose_scale(points)
        states = self.net.cell.states
        self.norms = StepNorms(
            self.net, position, states, self.scale, enough=runs.enough
        )
        self.from_below = (
            StepNorms(self.net, position, ("x",), self.scale)
            if position.layer
            else None
        )
        count = int(runs.offsets[-1])
        self.growth, self.gain = np.full(count, np.inf), np.full(count, np.inf)
        self.known = {
            s: np.full((size, count), np.nan)
            for s, size in self.net.state_sizes.items()
        }
        self.room = {s: 1 / f for s, f in self.scale.items()}
        self.residual = self._sample_residual(points)

    def carried(self, k: int, error: arb, below: arb, checked: bool) -> arb:
        """Return what errors of column k's operands amount to after its step."""
        total = arb(0)
        if checked:
            half = {name: float(widths[k]) / 2 for name, widths in self.half.items()}
            fits = all(error * self.room[s] <= half[s] for s in self.net.cell.states)
            if not (fits and below <= half["x"]):
                return arb("inf")
        if error != 0:
            total += arb(float(self.growth[k])) * error
        if below != 0:
            total += arb(float(self.gain[k])) * below
        return total

    def fit(self, trace: Trace) -> None:
        """Put boxes around the points of `trace` that half a box does not reach."""
        points = self._points(trace)
        if self.centres:
            stale = np.zeros(int(self.runs.offsets[-1]), dtype=bool)
            for name, values in points.items():
                far = np.abs(values.mid - self.centres[name]) + values.rad
                stale |= ~((far * (1 + 2.0**-40)).max(axis=0) <= self.half[name] / 2)
        else:
            stale = np.ones(int(self.runs.offsets[-1]), dtype=bool)
            self.centres = {n: np.empty_like(p.mid) for n, p in points.items()}
            self.half = {n: np.empty(p.mid.shape[1]) for n, p in points.items()}
        columns = np.flatnonzero(stale)
        for name, values in points.items():
            self.centres[name][:, columns] = values.mid[:, columns]
            self.half[name][columns] = box_width(values.mid[:, columns])
        for start in range(0, len(columns), _CHUNK):
            self._bound(points, columns[start : start + _CHUNK])

    def _bound(self, points: Mapping[str, Enclosed], columns: Any) -> None:
        boxes = {}
        for name, values in points.items():
            mid = self.centres[name][:, columns]
            rad = np.broadcast_to(self.half[name][columns], mid.shape)
            if name == "x" and self.position.layer == 0:  # the input is what it is
                rad = values.rad[:, columns]
            boxes[name] = Enclosed(mid, rad)
        self.growth[columns], after = self.norms.bounds(boxes)
        if self.from_below is not None:
            self.gain[columns], _ = self.from_below.bounds(boxes)
        for state, (mid, rad) in after.items():
            self.known[state][:, columns] = np.where(rad == 0, mid, np.nan)

    def _points(self, trace: Trace) -> dict[str, Enclosed]:
        """Return what each column's step starts from, as floats within radii."""
        net, inputs, record = self.net, trace.inputs, trace.records[self.position]
        domain: Any = trace.domain
        plain = EnclosureDomain()
        layer = self.position.layer
        points = {}
        with plain.context():
            if layer == 0:
                xs = [plain.matrix(inputs.step(t)) for t in range(len(inputs.widths))]
            else:
                below = [trace.records[p].steps for p in net.layer(layer - 1)]
                output = net.cell.states[0]
                xs = [
                    plain.vstack(
                        [with_rounding(domain.floats(s[output])) for s in steps]
                    )
                    for steps in zip(*below, strict=True)
                ]
            points["x"] = plain.hstack(xs)
            index = net.positions.index(self.position)
            for state, size in net.state_sizes.items():
                start = plain.matrix(inputs.initial(state, index, size))
                steps = [with_rounding(domain.floats(s[state])) for s in record.steps]
                points[state] = plain.hstack(
                    [self._before(t, steps, start) for t in range(len(steps))]
                )
        return points

    def _before(self, t: int, steps: Sequence[Enclosed], start: Enclosed) -> Enclosed:
        """Return the states that step t starts from."""
        widths = self.runs.inputs.widths
        before = self.position.direction.before(t)
        if 0 <= before < len(steps):
            going = steps[before]
        else:
            going = Enclosed(start.mid[:, :0], start.rad[:, :0])
        going = Enclosed(going.mid[:, : widths[t]], going.rad[:, : widths[t]])
        there = going.mid.shape[1]
        joining = Enclosed(
            start.mid[:, there : widths[t]], start.rad[:, there : widths[t]]
        )
        return EnclosureDomain().hstack([going, joining])

    def _samples(self, points: Mapping[str, Enclosed]) -> dict[str, Enclosed]:
        """Return the points of a few columns, as if they were exact."""
        count = int(self.runs.offsets[-1])
        columns = np.linspace(0, count - 1, min(count, _SAMPLES + 1), dtype=int)[1:]
        mids = {n: p.mid[:, columns] for n, p in points.items()}
        return {n: Enclosed(mid, np.zeros_like(mid)) for n, mid in mids.items()}

    def _sample_residual(self, points: Mapping[str, Enclosed]) -> float:
        _, after = self.norms.bounds(self._samples(points))
        rads = np.vstack([after[s].rad * f for s, f in self.scale.items()])
        found = np.sqrt((rads**2).sum(axis=0)).max(initial=0.0)
        return float(found) if 0 < found < np.inf else 2.0**-50

    def _choose_scale(self, points: Mapping[str, Enclosed]) -> dict[str, float]:
        """Choose the powers of two under which a few sampled steps contract most."""
        states = self.net.cell.states
        scale = dict.fromkeys(states, 1.0)
        if len(states) == 1 or self.runs.offsets[-1] == 0:
            return scale
        at = self._samples(points)
        for state in states[1:]:

            def growth(factor: float, state: str = state) -> float:
                tried = scale | {state: factor}
                norms = StepNorms(self.net, self.position, states, tried)
                return float(np.sum(np.log(norms.bounds(at)[0] + 1e-300)))

            scale[state] = _descend(growth)
        return scale


def _descend(loss: Callable[[float], float]) -> float:
    """Walk from 1 by powers of two, in the direction in which the loss falls."""
    best, least = 1.0, loss(1.0)
    for ratio in (0.5, 2.0):
        while 1 / _FARTHEST <= best * ratio <= _FARTHEST:
            if not (found := loss(best * ratio)) < least:
                break
            best, least = best * ratio, found
        if best != 1:
            break
    return best


def _log2(value: arb) -> float:
    """Return the binary logarithm of a number that may be too large or small for a float."""
    if value == 0:
        return -math.inf
    if not value.is_finite():
        return math.inf
    mantissa, exponent = value.mid().man_exp()
    return math.log2(int(mantissa)) + int(exponent)
