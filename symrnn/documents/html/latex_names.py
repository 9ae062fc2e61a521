# SPDX-License-Identifier: BSD-3-Clause
r"""The LaTeX of names, ``\tilde{h}`` or ``\mathbf{W}_{ih}``, as MathML.

Names are short: letters, scripts, accents and alphabets are known. What is not known is
printed as it was written, so that nothing is lost.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup

from symrnn.documents.html.tags import element

__all__ = ["FUNCTIONS", "plain_latex", "read_latex", "row", "with_scripts"]

FUNCTIONS = frozenset(
    [
        "arccos",
        "arcsin",
        "arctan",
        "cos",
        "cosh",
        "cot",
        "det",
        "diag",
        "exp",
        "inf",
        "lim",
        "ln",
        "log",
        "max",
        "min",
        "sin",
        "sinh",
        "sup",
        "tan",
        "tanh",
    ]
)
"""Commands that print their own name, upright."""

_GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
]
_SYMBOLS = {
    "epsilon": "ϵ", "varepsilon": "ε", "phi": "ϕ", "varphi": "φ", "vartheta": "ϑ",
    "varrho": "ϱ", "varsigma": "ς", "ell": "ℓ", "hbar": "ℏ", "partial": "∂",
    "nabla": "∇", "infty": "∞",
}  # fmt: skip
_OPERATORS = {
    "ast": "∗", "bullet": "∙", "cdot": "⋅", "circ": "∘", "dagger": "†", "leftarrow": "←",
    "odot": "⊙", "otimes": "⊗", "pm": "±", "prime": "′", "rightarrow": "→",
    "star": "⋆", "times": "×", "to": "→", "top": "⊤", "dots": "…", "ldots": "…",
    "cdots": "⋯", "mid": "|", "colon": ":",
}  # fmt: skip
_ACCENTS = {
    "acute": "´", "bar": "¯", "breve": "˘", "check": "ˇ", "ddot": "¨", "dot": "˙",
    "grave": "`", "hat": "^", "tilde": "~", "vec": "→", "widehat": "^", "widetilde": "~",
    "overline": "¯", "overrightarrow": "→", "overleftarrow": "←",
}  # fmt: skip
_COMBINING = str.maketrans({
    "´": "\u0301", "¯": "\u0304", "˘": "\u0306", "ˇ": "\u030c", "¨": "\u0308", "˙": "\u0307",
    "`": "\u0300", "^": "\u0302", "~": "\u0303",
})  # fmt: skip
_WIDE = {"widehat", "widetilde", "overline", "overrightarrow", "overleftarrow"}
_UPRIGHT = {"mathrm", "text", "textrm", "textup", "operatorname", "mbox", "mathop"}
_ALPHABETS = {
    "mathbf": "BOLD", "textbf": "BOLD", "boldsymbol": "BOLD ITALIC",
    "bm": "BOLD ITALIC", "mathbb": "DOUBLE-STRUCK", "mathcal": "SCRIPT",
    "mathscr": "SCRIPT", "mathfrak": "FRAKTUR", "mathsf": "SANS-SERIF",
    "mathtt": "MONOSPACE",
}  # fmt: skip
_ITALIC = {"mathit", "textit", "mathnormal"}
_SPACES: Mapping[str, str] = {
    ",": ".17em",
    ":": ".22em",
    ";": ".28em",
    "!": "0",
    " ": ".33em",
    "quad": "1em",
}

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)


@lru_cache(maxsize=4096)
def read_latex(latex: str) -> Markup:
    r"""Return the LaTeX of a name as one element of MathML.

    >>> print(read_latex("h"), read_latex(r"\tanh"), read_latex("t-1"))
    <mi>h</mi> <mi>tanh</mi> <mrow><mi>t</mi><mo lspace="0" rspace="0">−</mo><mn>1</mn></mrow>
    >>> print(read_latex(r"\mathrm{output}"))
    <mi>output</mi>
    """
    return _Reader(_TOKEN.findall(latex)).whole()


def plain_latex(latex: str) -> str:
    r"""Return the LaTeX of a name as letters alone, an accent in one with its letter.

    >>> plain_latex(r"\mathrm{output}"), plain_latex("h"), plain_latex(r"\sigma")
    ('output', 'h', 'σ')
    >>> plain_latex(r"\hat{s}")
    'ŝ'
    """
    markup = read_latex(latex)
    letters = "".join(markup.striptags().split())
    accented = letters.translate(_COMBINING) if "<mover" in markup else letters
    return unicodedata.normalize("NFC", accented)


def row(*parts: Markup) -> Markup:
    """Return one element that holds `parts`: a single one is that already."""
    return parts[0] if len(parts) == 1 else element("mrow", *parts)


@dataclass(slots=True)
class _Reader:
    """Reads tokens from left to right."""

    tokens: list[str]
    at: int = 0

    def whole(self) -> Markup:
        parts: list[Markup] = []
        while self.at < len(self.tokens):
            parts += self._row()
            self.at += 1  # a bracket that was never opened
        return row(*parts)

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _row(self) -> list[Markup]:
        """Read up to the end of a group."""
        parts: list[Markup] = []
        while self._peek() not in ("", "}"):
            if self._peek().isspace():
                self.at += 1
                continue
            base = element("mrow") if self._peek() in ("_", "^") else self._atom()
            parts.append(self._with_scripts(base))
        return parts

    def _with_scripts(self, base: Markup) -> Markup:
        scripts: dict[str, list[Markup]] = {"_": [], "^": []}
        while self._peek() in ("_", "^", "'"):
            mark = self._peek()
            self.at += 1
            scripts["^" if mark == "'" else mark].append(
                _operator("′") if mark == "'" else self._atom()
            )
        sub, sup = (row(*found) if found else None for found in scripts.values())
        return with_scripts(base, sub, sup)

    def _atom(self) -> Markup:
        """Read one character, command or group."""
        token = self._peek()
        self.at += 1
        if token == "{":
            parts = self._row()
            self.at += 1
            return row(*parts)
        if token.startswith("\\"):
            return self._command(token[1:])
        return _character(token)

    def _command(self, name: str) -> Markup:
        if name in _ACCENTS:
            mark = _operator(_ACCENTS[name], stretchy=name in _WIDE)
            return element("mover", self._atom(), mark, accent="true")
        if name.rstrip("*") in _UPRIGHT:
            return _upright(self._plain())
        if name in _ITALIC:
            return element("mi", self._plain(), class_="word")
        if name in _ALPHABETS:
            return _upright(_in_alphabet(self._plain(), _ALPHABETS[name]))
        if name == "frac":
            return element("mfrac", self._atom(), self._atom())
        if name == "sqrt":
            return element("msqrt", self._atom())
        return _named(name)

    def _plain(self) -> str:
        """Read an argument as text; commands for letters become letters."""
        while self._peek().isspace():
            self.at += 1
        if self._peek() != "{":
            token = self._peek()
            self.at += 1
            return _letters(token)
        depth, text = 0, ""
        while self.at < len(self.tokens):
            token = self._peek()
            self.at += 1
            depth += (token == "{") - (token == "}")
            if depth == 0:
                break
            text += "" if token in "{}" else _letters(token)
        return text


def with_scripts(base: Markup, sub: Markup | None, sup: Markup | None) -> Markup:
    """Return `base` with what hangs on it."""
    if sub is not None and sup is not None:
        return element("msubsup", base, sub, sup)
    if sub is not None:
        return element("msub", base, sub)
    return base if sup is None else element("msup", base, sup)


def _operator(text: str, *, stretchy: bool = False) -> Markup:
    # Names are set tight; the dictionary of operators has room for sums.
    return element(
        "mo",
        text,
        lspace="0",
        rspace="0",
        stretchy="true" if stretchy else None,
    )


def _character(token: str) -> Markup:
    if token[:1].isdigit():
        return element("mn", token)
    if token.isalpha():
        return element("mi", token)
    if token == "~":
        return element("mspace", width=".33em")
    text = {"-": "−", "*": "∗"}.get(token, token)
    return element(
        "mo",
        text,
        lspace="0",
        rspace="0",
        stretchy="false" if token in "()[]|" else None,
    )


def _named(name: str) -> Markup:
    if name in FUNCTIONS:
        return element("mi", name)
    if name in _SPACES:
        return element("mspace", width=_SPACES[name])
    if name in _OPERATORS:
        return _operator(_OPERATORS[name])
    letter = _letters("\\" + name)
    if letter.startswith("\\"):
        return element("mtext", letter[1:] if len(name) == 1 else letter)
    return _upright(letter) if letter.isupper() else element("mi", letter)


def _letters(token: str) -> str:
    r"""Return the letter that a command stands for, or the token itself."""
    name = token[1:] if token.startswith("\\") else ""
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    if name.lower() in _GREEK:
        size = "CAPITAL" if name[0].isupper() else "SMALL"
        greek = name.upper().replace("LAMBDA", "LAMDA")
        return unicodedata.lookup(f"GREEK {size} LETTER {greek}")
    return token[1:] if len(name) == 1 and not name.isalpha() else token


def _upright(text: str) -> Markup:
    return element("mi", text, mathvariant="normal" if len(text) == 1 else None)


def _in_alphabet(text: str, alphabet: str) -> str:
    return "".join(_styled(letter, alphabet) for letter in text)


def _styled(letter: str, alphabet: str) -> str:
    """Return a letter of a mathematical alphabet, or the letter if there is none.

    >>> _styled("W", "BOLD"), _styled("R", "DOUBLE-STRUCK"), _styled("-", "BOLD")
    ('𝐖', 'ℝ', '-')
    """
    name = unicodedata.name(letter, "")
    short = re.sub(r"^(LATIN|GREEK) (CAPITAL|SMALL) LETTER ", r"\2 ", name)
    short = re.sub(r"^DIGIT ", "DIGIT ", short)
    lookups: tuple[Callable[[], str], ...] = (
        lambda: unicodedata.lookup(f"MATHEMATICAL {alphabet} {short}"),
        lambda: unicodedata.lookup(
            f"{alphabet.replace('FRAKTUR', 'BLACK-LETTER')} {short}"
        ),
    )
    for find in lookups:
        try:
            return find()
        except KeyError:
            continue
    return letter
