# SPDX-License-Identifier: BSD-3-Clause
"""What a run leaves behind: every named quantity, and results in torch's shapes.

An `Array` knows how to be computed again more precisely, so that any number of digits can
be asked of it at any time, and each is correct.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from flint import fmpq

from symrnn.domains.base import Domain
from symrnn.errors import UndecidedError, UnsupportedError
from symrnn.formats import find_format, nearest_float, round_decimal
from symrnn.inputs import Inputs, require_int
from symrnn.network import Network, Place

__all__ = ["Array", "PackedArray", "Record", "Refine", "Step", "Trace"]

Rule = Callable[[Any, Any], Any]
"""From the ends of an enclosure to a result, or ``None`` where they do not decide it."""


class Refine(Protocol):
    """Finds results that an array's own precision leaves undecided."""

    def decide(
        self, select: Callable[[Trace], Array], rule: Rule, undecided: Any
    ) -> Any:
        """Return, for each index in `undecided`, the result of `rule`."""


@dataclass(frozen=True, slots=True)
class Record:
    """One layer in one direction: values by name at each step, first and last states.

    Columns are the sequences still running at that step, by decreasing length.
    """

    steps: Sequence[Mapping[Any, Any]]
    initial: Mapping[str, Any]
    final: Mapping[str, Any]


class Trace:
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
        records: Mapping[Place, Record],
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

    def __getitem__(self, place: tuple[int, str, int]) -> Step:
        """Return the quantities at (layer, direction, step), all from 0; -1 is the last."""
        try:
            layer, direction, t = place
            layer = range(self.net.num_layers)[layer]
            t = range(len(self.inputs.widths))[t]
            self.records[layer, direction]  # type: ignore[index]
        except (TypeError, ValueError, IndexError, KeyError):
            raise IndexError(
                "expected trace[layer, direction, step] with layer < "
                f"{self.net.num_layers}, direction in {self.net.directions}, step < "
                f"{len(self.inputs.widths)}, got {place!r}"
            ) from None
        return Step(self, (layer, direction), t)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Step]:
        for place in self.net.places:
            for t in range(len(self.inputs.widths)):
                yield Step(self, place, t)

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

    def __init__(self, trace: Trace, place: Place, t: int) -> None:
        self.trace = trace
        self.layer, self.direction = place
        self.t = t

    @property
    def names(self) -> tuple[str, ...]:
        """The names that can be asked for."""
        record = self.trace.records[self.layer, self.direction]
        return tuple(n for n in record.steps[self.t] if isinstance(n, str))

    @property
    def running(self) -> tuple[bool, ...]:
        """Whether each sequence of the batch is still running at this step."""
        return tuple(self.t < n for n in self.trace.inputs.lengths)

    def __getitem__(self, name: Any) -> Array:
        """Return a quantity by name, or any node of the equations that was kept."""
        place, t = (self.layer, self.direction), self.t
        if name not in self.trace.records[place].steps[t]:
            raise KeyError(f"no quantity {name}; there are {', '.join(self.names)}")
        return self.trace._array(
            lambda trace: _unsort(
                trace,
                trace.records[place].steps[t][name],
                trace.inputs.widths[t],
            )
        )

    def previous(self, state: str) -> Array:
        """Return the state that this step started from."""
        place, before = (self.layer, self.direction), self.t - 1
        backwards = self.direction == "reverse"
        if backwards:
            before = self.t + 1

        def select(trace: Trace) -> npt.NDArray[np.object_]:
            record = trace.records[place]
            initial = _columns(trace, record.initial[state])
            if 0 <= before < len(record.steps):
                running = _columns(trace, record.steps[before][state])
                width = min(len(running), trace.inputs.widths[t])
                initial = running[:width] + initial[width:]
            size = len(trace.domain.rows(record.initial[state]))
            return _place_rows(trace, initial[: trace.inputs.widths[t]], size)

        t = self.t
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


class Array:
    """Real numbers in an array, each known as well as it is asked for.

    It has a shape and is indexed like a NumPy array; ``numpy.asarray`` gives the correctly
    rounded float64 values.
    """

    def __init__(
        self,
        elements: npt.NDArray[np.object_],
        domain: Domain[Any],
        refine: Refine | None = None,
        select: Callable[[Trace], Array] | None = None,
    ) -> None:
        self._elements = elements
        self._domain = domain
        self._refine = refine
        self._select = select

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, as NumPy's and torch's."""
        return self._elements.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self._elements.ndim

    @property
    def proven(self) -> bool:
        """Whether the numbers come from a domain that encloses the exact values."""
        return self._domain.proven

    def __len__(self) -> int:
        return len(self._elements)

    def __getitem__(self, index: Any) -> Array:
        """Return a part of the array; a single element has shape ()."""
        part = np.empty((), dtype=object)
        found = self._elements[index]
        if isinstance(found, np.ndarray):
            part = found
        else:
            part[()] = found
        select = self._select
        return Array(
            part,
            self._domain,
            self._refine,
            None if select is None else lambda trace: select(trace)[index],
        )

    def __iter__(self) -> Iterator[Array]:
        return (self[i] for i in range(len(self)))

    def decimal(self, digits: int | None = None, *, places: int | None = None) -> Any:
        """Return correctly rounded decimals, as (nested lists of) strings.

        Ties go to even, decided on the exact value. Precision is raised as far as needed.

        Args:
            digits: Number of significant digits (15 if neither is given); or
            places: number of digits after the decimal point.

        Raises:
            UndecidedError: The digits could not be decided within the precision limit.

        >>> from symrnn import evaluate, load
        >>> net = load({"weight_ih_l0": [["1/3"]], "weight_hh_l0": [[0]]}, cell="rnn_tanh")
        >>> evaluate(net, [[1]]).output.decimal(40)
        [['0.3215127375316343447194062224252064660053']]
        """
        if digits is not None and places is not None:
            raise TypeError("give digits= or places=, not both")
        if digits is None and places is None:
            digits = 15
        for what, n, least in (("digits", digits, 1), ("places", places, 0)):
            if n is not None:
                require_int(n, what, least)

        def rule(lo: Any, hi: Any) -> str | None:
            return round_decimal(lo, hi, digits=digits, places=places)

        return self.decide(rule).tolist()

    def nearest(self, dtype: str) -> npt.NDArray[Any]:
        """Return the correctly rounded values in a float format.

        Args:
            dtype: ``"float64"``, ``"float32"``, ``"float16"`` or ``"bfloat16"``.

        Returns:
            A NumPy array of that dtype; NumPy has no bfloat16, so those values come as
            float32, which holds them exactly.

        Raises:
            UndecidedError: A rounding could not be decided within the precision limit.
            ValueError: There is no such format.
        """
        target = find_format(dtype)
        values = self.decide(lambda lo, hi: nearest_float(lo, hi, target))
        holder = "float32" if target.name == "bfloat16" else target.name
        return values.astype(holder)

    def decide(self, rule: Rule) -> npt.NDArray[np.object_]:
        """Return `rule` of every element's enclosure, refining those it cannot decide.

        Args:
            rule: From the exact ends (python-flint ``fmpq``) of an enclosure to a result,
                or ``None`` where they do not decide it.

        Raises:
            UndecidedError: Naming an element that stays undecided.
        """
        results = np.empty(self.shape, dtype=object)
        undecided = []
        for index in np.ndindex(self.shape):
            results[index] = attempt(rule, self._domain, self._elements[index])
            if results[index] is None:
                undecided.append(index)
        if undecided:
            if self._refine is None or self._select is None:
                raise UndecidedError(
                    f"element {list(undecided[0])} is known only to lie in "
                    f"{self._elements[undecided[0]]}"
                )
            for index, result in self._refine.decide(
                self._select, rule, undecided
            ).items():
                results[index] = result
        return results

    def intervals(self) -> npt.NDArray[np.object_]:
        """Return each element's enclosure as exact (lower, upper) python-flint rationals."""
        ends = np.empty(self.shape, dtype=object)
        for index in np.ndindex(self.shape):
            ends[index] = self._domain.interval(self._elements[index])
        return ends

    def radius(self) -> npt.NDArray[np.float64]:
        """Return a proven bound on the distance of each enclosure's midpoint to the value.

        Rounded up to float64; 0.0 only where the value is known exactly.

        Raises:
            UnsupportedError: The numbers come from a domain that proves nothing.
        """
        if not self.proven:
            raise UnsupportedError(
                f"the {self._domain.name} domain carries no error bound; use domain='ball'"
            )
        radii = np.zeros(self.shape)
        for index in np.ndindex(self.shape):
            try:
                lo, hi = self._domain.interval(self._elements[index])
            except UndecidedError:
                radii[index] = np.inf
                continue
            radii[index] = _up((hi - lo) / 2)
        return radii

    def exact(self) -> Any:
        """Return exact values: ``Fraction`` where rational, else SymPy closed forms.

        Raises:
            UnsupportedError: The trace was not made with ``exact=True``.
        """
        if self._domain.name != "exact":
            raise UnsupportedError("exact values come from evaluate(…, exact=True)")
        closed = np.empty(self.shape, dtype=object)
        for index in np.ndindex(self.shape):
            element = self._elements[index]
            if isinstance(element, fmpq):
                element = Fraction(int(element.p), int(element.q))
            closed[index] = element
        return closed.tolist()

    def tolist(self) -> Any:
        """Return the domain's own elements in nested lists."""
        return self._elements.tolist()

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        values = self.nearest("float64")
        return values if dtype is None else values.astype(dtype)

    def __float__(self) -> float:
        if self.shape != ():
            raise TypeError(
                f"only one element can become a float, this has shape {self.shape}"
            )
        return float(self.nearest("float64"))

    def __repr__(self) -> str:
        if np.prod(self.shape) > 64:
            return f"Array(shape={self.shape}, domain={self._domain.name})"
        try:
            return f"Array({self.decimal(8)!r})"
        except UndecidedError:
            return f"Array({self._elements.tolist()!r})"


class PackedArray:
    """The data of a packed output, with what torch's ``PackedSequence`` carries.

    Attributes:
        data: (total steps, features), as ``PackedSequence.data``.
        batch_sizes: Number of sequences running at each step.
        sorted_indices: Batch elements by decreasing length, as torch packed them.
    """

    def __init__(
        self, data: Array, batch_sizes: Sequence[int], order: Sequence[int]
    ) -> None:
        self.data = data
        self.batch_sizes = tuple(batch_sizes)
        self.sorted_indices = tuple(order)

    def __getattr__(self, name: str) -> Any:
        """Everything an `Array` can do is done to the data."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.data, name)

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        return self.data.__array__(dtype)

    def __repr__(self) -> str:
        return f"PackedArray({self.data!r}, batch_sizes={self.batch_sizes})"


def attempt(rule: Rule, domain: Domain[Any], element: Any) -> Any:
    """Return `rule` of what is known of an element, ``None`` where that is too little."""
    try:
        return rule(*domain.interval(element))
    except UndecidedError:
        return None


def _up(q: Any) -> float:
    """Return a float that is not below the non-negative rational `q`."""
    if q == 0:
        return 0.0
    try:
        value = int(q.p) / int(q.q)
    except OverflowError:
        return float("inf")
    return float(np.nextafter(value, np.inf))


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
    finals = [trace.records[place].final[name] for place in trace.net.places]
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
