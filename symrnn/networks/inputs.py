# SPDX-License-Identifier: BSD-3-Clause
"""What a network is run on: inputs, initial states and lengths, in any form torch takes.

`read_inputs` checks everything before anything is computed, and before anything reaches
torch. Inside, a batch is sorted by decreasing length, so that the sequences still running
at a step are always the first columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.errors import NotFiniteError, ShapeError, SourceError
from symrnn.networks.network import Network
from symrnn.numerics.exact import Exact, exact_array, first_non_finite, to_rational
from symrnn.numerics.float_arithmetic import round_array
from symrnn.numerics.formats import FloatFormat, round_decimal

__all__ = ["Inputs", "Layout", "read_inputs", "round_inputs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How results are arranged, to match how the input was.

    Attributes:
        batched: Whether there is a batch dimension.
        batch_first: Whether the batch comes before time.
        single_step: Whether there is no time dimension (torch's ``…Cell``).
        packed: Whether the input was a torch ``PackedSequence``.
    """

    batched: bool
    batch_first: bool
    single_step: bool
    packed: bool


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Checked inputs.

    Attributes:
        x: (time, batch, features), exact; what lies beyond a sequence's length is unused.
        states: For each state, (layers × directions, batch, features), or ``None`` for
            zeros.
        lengths: Number of steps of each sequence, in the order of the batch.
        layout: How to arrange results.
        packed_order: Batch elements as a ``PackedSequence`` sorts them, if it was one.
    """

    x: Exact
    states: Mapping[str, Exact] | None
    lengths: tuple[int, ...]
    layout: Layout
    packed_order: tuple[int, ...] | None = None

    @property
    def time(self) -> int:
        """Number of steps of the padded input."""
        return int(self.x.shape[0])

    @property
    def batch(self) -> int:
        """Number of sequences."""
        return int(self.x.shape[1])

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Batch elements by decreasing length; equal lengths keep their order."""
        if self.packed_order is not None:
            return self.packed_order
        return tuple(sorted(range(self.batch), key=lambda b: -self.lengths[b]))

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """How many sequences are still running at each step, up to the longest."""
        longest = max(self.lengths, default=self.time)
        return tuple(sum(n > t for n in self.lengths) for t in range(longest))

    def step(self, t: int) -> Exact:
        """Return the inputs of step `t`, (features, running sequences) in `order`."""
        return self.x[t, list(self.order[: self.widths[t]])].T

    def initial(self, state: str, index: int, size: int) -> Exact:
        """Return an initial state, (features, batch) in `order`."""
        if self.states is None:
            return np.zeros((size, self.batch))
        return self.states[state][index, list(self.order)].T

    def first_non_finite(self) -> str | None:
        """Return where an input or state that is used is NaN or infinite, or ``None``."""
        for t in range(self.time):
            for b in range(self.batch):
                if t < self.lengths[b]:
                    found = first_non_finite(self.x[t, b])
                    if found:
                        value = self.x[t, b][found]
                        where = f"step {t}, batch element {b}, feature {found[0]}"
                        return f"input x at {where} = {value}"
        for name, values in (self.states or {}).items():
            found = first_non_finite(values)
            if found:
                layer, b, unit = found
                return (
                    f"initial state {name} of row {layer}, batch element {b}, unit {unit} = "
                    f"{values[found]}"
                )
        return None

    def require_finite(self) -> None:
        """Raise `NotFiniteError` naming the first value that is NaN or infinite."""
        found = self.first_non_finite()
        if found is not None:
            raise NotFiniteError(
                f"{found} is not finite, so the equations have no value"
            )


def read_inputs(net: Network, x: Any, hx: Any = None, *, lengths: Any = None) -> Inputs:
    """Check inputs against a network and bring them into one form.

    Args:
        net: The network they are meant for.
        x: (time, batch, input_size), or (batch, time, input_size) where ``net.batch_first``;
            (time, input_size) for one sequence; a torch ``PackedSequence``; for a
            single-step cell (batch, input_size) or (input_size,). Nested lists, arrays or
            tensors; decimal strings are taken exactly.
        hx: Initial state, or a tuple of them (``(h, c)`` for an LSTM), in torch's shape
            (layers × directions, batch, size), without batch for one sequence; for a
            single-step cell (batch, size) or (size,). Zeros by default.
        lengths: Number of steps of each sequence of a padded batch.

    Raises:
        ShapeError: A shape or length does not fit; both shapes are in the message.
        SourceError: Something is not a number.
    """
    if _is_packed(x):
        if lengths is not None:
            raise ShapeError("a PackedSequence has its own lengths; leave lengths= out")
        return _read_packed(net, x, hx)
    # A copy: a trace computes again from it, whatever the caller does to x meanwhile.
    array = np.array(exact_array(x, "x"))
    expected = (1, 2) if net.single_step else (2, 3)
    if array.ndim not in expected or array.shape[-1] != net.input_size:
        raise ShapeError(
            f"expected x of shape {_expected_shapes(net)} with input_size = "
            f"{net.input_size}, got {_shape(array)}"
        )
    layout = Layout(
        batched=array.ndim == expected[1],
        batch_first=net.batch_first,
        single_step=net.single_step,
        packed=False,
    )
    if net.single_step:
        array = array[np.newaxis]
    if not layout.batched:
        array = array[:, np.newaxis]
    elif net.batch_first and not net.single_step:
        array = array.transpose(1, 0, 2)
    if array.shape[0] == 0:
        raise ShapeError(
            f"expected x with at least one step, got shape {_shape(exact_array(x))}"
        )
    return Inputs(
        x=array,
        states=_read_states(net, hx, array.shape[1], layout),
        lengths=_read_lengths(lengths, array, layout),
        layout=layout,
    )


def _expected_shapes(net: Network) -> str:
    if net.single_step:
        return "(batch, input_size) or (input_size,)"
    first = (
        "(batch, time, input_size)" if net.batch_first else "(time, batch, input_size)"
    )
    return f"{first} or (time, input_size)"


def _shape(array: Exact) -> str:
    return str(tuple(int(n) for n in array.shape))


def _read_lengths(lengths: Any, x: Exact, layout: Layout) -> tuple[int, ...]:
    time, batch = int(x.shape[0]), int(x.shape[1])
    if lengths is None:
        return (time,) * batch
    if layout.single_step or not layout.batched:
        raise ShapeError(
            "lengths= is for a batch of sequences; this input is one sequence or step"
        )
    found = exact_array(lengths, "lengths")
    if found.shape != (batch,):
        raise ShapeError(
            f"expected {batch} lengths, one for each sequence, got {_shape(found)}"
        )
    for b, n in enumerate(found.tolist()):
        if not 1 <= n <= time or n != int(n):
            raise ShapeError(
                f"expected lengths from 1 to {time} steps, got {n} at batch element {b}"
            )
    return tuple(int(n) for n in found.tolist())


def _read_states(
    net: Network, hx: Any, batch: int, layout: Layout
) -> dict[str, Exact] | None:
    if hx is None:
        return None
    names = net.cell.states
    if len(names) == 1 and not (isinstance(hx, tuple) and len(hx) == 1):
        given: Sequence[Any] = (hx,)
    elif isinstance(hx, (tuple, list)) and len(hx) == len(names):
        given = hx
    else:
        raise ShapeError(
            f"expected hx as a tuple ({', '.join(names)}) for {net.cell.name}, got "
            f"{type(hx).__name__}"
        )
    rows = len(net.positions)
    states = {}
    for name, values in zip(names, given, strict=True):
        array = np.array(exact_array(values, f"hx {name}"))
        size = net.state_sizes[name]
        wanted: tuple[int, ...] = (size,)
        if layout.batched:
            wanted = (batch, *wanted)
        if not layout.single_step:
            wanted = (rows, *wanted)
        if array.shape != wanted:
            raise ShapeError(
                f"expected initial state {name} of shape {wanted}, got {_shape(array)}"
            )
        states[name] = array.reshape(rows, batch, size)
    return states


def _is_packed(x: Any) -> bool:
    return (
        hasattr(x, "batch_sizes")
        and hasattr(x, "sorted_indices")
        and hasattr(x, "data")
    )


def _read_packed(net: Network, x: Any, hx: Any) -> Inputs:
    """Undo torch's packing: rows of the data are sorted sequences, step by step."""
    if net.single_step:
        raise ShapeError("a single-step cell takes one step, not a PackedSequence")
    data = exact_array(x.data, "x")
    sizes = [int(n) for n in x.batch_sizes]
    if data.ndim != 2 or data.shape[1] != net.input_size or sum(sizes) != len(data):
        raise ShapeError(
            f"expected a PackedSequence of rows with input_size = {net.input_size}, got "
            f"{_shape(data)}"
        )
    batch, start = sizes[0], 0
    order = (
        list(range(batch))
        if x.sorted_indices is None
        else [int(i) for i in x.sorted_indices]
    )
    padded = np.zeros((len(sizes), batch, net.input_size), dtype=data.dtype)
    for t, width in enumerate(sizes):
        padded[t, order[:width]] = data[start : start + width]
        start += width
    lengths = [0] * batch
    for column, b in enumerate(order):
        lengths[b] = sum(width > column for width in sizes)
    layout = Layout(
        batched=True, batch_first=net.batch_first, single_step=False, packed=True
    )
    states = _read_states(net, hx, batch, layout)
    return Inputs(
        x=padded,
        states=states,
        lengths=tuple(lengths),
        layout=layout,
        packed_order=tuple(order),
    )


def require_int(value: Any, what: str, least: int) -> int:
    """Return `value` as an int of at least `least`, or raise `SourceError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SourceError(
            f"{what} must be a whole number of at least {least} (got {value!r})"
        )
    return value


def one_sequence(inputs: Inputs, b: int) -> Inputs:
    """Return one sequence of a batch as inputs of its own, without padding.

    >>> import symrnn, numpy as np
    >>> pass
    >>> net = symrnn.load({"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    >>> inputs = read_inputs(net, np.ones((4, 2, 1)), lengths=[4, 3])
    >>> one_sequence(inputs, 1).x.shape
    (3, 1, 1)
    """
    n = inputs.lengths[b]
    states = inputs.states
    return Inputs(
        x=inputs.x[:n, b : b + 1],
        states=None
        if states is None
        else {s: v[:, b : b + 1] for s, v in states.items()},
        lengths=(n,),
        layout=Layout(batched=True, batch_first=False, single_step=False, packed=False),
    )


_LONG = 64  # bits of a numerator or denominator that a note shows in full


def round_inputs(inputs: Inputs, target: FloatFormat) -> tuple[Inputs, tuple[str, ...]]:
    """Return inputs rounded to a format, and what that changed, in words."""
    x = round_array(inputs.x, target)
    notes = [_change("x", inputs.x, x, target)]
    states = inputs.states
    if states is not None:
        rounded = {name: round_array(values, target) for name, values in states.items()}
        notes += [_change(f"hx {n}", states[n], rounded[n], target) for n in states]
        states = rounded
    return replace(inputs, x=x, states=states), tuple(n for n in notes if n)


def _change(
    what: str, given: Exact, rounded: npt.NDArray[np.float64], target: FloatFormat
) -> str:
    changed = (given != rounded) & (given == given)  # NaN is not itself, and stays
    count = int(np.count_nonzero(changed))
    if not count:
        return ""
    first = tuple(np.argwhere(changed)[0])
    return (
        f"{what}: {count} of {changed.size} numbers were rounded to {target.name}, "
        f"which the subject saw (the first from {_short(given[first])} to "
        f"{rounded[first]})"
    )


def _short(value: Any) -> str:
    exact = to_rational(value)
    if (
        isinstance(value, float)
        or max(exact.p.bit_length(), exact.q.bit_length()) < _LONG
    ):
        return str(value)
    return f"about {round_decimal(exact, exact, digits=12)}"
