# SPDX-License-Identifier: BSD-3-Clause
"""Which sequences, layers, directions, steps and units a document shows, from 0.

What an author has chosen is shown. Where nothing was chosen, small things are shown
whole, and large ones by their first and last parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from symrnn.derivations.options import Options
from symrnn.documents.layout import selected
from symrnn.errors import SourceError
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import Network, Position

__all__ = ["Gap", "Selection", "with_gaps"]

_MOST_STEPS = 8
_MOST_SEQUENCES = 4
_MOST_LAYERS = 6


class Gap(NamedTuple):
    """Things that are left out, the first and the last of them, in ascending order."""

    first: int
    last: int


def with_gaps(shown: Sequence[int], order: Sequence[int]) -> Iterator[int | Gap]:
    """Yield what is shown, and what is left out between, before and after.

    Args:
        shown: What is shown.
        order: Everything, in reading order.

    >>> list(with_gaps([0, 3], range(5)))
    [0, Gap(first=1, last=2), 3, Gap(first=4, last=4)]
    >>> list(with_gaps([3], [4, 3, 2, 1, 0]))
    [Gap(first=4, last=4), 3, Gap(first=0, last=2)]
    """
    chosen, waiting = set(shown), list[int]()
    for index in order:
        if index not in chosen:
            waiting.append(index)
            continue
        if waiting:
            yield Gap(min(waiting), max(waiting))
            waiting = []
        yield index
    if waiting:
        yield Gap(min(waiting), max(waiting))


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a run is shown.

    Attributes:
        options: The author's choices.
        net: The network.
        inputs: What it ran on.

    Raises:
        SourceError: Something was chosen that the run does not have.
    """

    options: Options
    net: Network
    inputs: Inputs

    def __post_init__(self) -> None:
        longest = max(self.inputs.lengths, default=0)
        units = max(self.net.state_sizes.values())
        for name, chosen, count in (
            ("sequences", self.options.sequences, self.inputs.batch),
            ("layers", self.options.layers, self.net.num_layers),
            ("steps", self.options.steps, longest),
            ("units", self.options.units, units),
        ):
            for number in chosen or ():
                if number > count:
                    raise SourceError(
                        f"{name} are counted from 1 to {count} here (got {number})"
                    )
        for direction in self.options.directions or ():
            if direction not in self.net.directions:
                raise SourceError(
                    f"the network has no {direction} direction; leave directions out"
                )

    @property
    def sequences(self) -> tuple[int, ...]:
        """The sequences of the batch."""
        return _chosen(self.options.sequences, self.inputs.batch, _MOST_SEQUENCES)

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers."""
        return _chosen(self.options.layers, self.net.num_layers, _MOST_LAYERS)

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions."""
        chosen = self.options.directions
        return tuple(d for d in self.net.directions if chosen is None or d in chosen)

    @property
    def positions(self) -> tuple[Position, ...]:
        """The layers and directions."""
        return tuple(
            position
            for position in self.net.positions
            if position.layer in self.layers and position.direction in self.directions
        )

    def steps(self, sequence: int) -> tuple[int, ...]:
        """Return the steps of a sequence: as chosen, all, or the first and the last."""
        count = self.inputs.lengths[sequence]
        if self.options.steps is not None:
            return tuple(n - 1 for n in self.options.steps if n <= count)
        if count <= _MOST_STEPS:
            return tuple(range(count))
        return (0, 1, 2, count - 1)

    def units(self, size: int) -> tuple[int, ...] | None:
        """Return which of `size` units were chosen, ``None`` where none were."""
        if self.options.units is None:
            return None
        return tuple(n - 1 for n in self.options.units if n <= size)


def _chosen(chosen: tuple[int, ...] | None, count: int, most: int) -> tuple[int, ...]:
    if chosen is not None:
        return tuple(n - 1 for n in chosen)
    return selected(count, most)
