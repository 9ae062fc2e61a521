# SPDX-License-Identifier: BSD-3-Clause
r"""Where the error of an output came from: which step, layer, gate and kind of rounding.

Note [To first order]
    If a computation makes the local errors $r_s$, its distance from the exact trajectory
    is $e_T = \sum_s \Phi(T, s)\, r_s + O(u^2)$, with $\Phi$ the derivative of the output
    with respect to the value in which $r_s$ arose. The sum is computed, split as one
    likes; the actual error is known from exact values; and their difference, the
    remainder, is reported, so that nobody has to take the $O(u^2)$ on trust.
    Contributions have signs and may compensate each other: a *share* is the part of a
    contribution along the whole, so shares add up to 1 and may be negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from symrnn.audits.explain.propagating import (
    Carried,
    Emulated,
    Seen,
    Source,
    Subject,
    Window,
    carry,
    shadow_domain,
    windows_of,
)
from symrnn.audits.subject import Observed
from symrnn.equations.domain import Domain
from symrnn.errors import NotFiniteError, ShapeError
from symrnn.kernels.emulation import find_schedule
from symrnn.kernels.schedule import Schedule, as_written
from symrnn.networks.inputs import Inputs, one_sequence
from symrnn.networks.network import Network
from symrnn.numerics.formats import FloatFormat, as_rational, find_emulated_format
from symrnn.runs.arrays import Array
from symrnn.runs.evaluate import MAX_PRECISION, evaluate_inputs
from symrnn.runs.run import run

__all__ = ["Attribution", "attribute", "attribute_observed"]


Floats = npt.NDArray[np.float64]


Grouping = Literal["kind", "quantity", "layer", "direction"]

_PLACES = 40  # of the exact values, far beyond float64


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """The error of the output at one step, split; see Note [To first order].

    Measured in float64, not proven.

    Attributes:
        sources: What errors are told apart by: layer, direction, quantity and kind.
        windows: What they are told apart by a second time: steps.
        steps: For each sequence, the step whose output is explained.
        contributions: (sources, batch, features), signed.
        window_contributions: (windows, batch, features); both add up to `explained`.
        made: (windows, batch): 2-norm of a window's errors when it ended, in the
            output of its own layer and direction.
        history: (windows, time, batch): 2-norm of what they had become in the network's
            output at each step; NaN beyond a sequence's length.
        error: (batch, features): what was computed minus the exact value.
    """

    sources: tuple[Source, ...]
    windows: tuple[Window, ...]
    steps: tuple[int, ...]
    contributions: Floats
    window_contributions: Floats
    made: Floats
    history: Floats
    error: Floats

    @property
    def explained(self) -> Floats:
        """The sum of all contributions, (batch, features)."""
        return np.asarray(self.contributions.sum(axis=0))

    @property
    def remainder(self) -> Floats:
        """What is not explained to first order, (batch, features)."""
        return self.error - self.explained

    @property
    def relative_remainder(self) -> float:
        """Its 2-norm relative to that of the error; 0 where both are 0."""
        return _ratio(np.linalg.norm(self.remainder), np.linalg.norm(self.error))

    @property
    def amplification(self) -> Floats:
        """How errors grew on the way, (windows, batch): above 1 amplified, else forgotten.

        NaN where none were made.
        """
        arrived = np.linalg.norm(self.window_contributions, axis=2)
        with np.errstate(all="ignore"):
            return np.asarray(np.where(self.made > 0, arrived / self.made, np.nan))

    def by(self, what: Grouping) -> dict[Any, Floats]:
        """Return contributions summed over all else, each (batch, features)."""
        found: dict[Any, Floats] = {}
        for source, values in zip(self.sources, self.contributions, strict=True):
            key = getattr(source, what)
            found[key] = found.get(key, 0.0) + values
        return found

    def by_step(self) -> dict[tuple[int, int], Floats]:
        """Return contributions of each (start, stop) of steps, all layers together."""
        found: dict[tuple[int, int], Floats] = {}
        for window, values in zip(self.windows, self.window_contributions, strict=True):
            key = window.start, window.stop
            found[key] = found.get(key, np.zeros_like(values)) + values
        return found

    def share(self, part: Floats) -> float:
        """Return the part of `part`, (batch, features), along the whole."""
        whole = self.explained
        return _ratio(np.sum(part * whole), np.sum(whole * whole))

    def to_dict(self) -> dict[str, Any]:
        """Return shares and norms as plain data for JSON."""

        def described(parts: Mapping[Any, Floats]) -> list[dict[str, Any]]:
            return [
                {
                    "of": list(key) if isinstance(key, tuple) else key,
                    "share": self.share(part),
                    "norm": float(np.linalg.norm(part)),
                }
                for key, part in parts.items()
                if np.any(part)
            ]

        kinds: tuple[Grouping, ...] = ("kind", "quantity", "layer", "direction")
        return {
            "steps": list(self.steps),
            "error": float(np.linalg.norm(self.error)),
            "explained": float(np.linalg.norm(self.explained)),
            "relative_remainder": self.relative_remainder,
            "by_step": described(self.by_step()),
            **{f"by_{what}": described(self.by(what)) for what in kinds},
        }


def attribute(
    net: Network,
    inputs: Inputs,
    format: str | FloatFormat,
    schedule: Schedule | str | None = None,
    *,
    step: int = -1,
    windows: int = 128,
    max_precision: int = MAX_PRECISION,
) -> Attribution:
    """Run a network in a float format and say where the error of its output came from.

    Every operation's own rounding error is known, and is carried to the output by
    derivatives; see `symrnn.audits.explain.propagating`.

    Args:
        net: The network.
        inputs: From `symrnn.kernels.read_inputs`.
        format: As for `symrnn.kernels.emulate`.
        schedule: The order of operations, whose quantities the result names; by default
            that of the equations, with sums in float32 where the format is narrower.
            With fused products, a sum takes back what the product's own rounding would
            have been.
        step: Which output of each sequence, -1 the last.
        windows: Into how many windows steps are grouped at most.
        max_precision: Of the exact values.

    Raises:
        NotFiniteError: The computation overflows, so there is no error to explain; or a
            parameter or input is not finite.
        UndecidedError: The exact value is not known at `max_precision`.

    >>> import symrnn
    >>> from symrnn.networks.inputs import read_inputs
    >>> net = symrnn.load(
    ...     {"weight_ih_l0": [[1, 0.5]], "weight_hh_l0": [["-0.8218"]]}, cell="rnn_tanh"
    ... )
    >>> found = attribute(net, read_inputs(net, [[1, 0.3], [0.25, 1]]), "bfloat16")
    >>> found.relative_remainder < 0.01, sorted(found.by_step())
    (True, [(0, 1), (1, 2)])
    """
    net.require_finite()
    inputs.require_finite()
    if schedule is None:
        narrow = find_emulated_format(format).precision < 24
        schedule = as_written(net.cell, accumulate="float32" if narrow else None)
    elif isinstance(schedule, str):
        schedule = find_schedule(schedule, net.cell)
    domain, ordered = schedule.domain(format), schedule.apply(net)
    shadow = shadow_domain(find_emulated_format(format).precision)

    def subject(one: Inputs, b: int) -> Subject:
        return Emulated(run(ordered, one, domain, keep="nodes"), shadow)

    maker = _Maker(ordered, net, inputs, shadow, step, windows, max_precision)
    return maker.make(subject)


def attribute_observed(
    net: Network,
    inputs: Inputs,
    observed: Observed,
    format: str | FloatFormat,
    *,
    step: int = -1,
    windows: int = 128,
    max_precision: int = MAX_PRECISION,
) -> Attribution:
    """Say where the error of somebody's output came from, as far as states show it.

    The local error of a step is the observed state minus the exact image of the state
    before. States that are not observed (an LSTM's c) follow from the observed ones by
    the exact equations; what went wrong in them is counted where it first shows.

    Args:
        net: The network, with the parameters as the subject had them.
        inputs: Likewise.
        observed: The subject's states; the last layer's must be among them.
        format: The subject's.
        step: As for `attribute`.
        windows: Likewise.
        max_precision: Likewise.

    Raises:
        ShapeError: The last layer's outputs are not among the observed ones.
        NotFiniteError: An observed state, a parameter or input is not finite.
        UndecidedError: As `attribute`.
    """
    net.require_finite()
    inputs.require_finite()
    last = net.num_layers - 1
    if any(p not in observed.outputs for p in net.layer(last)):
        raise ShapeError("the outputs of the last layer are needed, at every step")
    shadow = shadow_domain(find_emulated_format(format).precision)

    def subject(one: Inputs, b: int) -> Subject:
        states = {
            (position, net.cell.states[0]): values[: one.time, b]
            for position, values in observed.outputs.items()
        }
        return Seen(net, states, shadow)

    return _Maker(net, net, inputs, shadow, step, windows, max_precision).make(subject)


class _Maker:
    """Sequences one by one, put together."""

    def __init__(
        self,
        ordered: Network,
        net: Network,
        inputs: Inputs,
        shadow: Domain[Any],
        step: int,
        windows: int,
        max_precision: int,
    ) -> None:
        self.ordered = ordered
        self.net = net
        self.inputs = inputs
        self.shadow = shadow
        self.step = step
        self.max_precision = max_precision
        self.windows = windows_of(net, len(inputs.widths), windows)

    def make(self, subject_of: Any) -> Attribution:
        inputs, batch = self.inputs, self.inputs.batch
        steps = tuple(range(n)[self.step] for n in inputs.lengths)
        features, count = self.net.output_size, len(self.windows)
        window_parts = np.zeros((count, batch, features))
        made = np.zeros((count, batch))
        history = np.full((count, inputs.time, batch), np.nan)
        error = np.zeros((batch, features))
        parts: list[Floats] = []
        sources: tuple[Source, ...] = ()
        for b, t in enumerate(steps):
            one = one_sequence(inputs, b)
            subject = subject_of(one, b)
            sources = subject.sources
            found = carry(self.ordered, one, subject, self.windows, self.shadow)
            _require_finite(found, b)
            tangent = found.outputs[t].T
            parts.append(tangent[:-count])
            window_parts[:, b] = tangent[-count:]
            made[:, b] = found.made
            norms = [np.linalg.norm(o[:, -count:], axis=0) for o in found.outputs]
            history[:, : one.time, b] = np.transpose(norms)
            error[b] = self._error(one, t, found.values[t])
        return Attribution(
            sources=tuple(dict.fromkeys(sources)),
            windows=self.windows,
            steps=steps,
            contributions=np.stack(parts, axis=1) if parts else window_parts[:0],
            window_contributions=window_parts,
            made=made,
            history=history,
            error=error,
        )

    def _error(self, one: Inputs, t: int, values: Floats) -> list[float]:
        """Return values minus the exact output of a step."""
        trace = evaluate_inputs(
            self.net,
            one,
            places=_PLACES,
            keep="states",
            max_precision=self.max_precision,
        )
        output = trace.output
        assert isinstance(output, Array)  # not packed, see `one_sequence`
        intervals = output[t, 0].intervals()
        return [
            _to_float(as_rational(float(value)) - (lo + hi) / 2)
            for value, (lo, hi) in zip(values, intervals, strict=True)
        ]


def _to_float(q: Any) -> float:
    return int(q.p) / int(q.q)


def _require_finite(found: Carried, b: int) -> None:
    for t, values in enumerate(found.values):
        if not np.isfinite(values).all():
            raise NotFiniteError(
                f"the output at step {t}, batch element {b} is not finite, so its error "
                "cannot be attributed"
            )


def _ratio(a: Any, b: Any) -> float:
    if b == 0:
        return 0.0 if a == 0 else float("inf")
    return float(a / b)
