# SPDX-License-Identifier: BSD-3-Clause
"""Plain text as LaTeX that prints it, in ASCII, under any engine."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["escape", "unprinted"]

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


def unprinted(latex: str) -> str:
    r"""Return the letters that TeX's own fonts have not, in text that `escape` made.

    >>> unprinted(escape("Zoë Петрова")) == "Петрова"
    True
    """
    return "".join(chr(int(code, 16)) for code in _CODE_POINT.findall(latex))


_CODE_POINT = re.compile(r'\\char"([0-9A-F]+)\\relax')


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
