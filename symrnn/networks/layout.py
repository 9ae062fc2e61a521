# SPDX-License-Identifier: BSD-3-Clause
"""What each element of torch's results stands for: layer, direction, step, unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.networks.inputs import Inputs
from symrnn.networks.network import DIRECTIONS, Network

__all__ = [
    "Grid",
    "Location",
    "result_grids",
    "result_names",
    "result_shapes",
    "result_states",
]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """One element of a result, in torch's index and in words; all counted from 0.

    Attributes:
        tensor: ``"output"``, ``"h_n"``, ``"c_n"``; ``"h"``, ``"c"`` of a single step, and
            of states that are no results.
        index: In torch's shape; ``None`` for a state that is no result.
        layer: The layer.
        direction: ``"forward"`` or ``"reverse"``.
        step: The step of the sequence, whatever the direction; ``None`` for a single
            step.
        batch: The batch element, ``None`` where there is no batch.
        unit: The unit of the layer.
    """

    tensor: str
    index: tuple[int, ...] | None
    layer: int
    direction: str
    step: int | None
    batch: int | None
    unit: int

    def __str__(self) -> str:
        parts = [f"layer {self.layer}, {self.direction}"]
        if self.step is not None:
            parts.append(f"step {self.step}")
        if self.batch is not None:
            parts.append(f"batch element {self.batch}")
        where = ", ".join([*parts, f"unit {self.unit}"])
        index = "" if self.index is None else f"[{', '.join(map(str, self.index))}]"
        return f"{self.tensor}{index} ({where})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The coordinates of every element of one result, as arrays of its shape.

    Attributes:
        tensor: Its name.
        layer: The layer.
        direction: Index into `symrnn.networks.network.DIRECTIONS`.
        step: The step.
        batch: The batch element.
        unit: The unit.
        order: Grows in the order in which the elements are computed, as far as the
            result shows it: by layer, then by step, which runs down in reverse.
        padding: True beyond a sequence's length, where torch returns 0.
        batched: Whether there is a batch.
        single_step: Whether there is no time.
    """

    tensor: str
    layer: Ints
    direction: Ints
    step: Ints
    batch: Ints
    unit: Ints
    order: Ints
    padding: npt.NDArray[np.bool_]
    batched: bool
    single_step: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The result's shape."""
        return self.unit.shape

    def locate(self, index: tuple[int, ...]) -> Location:
        """Return what the element at `index` stands for."""
        return Location(
            tensor=self.tensor,
            index=tuple(int(i) for i in index),
            layer=int(self.layer[index]),
            direction=str(DIRECTIONS[int(self.direction[index])]),
            step=None if self.single_step else int(self.step[index]),
            batch=int(self.batch[index]) if self.batched else None,
            unit=int(self.unit[index]),
        )

    def first(self, mask: npt.NDArray[np.bool_]) -> tuple[int, ...] | None:
        """Return the index of the first element in `mask` in the order of computing."""
        found = np.argwhere(mask)
        if not len(found):
            return None
        earliest = found[int(np.argmin(self.order[mask]))]
        return tuple(int(i) for i in earliest)


def result_names(net: Network) -> tuple[str, ...]:
    """Return the names of what torch returns, in its order.

    >>> from symrnn import load
    >>> result_names(load({"weight_ih_l0": [[1]] * 4, "weight_hh_l0": [[1]] * 4}))
    ('output', 'h_n', 'c_n')
    """
    return tuple(result_states(net))


def result_states(net: Network) -> dict[str, str]:
    """Return the state that each result is of, by name; the first shows it at every step.

    >>> from symrnn import load
    >>> result_states(load({"weight_ih_l0": [[1]] * 4, "weight_hh_l0": [[1]] * 4}))
    {'output': 'h', 'h_n': 'h', 'c_n': 'c'}
    """
    states = net.cell.states
    if net.single_step:
        return {state: state for state in states}
    return {"output": states[0]} | {f"{state}_n": state for state in states}


def result_shapes(net: Network, inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """Return the shape of each result in torch, by name.

    >>> from symrnn import load
    >>> from symrnn.networks.inputs import read_inputs
    >>> net = load({"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    >>> result_shapes(net, read_inputs(net, [[3], [4]]))
    {'output': (2, 1), 'h_n': (1, 1)}
    """
    layout, sizes = inputs.layout, net.state_sizes
    batch = (inputs.batch,) if layout.batched else ()
    if net.single_step:
        return {state: (*batch, size) for state, size in sizes.items()}
    shape: tuple[int, ...] = (inputs.time, *batch, net.output_size)
    if layout.packed:
        shape = (sum(inputs.widths), net.output_size)
    elif layout.batched and layout.batch_first:
        shape = (inputs.batch, inputs.time, net.output_size)
    rows = len(net.positions)
    return {"output": shape} | {f"{s}_n": (rows, *batch, n) for s, n in sizes.items()}


def result_grids(net: Network, inputs: Inputs) -> dict[str, Grid]:
    """Return the grid of each result of running a network on some inputs, by name."""
    sizes = net.state_sizes
    states = {} if net.single_step else {f"{s}_n": size for s, size in sizes.items()}
    grids = {name: _state_grid(net, inputs, name, n) for name, n in states.items()}
    if net.single_step:
        return {s: _output_grid(net, inputs, s, n) for s, n in sizes.items()}
    first = sizes[net.cell.states[0]]
    return {"output": _output_grid(net, inputs, "output", first), **grids}


def _output_grid(net: Network, inputs: Inputs, tensor: str, size: int) -> Grid:
    step, batch, column = np.indices(
        (inputs.time, inputs.batch, size * len(net.directions))
    )
    direction = column // size
    length = np.array(inputs.lengths, dtype=np.int64)[batch]
    backwards = (direction == 1) & (step < length)
    arrange = _output_arrangement(inputs)
    return Grid(
        tensor=tensor,
        layer=arrange(np.full(step.shape, net.num_layers - 1)),
        direction=arrange(direction),
        step=arrange(step),
        batch=arrange(batch),
        unit=arrange(column % size),
        order=arrange(np.where(backwards, length - 1 - step, step)),
        padding=arrange(step >= length),
        batched=inputs.layout.batched,
        single_step=net.single_step,
    )


def _output_arrangement(
    inputs: Inputs,
) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    """Return how (time, batch, features) becomes what torch returns."""
    layout = inputs.layout
    if layout.packed:
        widths = enumerate(inputs.widths)
        rows = [(t, b) for t, width in widths for b in inputs.order[:width]]
        times, elements = [t for t, _ in rows], [b for _, b in rows]
        return lambda a: a[times, elements]
    if layout.single_step:
        return (lambda a: a[0]) if layout.batched else (lambda a: a[0, 0])
    if not layout.batched:
        return lambda a: a[:, 0]
    return (lambda a: a.transpose(1, 0, 2)) if layout.batch_first else (lambda a: a)


def _state_grid(net: Network, inputs: Inputs, tensor: str, size: int) -> Grid:
    row, batch, unit = np.indices((len(net.positions), inputs.batch, size))
    layer, direction = row // len(net.directions), row % len(net.directions)
    last = np.array(inputs.lengths, dtype=np.int64)[batch] - 1
    keep = slice(None) if inputs.layout.batched else 0
    return Grid(
        tensor=tensor,
        layer=layer[:, keep],
        direction=direction[:, keep],
        step=np.where(direction == 1, 0, last)[:, keep],
        batch=batch[:, keep],
        unit=unit[:, keep],
        order=layer[:, keep],
        padding=np.zeros(row.shape, dtype=bool)[:, keep],
        batched=inputs.layout.batched,
        single_step=False,
    )
