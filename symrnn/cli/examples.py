# SPDX-License-Identifier: BSD-3-Clause
"""Six small networks that come with symrnn, and what a notebook printed of five."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from typing import Any

from flint import arb, fmpq

from symrnn.domains.ball import BallDomain, Balls
from symrnn.networks.inputs import read_inputs
from symrnn.networks.network import Network
from symrnn.networks.sources import load
from symrnn.runs.evaluate import evaluate
from symrnn.runs.run import run

__all__ = ["PRINTED_PLACES", "Example", "examples", "printed_outputs"]

PRINTED_PLACES = 4
"""Digits after the point of every number that the notebook prints."""

_FILES = ("seed.json", "parity.json")
_CELLS = {"rnn": "rnn_tanh"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A network that comes with symrnn, its input, and what a notebook printed of it.

    Attributes:
        name: The name of its files.
        title: What its documents are called.
        note: Where it comes from.
        net: The network.
        x: Its input.
        printed: The outputs that the notebook prints, as decimals, or ``None``.
    """

    name: str
    title: str
    note: str
    net: Network
    x: Any
    printed: Any


def examples() -> Iterator[Example]:
    """Yield the examples that come with symrnn.

    >>> [example.name for example in examples()]
    ['basic', 'features', 'hidden', 'bidirectional', 'stacked', 'parity']
    """
    for file in _FILES:
        text = (files("symrnn.cli") / "data" / file).read_text(encoding="utf-8")
        content = json.loads(text)
        for entry in content if isinstance(content, list) else [content]:
            net = load(
                entry["parameters"],
                cell=_CELLS.get(entry["cell"], entry["cell"]),
                batch_first=entry["batch_first"],
                dtype=entry.get("dtype"),
            )
            yield Example(
                name=entry["name"],
                title=entry["title"],
                note=entry["note"],
                net=net,
                x=entry["x"],
                printed=entry.get("output"),
            )


def printed_outputs(example: Example) -> tuple[int, int, int]:
    """Hold an example's printed outputs against its weights.

    A number printed to 4 decimals stands for all within half a unit of the fourth. An
    output is the same to the digit if the exact value for the weights rounds to it, and
    reproduced within rounding if the numbers it stands for meet an enclosure of what
    weights that round to the given ones can give.

    Returns:
        How many outputs there are; how many are the same to the digit; how many are
        reproduced within rounding.

    >>> first = next(examples())
    >>> first.printed
    [['-0.9897'], ['-0.9909'], ['-0.9984']]
    >>> printed_outputs(first)
    (3, 3, 3)
    """
    texts = [text for row in example.printed for text in row]
    trace = evaluate(example.net, example.x, places=PRINTED_PLACES)
    exact = trace.output.decimal(places=PRINTED_PLACES)
    found = [text for row in exact for text in row]
    half = fmpq(1, 2 * 10**PRINTED_PLACES)
    possible = 0
    for text, (low, high) in zip(texts, _possible_outputs(example), strict=True):
        ratio = Fraction(text)
        number = fmpq(ratio.numerator, ratio.denominator)
        possible += bool(low <= number + half and number - half <= high)
    same = sum(a == b for a, b in zip(texts, found, strict=True))
    return len(texts), same, possible


def _possible_outputs(example: Example) -> list[Any]:
    """Enclose every output that weights which print so can give."""
    trace = run(example.net, read_inputs(example.net, example.x), _PrintedWeights(128))
    return list(trace.output.intervals().flat)


class _PrintedWeights(BallDomain):
    """Balls in which a parameter stands for all numbers that print as it does."""

    def parameter(self, name: str, values: Any, position: tuple[int, str]) -> Balls:
        half = arb(0, 1) * arb(fmpq(1, 2 * 10**PRINTED_PLACES))
        return self.matrix(values).map(lambda ball: ball + half)
