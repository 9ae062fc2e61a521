# SPDX-License-Identifier: BSD-3-Clause
"""The letters of an author: PyTorch's, a textbook's, or anyone's own, and no two alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from symrnn.cells import Cell
from symrnn.documents.model import Symbol
from symrnn.documents.options import Options, suggest
from symrnn.documents.textbooks import CHO, GOODFELLOW, Textbook, gates_of
from symrnn.errors import SourceError
from symrnn.language import Elementwise, postorder

__all__ = ["NAMED", "Notation", "read_symbol"]


NAMED: Mapping[str, Textbook | None] = {
    "pytorch": None,
    "goodfellow": GOODFELLOW,
    "cho": CHO,
}
"""The notations that have a name; PyTorch's is what the cells' authors wrote."""


@dataclass(frozen=True, slots=True)
class Notation:
    """How the names of a cell are written.

    Attributes:
        symbols: By name of a parameter, a quantity or the input ``x``: without step,
            layer and direction.
        row: Whether vectors are rows.
    """

    symbols: Mapping[str, Symbol]
    row: bool = False

    @classmethod
    def of(cls, cell: Cell, options: Options) -> Notation:
        """Return the notation that an author has chosen for a cell.

        Raises:
            SourceError: There is no such notation, no such name in the cell, or no way
                to read a symbol; or two names would have one symbol.

        >>> from symrnn.cells import lstm
        >>> notation = Notation.of(lstm(), Options(notation="cho"))
        >>> notation.symbols["W_hf"]
        Symbol(base='U', sub='f', sup='', arrow='', tone='f')
        """
        symbols = {name: _split(latex) for name, latex in _own(cell).items()}
        chosen = options.notation
        if isinstance(chosen, str):
            if chosen not in NAMED:
                raise SourceError(
                    f"there is no notation {chosen!r}{suggest(chosen, NAMED)}"
                )
            book = NAMED[chosen]
            symbols |= book.symbols(cell, symbols) if book else {}
        else:
            symbols |= {
                _require_name(name, symbols): read_symbol(latex)
                for name, latex in chosen.items()
            }
        _require_distinct(symbols, cell)
        tones = gates_of(cell)
        return cls(
            {n: replace(s, tone=tones.get(n, "")) for n, s in symbols.items()},
            row=options.vectors == "row",
        )


def _own(cell: Cell) -> dict[str, str]:
    """Return the LaTeX that the cell's author gave its names."""
    own = {p.name: str(p.args[3].name) for p in cell.parameters}
    for line in cell.equations:
        own[line.name] = re.sub(r"_(t|\{t\})$", "", str(line.target.args[3].name))
    return own | {"x": "x"}


def _split(latex: str) -> Symbol:
    """Split ``W_{ih}`` into base and subscript; anything richer stays whole."""
    found = re.fullmatch(r"([^_^]+)_(?:\{([^{}]*)\}|(\w+))", latex)
    return Symbol(found[1], found[2] or found[3]) if found else Symbol(latex)


def _require_name(name: str, known: Mapping[str, Symbol]) -> str:
    if name not in known:
        raise SourceError(f"the cell has no {name!r} to rename{suggest(name, known)}")
    return name


# --- no two alike -------------------------------------------------------------------


def _require_distinct(symbols: Mapping[str, Symbol], cell: Cell) -> None:
    """Refuse symbols that a reader could not tell apart, at any step."""
    parameters = {parameter.name for parameter in cell.parameters}
    seen = {latex: f"the function {name}" for name, latex in _functions(cell).items()}
    for name, symbol in symbols.items():
        _require_new(seen, name, symbol)
    stepped = [(n, s) for n, s in symbols.items() if n not in parameters]
    for name, symbol in symbols.items():
        for other, base in stepped if name in parameters else ():
            if _is_at_a_step(symbol, base):
                raise SourceError(
                    f"{name} would be written {_plain(symbol)}, as {other} is at a step; "
                    "give one of them another symbol"
                )


def _require_new(seen: dict[str, str], name: str, symbol: Symbol) -> None:
    other = seen.setdefault(_plain(symbol), name)
    if other != name:
        raise SourceError(
            f"{other} and {name} would both be written {_plain(symbol)}; "
            "give one of them another symbol"
        )


def _functions(cell: Cell) -> dict[str, str]:
    return {
        node.function.name: node.function.latex
        for line in cell.equations
        for node in postorder(line.value)
        if isinstance(node, Elementwise)
    }


def _is_at_a_step(symbol: Symbol, base: Symbol) -> bool:
    """Tell whether `symbol` is `base` with the number of a step, or t, below it."""
    own = re.escape(f"{base.sub}," if base.sub else "")
    return (symbol.base, symbol.sup) == (base.base, base.sup) and re.fullmatch(
        rf"{own}(?:\d+|t)", symbol.sub
    ) is not None


def _plain(symbol: Symbol) -> str:
    sub = f"_{{{symbol.sub}}}" if symbol.sub else ""
    return symbol.base + sub + (f"^{{{symbol.sup}}}" if symbol.sup else "")


# --- symbols that an author writes --------------------------------------------------

_LETTERS = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|"
    "mu|nu|xi|pi|rho|sigma|tau|upsilon|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|"
    "Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega|ell"
)
_GREEK = rf"\\(?:{_LETTERS})(?![A-Za-z])"
_LETTER = rf"(?:[A-Za-z]+|{_GREEK})"
_FONT = (
    rf"(?:\\(?:mathbf|mathrm|mathit|boldsymbol)\{{{_LETTER}\}}|\\mathcal\{{[A-Z]+\}}|"
    rf"{_LETTER})"
)
_BASE = rf"(?:\\(?:tilde|hat|bar|dot)\{{{_FONT}\}}|{_FONT})'*"
_SCRIPT = rf"(?:\{{(?=[^}}]*\w)((?:[A-Za-z0-9,']|{_GREEK} ?)+)\}}|([A-Za-z0-9]))"
_SYMBOL = re.compile(rf"({_BASE})(?:_{_SCRIPT})?(?:\^{_SCRIPT})?")


def read_symbol(latex: Any) -> Symbol:
    r"""Read a symbol: a letter, perhaps with an accent, a subscript and a superscript.

    An arrow is no accent: above letters, arrows are the directions of a network.

    Raises:
        SourceError: It is anything else.

    >>> read_symbol(r"\tilde{h}_{f}")
    Symbol(base='\\tilde{h}', sub='f', sup='', arrow='', tone='')
    """
    found = _SYMBOL.fullmatch(latex) if isinstance(latex, str) else None
    if found is None:
        raise SourceError(
            "a symbol is a letter or a Greek letter, perhaps with an accent, a subscript "
            rf"and a superscript, such as W, \tilde{{h}} or U^{{f}} (got {latex!r})"
        )
    base, sub, short_sub, sup, short_sup = found.groups()
    return Symbol(base, sub or short_sub or "", sup or short_sup or "")
