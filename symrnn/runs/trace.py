# SPDX-License-Identifier: BSD-3-Clause
"""What a run leaves behind: every named quantity, and results in torch's shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.documents.displayed import Displayed
from symrnn.equations.domain import Domain
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import Direction, Network, Position
from symrnn.runs.arrays import Array, PackedArray, Refine

__all__ = ["Record", "Step", "Trace"]


@dataclass(frozen=True, slots=True)
class Record:
    """One layer in one direction: values by name at each step, first and last states.

    Columns are the sequences still running at that step, by decreasing length.
    """

    steps: Sequence[Mapping[Any, Any]]
    initial: Mapping[str, Any]
    final: Mapping[str, Any]


class Trace(Displayed):
    """The result of running a network: outputs, last states, and every quantity between.

    ``trace.output``, ``trace.h_n`` and ``trace.c_n`` have torch's shapes and order;
    ``trace[layer, "forward", t].i`` is the quantity ``i`` at step t (from 0) of that
    layer and direction, of shape (batch, size), or (size,) for one sequence.
    """

    def __init__(
        self,
        net: Network,
        inputs: Inputs,
        domain: Domain[Any],
        records: Mapping[Position, Record],
        outputs: Sequence[Any],
        refine: Refine | None = None,
    ) -> None:
        self.net = net
        self.inputs = inputs
        self.domain = domain
        self.records = records
        self._outputs = outputs
        self._refine = refine

    def refined_by(self, refine: Refine) -> Trace:
        """Return this trace, able to find digits that its precision leaves undecided."""
        return Trace(
            self.net, self.inputs, self.domain, self.records, self._outputs, refine
        )

    @property
    def output(self) -> Array | PackedArray:
        """The output of the last layer at every step, as torch returns it.

        (time, batch, features), (batch, time, features) where ``batch_first``, without
        batch for one sequence; steps beyond a sequence's length are 0. For a
        ``PackedSequence`` it is packed likewise; for a single-step cell it is the state.
        """
        return _output(self)

    @property
    def h_n(self) -> Array:
        """The last state h of every layer and direction, in torch's shape."""
        return self.state("h")

    @property
    def c_n(self) -> Array:
        """The last state c of every layer and direction, in torch's shape."""
        return self.state("c")

    def state(self, name: str) -> Array:
        """Return the last state `name`: (layers × directions, batch, size), as torch does.

        Raises:
            AttributeError: The cell has no such state.
        """
        if name not in self.net.cell.states:
            raise AttributeError(
                f"{self.net.cell.name} has no state {name!r}; it has "
                f"{', '.join(self.net.cell.states)}"
            )
        return self._array(lambda trace: _state(trace, name))

    def __getitem__(self, key: tuple[int, str, int]) -> Step:
        """Return the quantities at (layer, direction, step), all from 0; -1 is the last."""
        try:
            layer, direction, t = key
            position = Position(range(self.net.num_layers)[layer], Direction(direction))
            t = range(len(self.inputs.widths))[t]
            self.records[position]
        except (TypeError, ValueError, IndexError, KeyError):
            raise IndexError(
                "expected trace[layer, direction, step] with layer < "
                f"{self.net.num_layers}, direction in {self.net.directions}, step < "
                f"{len(self.inputs.widths)}, got {key!r}"
            ) from None
        return Step(self, position, t)

    def __iter__(self) -> Iterator[Step]:
        for position in self.net.positions:
            for t in range(len(self.inputs.widths)):
                yield Step(self, position, t)

    def __repr__(self) -> str:
        return f"Trace({self.net!r}, steps={len(self.inputs.widths)}, domain={self.domain.name})"

    def _array(self, select: Callable[[Trace], npt.NDArray[np.object_]]) -> Array:
        return Array(
            select(self),
            self.domain,
            self._refine,
            lambda t: Array(select(t), t.domain),
        )


class Step:
    """The named quantities of one layer, direction and step.

    Attributes are the cell's quantities (``.i``, ``.c``, ``.h``) and pre-activations
    (``.i_pre``), `Array`s of shape (batch, size), or (size,) for one sequence. Rows of
    sequences that have ended by this step are 0; `running` tells which have not.
    """

    def __init__(self, trace: Trace, position: Position, t: int) -> None:
        self.trace = trace
        self.position = position
        self.layer, self.direction = position
        self.t = t

    @property
    def names(self) -> tuple[str, ...]:
        """The names that can be asked for."""
        record = self.trace.records[self.position]
        return tuple(n for n in record.steps[self.t] if isinstance(n, str))

    @property
    def running(self) -> tuple[bool, ...]:
        """Whether each sequence of the batch is still running at this step."""
        return tuple(self.t < n for n in self.trace.inputs.lengths)

    def __getitem__(self, name: Any) -> Array:
        """Return a quantity by name, or any node of the equations that was kept."""
        position, t = self.position, self.t
        if name not in self.trace.records[position].steps[t]:
            raise KeyError(f"no quantity {name}; there are {', '.join(self.names)}")
        return self.trace._array(
            lambda trace: _unsort(
                trace,
                trace.records[position].steps[t][name],
                trace.inputs.widths[t],
            )
        )

    def previous(self, state: str) -> Array:
        """Return the state that this step started from."""
        position, t = self.position, self.t
        before = position.direction.before(t)

        def select(trace: Trace) -> npt.NDArray[np.object_]:
            record = trace.records[position]
            initial = _columns(trace, record.initial[state])
            if 0 <= before < len(record.steps):
                running = _columns(trace, record.steps[before][state])
                width = min(len(running), trace.inputs.widths[t])
                initial = running[:width] + initial[width:]
            size = len(trace.domain.rows(record.initial[state]))
            return _place_rows(trace, initial[: trace.inputs.widths[t]], size)

        return self.trace._array(select)

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(str(error.args[0])) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.names]

    def __repr__(self) -> str:
        return (
            f"Step({self.layer}, {self.direction!r}, {self.t}: {', '.join(self.names)})"
        )


# --- arranging ----------------------------------------------------------------------


def _columns(trace: Trace, matrix: Any) -> list[list[Any]]:
    """Return a (features × sequences) value of the domain as rows, one per sequence."""
    rows = trace.domain.rows(matrix)
    return [list(column) for column in zip(*rows, strict=True)]


def _place_rows(
    trace: Trace, columns: list[list[Any]], size: int
) -> npt.NDArray[np.object_]:
    """Put sequences in the order of the batch, zeros where one has ended."""
    inputs = trace.inputs
    zero = trace.domain.rows(trace.domain.constant(0, 1))[0][0]
    array = np.full((inputs.batch, size), zero, dtype=object)
    for column, b in zip(columns, inputs.order, strict=False):
        array[b, :] = column
    return array if inputs.layout.batched else array[0]


def _unsort(trace: Trace, matrix: Any, width: int) -> npt.NDArray[np.object_]:
    columns = _columns(trace, matrix)
    if len(columns) == 1:  # of parameters alone: the same for every sequence
        columns *= width
    return _place_rows(trace, columns, len(trace.domain.rows(matrix)))


def _state(trace: Trace, name: str) -> npt.NDArray[np.object_]:
    finals = [trace.records[position].final[name] for position in trace.net.positions]
    rows = [_unsort(trace, final, trace.inputs.batch) for final in finals]
    if trace.inputs.layout.single_step:
        return rows[0]
    return _restack(rows)


def _output(trace: Trace) -> Array | PackedArray:
    inputs = trace.inputs
    if inputs.layout.packed:
        data = trace._array(
            lambda t: _restack(
                [np.array(c, dtype=object) for m in t._outputs for c in _columns(t, m)]
            )
        )
        return PackedArray(data, inputs.widths, inputs.order)
    return trace._array(_padded_output)


def _padded_output(trace: Trace) -> npt.NDArray[np.object_]:
    inputs = trace.inputs
    rows = [
        _unsort(trace, matrix, width)
        for matrix, width in zip(trace._outputs, inputs.widths, strict=True)
    ]
    if inputs.layout.single_step:
        return rows[0]
    zero = trace.domain.rows(trace.domain.constant(0, 1))[0][0]
    rows += [np.full(rows[0].shape, zero, dtype=object)] * (inputs.time - len(rows))
    array = _restack(rows)
    if inputs.layout.batched and inputs.layout.batch_first:
        return array.transpose(1, 0, 2)
    return array


def _restack(rows: list[npt.NDArray[np.object_]]) -> npt.NDArray[np.object_]:
    array = np.empty((len(rows), *rows[0].shape), dtype=object)
    for i, row in enumerate(rows):
        array[i] = row
    return array
