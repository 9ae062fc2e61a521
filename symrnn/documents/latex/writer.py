# SPDX-License-Identifier: BSD-3-Clause
"""The writer for LaTeX: a document of its own, a fragment for another, or slides.

All compile under pdfTeX, XeTeX and LuaTeX. They need amsmath; colour needs xcolor, and
drawings appear where there is TikZ.
"""

from __future__ import annotations

from typing import Literal, get_args

from symrnn.documents.colours import palette, tones_of
from symrnn.documents.latex.beamer import write_frames
from symrnn.documents.latex.blocks import INDENT, TABLE_RULES, Blocks
from symrnn.documents.latex.long_numbers import with_long_numbers_broken
from symrnn.documents.latex.math import Tex
from symrnn.documents.latex.text import escape
from symrnn.documents.model import (
    Block,
    Display,
    Document,
    Equations,
    Figure,
    Heading,
    Paragraph,
    Table,
)
from symrnn.errors import UnsupportedError

__all__ = ["Form", "escape", "write_latex"]

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
