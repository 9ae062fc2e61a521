# SPDX-License-Identifier: BSD-3-Clause
r"""The letters of an author: PyTorch's, two textbooks', or anyone's own.

Goodfellow, Bengio & Courville, *Deep Learning* (2016), sections 10.2 and 10.10, have U for
what multiplies the input and W for what multiplies the state; gates stand above, and an
LSTM has the state s, the external input gate g, and the output gate q. Cho et al. (2014)
have W for the input and U for the state, gates below, and $\tilde{h}$ for the candidate.
Neither has two biases: they carry the letters of the matrix whose product they go with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from symrnn.cells import Cell
from symrnn.documents.model import Symbol
from symrnn.documents.options import Options, suggest
from symrnn.errors import SourceError

__all__ = ["NAMED", "Notation", "read_symbol"]


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
            symbols |= NAMED[chosen](cell)
        else:
            symbols |= {
                _require_name(name, symbols): read_symbol(latex)
                for name, latex in chosen.items()
            }
        _require_distinct(symbols)
        tones = _tones(cell)
        return cls(
            {n: replace(s, tone=tones.get(n, "")) for n, s in symbols.items()},
            row=options.vectors == "row",
        )


def _own(cell: Cell) -> dict[str, str]:
    """Return the LaTeX that the cell's author gave its names."""
    named = [*cell.parameters, *(line.target for line in cell.equations)]
    found = {name.name: str(name.args[3].name) for name in named}
    own = {n: re.sub(r"_(t|\{t\})$", "", latex) for n, latex in found.items()}
    names = {line.target.name: line.name for line in cell.equations}
    return {names.get(n, n): latex for n, latex in own.items()} | {"x": "x"}


def _split(latex: str) -> Symbol:
    """Split ``W_{ih}`` into base and subscript; anything richer stays whole."""
    found = re.fullmatch(r"([^_^]+)_(?:\{([^{}]*)\}|(\w+))", latex)
    return Symbol(found[1], found[2] or found[3]) if found else Symbol(latex)


def _require_name(name: str, known: Mapping[str, Symbol]) -> str:
    if name not in known:
        raise SourceError(f"the cell has no {name!r} to rename{suggest(name, known)}")
    return name


def _require_distinct(symbols: Mapping[str, Symbol]) -> None:
    seen: dict[Symbol, str] = {}
    for name, symbol in symbols.items():
        other = seen.setdefault(symbol, name)
        if other != name:
            raise SourceError(
                f"{other} and {name} would both be written {_plain(symbol)}; "
                "give one of them another symbol"
            )


def _plain(symbol: Symbol) -> str:
    sub = f"_{{{symbol.sub}}}" if symbol.sub else ""
    return symbol.base + sub + (f"^{{{symbol.sup}}}" if symbol.sup else "")


# --- symbols that an author writes --------------------------------------------------

_LETTERS = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|"
    "mu|nu|xi|pi|rho|sigma|tau|upsilon|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|"
    "Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega|ell"
)
_ACCENTS = "tilde|hat|bar|vec|dot|mathbf|mathrm|mathcal|mathit|boldsymbol"
_LETTER = rf"(?:[A-Za-z]+|\\(?:{_LETTERS})(?![A-Za-z]))"
_BASE = rf"(?:{_LETTER}|\\(?:{_ACCENTS})\{{{_LETTER}\}})'*"
_SCRIPT = rf"(?:\{{((?:{_LETTER}|[0-9,' ])+)\}}|([A-Za-z0-9]))"
_SYMBOL = re.compile(rf"({_BASE})(?:_{_SCRIPT})?(?:\^{_SCRIPT})?")


def read_symbol(latex: Any) -> Symbol:
    r"""Read a symbol: a letter, perhaps with an accent, a subscript and a superscript.

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


# --- notations by name --------------------------------------------------------------

_GATE = re.compile(r"([Wb])_([ih])(\w)")


def _parameters(cell: Cell) -> Iterator[tuple[str, str, str, str]]:
    """Yield the name, W or b, i for input or h for state, and gate of each parameter."""
    for parameter in cell.parameters:
        found = _GATE.fullmatch(parameter.name)
        if found is not None and found[3] in _quantities(cell):
            yield parameter.name, found[1], found[2], found[3]


def _goodfellow(cell: Cell) -> dict[str, Symbol]:
    lstm = "c" in cell.states
    gates = {"i": "g", "g": r"\tilde{s}", "o": "q", "c": "s"} if lstm else {}
    gates |= {"r": "r", "z": "u", "n": r"\tilde{h}"} if "n" in _quantities(cell) else {}
    letters = {"i": "U", "h": "W"}
    symbols = {q: Symbol(gates.get(q, q)) for q in _quantities(cell) if q in gates}
    for name, kind, side, gate in _parameters(cell):
        sup = "" if gate in cell.states else gates.get(gate, gate)
        base = letters[side] if kind == "W" else "b"
        sub = letters[side] if kind == "b" else ""
        symbols[name] = Symbol(base, sub, sup)
    return symbols


def _cho(cell: Cell) -> dict[str, Symbol]:
    gates = {"g": r"\tilde{c}"} if "c" in cell.states else {}
    gates |= {"n": r"\tilde{h}"} if "n" in _quantities(cell) else {}
    below = {"g": "c", "n": "h"}
    letters = {"i": "W", "h": "U"}
    symbols = {q: Symbol(gates[q]) for q in _quantities(cell) if q in gates}
    for name, kind, side, gate in _parameters(cell):
        sub = "" if gate in cell.states else below.get(gate, gate)
        base = letters[side] if kind == "W" else "b"
        if kind == "b":
            sub = f"{letters[side]},{sub}" if sub else letters[side]
        symbols[name] = Symbol(base, sub)
    return symbols


def _quantities(cell: Cell) -> list[str]:
    return [line.name for line in cell.equations]


NAMED: Mapping[str, Callable[[Cell], dict[str, Symbol]]] = {
    "pytorch": lambda cell: {},
    "goodfellow": _goodfellow,
    "cho": _cho,
}
"""The notations that have a name: what they write otherwise than the cell's author."""


# --- tones --------------------------------------------------------------------------


def _tones(cell: Cell) -> dict[str, str]:
    """Return the gate that each name belongs to, where it belongs to one alone."""
    gates = [q for q in _quantities(cell) if q not in cell.states]
    tones = {gate: gate for gate in gates}
    for parameter in cell.parameters:
        users = [line.name for line in cell.equations if line.value.has(parameter)]
        if len(users) == 1 and users[0] in gates:
            tones[parameter.name] = users[0]
    return tones
