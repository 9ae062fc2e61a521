# SPDX-License-Identifier: BSD-3-Clause
"""Networks with friendly numbers, drawn from a seed.

Nothing but ``Random.random`` is asked of the generator: that is the one method whose
sequence Python promises to keep, on every platform, for a seed that is text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from symrnn.equations.cells import find_cell
from symrnn.equations.language import Elementwise, postorder
from symrnn.errors import UnsupportedError
from symrnn.networks.network import DIRECTIONS, FIRST, Network, Position, array_name
from symrnn.networks.sources import load
from symrnn.runs.evaluate import evaluate
from symrnn.runs.trace import Trace

__all__ = ["ALGORITHM", "Friendly", "Palette", "Size", "draw"]

ALGORITHM = "friendly/1"
"""Names this way of drawing; another number wherever a seed gives something else."""

_MOST_ATTEMPTS = 400
_MOST_ARGUMENT = 2.5  # beyond it, tanh is nearly 1
_MOST_BIAS = Decimal("0.5")
_CLOSE = 12  # decimals of what a layer reads, to tell whether it is friendly
_FAN_IN = 3  # how many weights of a row are not zero, on average, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """The numbers that a network is made of.

    Attributes:
        unit: Weights and biases are multiples of it.
        most: The largest weight.
        input_unit: Inputs are multiples of it, at most 2.
        bias: Whether there are biases.
    """

    unit: Decimal
    most: Decimal
    input_unit: Decimal
    bias: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Friendly:
    """A network to work out by hand, as text that `symrnn.load` and `evaluate` read.

    Attributes:
        cell: Its name.
        parameters: Nested lists of decimals, by torch's names.
        x: (steps, features).
    """

    cell: str
    parameters: dict[str, Any]
    x: list[list[str]]

    def load(self) -> Network:
        """Return the network."""
        return load(self.parameters, cell=self.cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a network is; names are torch's.

    Attributes:
        hidden: Units of a layer in one direction.
        inputs: Features of the input.
        steps: Steps.
        layers: Layers.
        bidirectional: Whether each layer has a reverse direction too.
    """

    hidden: int = 2
    inputs: int = 2
    steps: int = 3
    layers: int = 1
    bidirectional: bool = False

    def __str__(self) -> str:
        text = f"{self.hidden}-{self.inputs}-{self.steps}"
        text += f"-{self.layers}-layers" * (self.layers > 1)
        return text + "-bidirectional" * self.bidirectional

    @property
    def widest(self) -> int:
        """The most features that a layer reads."""
        below = self.hidden * (1 + self.bidirectional) if self.layers > 1 else 0
        return max(self.inputs, below)

    def positions(self) -> Iterator[tuple[Position, int]]:
        """Yield each layer and direction, with the features that it reads."""
        features = self.inputs
        for layer in range(self.layers):
            for direction in DIRECTIONS[: 1 + self.bidirectional]:
                yield Position(layer, direction), features
            features = self.hidden * (1 + self.bidirectional)


def draw(cell: str, size: Size, *, palette: Palette, seed: str) -> Friendly:
    """Draw networks until one is friendly: it neither saturates, nor dies, nor repeats.

    Raises:
        SourceError: There is no such cell.
        UnsupportedError: None was found.

    >>> halves = Palette(
    ...     unit=Decimal("0.5"), most=Decimal(1), input_unit=Decimal(1), bias=False
    ... )
    >>> size = Size(hidden=1, inputs=1, steps=2)
    >>> drawn = draw("rnn_relu", size, palette=halves, seed="3")
    >>> drawn.parameters["weight_ih_l0"], drawn.x
    ([['0.5']], [['1'], ['2']])
    """
    rng = Random(f"{ALGORITHM} {cell} {str(size).replace('-', ' ')} {seed}")
    part = _Part(rng, cell, size.hidden, palette)
    first, *others = size.positions()
    arrays, x = part.first(size)
    outputs = {first[0]: part.outputs(arrays, x)}
    parameters = {array_name(name, first[0]): a for name, a in arrays.items()}
    for position, features in others:
        layer, direction = position
        below = [outputs[p] for p in outputs if p.layer == layer - 1] or [x]
        read = [[v for row in rows for v in row] for rows in zip(*below, strict=True)]
        stride = direction.stride
        arrays = part.next(features, read[::stride])
        outputs[position] = part.outputs(arrays, read[::stride])[::stride]
        parameters |= {array_name(name, position): a for name, a in arrays.items()}
    return Friendly(cell=cell, parameters=parameters, x=x)


Arrays = dict[str, Any]
"""Parameters of one layer in one direction, by torch's names without layer."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Draws one layer in one direction at a time, as a network of its own."""

    rng: Random
    cell: str
    hidden: int
    palette: Palette

    def first(self, size: Size) -> tuple[Arrays, list[list[str]]]:
        """Return a layer and what it reads."""
        for attempt in range(_MOST_ATTEMPTS):
            # Large networks saturate less where inputs are small.
            largest = Decimal(2 if attempt < _MOST_ATTEMPTS // 4 else 1)
            arrays = self._arrays(size.inputs)
            x = [
                [
                    _number(self.rng, self.palette.input_unit, largest)
                    for _ in range(size.inputs)
                ]
                for _ in range(size.steps)
            ]
            if all(any(map(Fraction, row)) for row in x) and self._friendly(arrays, x):
                return arrays, x
        raise self._none(size.inputs, size.steps)

    def next(self, features: int, x: list[list[str]]) -> Arrays:
        """Return a layer that reads `x`."""
        for _ in range(_MOST_ATTEMPTS):
            arrays = self._arrays(features)
            if self._friendly(arrays, x):
                return arrays
        raise self._none(features, len(x))

    def outputs(self, arrays: Arrays, x: list[list[str]]) -> list[list[str]]:
        """Return what a layer gives to the next, to more digits than matter."""
        output = evaluate(self._load(arrays), x, domain="mp").output
        return [list(row) for row in output.decimal(places=_CLOSE)]

    def _load(self, arrays: Arrays) -> Network:
        return load({f"{n}_l0": array for n, array in arrays.items()}, cell=self.cell)

    def _arrays(self, features: int) -> Arrays:
        rows = self.hidden * len(self._gates)
        arrays: Arrays = {
            "weight_ih": _matrix(self.rng, rows, features, self.palette),
            "weight_hh": _matrix(self.rng, rows, self.hidden, self.palette),
        }
        for name in ("bias_ih", "bias_hh") if self.palette.bias else ():
            numbers = (
                _number(self.rng, self.palette.unit, _MOST_BIAS) for _ in range(rows)
            )
            arrays[name] = list(numbers)
        return arrays

    @property
    def _gates(self) -> tuple[str, ...]:
        return tuple(find_cell(self.cell, bias=self.palette.bias).stacking["weight_ih"])

    def _friendly(self, arrays: Arrays, x: list[list[str]]) -> bool:
        rows = [*arrays["weight_ih"], *arrays["weight_hh"]]
        return all(any(map(Fraction, row)) for row in rows) and _is_friendly(
            evaluate(self._load(arrays), x, domain="mp", keep="nodes")
        )

    def _none(self, features: int, steps: int) -> UnsupportedError:
        return UnsupportedError(
            f"no friendly {self.cell} with {self.hidden} units, {features} inputs and "
            f"{steps} steps was found in {_MOST_ATTEMPTS} attempts; ask for fewer, for "
            "another seed, or for more inputs"
        )


def _matrix(rng: Random, rows: int, columns: int, palette: Palette) -> list[list[str]]:
    return [
        [
            _number(rng, palette.unit, palette.most, zero=False)
            if rng.random() * columns < _FAN_IN
            else "0"
            for _ in range(columns)
        ]
        for _ in range(rows)
    ]


def _number(rng: Random, unit: Decimal, most: Decimal, *, zero: bool = True) -> str:
    """Return a multiple of `unit` from ``-most`` to `most`."""
    count = int(most / unit)
    if zero:
        n = int(rng.random() * (2 * count + 1)) - count
    else:
        n = int(rng.random() * count) + 1
        n = n if rng.random() < 0.5 else -n
    return format((n * unit).normalize(), "f") if n else "0"


# --- what makes a network friendly --------------------------------------------------


def _is_friendly(trace: Trace) -> bool:
    largest = max(abs(v) for column in _arguments(trace) for v in column)
    states = [
        [float(v) for v in step[state].decimal(places=6)]
        for step in trace
        for state in trace.net.cell.states
    ]
    return largest <= _MOST_ARGUMENT and _alive(states)


def _arguments(trace: Trace) -> Iterator[list[float]]:
    """Yield the arguments of every function at every step."""
    nodes = [
        node.args[1]
        for equation in trace.net.cell.equations
        for node in postorder(equation.value)
        if isinstance(node, Elementwise)
    ]
    for values in trace.records[FIRST].steps:
        for node in nodes:
            yield [float(v) for (v,) in trace.domain.rows(values[node])]


def _alive(states: list[list[float]]) -> bool:
    """Tell whether no unit is 0 throughout or does as another, and no state comes twice."""
    units = list(zip(*states, strict=True))
    return (
        all(any(unit) for unit in units)
        and len(set(units)) == len(units)
        and all(any(state) for state in states)
        and len(set(map(tuple, states))) == len(states)
    )
