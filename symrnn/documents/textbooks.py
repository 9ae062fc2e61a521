# SPDX-License-Identifier: BSD-3-Clause
r"""The letters of two textbooks, as data, for any cell.

Goodfellow, Bengio & Courville, *Deep Learning* (2016), sections 10.2 and 10.10, have U for
what multiplies the input and W for what multiplies the state; gates stand above. An LSTM
has the state s, the external input gate g, and the output gate q with the parameters
$U^{o}$, $W^{o}$; those of the candidate have no gate above them. Cho et al. (2014) have W
for the input and U for the state, and gates below.

Which parameter multiplies what is read off the equations. Neither book has two biases:
where a gate has them, they carry the letter of the matrix that they go with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sympy import MatrixExpr

from symrnn.cells import Cell, x
from symrnn.documents.model import Symbol
from symrnn.language import Add, Matmul, Named, postorder

__all__ = ["CHO", "GOODFELLOW", "Textbook", "gates_of"]


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

        >>> from symrnn.cells import lstm
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

    >>> from symrnn.cells import gru
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
        for name, bias, of in _parts(node, {p.name for p in cell.parameters})
    ]
    names = Counter(name for name, _ in found)
    roles = Counter(role for _, role in found)
    return {n: role for n, role in found if names[n] == 1 and roles[role] == 1}


def _parts(
    node: MatrixExpr, parameters: set[str]
) -> Iterator[tuple[str, bool, Literal["input", "state"]]]:
    """Yield the matrix that a node multiplies with, or the biases that it adds."""
    if isinstance(node, Matmul):
        of = _multiplied(node)
        if of is not None and _is_one_of(node.args[0], parameters):
            yield node.args[0].name, False, of
    elif isinstance(node, Add):
        of = None
        for term in node.args:
            if isinstance(term, Matmul):
                of = _multiplied(term)
            elif of is not None and _is_one_of(term, parameters):
                yield term.name, True, of


def _is_one_of(node: MatrixExpr, parameters: set[str]) -> bool:
    return isinstance(node, Named) and node.name in parameters


def _multiplied(product: Matmul) -> Literal["input", "state"] | None:
    """Return whether it is the input that is multiplied, or something of the state."""
    vector = product.args[1]
    if vector == x:
        return "input"
    names = [leaf.name for leaf in postorder(vector) if isinstance(leaf, Named)]
    return "state" if any(name.endswith("_prev") for name in names) else None
