# SPDX-License-Identifier: BSD-3-Clause
"""The colours of tones: one for each gate of a cell, on white paper and on a dark screen.

Each has a contrast of 4.5 : 1 with `PAPER` or `NIGHT` (WCAG 2.2, 1.4.3). Under that
condition they were searched for as far apart as can be, and from the ink, to the eyes of
everybody: distances in CIELAB, as seen by people without red or green cones (Machado,
Oliveira & Fernandes, 2009). They differ in lightness too, since hues alone do not suffice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Any, NamedTuple

from symrnn.documents.model import Document, Node, Symbol

__all__ = ["NIGHT", "PAPER", "Colour", "palette", "tones_of"]

PAPER = "FFFFFF"
NIGHT = "1B1B1B"


class Colour(NamedTuple):
    """A colour as six hexadecimal digits, on a light and on a dark background."""

    light: str
    dark: str


_COLOURS = (
    Colour("0A4FEC", "2E89F9"),  # blue
    Colour("AD5C0D", "DE7719"),  # orange
    Colour("22805C", "02F18F"),  # green
    Colour("CF07A7", "DD59A2"),  # magenta
    Colour("3E3808", "FAE957"),  # olive, yellow
    Colour("180547", "CAB8FC"),  # indigo, lavender
)


def palette(tones: Iterable[str]) -> dict[str, Colour]:
    """Return a colour for each tone; after six they begin again.

    >>> palette(["i", "f"])["f"].light
    'AD5C0D'
    """
    return dict(zip(dict.fromkeys(tones), cycle(_COLOURS), strict=False))


def tones_of(document: Document) -> tuple[str, ...]:
    """Return the tones of a document's symbols, in order of first appearance."""
    return tuple(dict.fromkeys(tone for tone in _walk(document.blocks) if tone))


def _walk(part: Any) -> Iterator[str]:
    if isinstance(part, Symbol):
        yield part.tone
    elif isinstance(part, tuple):
        for item in part:
            yield from _walk(item)
    elif hasattr(part, "__dataclass_fields__") and not isinstance(part, Node):
        for name in part.__dataclass_fields__:
            yield from _walk(getattr(part, name))
