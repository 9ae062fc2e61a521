# SPDX-License-Identifier: BSD-3-Clause
r"""The blocks of a document as LaTeX that needs amsmath and nothing else.

A drawing needs TikZ too; where a document has not loaded it, TeX skips the drawing, and
prints what it shows in words. Drawings are no wider and no higher than a page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from symrnn.documents.latex.math import Tex
from symrnn.documents.latex.text import escape
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
    Math,
    Node,
    Paragraph,
    Script,
    Strong,
    Table,
)

__all__ = ["INDENT", "TABLE_RULES", "Blocks", "picture", "tables_for"]


TABLE_RULES = r"""\providecommand{\toprule}{\noalign{\hrule height 0.08em \vskip 0.5ex}}
\providecommand{\midrule}{\noalign{\vskip 0.4ex \hrule height 0.05em \vskip 0.5ex}}
\providecommand{\bottomrule}{\noalign{\vskip 0.4ex \hrule height 0.08em}}
"""
"""The lines of tables, where booktabs is not loaded; they go before the first table."""

INDENT = "1.2em"
"""How far formulas and tables stand from the margin."""

_HEADINGS = (r"\section*", r"\subsection*", r"\subsubsection*", r"\paragraph*")

_MOST_ROWS = 24  # of a table that is not broken

_COLUMN_GAP = 2.2


_SIZES = (
    (1.0, ""),
    (1.09, r"\small"),
    (1.18, r"\footnotesize"),
    (1.28, r"\scriptsize"),
)
"""How many more digits fit on a line in smaller print, at 11 pt: small digits are wider."""

Row = tuple[tuple[Inline, ...], ...]


@dataclass(frozen=True, slots=True)
class Blocks:
    r"""How blocks are written.

    Attributes:
        tex: The writer for mathematics.
        sections: The level of the headings that are sections, 1 or 2.
        line: Room for a table, in digits of 11 pt.
        figure_width: Room for a drawing, in millimetres.
        figure_height: Its height, likewise.
        asks_for_tikz: Whether TeX skips drawings where TikZ is not loaded.

    >>> print(Blocks().block(Heading(2, ("50 % of ", Code("h_n")))))
    \section*{50 \% of \texttt{h\_\allowbreak{}n}}
    """

    tex: Tex = field(default_factory=Tex)
    sections: int = 2
    line: float = LINE
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
        # No page may end between the drawing and its words: `center` lets it.
        lines = [r"\medskip{\centering", drawn, r"\par}\nobreak\medskip"]
        if self.asks_for_tikz:
            lines = [r"\ifcsname tikzpicture\endcsname", *lines, r"\fi"]
        return "\n".join([*lines, rf"{{\small {self.text(figure.caption)}\par}}"])

    def _table(self, table: Table) -> str:
        """Write a table; a wide or long one in parts, each with the header."""
        tabulars = []
        for part in _by_columns(table, self.line):
            size = _size_that_fits(part, self.line)
            count = max(1, math.ceil(len(part.rows) / _MOST_ROWS))
            length = math.ceil(len(part.rows) / count)
            for i in range(count):
                rows = part.rows[i * length : (i + 1) * length]
                tabulars.append(self._tabular(part, rows, size))
        return "\n\n".join(tabulars)

    def _tabular(self, table: Table, rows: Sequence[Row], size: str) -> str:
        lines = [
            r"\toprule",
            self._row(table.header),
            r"\midrule",
            *map(self._row, rows),
            r"\bottomrule",
        ]
        body = "\n".join(lines)
        return (
            rf"\smallskip{{{size}\hspace*{{{INDENT}}}"
            rf"\begin{{tabular}}{{@{{}}{table.align}@{{}}}}"
            f"\n{body}\n\\end{{tabular}}}}\\smallskip"
        )

    def _row(self, cells: Row) -> str:
        text = " & ".join(self.text(cell) for cell in cells)
        return text + (r" \\[0.8ex]" if r"\frac" in text else r" \\")


def _widths(table: Table) -> list[float]:
    """Return the widths of the columns, in digits of their print."""
    columns = zip(table.header, *table.rows, strict=True)
    return [max(map(text_width, column)) for column in columns]


def _size_that_fits(table: Table, line: float) -> str:
    """Return the print in which a table is no wider than a line."""
    widths = _widths(table)
    room = line - _COLUMN_GAP * (len(widths) - 1)  # gaps are the same in every print
    return next((s for f, s in _SIZES if sum(widths) <= room * f), _SIZES[-1][1])


def tables_for(table: Table, line: float) -> int:
    """Return how many tables, below each other, its columns make."""
    return len(_by_columns(table, line))


def _by_columns(table: Table, line: float) -> list[Table]:
    """Split a table that is too wide in small print; the first column is in each part."""
    factor = _SIZES[-1][0]
    room, gap = line * factor, _COLUMN_GAP * factor
    first, *widths = _widths(table)
    groups: list[list[int]] = [[0]]
    used = first
    for index, width in enumerate(widths, 1):
        width += gap
        if used + width > room and len(groups[-1]) > 1:
            groups.append([0])
            used = first
        groups[-1].append(index)
        used += width
    return [_columns(table, group) for group in groups]


def _columns(table: Table, indices: Sequence[int]) -> Table:
    return Table(
        tuple(table.header[i] for i in indices),
        tuple(tuple(row[i] for i in indices) for row in table.rows),
        "".join(table.align[i] for i in indices),
    )


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


_WIDE = (15.0, 21.0)  # a step of time, in millimetres: at least, and with room


_HIGH = (11.0, 14.0)  # a layer, likewise


_NODE = 17.0  # room for the widest node

_STYLES = (
    "x={wide:.1f}mm, y={high:.1f}mm, {scale}>=stealth, every node/.style={{font=\\small, "
    "inner sep=2pt, minimum height=6mm}}, input/.style={{}}, initial/.style={{draw, "
    "rounded corners, dashed, minimum width=8mm}}, state/.style={{draw, rounded "
    "corners, minimum width=8mm}}, output/.style={{}}, dots/.style={{}}"
)


def picture(
    figure: Figure,
    math: Callable[[Math], str],
    *,
    width: float = 166.0,
    height: float = 190.0,
) -> str:
    r"""Return a ``tikzpicture`` of a figure's graph.

    Args:
        figure: What to draw; its caption is not written.
        math: The writer for the labels.
        width: Room, in millimetres.
        height: Room, in millimetres.

    >>> from symrnn.documents.model import Edge, Graph, Symbol
    >>> from symrnn.documents.latex.math import math
    >>> a = Node(key="a", label=(Symbol("x", "1"),), x=1, y=0, kind="input")
    >>> b = Node(key="b", label=(Symbol("h", "1"),), x=1, y=1, kind="state")
    >>> text = picture(Figure(Graph((a, b), (Edge("a", "b"),)), ()), math)
    >>> print("\n".join(text.splitlines()[1:]))
    \node[input] (a) at (1,0) {$x_{1}$};
    \node[state] (b) at (1,1) {$h_{1}$};
    \draw[->] (a) -- (b);
    \end{tikzpicture}
    """
    across = _extent(node.x for node in figure.graph.nodes)
    up = _extent(node.y for node in figure.graph.nodes)
    wide = _clamped((width - _NODE) / max(1.0, across), _WIDE)
    high = _clamped((height - _NODE) / max(1.0, up), _HIGH)
    # Where even the closest does not fit, everything shrinks.
    shrunk = min(1.0, width / (wide * across + _NODE), height / (high * up + _NODE))
    scale = f"scale={shrunk:.2f}, transform shape, " if shrunk < 1 else ""
    styles = _STYLES.format(wide=wide, high=high, scale=scale)
    lines = [rf"\begin{{tikzpicture}}[{styles}]"]
    lines += [_node(node, math) for node in figure.graph.nodes]
    lines += [
        rf"\draw[->] ({edge.tail}) -- ({edge.head});" for edge in figure.graph.edges
    ]
    return "\n".join([*lines, r"\end{tikzpicture}"])


def _clamped(number: float, bounds: tuple[float, float]) -> float:
    return max(bounds[0], min(bounds[1], number))


def _extent(numbers: Iterable[float]) -> float:
    found = list(numbers)
    return max(found) - min(found) if found else 0.0


def _node(node: Node, math: Callable[[Math], str]) -> str:
    at = f"({node.x:g},{node.y:g})"
    return rf"\node[{node.kind}] ({node.key}) at {at} {{${math(node.label)}$}};"
