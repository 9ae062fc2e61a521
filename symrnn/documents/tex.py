# SPDX-License-Identifier: BSD-3-Clause
r"""Mathematics in TeX's notation, for LaTeX itself and for Markdown's ``$$``.

Only commands that LaTeX with amsmath, MathJax and KaTeX share are used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

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

__all__ = ["aligned_rows", "display_rows", "math"]

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


def math(pieces: Math) -> str:
    r"""Return `pieces` in TeX's notation, without delimiters.

    >>> print(math((Symbol("W", "ih", "(2)"), Symbol("x", "1", arrow="left"))))
    W_{ih}^{(2)} \overleftarrow{x}_{1}
    """
    text = ""
    for i, piece in enumerate(pieces):
        before = pieces[i - 1] if i else None
        word = _piece(piece)
        if piece == Sign("transposed") and isinstance(before, Symbol) and before.sup:
            text = text.removesuffix("}") + r"\top}"  # TeX has one superscript
            continue
        # Factors stand side by side; TeX ignores the space, but `\top x` needs it.
        beside = text and not text.endswith(" ") and not isinstance(piece, Sign)
        applied = isinstance(piece, Brackets) and isinstance(before, Function)
        if beside and not applied and before != Sign("negative"):
            text += " "
        text += word
    return text.strip()


def _piece(piece: Piece) -> str:
    match piece:
        case Symbol():
            return _symbol(piece)
        case Number():
            return _number(piece.text)
        case Sign():
            return _SIGNS[piece.name]
        case Function():
            return piece.latex
        case Fraction():
            return rf"\frac{{{math(piece.top)}}}{{{math(piece.bottom)}}}"
        case Brackets():
            return _brackets(piece)
        case Matrix():
            return _matrix(piece)
        case Blank():
            return rf"\underline{{\hspace{{{0.6 * piece.digits + 0.8:.1f}em}}}}"


def _symbol(symbol: Symbol) -> str:
    base = symbol.base
    if re.fullmatch(r"[A-Za-z]{2,}", base):
        base = rf"\mathit{{{base}}}"
    elif re.search(r"[_^]", base) and (symbol.sub or symbol.sup):
        base = f"{{{base}}}"
    if symbol.arrow:
        base = f"{_ARROWS[symbol.arrow]}{{{base}}}"
    words = re.sub(r"[A-Za-z]{3,}", r"\\mathrm{\g<0>}", symbol.sub)
    sub = f"_{{{words}}}" if words else ""
    sup = f"^{{{symbol.sup}}}" if symbol.sup else ""
    return base + sub + sup


def _number(text: str) -> str:
    mantissa, e, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if e else text


def _brackets(brackets: Brackets) -> str:
    body = math(brackets.body)
    if not is_tall(brackets.body):
        return (
            ("(" if brackets.opened else "") + body + (")" if brackets.closed else "")
        )
    left = r"\left(" if brackets.opened else r"\left."
    right = r"\right)" if brackets.closed else r"\right."
    return f"{left} {body} {right}"


def _matrix(matrix: Matrix) -> str:
    cells = [[math(cell) for cell in row] for row in matrix.rows]
    numbers = any(isinstance(p, Number) for row in matrix.rows for c in row for p in c)
    if numbers:
        cells = _with_centred_dots(cells)
    columns = ("r" if numbers else "c") * len(cells[0])
    high = any("^" in cell for row in cells for cell in row)
    apart = r" \\[0.8ex] " if high else r" \\ "
    rows = apart.join(" & ".join(row) for row in cells)
    return rf"\left[\begin{{array}}{{{columns}}} {rows} \end{{array}}\right]"


def _with_centred_dots(cells: list[list[str]]) -> list[list[str]]:
    """Move vertical dots from the right of a column of numbers to its middle."""
    longest = [
        max((len(cell) for cell in column if "dots" not in cell), default=0)
        for column in zip(*cells, strict=True)
    ]
    dots = _SIGNS["vdots"].strip()
    return [
        [
            rf"{dots}\hphantom{{{'0' * (n // 2 - 1)}}}"
            if cell == dots and n > 3
            else cell
            for cell, n in zip(row, longest, strict=True)
        ]
        for row in cells
    ]


# --- several lines ------------------------------------------------------------------

_APART = r" \\[0.8ex]"
_CLOSE = r" \\"


def aligned_rows(equations: Equations) -> list[str]:
    """Return the rows of an ``align`` environment, each with the end that it needs."""
    texts = [_line(line) for line in equations.lines]
    tall = [is_tall(line.right) for line in equations.lines]
    return _with_ends(texts, tall)


def _line(line: Line) -> str:
    left = math(line.left)
    right = math(line.right)
    if line.relation is None:
        return rf"{left}&\quad {right}"
    relation = _SIGNS[line.relation].strip()
    return f"{left} &{relation} {right}".lstrip()


def display_rows(display: Display) -> list[str]:
    """Return the rows of a ``gather`` environment, each with the end that it needs."""
    return _with_ends(
        [math(m) for m in display.lines], [is_tall(m) for m in display.lines]
    )


def _with_ends(texts: list[str], tall: list[bool]) -> list[str]:
    ends = [_APART if tall[i] or tall[i + 1] else _CLOSE for i in range(len(texts) - 1)]
    return [text + end for text, end in zip(texts, [*ends, ""], strict=True)]
