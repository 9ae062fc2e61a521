# SPDX-License-Identifier: BSD-3-Clause
r"""The blocks of a document as LaTeX that needs amsmath and nothing else.

A drawing needs TikZ too; where a document has not loaded it, TeX skips the drawing, and
prints what it shows in words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from symrnn.documents.latex_text import escape
from symrnn.documents.layout import LINE, text_width
from symrnn.documents.model import (
    Block,
    Code,
    Display,
    Equations,
    Figure,
    Formula,
    Heading,
    Inline,
    Paragraph,
    Script,
    Strong,
    Table,
)
from symrnn.documents.tex import Tex
from symrnn.documents.tikz import picture

__all__ = ["INDENT", "Blocks"]

INDENT = "1.2em"
"""How far formulas and tables stand from the margin."""

_HEADINGS = (r"\section*", r"\subsection*", r"\subsubsection*", r"\paragraph*")

_MOST_ROWS = 24  # of a table that is not broken

_COLUMN_GAP = 2.2
_SIZES = (
    (1.0, ""),
    (1.09, r"\small"),
    (1.21, r"\footnotesize"),
    (1.36, r"\scriptsize"),
)
"""How much more fits on a line in smaller print, at 11 pt."""

_THICK, _THIN = "0.08em", "0.05em"

Row = tuple[tuple[Inline, ...], ...]


@dataclass(frozen=True, slots=True)
class Blocks:
    r"""How blocks are written.

    Attributes:
        tex: The writer for mathematics.
        sections: The level of the headings that are sections, 1 or 2.
        figure_width: Room for a drawing, in millimetres.
        figure_height: Its height, likewise.
        asks_for_tikz: Whether TeX skips drawings where TikZ is not loaded.

    >>> print(Blocks().block(Heading(2, ("50 % of ", Code("h_n")))))
    \section*{50 \% of \texttt{h\_\allowbreak{}n}}
    """

    tex: Tex = field(default_factory=Tex)
    sections: int = 2
    figure_width: float = 166.0
    figure_height: float = 190.0
    asks_for_tikz: bool = True

    def block(self, block: Block) -> str:
        """Return one block."""
        match block:
            case Heading():
                level = min(block.level - self.sections, len(_HEADINGS) - 1)
                return f"{_HEADINGS[level]}{{{self.text(block.content)}}}"
            case Paragraph():
                return self.text(block.content)
            case Equations():
                rows = _kept_together(self.tex.aligned_rows(block))
                return _environment("align*", rows)
            case Display():
                return _environment("gather*", self.tex.display_rows(block))
            case Table():
                return self._table(block)
            case Figure():
                return self._figure(block)
            case Script():
                return ""

    def text(self, content: Sequence[Inline]) -> str:
        """Return text with its formulas."""
        return "".join(self._inline(part) for part in content)

    def _inline(self, part: Inline) -> str:
        match part:
            case Formula():
                return f"${self.tex.math(part.math)}$"
            case Code():
                # A long name may be broken after an underscore.
                name = escape(part.text).replace(r"\_", r"\_\allowbreak{}")
                return rf"\texttt{{{name}}}"
            case Strong():
                return rf"\textbf{{{escape(part.text)}}}"
        return escape(part)

    def _figure(self, figure: Figure) -> str:
        drawn = picture(
            figure, self.tex.math, width=self.figure_width, height=self.figure_height
        )
        lines = [r"\begin{center}", drawn, r"\end{center}\nopagebreak"]
        if self.asks_for_tikz:
            lines = [r"\ifcsname tikzpicture\endcsname", *lines, r"\fi"]
        return "\n".join([*lines, rf"{{\small {self.text(figure.caption)}\par}}"])

    def _table(self, table: Table) -> str:
        """Write a table; a long one in parts, each with the header."""
        parts = max(1, math.ceil(len(table.rows) / _MOST_ROWS))
        length = math.ceil(len(table.rows) / parts)
        size = _size_that_fits(table)
        texts = [
            self._tabular(table, table.rows[i * length : (i + 1) * length], size)
            for i in range(parts)
        ]
        return "\n\n".join(texts)

    def _tabular(self, table: Table, rows: Sequence[Row], size: str) -> str:
        lines = [
            _rule(_THICK, below="0.5ex"),
            self._row(table.header),
            _rule(_THIN, above="0.4ex", below="0.5ex"),
            *map(self._row, rows),
            _rule(_THICK, above="0.4ex"),
        ]
        body = "\n".join(lines)
        return (
            rf"\smallskip{{{size}\hspace*{{{INDENT}}}"
            rf"\begin{{tabular}}{{@{{}}{table.align}@{{}}}}"
            f"\n{body}\n\\end{{tabular}}}}\\smallskip"
        )

    def _row(self, cells: Row) -> str:
        return " & ".join(self.text(cell) for cell in cells) + r" \\"


def _rule(thickness: str, *, above: str = "0pt", below: str = "0pt") -> str:
    r"""Return a line across a table with room around it, which ``\hline`` has not."""
    return rf"\noalign{{\vskip {above}\hrule height {thickness}\vskip {below}}}"


def _size_that_fits(table: Table) -> str:
    """Return the print in which a table is no wider than a line."""
    columns = zip(table.header, *table.rows, strict=True)
    width = sum(max(map(text_width, column)) for column in columns)
    width += _COLUMN_GAP * (len(table.header) - 1)
    return next((s for room, s in _SIZES if width <= LINE * room), _SIZES[-1][1])


def _kept_together(rows: list[str]) -> list[str]:
    """Forbid a new page after the symbols of an equation, and before its value."""
    return [
        re.sub(r"\\\\(?=(\[0.8ex\])?$)", r"\\\\*", row)
        if i in (0, len(rows) - 2)
        else row
        for i, row in enumerate(rows)
    ]


def _environment(name: str, rows: list[str]) -> str:
    return "\n".join([rf"\begin{{{name}}}", *rows, rf"\end{{{name}}}"])
