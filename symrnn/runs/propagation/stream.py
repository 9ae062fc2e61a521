# SPDX-License-Identifier: BSD-3-Clause
"""Outputs of a sequence that never has to be in memory, each known to many digits.

The bookkeeping is that of `symrnn.runs.propagation.tube`, one step at a time: what is kept between
steps is a point, and its distance to the exact trajectory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from flint import arb

from symrnn.domains.ball import BallDomain, Balls, working_precision
from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.errors import ShapeError, UndecidedError, UnsupportedError
from symrnn.networks.inputs import Inputs, read_inputs, require_int
from symrnn.networks.network import Network, Position
from symrnn.networks.sources import load
from symrnn.numerics.exact import Exact, exact_array
from symrnn.runs.arrays import Array
from symrnn.runs.propagation.contraction import StepNorms
from symrnn.runs.propagation.points import BallPoints, box_width, with_rounding
from symrnn.runs.run import run
from symrnn.runs.trace import Record, Trace

__all__ = ["stream"]

_RESERVE = 96  # bits beyond the digits, for what errors grow by


def stream(
    net: Any,
    steps: Iterable[Any],
    hx: Any = None,
    *,
    digits: int = 30,
    precision: int | None = None,
) -> Iterator[Array]:
    """Yield the output of every step, in memory that does not grow with their number.

    The working precision cannot be planned, since nobody knows what comes: errors may
    grow by what `precision` has in reserve, and the stream ends with an error after.

    Args:
        net: A `Network` that runs forwards only, or anything `symrnn.load` takes.
        steps: The inputs, one step after another: (input_size,) or (batch, input_size).
        hx: Initial states as for `symrnn.evaluate`; zeros by default.
        digits: Digits known of every step, counted from the largest output of the step.
        precision: Working precision in bits; by default `digits` and 96 bits more.

    Yields:
        The step's output, (output_size,) or (batch, output_size). Its ``decimal`` raises
        `UndecidedError` for digits beyond those known.

    Raises:
        ShapeError: A step has another shape than the network takes, or the first has.
        UnsupportedError: The network has a reverse direction, which starts at the end.
        UndecidedError: A step's digits are not known; it says which, and what is.
        NotFiniteError: A parameter or input is NaN or infinite.

    >>> import symrnn
    >>> net = symrnn.load({"weight_ih_l0": [["-0.8769"]], "weight_hh_l0": [["-0.8218"]]},
    ...                   cell="rnn_tanh")
    >>> for output in symrnn.stream(net, ([k] for k in range(3, 6))):
    ...     print(output.decimal(20))
    ['-0.98967748084268794438']
    ['-0.99090451395367680402']
    ['-0.99841630463104979986']
    """
    network = load(net)
    require_int(digits, "digits", 1)
    if network.bidirectional:
        raise UnsupportedError(
            "a reverse direction starts at the last step, so it cannot be streamed; use "
            "symrnn.evaluate"
        )
    network.require_finite()
    goal = math.ceil(digits * math.log2(10))
    bits = (
        goal + _RESERVE if precision is None else require_int(precision, "precision", 2)
    )
    return _outputs(network, steps, hx, digits, bits)


def _outputs(
    net: Network, steps: Iterable[Any], hx: Any, digits: int, precision: int
) -> Iterator[Array]:
    state, batch = None, ""
    for t, step in enumerate(steps):
        inputs = read_inputs(net, _as_sequence(net, step), hx)
        inputs.require_finite()
        if state is None:
            state, batch = _Stream(net, inputs, precision), _batch(inputs)
        elif _batch(inputs) != batch:
            raise ShapeError(
                f"step {t}: expected {batch}, as the first step has, got {_batch(inputs)}"
            )
        trace = state.advance(inputs)
        output = trace.output
        assert isinstance(output, Array)
        _require_digits(output, digits, t, precision)
        if net.single_step:
            yield output
        else:
            yield output[:, 0] if net.batch_first and output.ndim == 3 else output[0]


def _batch(inputs: Inputs) -> str:
    """Say what a step is of; all steps of a stream are of the same sequences."""
    return f"a batch of {inputs.batch}" if inputs.layout.batched else "one sequence"


def _as_sequence(net: Network, step: Any) -> Exact:
    """Return a step as a sequence of one step, in the network's layout."""
    values = exact_array(step, "step")
    if net.single_step:
        return values
    return (
        values[:, np.newaxis]
        if net.batch_first and values.ndim == 2
        else values[np.newaxis]
    )


def _require_digits(output: Array, digits: int, t: int, precision: int) -> None:
    balls: list[Any] = list(output._elements.flat)
    with working_precision(53):
        radius = max((ball.rad() for ball in balls), default=arb(0))
        size = max((abs(ball).upper() for ball in balls), default=arb(0))
        if radius <= size / arb(10) ** digits:
            return
        share = float(radius / size) if radius < size else 1.0
    raise UndecidedError(
        f"step {t}: {math.floor(-math.log10(share))} digits are known at {precision} bits, "
        f"not {digits}; raise precision"
    )


class _StepDomain(BallPoints):
    """Points that go on from where the last step ended; parameters are read once."""

    def __init__(
        self, precision: int, scales: Mapping[Position, Mapping[str, float]]
    ) -> None:
        super().__init__(precision, scales)
        self.states: dict[Position, dict[str, Balls]] = {}
        self._kept: dict[tuple[Position, str], Balls] = {}

    def parameter(self, name: str, values: Exact, position: Any) -> Balls:
        key = position, name
        if key not in self._kept:
            self._kept[key] = super().parameter(name, values, position)
        return self._kept[key]

    def initial(self, state: str, values: Exact, position: Any) -> Balls:
        return (
            self.states[position][state]
            if position in self.states
            else self.matrix(values)
        )


class _Stream:
    """Points and their distances to the exact trajectory, after the steps so far."""

    def __init__(self, net: Network, inputs: Inputs, precision: int) -> None:
        self.net = net
        self.errors = {position: [arb(0)] * inputs.batch for position in net.positions}
        scale = dict.fromkeys(net.cell.states, 1.0)
        self.domain = _StepDomain(precision, dict.fromkeys(net.positions, scale))
        states = net.cell.states
        self.norms = {
            position: [
                StepNorms(net, position, wrt, scale)
                for wrt in ([states, ("x",)] if position.layer else [states])
            ]
            for position in net.positions
        }

    def advance(self, inputs: Inputs) -> Trace:
        """Take one step; return it with every state enclosed."""
        before = self.domain.states
        points = run(self.net, inputs, self.domain, keep="states")
        self.domain.states = {
            p: dict(points.records[p].steps[0]) for p in self.net.positions
        }
        records: dict[Position, Record] = {}
        errors: list[arb] = []
        output = self.net.cell.states[0]
        with EnclosureDomain().context(), working_precision(53):
            x = EnclosureDomain().matrix(inputs.step(0))
        for position in self.net.positions:
            start = before.get(position, points.records[position].initial)
            errors = self._errors(position, start, x, errors)
            states = self.domain.states[position]
            x = with_rounding(self.domain.floats(states[output]))
            with self.domain.context():
                step = {s: self.domain.widen(m, errors) for s, m in states.items()}
            records[position] = Record([step], start, step)
        outputs = [records[self.net.positions[-1]].steps[0][output]]
        return Trace(
            self.net, inputs, BallDomain(self.domain.precision), records, outputs
        )

    def _errors(
        self,
        position: Position,
        start: Mapping[str, Balls],
        x: Enclosed,
        below: list[arb],
    ) -> list[arb]:
        """Return how far each sequence is from the exact trajectory after the step."""
        centres = {s: with_rounding(self.domain.floats(m)) for s, m in start.items()}
        boxes, room = {"x": x}, []
        if position.layer:  # the input of the lowest layer is what it is
            centres["x"] = x
        for name, (mid, _) in centres.items():
            half = box_width(mid)
            boxes[name] = Enclosed(mid, np.broadcast_to(half, mid.shape))
            room.append((below if name == "x" else self.errors[position], half / 2))
        norms = [n.bounds(boxes)[0] for n in self.norms[position]]
        errors = []
        with working_precision(53):
            for j, residual in enumerate(self.domain.residuals[position, 0]):
                total = residual
                for bounds, carried in zip(
                    norms, (self.errors[position], below), strict=False
                ):
                    if carried[j] != 0:
                        total += arb(float(bounds[j])) * carried[j]
                inside = all(e[j] <= float(half[j]) for e, half in room)
                fits = inside and total.is_finite()
                errors.append(total.upper() if fits else arb("inf"))
        self.errors[position] = errors
        return errors
