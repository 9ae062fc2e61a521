# SPDX-License-Identifier: BSD-3-Clause
"""The writer for LaTeX: a document of its own, or a fragment for another.

A fragment needs amsmath, booktabs and longtable. Both compile under pdfTeX, XeTeX and
LuaTeX with what a basic TeX Live has.
"""

from __future__ import annotations

import re
import unicodedata

from symrnn.documents.model import (
    Block,
    Code,
    Display,
    Document,
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
from symrnn.documents.tex import aligned_rows, display_rows, math

__all__ = ["escape", "write_latex"]

_PREAMBLE = r"""\documentclass[11pt,a4paper,fleqn]{article}
\usepackage[margin=20mm,top=22mm,bottom=24mm]{geometry}
\usepackage{amsmath,booktabs,longtable}
\ifdefined\Umathcode\else % pdfTeX; the other engines use Latin Modern by themselves
  \usepackage[utf8]{inputenc}
  \IfFileExists{lmodern.sty}{\usepackage[T1]{fontenc}\usepackage{lmodern}}{}
\fi
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.6ex plus 0.3ex}
\setlength{\mathindent}{1.2em}
\setlength{\arraycolsep}{3pt}
\setlength{\LTleft}{1.2em}
\setlength{\emergencystretch}{3em}
\allowdisplaybreaks[2]
\raggedbottom
"""

_HEADINGS = ("", r"\section*", r"\subsection*", r"\subsubsection*", r"\paragraph*")
"""By level; the title of a document of its own is not one of them."""

_LOCAL = r"""\setlength{\parindent}{0pt}
\setlength{\arraycolsep}{3pt}
\setlength{\LTleft}{1.2em}
"""

# A section begins on a new page where there is little room left on this one.
_ROOM = "\\vskip0pt plus7\\baselineskip\\penalty-250\\vskip0pt plus-7\\baselineskip\n"

_MOST_ROWS = 24  # of a table that must fit on a page

_NO_EMPTY_LINE = "\\vspace{-\\baselineskip}\n"

_ACCENTS = {
    "0300": "`",
    "0301": "'",
    "0302": "^",
    "0303": "~",
    "0304": "=",
    "0308": '"',
    "030A": "r",
    "030B": "H",
    "030C": "v",
    "0327": "c",
}

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "`": r"\textasciigrave{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}",
    "×": r"\ensuremath{\times}",
    "−": r"\ensuremath{-}",
    "·": r"\ensuremath{\cdot}",
    "≤": r"\ensuremath{\le}",
    "≥": r"\ensuremath{\ge}",
    "≈": r"\ensuremath{\approx}",
    '"': "''",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "œ": r"\oe{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
}
_GREEK = re.compile(
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|"
    "sigma|tau|upsilon|phi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Phi|Psi|"
    "Omega"
)


def escape(text: str) -> str:
    r"""Return plain text as LaTeX in ASCII that prints it under any engine.

    >>> escape("50% of é_1 \\input{x}")
    "50\\% of \\'{e}\\_1 \\textbackslash{}input\\{x\\}"
    """
    return "".join(_character(c) for c in text)


def _character(c: str) -> str:
    if c in _ESCAPES:
        return _ESCAPES[c]
    if c.isspace() or not c.isprintable():
        return " "
    if c.isascii():
        return c
    base, _, accent = unicodedata.decomposition(c).partition(" ")
    if accent in _ACCENTS and chr(int(base, 16)).isascii():
        return rf"\{_ACCENTS[accent]}{{{chr(int(base, 16))}}}"
    greek = re.fullmatch(
        r"GREEK (SMALL|CAPITAL) LETTER (?:FINAL )?(\w+)", unicodedata.name(c, "")
    )
    if greek:
        letter = greek[2].lower() if greek[1] == "SMALL" else greek[2].capitalize()
        letter = letter.replace("lamda", "lambda").replace("Lamda", "Lambda")
        if _GREEK.fullmatch(letter):
            return rf"\ensuremath{{\{letter}}}"
    # pdfTeX has no such letter: its code point is better than a document that stops.
    return rf'{{\ifdefined\Umathcode\char"{ord(c):X}\relax\else[U+{ord(c):04X}]\fi}}'


def write_latex(document: Document, *, standalone: bool = True) -> str:
    """Write `document` as LaTeX.

    Args:
        document: What to write.
        standalone: Whether to write a document that compiles, or a fragment.
    """
    body = "".join(
        _before(block, previous) + _block(block, standalone=standalone)
        for previous, block in zip([None, *document], document, strict=False)
    )
    body = f"{body.lstrip()}\n\n"
    if standalone:
        return f"{_PREAMBLE}\\begin{{document}}\n\n{body}\\end{{document}}\n"
    needs = "% Needs \\usepackage{amsmath,booktabs,longtable}.\n"
    return f"{needs}\\begingroup\n{_LOCAL}\n{body}\\endgroup\n"


def _before(block: Block, previous: Block | None) -> str:
    """Return what stands between two blocks.

    A formula belongs to the paragraph that leads to it. Where there is none, TeX would
    begin one, and its empty line is taken back.
    """
    if isinstance(block, (Equations, Display)):
        if isinstance(previous, Paragraph):
            return "\n" if previous.leads else "\n\n" + _NO_EMPTY_LINE
        return "\n\n" + _NO_EMPTY_LINE
    if isinstance(block, Heading) and block.level == 2 and not _is_title(previous):
        return "\n\n" + _ROOM
    return "\n\n"


def _is_title(block: Block | None) -> bool:
    return isinstance(block, Heading) and block.level == 1


def _block(block: Block, *, standalone: bool) -> str:
    match block:
        case Heading(level=1) if standalone:
            return (
                rf"\begin{{center}}\LARGE\bfseries {_text(block.content)}\end{{center}}"
            )
        case Heading():
            return f"{_HEADINGS[block.level - standalone]}{{{_text(block.content)}}}"
        case Paragraph():
            return _text(block.content)
        case Equations():
            return _environment("align*", _kept_together(aligned_rows(block)))
        case Display():
            return _environment("gather*", display_rows(block))
        case Table():
            return _table(block)
        case Figure():
            return ""
        case Script():
            return ""


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


def _table(table: Table) -> str:
    columns = f"{{@{{}}{table.align}@{{}}}}"
    head = [r"\toprule", " & ".join(_text(cell) for cell in table.header) + r" \\"]
    rows = [" & ".join(_text(cell) for cell in row) + r" \\" for row in table.rows]
    if len(rows) <= _MOST_ROWS:
        return "\n".join(
            [
                rf"\smallskip\hspace*{{1.2em}}\begin{{tabular}}{columns}",
                *(*head, r"\midrule", *rows, r"\bottomrule"),
                r"\end{tabular}\smallskip",
            ]
        )
    return "\n".join(
        [
            rf"\begin{{longtable}}{columns}",
            *(*head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot", *rows),
            r"\end{longtable}",
        ]
    )


def _text(content: tuple[Inline, ...]) -> str:
    return "".join(_inline(part) for part in content)


def _inline(part: Inline) -> str:
    match part:
        case Formula():
            return f"${math(part.math)}$"
        case Code():
            # A long name may be broken after an underscore.
            name = escape(part.text).replace(r"\_", r"\_\allowbreak{}")
            return rf"\texttt{{{name}}}"
        case Strong():
            return rf"\textbf{{{escape(part.text)}}}"
    return escape(part)
