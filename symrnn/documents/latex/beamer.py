# SPDX-License-Identifier: BSD-3-Clause
"""Slides: a frame for each heading, and further ones where it does not fit on one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from symrnn.documents.latex.blocks import Blocks, tables_for
from symrnn.documents.latex.math import Tex
from symrnn.documents.layout import height, text_width, width
from symrnn.documents.model import (
    Block,
    Display,
    Document,
    Equations,
    Figure,
    Heading,
    Inline,
    Paragraph,
    Script,
    Table,
)

__all__ = ["write_frames"]

_PREAMBLE = r"""\documentclass[11pt,aspectratio=169,fleqn]{beamer}
\usefonttheme[onlymath]{serif}
\setbeamertemplate{navigation symbols}{}
\setbeamertemplate{footline}[frame number]
\usepackage{amsmath}
"""

_SPACING = r"""\setlength{\parskip}{0.6ex}
\setlength{\mathindent}{0.8em}
\setlength{\arraycolsep}{3pt}
\setlength{\emergencystretch}{3em}
"""

# The skips of formulas are set by every change of the size of print.
_FRAME = (
    r"{size}\setlength{{\abovedisplayskip}}{{0.8ex}}"
    r"\setlength{{\belowdisplayskip}}{{0.8ex}}"
    r"\setlength{{\abovedisplayshortskip}}{{0.8ex}}"
    r"\setlength{{\belowdisplayshortskip}}{{0.8ex}}"
)


@dataclass(frozen=True, slots=True)
class _Print:
    """A size of print, and what a frame of 160 mm by 90 mm holds in it.

    Attributes:
        command: What selects it.
        width: Digits on a line.
        height: Lines.
    """

    command: str
    width: float
    height: float


_PRINTS = (
    _Print(r"\normalsize", 64, 13.4),
    _Print(r"\small", 70, 15.4),
    _Print(r"\footnotesize", 78, 16.5),
    _Print(r"\scriptsize", 88, 18.9),
)
_READABLE = _PRINTS[2]

_MOST_IN_A_TABLE = 10


def write_frames(document: Document, tex: Tex, packages: str) -> str:
    """Write `document` as slides.

    Args:
        document: What to write.
        tex: The writer for mathematics.
        packages: The part of the preamble that loads what the document needs.
    """
    # A conditional is not allowed in a frame; and where there is beamer, there is TikZ.
    blocks = Blocks(
        tex,
        sections=1,
        line=_PRINTS[0].width,
        figure_width=132,
        figure_height=52,
        asks_for_tikz=False,
    )
    frames = "\n".join(_frame(frame, blocks) for frame in _frames(document))
    return (
        f"{_PREAMBLE}{packages}{_SPACING}\\begin{{document}}\n\n{frames}"
        "\n\\end{document}\n"
    )


# --- what is on a frame -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame.

    Attributes:
        title: Its title; that of the title page if it has no blocks.
        blocks: What is on it.
        part: Which of the frames with this title it is, from 1.
        print: In which size.
    """

    title: tuple[Inline, ...]
    blocks: tuple[Block, ...] = ()
    part: int = 1
    print: _Print = _PRINTS[0]


def _frames(document: Document) -> Iterator[_Frame]:
    """Yield frames: what stands below a heading, up to the next."""
    titles: list[tuple[int, tuple[Inline, ...]]] = []
    held: list[Block] = []
    for block in document:
        if isinstance(block, Heading):
            yield from _filled(_title(titles), held)
            held = []
            titles = [(level, t) for level, t in titles if level < block.level]
            if block.level == 1:
                yield _Frame(block.content)
            else:
                titles.append((block.level, block.content))
        elif not isinstance(block, Script):
            held.append(block)
    yield from _filled(_title(titles), held)


def _title(titles: Sequence[tuple[int, tuple[Inline, ...]]]) -> tuple[Inline, ...]:
    """Return a heading with those that it stands under."""
    content: tuple[Inline, ...] = ()
    for _, title in titles:
        content = (*content, *((": ",) if content else ()), *title)
    return content


def _filled(title: tuple[Inline, ...], blocks: Sequence[Block]) -> Iterator[_Frame]:
    """Yield as many frames as the blocks take."""
    if not blocks:
        return
    units = list(_units(blocks))
    size = _size_for(units)
    held: list[Block] = []
    part = 1
    for unit in units:
        fits = _total(unit, size) <= size.height
        for i, group in enumerate([unit] if fits else _groups(unit)):
            # What takes several frames begins on a new one.
            begins = i == 0 and not fits
            if held and (begins or _total([*held, *group], size) > size.height):
                yield _Frame(title, _joined(held), part, size)
                held, part = [], part + 1
            held += group
    yield _Frame(title, _joined(held), part, size)


def _units(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Yield what belongs together: a paragraph and the formulas that follow it."""
    unit: list[Block] = []
    for block in blocks:
        if unit and not _goes_with(unit[-1], block):
            yield unit
            unit = []
        unit.append(block)
    yield unit


def _goes_with(previous: Block, block: Block) -> bool:
    return isinstance(previous, Paragraph) and (
        previous.leads or isinstance(block, Equations | Display)
    )


def _size_for(units: Sequence[Sequence[Block]]) -> _Print:
    """Return the largest print in which each line fits, and, unless small, each unit."""
    lines = [line for unit in units for block in unit for line in _formulas(block)]
    wide = [s for s in _PRINTS if all(w <= s.width for w, _ in lines)] or [_PRINTS[-1]]
    for size in wide:
        highest = max((_row_height(h) for _, h in lines), default=0.0)
        if highest <= size.height and all(
            _total(unit, size) <= size.height for unit in units
        ):
            return size
    return min(wide, key=lambda size: abs(size.height - _READABLE.height))


def _formulas(block: Block) -> Iterator[tuple[float, float]]:
    """Yield width and height of each formula on a line of its own."""
    match block:
        case Equations():
            indent = max(width(line.left) for line in block.lines)
            for line in block.lines:
                yield indent + 3 + width(line.right), height(line.right)
        case Display():
            for formula in block.lines:
                yield width(formula), height(formula)
        case _:
            return


def _pieces(block: Block) -> Iterator[Block]:
    """Yield the parts of a block between which a new frame may begin."""
    match block:
        case Equations():
            yield from (Equations((line,)) for line in block.lines)
        case Display():
            yield from (Display((formula,)) for formula in block.lines)
        case Table():
            parts = tables_for(block, _PRINTS[0].width)
            step = _MOST_IN_A_TABLE if parts == 1 else max(1, 9 // parts)
            for start in range(0, len(block.rows), step):
                yield replace(block, rows=block.rows[start : start + step])
        case _:
            yield block


def _groups(unit: Sequence[Block]) -> Iterator[list[Block]]:
    """Yield the parts of a unit between which a new frame may begin."""
    group: list[Block] = []
    for piece in (piece for block in unit for piece in _pieces(block)):
        if group and not _goes_with(group[-1], piece):
            yield group
            group = []
        group.append(piece)
    yield group


def _joined(pieces: Sequence[Block]) -> tuple[Block, ...]:
    """Put lines together again that are aligned with each other."""
    blocks: list[Block] = []
    for piece in pieces:
        last = blocks[-1] if blocks else None
        if isinstance(piece, Equations) and isinstance(last, Equations):
            blocks[-1] = Equations((*last.lines, *piece.lines))
        elif isinstance(piece, Display) and isinstance(last, Display):
            blocks[-1] = Display((*last.lines, *piece.lines))
        else:
            blocks.append(piece)
    return tuple(blocks)


def _total(pieces: Sequence[Block], size: _Print) -> float:
    return sum(_height(piece, size) for piece in pieces)


def _height(piece: Block, size: _Print) -> float:
    """Return about how high a piece is, in lines of its size of print."""
    match piece:
        case Equations():
            return sum(_row_height(height(line.right)) for line in piece.lines)
        case Display():
            return sum(_row_height(height(formula)) for formula in piece.lines)
        case Table():
            return tables_for(piece, _PRINTS[0].width) * (1.2 * len(piece.rows) + 2.5)
        case Figure():
            return size.height  # a frame of its own
        case Paragraph():
            return math.ceil(text_width(piece.content) / size.width) + 0.6
        case _:
            return 1.0


def _row_height(lines: float) -> float:
    return lines + (0.55 if lines > 1.5 else 0.3)


# --- writing ------------------------------------------------------------------------


def _frame(frame: _Frame, blocks: Blocks) -> str:
    title = blocks.text(frame.title)
    if not frame.blocks:
        return (
            "\\begin{frame}[plain]\n"
            rf"\vfill\centering\LARGE {title}\par\vfill"
            "\n\\end{frame}\n"
        )
    if frame.part > 1:
        title += rf" \small({frame.part})"
    body = "\n\n".join(blocks.block(block) for block in frame.blocks)
    opening = _FRAME.format(size=frame.print.command)
    return f"\\begin{{frame}}[t]{{{title}}}\n{opening}\n{body}\n\\end{{frame}}\n"
