# SPDX-License-Identifier: BSD-3-Clause
r"""The letters of an author: PyTorch's, a textbook's, or anyone's own, and no two alike.

Goodfellow, Bengio & Courville, *Deep Learning* (2016), sections 10.2 and 10.10, have U for
what multiplies the input and W for what multiplies the state; gates stand above. An LSTM
has the state s, the external input gate g, and the output gate q with the parameters
$U^{o}$, $W^{o}$; those of the candidate have no gate above them. Cho et al. (2014) have W
for the input and U for the state, and gates below.

Which parameter multiplies what is read off the equations. Neither book has two biases:
where a gate has them, they carry the letter of the matrix that they go with.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from sympy import MatrixExpr

from symrnn.derivations.options import Options, suggest
from symrnn.documents.model import Symbol
from symrnn.equations.cells import Cell
from symrnn.equations.language import Add, Elementwise, Matmul, postorder
from symrnn.equations.symbols import Input, Parameter, Previous
from symrnn.errors import SourceError

__all__ = [
    "CHO",
    "GOODFELLOW",
    "NAMED",
    "Notation",
    "Textbook",
    "gates_of",
    "read_symbol",
]


class _Gate(NamedTuple):
    """The letter of a quantity, and what tells its parameters from the others."""

    letter: str
    script: str


@dataclass(frozen=True, slots=True)
class Textbook:
    """How a textbook writes the names of cells.

    Attributes:
        input: The letter of the matrices that multiply the input.
        state: The letter of those that multiply the state.
        raised: Whether gates stand above the letters of their parameters, or below.
        cells: The quantities of each kind of cell that the book has.
    """

    input: str
    state: str
    raised: bool
    cells: tuple[Mapping[str, _Gate], ...]

    def symbols(self, cell: Cell, own: Mapping[str, Symbol]) -> dict[str, Symbol]:
        """Return the symbols of the names that the book writes in its own way.

        Args:
            cell: The cell.
            own: The symbols that its author gave its names.

        >>> from symrnn.equations.cells import lstm
        >>> own = {p.name: Symbol(p.name) for p in lstm().parameters}
        >>> GOODFELLOW.symbols(lstm(), own)["W_ho"]
        Symbol(base='W', sub='', sup='o', arrow='', tone='')
        """
        gates = self._gates(cell)
        found = {gate: Symbol(letter) for gate, (letter, _) in gates.items()}
        roles = _roles(cell)
        biases = Counter(role.gate for role in roles.values() if role.bias)
        for name, gate in gates_of(cell, states=True).items():
            script = "" if gate in cell.states else gate
            script = gates[gate].script if gate in gates else script
            role = roles.get(name)
            if role is not None:
                matrix = self.input if role.of == "input" else self.state
                mark = matrix if role.bias and biases[gate] > 1 else ""
                base = "b" if role.bias else matrix
                found[name] = self._with_gate(base, mark, script)
            elif name != gate and own[name].sub == gate:
                found[name] = self._with_gate(own[name].base, "", script)
        return found

    def _gates(self, cell: Cell) -> dict[str, _Gate]:
        """Return the gates of the cells that this one has all the quantities of."""
        known = {line.name for line in cell.equations}
        return {
            name: gate
            for gates in self.cells
            if gates.keys() <= known
            for name, gate in gates.items()
        }

    def _with_gate(self, base: str, mark: str, script: str) -> Symbol:
        if self.raised:
            return Symbol(base, mark, script)
        return Symbol(base, ",".join(text for text in (mark, script) if text))


GOODFELLOW = Textbook(
    input="U",
    state="W",
    raised=True,
    cells=(
        {
            "i": _Gate("g", "g"),
            "f": _Gate("f", "f"),
            "g": _Gate(r"\tilde{s}", ""),
            "o": _Gate("q", "o"),
            "c": _Gate("s", ""),
        },
        {
            "r": _Gate("r", "r"),
            "z": _Gate("u", "u"),
            "n": _Gate(r"\tilde{h}", ""),
        },
    ),
)
"""Goodfellow, Bengio & Courville (2016)."""

CHO = Textbook(
    input="W",
    state="U",
    raised=False,
    cells=(
        {
            "i": _Gate("i", "i"),
            "f": _Gate("f", "f"),
            "g": _Gate(r"\tilde{c}", "c"),
            "o": _Gate("o", "o"),
            "c": _Gate("c", ""),
        },
        {
            "r": _Gate("r", "r"),
            "z": _Gate("z", "z"),
            "n": _Gate(r"\tilde{h}", ""),
        },
    ),
)
"""Cho et al. (2014), whose letters are given to an LSTM as well."""


# --- what the names of a cell are there for -----------------------------------------


def gates_of(cell: Cell, *, states: bool = False) -> dict[str, str]:
    """Return the gate that each name belongs to, where it belongs to one alone.

    Args:
        cell: The cell.
        states: Whether states count as gates.

    >>> from symrnn.equations.cells import gru
    >>> gates_of(gru(bias=False))
    {'r': 'r', 'z': 'z', 'n': 'n', 'W_ir': 'r', 'W_iz': 'z', 'W_in': 'n', 'W_hr': 'r',
     'W_hz': 'z', 'W_hn': 'n'}
    """
    names = [line.name for line in cell.equations]
    gates = {name: name for name in names if states or name not in cell.states}
    for parameter in cell.parameters:
        users = [line.name for line in cell.equations if line.value.has(parameter)]
        if len(users) == 1 and users[0] in gates:
            gates[parameter.name] = users[0]
    return gates


class _Role(NamedTuple):
    """What a parameter does in the equation of a gate."""

    gate: str
    bias: bool
    of: Literal["input", "state"]


def _roles(cell: Cell) -> dict[str, _Role]:
    """Return the roles of parameters; one that others have too tells nothing."""
    found = [
        (name, _Role(line.name, bias, of))
        for line in cell.equations
        for node in postorder(line.value)
        for name, bias, of in _parts(node)
    ]
    names = Counter(name for name, _ in found)
    roles = Counter(role for _, role in found)
    return {n: role for n, role in found if names[n] == 1 and roles[role] == 1}


def _parts(
    node: MatrixExpr,
) -> Iterator[tuple[str, bool, Literal["input", "state"]]]:
    """Yield the matrix that a node multiplies with, or the biases that it adds."""
    if isinstance(node, Matmul):
        of = _multiplied(node)
        if of is not None and isinstance(node.args[0], Parameter):
            yield node.args[0].name, False, of
    elif isinstance(node, Add):
        of = None
        for term in node.args:
            if isinstance(term, Matmul):
                of = _multiplied(term)
            elif of is not None and isinstance(term, Parameter):
                yield term.name, True, of


def _multiplied(product: Matmul) -> Literal["input", "state"] | None:
    """Return whether it is the input that is multiplied, or something of the state."""
    vector = product.args[1]
    if isinstance(vector, Input):
        return "input"
    is_state = any(isinstance(leaf, Previous) for leaf in postorder(vector))
    return "state" if is_state else None


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

        >>> from symrnn.equations.cells import lstm
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
    own = {p.name: p.latex for p in cell.parameters}
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
