# SPDX-License-Identifier: BSD-3-Clause
"""Sums and numbers that are wider than paper, broken into lines of their own.

Equations have been broken where they are too wide already, so only lines are changed
whose single numbers, or the columns of one matrix, have no room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symrnn.documents.layout import LINE, matrix_room, terms, width
from symrnn.documents.model import (
    Block,
    Brackets,
    Display,
    Document,
    Equations,
    Formula,
    Fraction,
    Inline,
    Math,
    Matrix,
    Number,
    Piece,
    Table,
)

__all__ = ["with_long_numbers_broken"]

_RELATION = 2.8
_QUAD = 2.0  # by which the further lines of a sum are set in
_BRACKETS = 3.2
_ATTEMPTS = 4
_LEAST = 12.0
"""Digits a broken number has on a line, however little room there is."""


def with_long_numbers_broken(document: Document, room: float = LINE) -> Document:
    """Return `document` with numbers broken where a line has more than `room` digits."""
    return Document(tuple(_block(block, room) for block in document))


def _block(block: Block, room: float) -> Block:
    match block:
        case Equations():
            left = max(width(line.left) for line in block.lines) + _RELATION
            lines = (
                replace(line, right=_narrowed(line.right, room - left))
                for line in block.lines
            )
            return Equations(tuple(lines))
        case Display():
            return Display(tuple(_narrowed(line, room) for line in block.lines))
        case Table():
            rows = (
                tuple(tuple(_inline(part, room) for part in cell) for cell in row)
                for row in block.rows
            )
            return replace(block, rows=tuple(rows))
        case _:
            return block


def _inline(part: Inline, room: float) -> Inline:
    return Formula(_narrowed(part.math, room)) if isinstance(part, Formula) else part


def _narrowed(math: Math, room: float) -> Math:
    """Break the numbers in the widest parts of `math`, if it is too wide for `room`."""
    widths = [width((piece,)) for piece in math]
    if sum(widths) <= room:
        return math
    found, share = math, room
    for _ in range(_ATTEMPTS):
        rooms = _shares(widths, share)
        found = tuple(
            piece if own <= r else _piece(piece, r)
            for piece, own, r in zip(math, widths, rooms, strict=True)
        )
        if width(found) <= room:
            break
        share -= width(found) - room  # brackets are wider around several lines
    return found


def _piece(piece: Piece, room: float) -> Piece:
    match piece:
        case Number():
            return replace(piece, most=int(room))
        case Brackets():
            return replace(piece, body=_narrowed(piece.body, room - _BRACKETS))
        case Fraction():
            top, bottom = _narrowed(piece.top, room), _narrowed(piece.bottom, room)
            return Fraction(top, bottom)
        case Matrix():
            columns = zip(*piece.rows, strict=True)
            widths = [max(width(cell) for cell in column) for column in columns]
            rooms = _shares(widths, matrix_room(len(widths), room))
            rows = (
                tuple(_cell(cell, r) for cell, r in zip(row, rooms, strict=True))
                for row in piece.rows
            )
            return replace(piece, rows=tuple(rows))
        case _:
            return piece


def _cell(math: Math, room: float) -> Math:
    """Break a sum that is too wide into lines, and then numbers that are."""
    lines = [math] if width(math) <= room else terms(math, room - _QUAD)
    if len(lines) == 1:
        return _narrowed(math, room)
    rows = tuple((_narrowed(line, room - _QUAD),) for line in lines)
    return (Matrix(rows, bracketed=False),)


def _shares(widths: Sequence[float], room: float) -> list[float]:
    """Share room: narrow things get what they need, wide ones what those leave."""
    share = room
    for count, own in zip(range(len(widths), 0, -1), sorted(widths), strict=True):
        share = room / count
        if own > share:
            break
        room -= own
    return [min(own, max(share, _LEAST)) for own in widths]
