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

from symrnn.cells import find_cell
from symrnn.errors import UnsupportedError
from symrnn.evaluate import evaluate
from symrnn.language import Elementwise, postorder
from symrnn.network import Network
from symrnn.sources import load
from symrnn.trace import Trace

__all__ = ["ALGORITHM", "Friendly", "Palette", "draw"]

ALGORITHM = "friendly/1"
"""Names this way of drawing; another number wherever a seed gives something else."""

_MOST_ATTEMPTS = 400
_MOST_ARGUMENT = 2.5  # beyond it, tanh is nearly 1
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


def draw(
    cell: str, *, hidden: int, inputs: int, steps: int, palette: Palette, seed: str
) -> Friendly:
    """Draw networks until one is friendly: it neither saturates, nor dies, nor repeats.

    Raises:
        SourceError: There is no such cell.
        UnsupportedError: None was found.

    >>> halves = Palette(
    ...     unit=Decimal("0.5"), most=Decimal(1), input_unit=Decimal(1), bias=False
    ... )
    >>> drawn = draw("rnn_relu", hidden=1, inputs=1, steps=2, palette=halves, seed="3")
    >>> drawn.parameters["weight_ih_l0"], drawn.x
    ([['0.5']], [['1'], ['2']])
    """
    rng = Random(f"{ALGORITHM} {cell} {hidden} {inputs} {steps} {seed}")
    gates = len(find_cell(cell, bias=palette.bias).stacking["weight_ih"])
    for attempt in range(_MOST_ATTEMPTS):
        # Large networks saturate less where inputs are small.
        largest = Decimal(2 if attempt < _MOST_ATTEMPTS // 4 else 1)
        parameters: dict[str, Any] = {
            "weight_ih_l0": _matrix(rng, gates * hidden, inputs, palette),
            "weight_hh_l0": _matrix(rng, gates * hidden, hidden, palette),
        }
        if palette.bias:
            for name in ("bias_ih_l0", "bias_hh_l0"):
                parameters[name] = [
                    _number(rng, palette.unit, Decimal("0.5"))
                    for _ in range(gates * hidden)
                ]
        x = [
            [_number(rng, palette.input_unit, largest) for _ in range(inputs)]
            for _ in range(steps)
        ]
        found = Friendly(cell=cell, parameters=parameters, x=x)
        if _varied(found) and _is_friendly(
            evaluate(found.load(), x, domain="mp", keep="nodes")
        ):
            return found
    raise UnsupportedError(
        f"no friendly {cell} with {hidden} units, {inputs} inputs and {steps} steps was "
        f"found in {_MOST_ATTEMPTS} attempts; ask for fewer, for another seed, or for more inputs"
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


def _varied(found: Friendly) -> bool:
    """Tell whether no row of weights and no input is zero."""
    rows = [*found.parameters["weight_ih_l0"], *found.parameters["weight_hh_l0"]]
    return all(any(Fraction(v) for v in row) for row in [*rows, *found.x])


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
    for values in trace.records[0, "forward"].steps:
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
