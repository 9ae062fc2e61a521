# SPDX-License-Identifier: BSD-3-Clause
"""The steps to judge as pieces of work: some sequences of one layer and direction each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.audit.local.floating import Floating, FloatingDomain
from symrnn.audit.local.phases import Affine, Phases
from symrnn.audit.subjects.observed import Observed
from symrnn.domains.enclosure import EnclosureDomain
from symrnn.inputs import Inputs
from symrnn.network import Network, Place
from symrnn.numbers import Exact
from symrnn.program import execute, lower

__all__ = [
    "Ball",
    "Group",
    "Layer",
    "concatenate",
    "side_by_side",
    "split_work",
    "take",
]

Floats = npt.NDArray[np.float64]

Ball = tuple[Floats, Floats | None]
"""Midpoints, and radii where numbers are no floats."""

_ELEMENTS = 1 << 14  # of a state, for one step of one group: they fit in a core's cache
_HEAVY = 1 << 26  # multiplications


def _ball(values: Exact) -> Ball:
    if values.dtype != object:
        return values, None
    flat = EnclosureDomain().matrix(values.reshape(len(values), -1))
    return flat.mid.reshape(values.shape), flat.rad.reshape(values.shape)


def take(ball: Ball, index: Any) -> Ball:
    """Return ``ball[index]``."""
    mid, rad = ball
    return mid[index], None if rad is None else rad[index]


def concatenate(balls: Sequence[Ball], axis: int = 0) -> Ball:
    """Return balls end to end, as `numpy.concatenate` does."""
    mids, rads = zip(*balls, strict=True)
    mid = np.concatenate(mids, axis=axis)
    if all(rad is None for rad in rads):
        return mid, None
    filled = [np.zeros_like(m) if r is None else r for m, r in balls]
    return mid, np.concatenate(filled, axis=axis)


def side_by_side(columns: Sequence[Sequence[Ball]], ones: int) -> Ball:
    """Return balls that are given in parts as the columns of one, and columns of ones."""
    if any(rad is not None for parts in columns for _, rad in parts):
        whole = [concatenate(parts) for parts in columns]
        unit: Ball = (np.ones((len(whole[0][0]), ones)), None)
        return concatenate([*whole, unit], axis=1)
    height = sum(len(mid) for mid, _ in columns[0])
    found = np.empty((height, sum(p[0][0].shape[1] for p in columns) + ones))
    found[:, found.shape[1] - ones :] = 1
    left = 0
    for parts in columns:
        right, top = left + parts[0][0].shape[1], 0
        for mid, _ in parts:  # copied once, and not joined before that
            found[top : top + len(mid), left:right] = mid
            top += len(mid)
        left = right
    return found, None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some sequences of one layer and direction, by decreasing length."""

    layer: Layer
    one_of_several: bool  # of this layer and direction
    heavy: bool  # whether products of the next block are worth a thread
    sequences: tuple[int, ...]
    widths: tuple[int, ...]
    x: Ball  # (time, sequences, features), the layer's own input
    output: Floats  # (time, sequences, size)
    initial: Mapping[str, Ball]  # (sequences, size)
    finals: Mapping[str, Floats]  # (sequences, size)


def split_work(
    net: Network, inputs: Inputs, observed: Observed, domain: FloatingDomain
) -> Iterator[Group]:
    """Yield the work: all layers and directions whose own inputs are known."""
    order = np.array(inputs.order, dtype=np.intp)
    lengths = np.array(inputs.lengths, dtype=np.intp)[order]
    steps = len(inputs.widths)
    size = max(1, _ELEMENTS // max(net.state_sizes.values()))
    whole = order.tolist() == list(range(inputs.batch))
    for index, place in enumerate(net.places):
        below = _below(net, inputs, observed, place[0])
        if below is None or place not in observed.outputs:
            continue
        output = observed.outputs[place]
        layer = Layer(net, place, domain)
        for start in range(0, inputs.batch, size):
            part = order[start : start + size]
            # Where sequences are in order already, there is nothing to copy.
            rows = slice(start, start + size) if whole else part
            running = lengths[start : start + size]
            finals = {
                state: observed.finals[place, state][rows]
                for state in net.cell.states
                if (place, state) in observed.finals
            }
            yield Group(
                layer=layer,
                one_of_several=size < inputs.batch,
                heavy=layer.weights * int(running.sum()) > _HEAVY,
                sequences=tuple(int(b) for b in part),
                widths=tuple(int(np.count_nonzero(running > t)) for t in range(steps)),
                x=take(below, (slice(steps), rows)),
                output=output[:steps, rows],
                initial={
                    s: _ball(inputs.initial(s, index, n)[:, start : start + size].T)
                    for s, n in net.state_sizes.items()
                },
                finals=finals,
            )


def _below(net: Network, inputs: Inputs, observed: Observed, layer: int) -> Ball | None:
    """Return the input of a layer, as far as the subject's results show it."""
    if layer == 0:
        return _ball(inputs.x)
    places: list[Place] = [(layer - 1, d) for d in net.directions]
    if not observed.outputs.keys() >= set(places):
        return None
    return np.concatenate([observed.outputs[p] for p in places], axis=2), None


class Layer:
    """What all groups of one layer and direction share."""

    def __init__(self, net: Network, place: Place, domain: FloatingDomain) -> None:
        self.place = place
        self.domain = domain
        self.sizes = net.sizes[place]
        self.first, *self.hidden = net.cell.states
        self.state_size = net.state_sizes[self.first]
        self.program = lower(net.cell, (self.first,))
        self.weights = sum(array.size for array in net.parameters[place].values())
        with domain.context():
            self.parameters: dict[int, Any] = {
                register: domain.parameter(name, net.parameters[place][name], place)
                for name, register in self.program.parameters.items()
            }
            execute(domain, self.program.once, self.parameters, self.sizes)
        exact = all(p.rad is None and p.settled for p in self.parameters.values())
        self.phases = Phases(
            self.program, self.hidden, whole_sums=exact and not domain.mixed
        )
        self.stacked = cache(self._stack)

    def _stack(self, group: int) -> dict[Affine, Floating]:
        """Return the parameters of each affine register side by side."""
        return {
            affine: self.domain.side_by_side(
                [self.parameters[r] for r in affine.matrices + affine.constants], group
            )
            for affine in self.phases.affine
        }
