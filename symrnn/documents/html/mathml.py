# SPDX-License-Identifier: BSD-3-Clause
"""Mathematics as MathML Core, the part that Chromium, Firefox and Safari share.

At the end, the same as plain words (`plain_text`, `node_words`, `graph_words`): what a page
says where a reader may not see it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup

from symrnn.documents.html.latex_names import FUNCTIONS, read_latex, row, with_scripts
from symrnn.documents.html.tags import element, printable
from symrnn.documents.model import (
    Blank,
    Brackets,
    Code,
    Formula,
    Fraction,
    Function,
    Graph,
    Inline,
    Math,
    Matrix,
    Node,
    Number,
    Origin,
    Piece,
    Sign,
    SignName,
    Strong,
    Symbol,
)

__all__ = ["MathML", "graph_words", "node_words", "origin_key", "plain_text"]


_SIGNS: Mapping[SignName, str] = {
    "plus": "+",
    "minus": "−",
    "negative": "−",
    "equals": "=",
    "approx": "≈",
    "dot": "⋅",
    "odot": "⊙",
    "comma": ",",
    "quad": "",
    "cdots": "⋯",
    "vdots": "⋮",
    "ddots": "⋱",
    "transposed": "⊤",
}
Style = Literal["inline", "display", "block"]

_ARROWS = {"right": "→", "left": "←"}
_APPLIED = "\u2061"  # a function to what follows
_TIMES = "\u2062"  # a product of what stands side by side


def origin_key(origin: Origin) -> str:
    """Return the name of a value within a page, from which the value can be told.

    >>> origin_key(Origin(quantity="h", direction="reverse", step=-1, sequence=0))
    'h.0.reverse.-1.0'
    >>> origin_key(Origin(quantity="W_ih", layer=1, direction="forward"))
    'W_ih.1.forward..'
    """
    step = "" if origin.step is None else origin.step
    sequence = "" if origin.sequence is None else origin.sequence
    quantity = printable(origin.quantity)
    return f"{quantity}.{origin.layer}.{origin.direction}.{step}.{sequence}"


@dataclass(frozen=True, slots=True)
class MathML:
    """How mathematics is written.

    Attributes:
        tones: By tone, the class of its symbols, which the page's style colours.

    >>> print(MathML().formula((Symbol("h", "1"), Sign("equals"), Number("-5.7e-9"))))
    <math><msub><mi>h</mi><mn>1</mn></msub><mo form="infix">=</mo>...</math>
    """

    tones: Mapping[str, str] = field(default_factory=dict)

    def formula(
        self, math: Math, *, style: Style = "inline", label: str | None = None
    ) -> Markup:
        """Return a ``math`` element.

        Args:
            math: What to write.
            style: ``inline`` in a sentence; ``display`` with room for high fractions;
                ``block``, on a line of its own too.
            label: What it is called where mathematics cannot be read out.
        """
        return element(
            "math",
            *self._pieces(math),
            display="block" if style == "block" else None,
            displaystyle="true" if style == "display" else None,
            aria_label=label,
        )

    def _pieces(self, math: Math) -> list[Markup]:
        """Return an element for each piece, with what is understood between them."""
        parts: list[Markup] = []
        before: Piece | None = None
        for piece, after in zip(math, [*math[1:], None], strict=True):
            if piece == Sign("transposed") and before is not None:
                continue  # it hangs on the piece before
            parts += _between(before, piece)
            parts.append(self._piece(piece, after == Sign("transposed")))
            before = piece
        return parts

    def _row(self, math: Math) -> Markup:
        return row(*self._pieces(math))

    def _piece(self, piece: Piece, transposed: bool) -> Markup:
        top = element("mo", "⊤", lspace="0", rspace="0") if transposed else None
        if isinstance(piece, Symbol):
            return self._symbol(piece, top)
        return with_scripts(self._plain(piece), None, top)

    def _plain(self, piece: Piece) -> Markup:
        match piece:
            case Symbol():
                return self._symbol(piece, None)
            case Number():
                return _number(piece)
            case Sign():
                return _sign(piece.name)
            case Function():
                return read_latex(piece.latex)
            case Fraction():
                return element("mfrac", self._row(piece.top), self._row(piece.bottom))
            case Brackets():
                return self._brackets(piece)
            case Matrix():
                return self._matrix(piece)
            case Blank():
                # Handwriting is wider than print.
                text = piece.filled.replace("-", "\u2212")
                room = text.rjust(2 * piece.digits + 2, "\u2007")
                return element("mtext", room, class_="blank", data_answer=piece.answer)

    def _symbol(self, symbol: Symbol, top: Markup | None) -> Markup:
        base = symbol.base
        if re.fullmatch(r"[A-Za-z]{2,}", base):
            base = rf"\mathit{{{base}}}"
        letter = read_latex(base)
        if symbol.arrow:
            letter = element("mover", letter, _arrow(symbol.arrow), accent="true")
        sub = _script(symbol.sub) if symbol.sub else None
        raised = [_script(symbol.sup)] if symbol.sup else []
        raised += [top] if top is not None else []
        whole = with_scripts(letter, sub, row(*raised) if raised else None)
        if symbol.tone in self.tones:
            return element("mrow", whole, class_=self.tones[symbol.tone])
        return whole

    def _brackets(self, brackets: Brackets) -> Markup:
        stretchy = "true" if _is_high(brackets.body) else "false"
        parts = self._pieces(brackets.body)
        if brackets.opened:
            opening = element("mo", "(", form="prefix", stretchy=stretchy)
            parts.insert(0, opening)
        if brackets.closed:
            parts.append(element("mo", ")", form="postfix", stretchy=stretchy))
        return element("mrow", *parts)

    def _matrix(self, matrix: Matrix) -> Markup:
        pieces = [piece for line in matrix.rows for cell in line for piece in cell]
        numbers = any(isinstance(piece, Number) for piece in pieces)
        rows = [
            element("mtr", *(self._cell(cell) for cell in line)) for line in matrix.rows
        ]
        if not matrix.bracketed:
            return element("mtable", *rows, columnalign="left")
        # MathML Core leaves alignment to the style; not all browsers do.
        aligned = {"class_": "numbers", "columnalign": "right"} if numbers else {}
        return element(
            "mrow",
            element("mo", "["),  # browsers stretch it: it begins a row
            element("mtable", *rows, **aligned),
            element("mo", "]"),
            class_="matrix",
            data_v=origin_key(matrix.origin) if matrix.origin else None,
        )

    def _cell(self, cell: Math) -> Markup:
        dots = len(cell) == 1 and isinstance(cell[0], Sign)
        return element("mtd", *self._pieces(cell), class_="dots" if dots else None)


def _is_high(math: Math) -> bool:
    """Tell whether brackets around `math` grow: a matrix of one row is high enough."""
    return any(
        isinstance(piece, Fraction | Matrix)
        or (isinstance(piece, Brackets) and _is_high(piece.body))
        for piece in math
    )


def _script(text: str) -> Markup:
    """Read a script; words in it are upright."""
    words = r"(?<![\\A-Za-z{])[A-Za-z]{3,}"
    return read_latex(re.sub(words, r"\\mathrm{\g<0>}", text))


def _number(number: Number) -> Markup:
    key = origin_key(number.origin) if number.origin else None
    found = re.fullmatch(r"(.+)e([+-]?\d+)", number.text)
    if not found:
        return element("mn", number.text.replace("-", "−"), data_v=key)
    mantissa, exponent = (
        text.replace("-", "−") for text in (found[1], str(int(found[2])))
    )
    power = element("msup", element("mn", "10"), element("mn", exponent))
    times = element("mo", "⋅", form="infix")
    return element("mrow", element("mn", mantissa), times, power, data_v=key)


def _arrow(direction: Literal["right", "left"]) -> Markup:
    """Return an arrow to stand above a letter.

    Stretched, it would be wider than a single letter; with its whole height,
    superscripts would be raised above it.
    """
    arrow = element("mo", _ARROWS[direction], stretchy="false", class_="arrow")
    return element("mpadded", arrow, height=".15em", depth="0")


def _sign(name: SignName) -> Markup:
    if name == "quad":
        return element("mspace", width="1em")
    if name == "negative":
        return element("mo", _SIGNS[name], form="prefix", lspace="0", rspace="0")
    infix = name not in ("cdots", "vdots", "ddots", "transposed")
    return element("mo", _SIGNS[name], form="infix" if infix else None)


def _between(before: Piece | None, piece: Piece) -> list[Markup]:
    """Return what is understood between two pieces that stand side by side."""
    if before is None or isinstance(before, Sign) or isinstance(piece, Sign):
        return []
    if isinstance(piece, Brackets) and _is_function(before):
        return [element("mo", _APPLIED)]
    if isinstance(before, Function):
        return [element("mspace", width=".17em")]
    room = ".17em" if isinstance(before, Matrix) else "0"
    return [element("mo", _TIMES, lspace=room, rspace="0")]


def _is_function(piece: Piece) -> bool:
    if isinstance(piece, Symbol):
        return piece.base.removeprefix("\\") in FUNCTIONS
    return isinstance(piece, Function)


def plain_text(content: tuple[Inline, ...]) -> str:
    """Return text with its formulas as letters alone.

    >>> from symrnn.documents.model import Symbol
    >>> plain_text(("Hidden state ", Formula((Symbol("h", "1"),))))
    'Hidden state h1'
    """
    parts = []
    for part in content:
        match part:
            case Formula():
                parts.append(spoken(part.math))
            case Code() | Strong():
                parts.append(part.text)
            case _:
                parts.append(part)
    return printable("".join(parts))


def spoken(math: Math) -> str:
    """Return a formula as letters alone."""
    markup = MathML().formula(math)
    text = Markup(markup).striptags()
    return "".join(c for c in text if c.isprintable() and not c.isspace())


def node_words(node: Node) -> str:
    """Return what a node of a drawing is called."""
    kinds = {
        "input": "input",
        "initial": "initial state",
        "state": "state",
        "output": "output",
    }
    origin = node.origin
    words = [f"{kinds.get(node.kind, '')} {spoken(node.label)}".strip()]
    if origin is not None:
        words.append(f"layer {origin.layer + 1}")
        if origin.direction:
            words.append(origin.direction)
        if origin.step is not None and node.kind != "initial":
            words.append(f"step {origin.step + 1}")
    return ", ".join(words)


def graph_words(graph: Graph) -> str:
    """Return which node is computed from which, in words.

    >>> from symrnn.documents.model import Edge, Symbol
    >>> a = Node(key="a", label=(Symbol("x", "1"),), x=1, y=0, kind="input")
    >>> b = Node(key="b", label=(Symbol("h", "1"),), x=1, y=1, kind="state")
    >>> graph_words(Graph((a, b), (Edge("a", "b"),)))
    'h1 from x1.'
    """
    nodes = {node.key: node for node in graph.nodes}
    tails: dict[str, list[str]] = {}
    for edge in graph.edges:
        if "dots" not in (nodes[edge.tail].kind, nodes[edge.head].kind):
            tails.setdefault(edge.head, []).append(spoken(nodes[edge.tail].label))
    sentences = [
        f"{spoken(nodes[head].label)} from {' and '.join(found)}"
        for head, found in tails.items()
    ]
    return f"{'; '.join(sentences)}." if sentences else ""
