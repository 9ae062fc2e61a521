# SPDX-License-Identifier: BSD-3-Clause
"""The colours of tones: one for each gate of a cell, on white paper and on a dark screen.

Hues are those of Okabe & Ito (2008), which the colour-blind can tell apart, darkened and
lightened until they have a contrast of 4.5 : 1 with `PAPER` and `NIGHT` (WCAG 2.2, 1.4.3).
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
    Colour("0072B2", "56B4E9"),  # blue
    Colour("B34700", "F08A3C"),  # vermilion
    Colour("00755A", "2FBF98"),  # bluish green
    Colour("A3447A", "E08DBC"),  # reddish purple
    Colour("7A5C00", "D9B23A"),  # dark yellow
    Colour("4B4FB5", "A3A6F5"),  # violet
)


def palette(tones: Iterable[str]) -> dict[str, Colour]:
    """Return a colour for each tone; after six they begin again.

    >>> palette(["i", "f"])["f"].light
    'B34700'
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
