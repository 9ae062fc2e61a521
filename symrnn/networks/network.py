# SPDX-License-Identifier: BSD-3-Clause
"""A recurrent network: a cell, its parameters for every layer and direction, no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import sympy

from symrnn.documents.displayed import Displayed
from symrnn.equations.cells import Cell
from symrnn.equations.symbols import hidden_size, input_size
from symrnn.errors import NotFiniteError, ShapeError, SourceError
from symrnn.numerics.exact import Exact, exact_array, first_non_finite

__all__ = ["DIRECTIONS", "FIRST", "Direction", "Network", "Position", "array_name"]


class Direction(StrEnum):
    """Which way a layer takes the steps: torch's word for it, a string that knows the order.

    >>> Direction.REVERSE
    'reverse'
    >>> list(Direction.REVERSE.order(3))
    [2, 1, 0]
    """

    FORWARD = "forward"
    REVERSE = "reverse"

    __repr__ = str.__repr__  # in messages and results it is the string

    @property
    def stride(self) -> Literal[1, -1]:
        """What is added to a step to come to the next one.

        >>> "abc"[:: Direction.REVERSE.stride]
        'cba'
        """
        return -1 if self is Direction.REVERSE else 1

    @property
    def suffix(self) -> str:
        """What torch appends to the names of parameters."""
        return "_reverse" if self is Direction.REVERSE else ""

    def order(self, n: int) -> range:
        """Return the n steps of a sequence in the order in which they are taken."""
        return range(n)[:: self.stride]

    def before(self, t: int) -> int:
        """Return the step that step t starts from, which for the first is outside.

        >>> Direction.FORWARD.before(0), Direction.REVERSE.before(0)
        (-1, 1)
        """
        return t - self.stride

    def start(self, n: int) -> int:
        """Return which of n steps is taken first."""
        return n - 1 if self is Direction.REVERSE else 0

    def end(self, n: int) -> int:
        """Return which of n steps is taken last."""
        return 0 if self is Direction.REVERSE else n - 1


DIRECTIONS = tuple(Direction)
"""Both, in the order in which torch stacks their outputs."""


class Position(NamedTuple):
    """A layer (from 0) and a direction; equal to the plain tuple of the two.

    >>> Position(1, Direction.REVERSE) == (1, "reverse")
    True
    >>> print(Position(1, Direction.REVERSE))
    layer 1, reverse
    """

    layer: int
    direction: Direction

    def __str__(self) -> str:
        return f"layer {self.layer}, {self.direction}"


FIRST = Position(0, Direction.FORWARD)
"""The position that every network has."""


def array_name(array: str, position: Position, *, single_step: bool = False) -> str:
    """Return torch's name of a parameter array.

    >>> array_name("weight_ih", (1, "reverse"))
    'weight_ih_l1_reverse'
    """
    if single_step:
        return array
    layer, direction = position
    return f"{array}_l{layer}{Direction(direction).suffix}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Network(Displayed):
    """An immutable recurrent network with exact parameters.

    Make one with `symrnn.load`, or `Network.from_arrays`.

    Attributes:
        cell: The equations.
        parameters: For every (layer, direction), the cell's parameters by name. Matrices
            have shape (rows, columns), vectors (rows, 1); dtype float64 meant exactly, or
            object holding Fractions.
        batch_first: Whether batched inputs are (batch, time, features), as in torch.
        dtype: The float format the parameters came in (``"float32"``), or ``None``.
        single_step: Whether it stands for a torch ``…Cell``, which takes one step.

    Raises:
        ShapeError: A parameter's shape contradicts another's; both are in the message.
        SourceError: A parameter is missing or unknown to the cell.
    """

    cell: Cell
    parameters: Mapping[Position, Mapping[str, Exact]] = field(repr=False)
    batch_first: bool = False
    dtype: str | None = None
    single_step: bool = False

    def __post_init__(self) -> None:
        if set(self.parameters) != set(self.positions):
            found = sorted(map(tuple, self.parameters))
            raise SourceError(f"layers and directions have gaps: found {found}")
        frozen = {
            position: MappingProxyType(
                {n: _read_only(a) for n, a in self.parameters[position].items()}
            )
            for position in [Position(n, Direction(d)) for n, d in self.parameters]
        }
        object.__setattr__(self, "parameters", MappingProxyType(frozen))
        self._check()

    @classmethod
    def from_arrays(
        cls,
        cell: Cell,
        arrays: Mapping[str, Any],
        *,
        batch_first: bool = False,
        dtype: str | None = None,
        single_step: bool = False,
    ) -> Network:
        """Build a network from arrays under torch's names.

        Args:
            cell: The equations.
            arrays: ``weight_ih_l0``, ``bias_hh_l1_reverse``, … (no suffix where
                `single_step`); numbers or decimal strings, nested or in arrays.
            batch_first: See `Network`.
            dtype: See `Network`.
            single_step: See `Network`.

        Raises:
            ShapeError: Shapes contradict each other.
            SourceError: An array is missing, or not one of the cell's.

        >>> from symrnn.equations import rnn
        >>> Network.from_arrays(
        ...     rnn(bias=False), {"weight_ih_l0": [["-0.8769"]], "weight_hh_l0": [["-0.8218"]]}
        ... )
        Network(RNN (tanh), input_size=1, hidden_size=1, num_layers=1, bidirectional=False)
        """
        remaining = dict(arrays)
        parameters: dict[Position, dict[str, Exact]] = {}
        for position in _positions(cell, arrays, single_step=single_step):
            parameters[position] = {}
            for stacked, members in cell.stacking.items():
                name = array_name(stacked, position, single_step=single_step)
                if name not in remaining:
                    raise SourceError(
                        f"{cell.name}: the parameter {name} is missing; found "
                        f"{', '.join(arrays) or 'none'}"
                    )
                parameters[position] |= _unstack(name, remaining.pop(name), members)
        if remaining:
            raise SourceError(
                f"{cell.name} has no parameter {', '.join(remaining)}; it has "
                f"{', '.join(cell.stacking)} for every layer and direction"
            )
        return cls(
            cell=cell,
            parameters=parameters,
            batch_first=batch_first,
            dtype=dtype,
            single_step=single_step,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        plain = {position: dict(arrays) for position, arrays in self.parameters.items()}
        options = (self.batch_first, self.dtype, self.single_step)
        return _restore, (self.cell, plain, *options)

    # --- sizes ---

    @property
    def num_layers(self) -> int:
        """Number of stacked layers."""
        return 1 + max(layer for layer, _ in self.parameters)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """``("forward",)`` or ``("forward", "reverse")``."""
        return tuple(d for d in DIRECTIONS if Position(0, d) in self.parameters)

    @property
    def bidirectional(self) -> bool:
        """Whether every layer runs in both directions."""
        return len(self.directions) == 2

    @property
    def positions(self) -> tuple[Position, ...]:
        """Every (layer, direction), in torch's order."""
        return tuple(p for n in range(self.num_layers) for p in self.layer(n))

    def layer(self, n: int) -> tuple[Position, ...]:
        """Return the positions of layer n, in the order in which outputs are stacked."""
        return tuple(Position(n, d) for d in self.directions)

    @cached_property
    def sizes(self) -> Mapping[Position, Mapping[sympy.Expr, int]]:
        """What each size symbol stands for, at every (layer, direction)."""
        return {position: self._sizes_at(position) for position in self.positions}

    @property
    def input_size(self) -> int:
        """Number of features of the input."""
        return self.sizes[FIRST][input_size]

    @property
    def hidden_size(self) -> int:
        """Number of hidden units."""
        return self.sizes[FIRST][hidden_size]

    @property
    def state_sizes(self) -> dict[str, int]:
        """Number of features of each state, by name."""
        sizes = self.sizes[FIRST]
        return {
            state: int(sizes.get(size, size))
            for state, size in zip(self.cell.states, self.cell.state_sizes, strict=True)
        }

    @property
    def output_size(self) -> int:
        """Number of features of the output: those of all directions."""
        return len(self.directions) * self.state_sizes[self.cell.states[0]]

    # --- checks ---

    def require_finite(self) -> None:
        """Raise `NotFiniteError` naming the first parameter element that is not finite."""
        found = self.first_non_finite()
        if found is not None:
            raise NotFiniteError(
                f"{found} is not finite, so the equations have no value; "
                "symrnn.audit reports on such a model"
            )

    def first_non_finite(self) -> str | None:
        """Return where a parameter is NaN or infinite, in words, or ``None``."""
        for position, name, array in self._each_parameter():
            index = first_non_finite(array)
            if index is not None:
                return (
                    f"parameter {name}[{', '.join(map(str, index))}] = {array[index]} "
                    f"({position})"
                )
        return None

    def _each_parameter(self) -> Iterator[tuple[Position, str, Exact]]:
        for position, arrays in self.parameters.items():
            for name, array in arrays.items():
                yield position, name, array

    def _check(self) -> None:
        expected = {p.name for p in self.cell.parameters}
        if self.single_step and self.positions != (FIRST,):
            raise SourceError("a single-step cell has one layer and one direction")
        for position, arrays in self.parameters.items():
            if set(arrays) != expected:
                wrong = ", ".join(sorted(set(arrays) ^ expected))
                raise SourceError(f"{position}: parameters missing or unknown: {wrong}")
        first = self.sizes[FIRST]
        for position, sizes in self.sizes.items():
            wanted = dict(first)
            if position.layer:
                wanted[input_size] = self.output_size
            for symbol, size in sizes.items():
                if size != wanted[symbol]:
                    raise ShapeError(
                        f"{position}: {symbol} is {size}, expected "
                        f"{wanted[symbol]} "
                        + (
                            "(the output of the layer below)"
                            if symbol == input_size and position.layer
                            else f"(as in {FIRST})"
                        )
                    )

    def _sizes_at(self, position: Position) -> dict[sympy.Expr, int]:
        """Read the size symbols off the parameters' shapes, or say what disagrees."""
        sizes: dict[sympy.Expr, int] = {}
        came_from: dict[sympy.Expr, str] = {}
        for parameter in self.cell.parameters:
            shape = self.parameters[position][parameter.name].shape
            for symbol, size in zip(parameter.shape, shape, strict=True):
                wanted = (
                    int(symbol) if symbol.is_Integer else sizes.setdefault(symbol, size)
                )
                origin = came_from.setdefault(symbol, parameter.name)
                if size != wanted or size == 0:
                    raise ShapeError(
                        f"{position}: expected {parameter.name} of shape "
                        f"({', '.join(map(str, parameter.shape))}) with {symbol} = {wanted} "
                        f"(from {origin}), got {shape}"
                    )
        return sizes

    def __repr__(self) -> str:
        extra = f", dtype={self.dtype}" if self.dtype else ""
        projected = self.state_sizes[self.cell.states[0]]
        if projected != self.hidden_size:
            extra = f", proj_size={projected}{extra}"
        return (
            f"Network({self.cell.name}, input_size={self.input_size}, "
            f"hidden_size={self.hidden_size}, num_layers={self.num_layers}, "
            f"bidirectional={self.bidirectional}{extra})"
        )


def _restore(
    cell: Cell,
    parameters: Mapping[Position, Mapping[str, Exact]],
    batch_first: bool,
    dtype: str | None,
    single_step: bool,
) -> Network:
    """Make a network again from what `Network.__reduce__` saved."""
    return Network(
        cell=cell,
        parameters=parameters,
        batch_first=batch_first,
        dtype=dtype,
        single_step=single_step,
    )


def _positions(
    cell: Cell, arrays: Mapping[str, Any], *, single_step: bool
) -> list[Position]:
    """Which layers and directions the array names speak of: the first of each group."""
    if single_step:
        return [FIRST]
    first = next(iter(cell.stacking))
    positions: list[Position] = []
    while True:
        layer = len({n for n, _ in positions})
        here = [Position(layer, d) for d in DIRECTIONS]
        found = [p for p in here if array_name(first, p) in arrays]
        if not found:
            if not positions:
                raise SourceError(
                    f"{cell.name}: the parameter {first}_l0 is missing; found "
                    f"{', '.join(arrays) or 'none'}"
                )
            return positions
        positions += found


def _unstack(name: str, values: Any, members: tuple[str, ...]) -> dict[str, Exact]:
    """Split the rows of a stacked array evenly among its members."""
    array = np.array(exact_array(values, name))  # a copy: the network must not change
    if array.ndim not in (1, 2):
        raise ShapeError(
            f"expected {name} with 1 or 2 dimensions, got shape {array.shape}"
        )
    if array.shape[0] % len(members):
        raise ShapeError(
            f"expected {name} with a multiple of {len(members)} rows "
            f"({'|'.join(members)}), got shape {array.shape}"
        )
    if array.ndim == 1:
        array = array[:, np.newaxis]
    return dict(zip(members, np.split(array, len(members)), strict=True))


def _read_only(array: Exact) -> Exact:
    array = array.view()
    array.flags.writeable = False
    return array
