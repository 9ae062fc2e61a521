# SPDX-License-Identifier: BSD-3-Clause
r"""Mathematics in TeX's notation, for LaTeX itself and for Markdown's ``$$``.

Only commands that LaTeX with amsmath, MathJax and KaTeX share are used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from symrnn.documents.layout import width
from symrnn.documents.model import (
    Blank,
    Brackets,
    Display,
    Equations,
    Fraction,
    Function,
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

__all__ = ["Tex", "aligned_rows", "display_rows", "math"]

_SIGNS: Mapping[SignName, str] = {
    "plus": " + ",
    "minus": " - ",
    "negative": "-",
    "equals": " = ",
    "approx": r" \approx ",
    "dot": r" \cdot ",
    "odot": r" \odot ",
    "comma": ", ",
    "quad": r"\quad ",
    "cdots": r"\cdots ",
    "vdots": r"\vdots ",
    "ddots": r"\ddots ",
    "transposed": r"^{\top}",
}
_ARROWS = {"right": r"\overrightarrow", "left": r"\overleftarrow"}


@dataclass(frozen=True, slots=True)
class Tex:
    r"""How mathematics is written.

    Attributes:
        colours: By tone, what the tone's symbols are put in with ``\textcolor``.

    >>> print(Tex({"i": "gate1"}).math((Symbol("i", "1", tone="i"),)))
    \textcolor{gate1}{i_{1}}
    """

    colours: Mapping[str, str] = field(default_factory=dict)

    def math(self, pieces: Math) -> str:
        r"""Return `pieces` in TeX's notation, without delimiters.

        >>> print(Tex().math((Symbol("W", "ih", "(2)"), Symbol("x", "1", arrow="left"))))
        W_{ih}^{(2)} \overleftarrow{x}_{1}
        """
        text = ""
        joined = _with_superscripts_joined(pieces)
        for i, piece in enumerate(joined):
            before = joined[i - 1] if i else None
            # Factors stand side by side; TeX ignores the space, but `\top x` needs it.
            beside = text and not text.endswith(" ") and not isinstance(piece, Sign)
            applied = isinstance(piece, Brackets) and isinstance(before, Function)
            if beside and not applied and before != Sign("negative"):
                text += " "
            text += self._piece(piece)
        return text.strip()

    def aligned_rows(self, equations: Equations) -> list[str]:
        """Return the rows of an ``align`` environment, each with the end that it needs."""
        texts = [self._line(line) for line in equations.lines]
        return _with_ends(texts, [is_tall(line.right) for line in equations.lines])

    def display_rows(self, display: Display) -> list[str]:
        """Return the rows of a ``gather`` environment, each with the end that it needs."""
        texts = [self.math(line) for line in display.lines]
        return _with_ends(texts, [is_tall(line) for line in display.lines])

    def _line(self, line: Line) -> str:
        left = self.math(line.left)
        right = self.math(line.right)
        if line.relation is None:
            return rf"{left}&\quad {right}"
        relation = _SIGNS[line.relation].strip()
        return f"{left} &{relation} {right}".lstrip()

    def _piece(self, piece: Piece) -> str:
        match piece:
            case Symbol():
                return self._symbol(piece)
            case Number():
                return _number(piece)
            case Sign():
                return _SIGNS[piece.name]
            case Function():
                return piece.latex
            case Fraction():
                top, bottom = self.math(piece.top), self.math(piece.bottom)
                return rf"\frac{{{top}}}{{{bottom}}}"
            case Brackets():
                return self._brackets(piece)
            case Matrix():
                return self._matrix(piece)
            case Blank():
                # Handwriting is wider than print, and higher.
                room = 0.8 * piece.digits + 0.8 - _digits_width(piece.filled)
                number = rf"\smash{{{piece.filled}}}" if piece.filled else ""
                inside = rf"\hspace{{{room:.1f}em}}{number}\rule{{0pt}}{{3.5ex}}"
                return rf"\underline{{{inside}}}"

    def _symbol(self, symbol: Symbol) -> str:
        base = symbol.base
        if re.fullmatch(r"[A-Za-z]{2,}", base):
            base = rf"\mathit{{{base}}}"
        elif re.search(r"[_^']", base) and (symbol.sub or symbol.sup):
            base = f"{{{base}}}"
        if symbol.arrow:
            base = f"{_ARROWS[symbol.arrow]}{{{base}}}"
        sub = f"_{{{_script(symbol.sub)}}}" if symbol.sub else ""
        sup = f"^{{{_script(symbol.sup)}}}" if symbol.sup else ""
        colour = self.colours.get(symbol.tone)
        text = base + sub + sup
        return text if colour is None else rf"\textcolor{{{colour}}}{{{text}}}"

    def _brackets(self, brackets: Brackets) -> str:
        body = self.math(brackets.body)
        if not is_tall(brackets.body):
            opening = "(" if brackets.opened else ""
            return f"{opening}{body}{')' if brackets.closed else ''}"
        left = r"\left(" if brackets.opened else r"\left."
        right = r"\right)" if brackets.closed else r"\right."
        return f"{left} {body} {right}"

    def _matrix(self, matrix: Matrix) -> str:
        cells = [[self.math(cell) for cell in row] for row in matrix.rows]
        if not matrix.bracketed:
            # The empty group makes an operator of the + that begins a line.
            lines = r" \\ \quad {} ".join(text for (text,) in cells)
            return rf"\begin{{array}}{{@{{}}l@{{}}}} {lines} \end{{array}}"
        pieces = [p for row in matrix.rows for cell in row for p in cell]
        numbers = any(isinstance(piece, Number) for piece in pieces)
        if numbers:
            cells = _with_centred_dots(matrix, cells)
        broken = any(isinstance(piece, Matrix) for piece in pieces)
        columns = ("l" if broken else "r" if numbers else "c") * len(cells[0])
        rows = _apart(cells).join(" & ".join(row) for row in cells)
        return rf"\left[\begin{{array}}{{{columns}}} {rows} \end{{array}}\right]"


_PLAIN = Tex()


def math(pieces: Math) -> str:
    r"""Return `pieces` in TeX's notation, black on white, without delimiters.

    >>> print(math((Symbol("h", "1"), Sign("equals"), Number("5.7e-9"))))
    h_{1} = 5.7 \cdot 10^{-9}
    """
    return _PLAIN.math(pieces)


def aligned_rows(equations: Equations) -> list[str]:
    """Return the rows of an ``align`` environment, each with the end that it needs."""
    return _PLAIN.aligned_rows(equations)


def display_rows(display: Display) -> list[str]:
    """Return the rows of a ``gather`` environment, each with the end that it needs."""
    return _PLAIN.display_rows(display)


# --- pieces -------------------------------------------------------------------------


def _with_superscripts_joined(pieces: Math) -> Math:
    """Put a sign of transposition into the superscript before it: TeX has only one."""
    if Sign("transposed") not in pieces:
        return pieces
    joined: Math = ()
    for piece in pieces:
        last = joined[-1] if joined else None
        if piece == Sign("transposed") and isinstance(last, Symbol) and last.sup:
            joined = (*joined[:-1], replace(last, sup=last.sup + r"\top"))
        else:
            joined = (*joined, piece)
    return joined


def _script(text: str) -> str:
    """Set words upright; commands and what they are given stay as they are."""
    return re.sub(r"(?<![\\A-Za-z{])[A-Za-z]{3,}", r"\\mathrm{\g<0>}", text)


def _number(number: Number) -> str:
    if not number.most:
        return _decimal(number.text)
    first, *more = map(_decimal, number.lines())
    if not more:
        return first
    hidden = rf"\phantom{{{number.head}}}"  # further digits stand below the first ones
    lines = r" \\ ".join([first, *(hidden + line for line in more)])
    return rf"\begin{{array}}{{@{{}}l@{{}}}} {lines} \end{{array}}"


def _decimal(text: str) -> str:
    mantissa, e, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if e else text


def _digits_width(text: str) -> float:
    """Return how wide a decimal is in TeX's own letters, in em."""
    wider = 0.278 * text.count("-") - 0.222 * text.count(".")
    return 0.5 * len(text) + wider


def _apart(cells: list[list[str]]) -> str:
    """Return the end of a row of a matrix: rows with something high stand further apart."""
    high = any(sign in c for row in cells for c in row for sign in _HIGH)
    return r" \\[0.8ex] " if high else r" \\ "


_HIGH = ("^", r"\frac", r"\begin")


def _with_centred_dots(matrix: Matrix, cells: list[list[str]]) -> list[list[str]]:
    """Move vertical dots from the right of a column of numbers to its middle."""
    dots = (Sign("vdots"),)
    for j, column in enumerate(zip(*matrix.rows, strict=True)):
        if dots not in column:
            continue
        numbers = [width(math) for math in column if math != dots]
        zeros = round(max(numbers, default=0.0)) // 2 - 1
        for i, math in enumerate(column):
            if math == dots and zeros > 0:
                cells[i][j] = rf"\vdots\hphantom{{{'0' * zeros}}}"
    return cells


# --- several lines ------------------------------------------------------------------

_APART = r" \\[0.8ex]"
_CLOSE = r" \\"


def _with_ends(texts: list[str], tall: list[bool]) -> list[str]:
    ends = [_APART if tall[i] or tall[i + 1] else _CLOSE for i in range(len(texts) - 1)]
    return [text + end for text, end in zip(texts, [*ends, ""], strict=True)]
