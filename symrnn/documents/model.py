# SPDX-License-Identifier: BSD-3-Clause
"""What a document is made of: frozen values that a writer turns into a format.

Text and mathematics are separate. Text is plain, and every writer escapes it for its
format. Mathematics is a small tree (symbols, numbers, signs, matrices, brackets), so
that a writer for TeX and one for MathML can read the same document. All numbers in it
are strings already: writers compute nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Blank",
    "Block",
    "Brackets",
    "Code",
    "Display",
    "Document",
    "Edge",
    "Equations",
    "Figure",
    "Formula",
    "Fraction",
    "Function",
    "Graph",
    "Heading",
    "Inline",
    "Line",
    "Math",
    "Matrix",
    "Node",
    "Number",
    "Origin",
    "Paragraph",
    "Piece",
    "Script",
    "Sign",
    "SignName",
    "Strong",
    "Symbol",
    "Table",
    "is_tall",
]

SignName = Literal[
    "plus",
    "minus",
    "negative",
    "equals",
    "approx",
    "dot",
    "odot",
    "comma",
    "quad",
    "cdots",
    "vdots",
    "ddots",
    "transposed",
]


# --- where numbers come from --------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which value of a network something printed is, so that a reader can look it up.

    Attributes:
        quantity: A name of the cell's equations, ``h``, ``i`` or ``W_ih``, or ``x``.
        layer: From 0; 0 for the network's input.
        direction: ``forward`` or ``reverse``; empty for what both directions read.
        step: From 0; -1 and the number of steps are the initial states. ``None`` for
            parameters.
        sequence: From 0; ``None`` for parameters.
    """

    quantity: str
    layer: int = 0
    direction: str = ""
    step: int | None = None
    sequence: int | None = None


# --- mathematics --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Symbol:
    r"""A letter with what hangs on it: $\overrightarrow{h}_{1}^{(2)}$.

    Attributes:
        base: One or more letters, or the LaTeX that a cell's author chose.
        sub: Subscript, without markup.
        sup: Superscript, without markup.
        arrow: Direction of a bidirectional layer, drawn above the base.
        tone: The quantity in whose colour it is printed, if in colour at all.
    """

    base: str
    sub: str = ""
    sup: str = ""
    arrow: Literal["", "right", "left"] = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Number:
    """A decimal as it is printed, ``-0.8769``, and which value it is a copy of.

    Attributes:
        text: The decimal.
        origin: The value.
        most: How many characters a line of paper has room for; 0 for all.
    """

    text: str
    origin: Origin | None = None
    most: int = field(default=0, repr=False)

    @property
    def head(self) -> str:
        """What stands before the digits that are broken into lines: sign, ``0.``."""
        sign = "-" * self.text.startswith("-")
        start = len(sign)
        return (
            self.text[: start + 2] if self.text[start + 1 : start + 2] == "." else sign
        )

    def lines(self) -> tuple[str, ...]:
        """Return the number in lines, broken after whole tens of digits.

        >>> Number("-0.12345678901234567890123", most=16).lines()
        ('-0.1234567890', '1234567890', '123')
        """
        if not self.most or len(self.text) <= self.most:
            return (self.text,)
        start, end = len(self.head), len(self.text.partition("e")[0])
        room = max(1, (self.most - start) // 10) * 10
        cuts = range(start + room, end, room)
        return tuple(
            self.text[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)
        )


@dataclass(frozen=True, slots=True)
class Sign:
    """An operator, relation or dots, by name."""

    name: SignName


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function: plain, and as LaTeX."""

    name: str
    latex: str


@dataclass(frozen=True, slots=True)
class Fraction:
    """A numerator over a denominator."""

    top: Math
    bottom: Math


@dataclass(frozen=True, slots=True)
class Brackets:
    """Round brackets. A half that is missing is on another line."""

    body: Math
    opened: bool = True
    closed: bool = True


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix, row by row; numbers stand flush right.

    Attributes:
        rows: Its elements.
        origin: The value.
        bracketed: Whether in square brackets. What is not is a sum whose parts stand on
            lines of their own, flush left.
    """

    rows: tuple[tuple[Math, ...], ...]
    origin: Origin | None = None
    bracketed: bool = field(default=True, repr=False)


@dataclass(frozen=True, slots=True)
class Blank:
    """Room for a number that the reader fills in.

    Attributes:
        digits: How many digits have room.
        answer: The key of its answer.
        filled: The number that stands in it, in a solution.
    """

    digits: int
    answer: str
    filled: str = ""


Piece = Symbol | Number | Sign | Function | Fraction | Brackets | Matrix | Blank
Math = tuple[Piece, ...]


def is_tall(math: Math) -> bool:
    """Tell whether `math` is taller than a line of text."""
    for piece in math:
        if isinstance(piece, Fraction):
            return True
        if isinstance(piece, Matrix) and len(piece.rows) > 1:
            return True
        if isinstance(piece, Number) and len(piece.lines()) > 1:
            return True
        if isinstance(piece, Brackets) and is_tall(piece.body):
            return True
    return False


# --- text ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Formula:
    """Mathematics inside a sentence."""

    math: Math


@dataclass(frozen=True, slots=True)
class Code:
    """A name from a program, ``weight_ih_l0``."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Emphasised text."""

    text: str


Inline = str | Formula | Code | Strong


# --- blocks -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the title of the document, 5 the lowest.

    Attributes:
        level: 1 to 5.
        content: Its words.
        origin: Of the heading of a step: layer, direction, step and sequence.
    """

    level: int
    content: tuple[Inline, ...]
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text. A paragraph that leads stays with the formulas that follow it."""

    content: tuple[Inline, ...]
    leads: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of aligned equations: `left`, then relation and right-hand side.

    Attributes:
        left: What the line is about; empty where the line continues the one above.
        relation: ``equals``, ``approx``, or ``None`` where the line goes on with what
            the one above left open.
        right: The right-hand side; it may hold further relations.
        result: The value that the line ends in, where it is its first appearance.
    """

    left: Math
    relation: Literal["equals", "approx"] | None
    right: Math
    result: Origin | None = None


@dataclass(frozen=True, slots=True)
class Equations:
    """Lines aligned at their relation."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Display:
    """Formulas on lines of their own, not aligned with each other."""

    lines: tuple[Math, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `align` has one letter for each column: ``l`` or ``r``."""

    header: tuple[tuple[Inline, ...], ...]
    rows: tuple[tuple[tuple[Inline, ...], ...], ...]
    align: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value in the drawing of an unrolled network.

    Attributes:
        key: Its name within the drawing.
        label: What is written in it.
        x: From the left, in units of one step of time; dots have nodes of their own.
        y: From the bottom, in units of the distance of two layers.
        kind: What it is.
        origin: The value; ``None`` for dots.
        tone: As of a `Symbol`.
    """

    key: str
    label: Math
    x: float
    y: float
    kind: Literal["input", "initial", "state", "output", "dots"]
    origin: Origin | None = None
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow: the node `head` is computed from the node `tail`."""

    tail: str
    head: str


@dataclass(frozen=True, slots=True)
class Graph:
    """Which value is computed from which: an unrolled network."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing and what it shows, in words."""

    graph: Graph
    caption: tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """Python that recomputes what stands above it; only notebooks show it."""

    source: str


Block = Heading | Paragraph | Equations | Display | Table | Figure | Script


@dataclass(frozen=True, slots=True)
class Document:
    """Blocks in reading order; the first is the title."""

    blocks: tuple[Block, ...]

    def __iter__(self) -> Iterator[Block]:
        return iter(self.blocks)
