# SPDX-License-Identifier: BSD-3-Clause
"""The writer for LaTeX: a document of its own, a fragment for another, or slides.

All compile under pdfTeX, XeTeX and LuaTeX. They need amsmath; colour needs xcolor, and
drawings appear where there is TikZ.

Note [Long numbers]
    Equations come broken where they are too wide (`symrnn.documents.layout`). What is
    still wider than paper is a single number, or the columns of one matrix: those are
    broken into lines of their own here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

from symrnn.documents.colours import palette, tones_of
from symrnn.documents.latex.beamer import write_frames
from symrnn.documents.latex.blocks import INDENT, TABLE_RULES, Blocks
from symrnn.documents.latex.math import Tex
from symrnn.documents.layout import LINE, matrix_room, terms, width
from symrnn.documents.model import (
    Block,
    Brackets,
    Display,
    Document,
    Equations,
    Figure,
    Formula,
    Fraction,
    Heading,
    Inline,
    Math,
    Matrix,
    Number,
    Paragraph,
    Piece,
    Table,
)
from symrnn.errors import UnsupportedError

__all__ = ["Form", "with_long_numbers_broken", "write_latex"]


Form = Literal["standalone", "fragment", "beamer"]

_PREAMBLE = r"""\documentclass[11pt,a4paper]{article}
\IfFileExists{geometry.sty}
  {\usepackage[margin=20mm,top=22mm,bottom=24mm]{geometry}}
  {\setlength{\textwidth}{170mm}\setlength{\oddsidemargin}{-5.4mm}
   \setlength{\textheight}{245mm}\setlength{\topmargin}{-15mm}}
\usepackage[fleqn]{amsmath}
"""

_FONTS = r"""\ifdefined\Umathcode\else % pdfTeX; the other engines use Latin Modern by themselves
  \IfFileExists{lmodern.sty}{\usepackage[T1]{fontenc}\usepackage{lmodern}}{}
\fi
"""

_SPACING = rf"""\setlength{{\parindent}}{{0pt}}
\setlength{{\parskip}}{{0.6ex plus 0.3ex}}
\setlength{{\mathindent}}{{{INDENT}}}
\setlength{{\arraycolsep}}{{3pt}}
\setlength{{\emergencystretch}}{{3em}}
\allowdisplaybreaks[2]
\raggedbottom
"""

_DRAWING = "\\IfFileExists{tikz.sty}{\\usepackage{tikz}}{}\n"

_LOCAL = r"""\setlength{\parindent}{0pt}
\setlength{\arraycolsep}{3pt}
\allowdisplaybreaks[2]
"""

# A section begins on a new page where there is little room left on this one.
_ROOM = "\\vskip0pt plus7\\baselineskip\\penalty-250\\vskip0pt plus-7\\baselineskip\n"

_NO_EMPTY_LINE = "\\vspace{-\\baselineskip}\n"


def write_latex(
    document: Document, *, form: Form = "standalone", colour: bool = False
) -> str:
    r"""Write `document` as LaTeX.

    Args:
        document: What to write.
        form: ``standalone``, a document that compiles; ``fragment``, to be read by
            another with ``\input``; ``beamer``, slides.
        colour: Whether quantities have the colours of their tones.

    Raises:
        UnsupportedError: There is no such form.
    """
    if form not in get_args(Form):
        raise UnsupportedError(
            f"form must be one of {', '.join(get_args(Form))} (got {form!r})"
        )
    document = with_long_numbers_broken(document)
    colours = _colours(document) if colour else {}
    tex = Tex({tone: name for tone, (name, _) in colours.items()})
    definitions = "".join(
        rf"\definecolor{{{name}}}{{HTML}}{{{code}}}" + "\n"
        for name, code in colours.values()
    )
    drawing = any(isinstance(block, Figure) for block in document)
    packages = "\\usepackage{xcolor}\n" * bool(colours) + _DRAWING * drawing
    if form == "beamer":
        return write_frames(
            document, tex, _FONTS + packages + definitions + TABLE_RULES
        )
    body = _body(document, Blocks(tex, sections=2 if form == "standalone" else 1))
    if form == "standalone":
        preamble = _PREAMBLE + _FONTS + packages + definitions + _SPACING + TABLE_RULES
        return f"{preamble}\\begin{{document}}\n\n{body}\\end{{document}}\n"
    needs = "amsmath,xcolor" if colours else "amsmath"
    optional = "% Draws where there is \\usepackage{tikz}.\n" if drawing else ""
    return (
        f"% Needs \\usepackage{{{needs}}}.\n{optional}"
        "% Its lines fit where they have 170 mm in 11 pt.\n"
        f"\\begingroup\n{_LOCAL}{TABLE_RULES}{definitions}\n{body}\\endgroup\n"
    )


def _colours(document: Document) -> dict[str, tuple[str, str]]:
    """Return, by tone, the name of its colour in the document, and its code."""
    found = palette(tones_of(document))
    return {
        tone: (f"tone{number}", colour.light)
        for number, (tone, colour) in enumerate(found.items(), 1)
    }


def _body(document: Document, blocks: Blocks) -> str:
    text = "".join(
        _before(block, previous) + _block(block, blocks)
        for previous, block in zip([None, *document], document, strict=False)
    )
    return f"{text.lstrip()}\n\n"


def _block(block: Block, blocks: Blocks) -> str:
    if isinstance(block, Heading) and block.level < blocks.sections:
        title = blocks.text(block.content)
        return rf"\begin{{center}}\LARGE\bfseries {title}\end{{center}}"
    return blocks.block(block)


def _before(block: Block, previous: Block | None) -> str:
    """Return what stands between two blocks.

    A formula belongs to the paragraph that leads to it. Where there is none, TeX would
    begin one, and its empty line is taken back.
    """
    if isinstance(block, (Equations, Display)):
        if isinstance(previous, Paragraph):
            return "\n" if previous.leads else "\n\n" + _NO_EMPTY_LINE
        return "\n\n" + _NO_EMPTY_LINE
    if isinstance(block, Table) and isinstance(previous, Paragraph) and previous.leads:
        return "\n\\nopagebreak\n\n"
    if isinstance(block, Heading) and block.level == 2 and not _is_title(previous):
        return "\n\n" + _ROOM
    return "\n\n"


def _is_title(block: Block | None) -> bool:
    return isinstance(block, Heading) and block.level == 1


_RELATION = 2.8


_QUAD = 2.0  # by which the further lines of a sum are set in


_BRACKETS = 3.2


_ATTEMPTS = 4


_LEAST = 12.0
"""Digits a broken number has on a line, however little room there is."""


def with_long_numbers_broken(document: Document, room: float = LINE) -> Document:
    """Return `document` with numbers broken where a line has more than `room` digits."""
    return Document(tuple(_split_block(block, room) for block in document))


def _split_block(block: Block, room: float) -> Block:
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
