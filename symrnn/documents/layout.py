# SPDX-License-Identifier: BSD-3-Clause
"""What fits on a line: widths of formulas, and the choice of what to show.

Widths are in digits of the text font, measured on Computer Modern at 11 pt; 170 mm of
an A4 page hold 88 of them. They decide where a line is broken, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from symrnn.documents.model import (
    Blank,
    Brackets,
    Code,
    Formula,
    Fraction,
    Function,
    Inline,
    Line,
    Math,
    Matrix,
    Number,
    Piece,
    Sign,
    SignName,
    Symbol,
    is_tall,
)

__all__ = [
    "LINE",
    "columns_that_fit",
    "fill",
    "height",
    "matrix_room",
    "pack",
    "selected",
    "terms",
    "text_width",
    "width",
]

LINE = 83.0
"""Digits that fit on a line, less the indentation of formulas."""

_COMFORT = 62.0
_MATRIX = 60.0
_COLUMN_GAP = 1.2
_FRAME = 3.6
_SIGNS = {
    "plus": 2.5,
    "negative": 1.6,
    "minus": 2.5,
    "equals": 2.8,
    "approx": 2.8,
    "dot": 1.4,
    "odot": 2.5,
    "comma": 1.0,
    "quad": 2.0,
    "cdots": 2.4,
    "vdots": 0.8,
    "ddots": 2.4,
    "transposed": 1.4,
}


def width(math: Math) -> float:
    """Return about how wide `math` prints.

    >>> width((Number("-0.8769"),))
    7.1
    """
    return sum(_piece(piece) for piece in math)


def _piece(piece: Piece) -> float:
    match piece:
        case Number():
            if not piece.most:
                return _decimal(piece.text)
            return max(map(_decimal, piece.lines()))
        case Symbol():
            letters = re.sub(r"\\[A-Za-z]+", "M", piece.base)
            base = sum(1.9 if c.isupper() else 1.1 for c in letters if c.isalnum())
            base = max(base, 2.0 if piece.arrow else 0.0)
            return base + 0.8 * max(len(piece.sub), len(piece.sup))
        case Sign():
            return _SIGNS[piece.name]
        case Function():
            return 0.9 * len(piece.name) + 0.4
        case Fraction():
            return 0.5 + max(width(piece.top), width(piece.bottom))
        case Brackets():
            return width(piece.body) + (3.2 if is_tall(piece.body) else 1.6)
        case Blank():
            return 1.6 * piece.digits + 1.6
        case Matrix():
            columns = zip(*piece.rows, strict=True)
            inner = sum(max(width(cell) for cell in column) for column in columns)
            outer = inner - matrix_room(len(piece.rows[0]), 0.0)
            return outer if piece.bracketed else outer - _FRAME


def _decimal(text: str) -> float:
    digits, e, exponent = text.partition("e")
    size = len(digits) + 0.55 * digits.startswith("-") - 0.45 * digits.count(".")
    return size + _SIGNS["dot"] + 2 + len(exponent) if e else size


def matrix_room(columns: int, room: float) -> float:
    """Return what a matrix that is `room` wide leaves for its columns together."""
    return room - _COLUMN_GAP * (columns - 1) - _FRAME


def text_width(content: Sequence[Inline]) -> float:
    """Return about how wide text prints on one line.

    >>> text_width(("Step ", Formula((Number("2"),))))
    5.75
    """
    return sum(_inline(part) for part in content)


def _inline(part: Inline) -> float:
    match part:
        case Formula():
            return width(part.math)
        case Code():
            return 1.05 * len(part.text)
        case str():
            return 0.95 * len(part)
    return 1.1 * len(part.text)


def height(math: Math) -> float:
    """Return about how high `math` prints, in lines of text.

    >>> height((Number("1"),)), height((Matrix((((Number("1"),),),) * 3),))
    (1.0, 3.4)
    """
    return max((_height(piece) for piece in math), default=1.0)


def _height(piece: Piece) -> float:
    match piece:
        case Blank():
            return 1.6
        case Number():
            return float(len(piece.lines()))
        case Sign(name="vdots" | "ddots"):
            return 1.6
        case Fraction():
            return height(piece.top) + height(piece.bottom) + 0.2
        case Brackets():
            return height(piece.body)
        case Matrix():
            rows = [max(height(cell) for cell in row) for row in piece.rows]
            apart = 0.4 if _has_raised(piece) else 0.0
            return (
                sum(rows) + apart * (len(rows) - 1) + (0.4 if len(rows) > 1 else 0.25)
            )
        case _:
            return 1.0


def _has_raised(matrix: Matrix) -> bool:
    """Tell whether rows stand further apart: see how a matrix is written in TeX."""
    pieces = [piece for row in matrix.rows for cell in row for piece in cell]
    return any(
        isinstance(piece, Fraction)
        or piece == Sign("transposed")
        or (isinstance(piece, Symbol) and piece.sup)
        or (isinstance(piece, Number) and ("e" in piece.text or len(piece.lines()) > 1))
        for piece in pieces
    )


def columns_that_fit(digits: int) -> int:
    """Return how many columns a matrix of numbers below 10 may have, 3 to 8.

    >>> columns_that_fit(4), columns_that_fit(12)
    (6, 3)
    """
    column = digits + 3.1 + _COLUMN_GAP
    return max(3, min(8, int((_MATRIX - _FRAME) / column)))


def selected(count: int, most: int) -> tuple[int, ...]:
    """Return which of `count` things to show where `most` have room; the dots take one.

    >>> selected(5, 8), selected(100, 8), selected(100, 3)
    ((0, 1, 2, 3, 4), (0, 1, 2, 98, 99), (0, 99))
    """
    if count <= most:
        return tuple(range(count))
    first, last = min(3, most // 2), min(2, (most - 1) // 2)
    return (*range(first), *range(count - last, count))


def fill(left: Math, parts: Sequence[Line], indent: float) -> list[Line]:
    """Put what follows `left` on as few lines as are comfortable to read.

    Args:
        left: The left-hand side.
        parts: Right-hand sides in order, each with its relation; their own left-hand
            sides are not used.
        indent: Width of what stands to the left of the relations.
    """
    lines: list[Line] = []
    widths: list[float] = []  # measured once: it is most of the work
    for part in parts:
        own = width(part.right)
        if not lines:
            lines.append(Line(left, part.relation, part.right))
            widths.append(own)
            continue
        last = lines[-1]
        assert part.relation is not None
        relation = Sign(part.relation)
        together = widths[-1] + width((relation,)) + own
        is_value = len(part.right) == 1 and isinstance(part.right[0], Matrix | Number)
        if together + indent <= (LINE if is_value else _COMFORT):
            joined = (*last.right, relation, *part.right)
            lines[-1] = Line(last.left, last.relation, joined)
            widths[-1] = together
        else:
            lines.append(Line((), part.relation, part.right))
            widths.append(own)
    room = LINE - indent
    found: list[Line] = []
    for line, own in zip(lines, widths, strict=True):
        found += [line] if own <= room else _broken(line, room)
    return found


def _broken(line: Line, room: float) -> list[Line]:
    """Break a line that is too wide at its relations, then at its sums."""
    if width(line.right) <= room:
        return [line]
    for index in reversed(range(1, len(line.right))):
        piece = line.right[index]
        if isinstance(piece, Sign) and piece.name in ("equals", "approx"):
            head = Line(line.left, line.relation, line.right[:index])
            relation = "equals" if piece.name == "equals" else "approx"
            tail = Line((), relation, line.right[index + 1 :])  # type: ignore[arg-type]
            return _broken(head, room) + _broken(tail, room)
    raised = line.right[-1:] if line.right[-1] == Sign("transposed") else ()
    parts = _opened(line.right[:-1] if raised else line.right, room)
    if len(parts) > 1:
        first, *middle, last = parts
        return [
            Line(line.left, line.relation, first),
            *(Line((), None, part) for part in middle),
            Line((), None, (*last, *raised)),
        ]
    start, *more = terms(line.right, room)
    return [
        Line(line.left, line.relation, start),
        *(Line((), None, part) for part in more),
    ]


def terms(math: Math, room: float) -> list[Math]:
    """Split a sum before its signs, so that each part has room; or products too."""
    lines: list[Math] = []
    for term in _split_before(math, ("plus", "minus")):
        factors = [term]
        if width(term) > room:
            factors = _split_before(_dotted(term), ("odot", "dot"))
        for part in (short for long in factors for short in _opened(long, room)):
            if lines and width(lines[-1]) + width(part) <= room:
                lines[-1] = (*lines[-1], *part)
            else:
                lines.append(part)
    return lines


def _opened(term: Math, room: float) -> list[Math]:
    """Break a product whose last factor is a sum in brackets, where it has no room."""
    *before, last = term
    if width(term) <= room or not isinstance(last, Brackets) or not last.opened:
        return [term]
    start, *more = terms(last.body, room - width(tuple(before)) - 4.6)
    if not more:
        return [term]
    *middle, end = (Brackets(part, opened=False, closed=False) for part in more)
    opening = (*before, Brackets(start, closed=False))
    return [opening, *((part,) for part in middle), (replace(end, closed=last.closed),)]


def _dotted(term: Math) -> Math:
    """Put the sign of a product, where a line may break, between two matrices."""
    dotted: Math = ()
    for piece in term:
        if dotted and isinstance(dotted[-1], Matrix) and isinstance(piece, Matrix):
            dotted = (*dotted, Sign("dot"))
        dotted = (*dotted, piece)
    return dotted


def _split_before(math: Math, signs: tuple[SignName, ...]) -> list[Math]:
    parts: list[Math] = [()]
    for piece in math:
        if isinstance(piece, Sign) and piece.name in signs and parts[-1]:
            parts.append(())
        parts[-1] = (*parts[-1], piece)
    return parts


def pack(formulas: Sequence[Math]) -> tuple[Math, ...]:
    """Put short formulas side by side, on as few lines as they fit, evenly filled."""
    widths = [[_piece(piece) for piece in formula] for formula in formulas]
    lines = _packed(widths, LINE)
    narrower = LINE
    while narrower > 0 and len(narrow := _packed(widths, narrower - 1)) == len(lines):
        narrower, lines = narrower - 1, narrow
    return tuple(_beside(formulas[first:end]) for first, end in lines)


_GAP: Math = (Sign("comma"), Sign("quad"))


def _packed(widths: Sequence[list[float]], room: float) -> list[tuple[int, int]]:
    """Return which formulas stand on each line, from the widths of their pieces."""
    gap = [_piece(piece) for piece in _GAP]
    lines: list[tuple[int, int]] = []
    line: list[float] = []
    for number, formula in enumerate(widths):
        longer = [*line, *gap, *formula]
        if lines and sum(longer) <= room:
            lines[-1], line = (lines[-1][0], number + 1), longer
        else:
            lines.append((number, number + 1))
            line = formula
    return lines


def _beside(formulas: Sequence[Math]) -> Math:
    together = formulas[0]
    for formula in formulas[1:]:
        together = (*together, *_GAP, *formula)
    return together
