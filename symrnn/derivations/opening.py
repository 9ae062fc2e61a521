# SPDX-License-Identifier: BSD-3-Clause
"""The first pages: what the network is, how it is written, what goes into it.

The words that textbooks have for the quantities of well-known cells come first, as data.
Nothing depends on them: a cell that is not listed is derived with its symbols alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from symrnn.derivations.equations import Names, Shown, spell
from symrnn.derivations.graph import unrolled_graph
from symrnn.derivations.letters import Notation
from symrnn.derivations.numbers import Values
from symrnn.derivations.options import Options
from symrnn.documents.layout import fill, pack, width
from symrnn.documents.model import (
    Block,
    Brackets,
    Code,
    Display,
    Equations,
    Formula,
    Function,
    Heading,
    Inline,
    Line,
    Math,
    Paragraph,
    Sign,
    Symbol,
    Table,
)
from symrnn.equations.functions import ElementwiseFunction
from symrnn.equations.language import Elementwise, Hadamard, postorder
from symrnn.equations.symbols import x
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import FIRST, Network, Position, array_name

__all__ = [
    "architecture",
    "cell_equations",
    "equal",
    "network_equations",
    "opening",
    "position_title",
    "shape_text",
    "word_for",
]


_LSTM = {
    "i": "Input gate",
    "f": "Forget gate",
    "g": "Cell candidate",
    "o": "Output gate",
    "c": "Cell state",
    "m": "Hidden state before the projection",
    "h": "Hidden state",
}


_GRU = {"r": "Reset gate", "z": "Update gate", "n": "New gate", "h": "Hidden state"}

_WORDS: Mapping[str, Mapping[str, str]] = {
    "rnn_tanh": {"h": "Hidden state"},
    "rnn_relu": {"h": "Hidden state"},
    "lstm": _LSTM,
    "gru": _GRU,
    "gru_reset_before": _GRU,
}


def word_for(family: str | None, quantity: str) -> str | None:
    """Return what `quantity` is called in PyTorch's documentation of cells of a family.

    >>> word_for("lstm", "f"), word_for(None, "f")
    ('Forget gate', None)
    """
    return _WORDS.get(family or "", {}).get(quantity)


def opening(values: Values) -> Iterator[Block]:
    """Yield everything that comes before the first sequence."""
    parameters = list(_parameters(values))
    yield Heading(2, ("The network",))
    yield architecture(values.net, values.trace.inputs, values.notation)
    yield Heading(2, ("Equations",))
    yield from network_equations(values.net, values.notation)
    if values.options.graph:
        yield Heading(2, ("The network, unrolled",))
        yield unrolled_graph(values)
    yield Heading(2, ("Notation",))
    yield from _notation(values)
    yield Heading(2, ("Parameters",))
    yield from parameters


def equal(left: Math, value: Shown) -> Math:
    """Return ``left = value``, or ``left ≈ value`` where it is rounded."""
    return (*left, Sign("equals" if value.exact else "approx"), *value.math)


def position_title(net: Network, position: Position) -> str:
    """Return what to call a layer and direction, where there is more than one."""
    parts = [f"layer {position.layer + 1}"] if net.num_layers > 1 else []
    parts += [f"{position.direction} direction"] if net.bidirectional else []
    title = ", ".join(parts)
    return title[:1].upper() + title[1:]


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as torch prints it, ``(4, 1, 2)`` or ``(2)``."""
    return f"({', '.join(str(n) for n in shape)})"


def _row(name: str, *content: Inline) -> tuple[tuple[Inline, ...], ...]:
    return (name,), content


def architecture(
    net: Network, inputs: Inputs | None = None, notation: Notation | None = None
) -> Table:
    """Return the sizes of a network, and of what it ran on, if it did."""
    directions = "forward and reverse" if net.bidirectional else "forward"
    rows = [
        _row("Cell", net.cell.name),
        _row("Layers", str(net.num_layers)),
        _row("Directions", directions),
        _row("Features of the input", str(net.input_size)),
    ]
    for state, size in net.state_sizes.items():
        rows.append((_state_features(state, notation), (str(size),)))
    count = sum(a.size for arrays in net.parameters.values() for a in arrays.values())
    rows.append(_row("Parameters", f"{count:,}".replace(",", " ")))
    if inputs is not None:
        lengths = sorted(set(inputs.lengths))
        one = len(lengths) == 1
        steps = str(lengths[0]) if one else f"{lengths[0]} to {lengths[-1]}"
        rows.append(_row("Sequences", str(inputs.batch)))
        rows.append(_row("Steps", steps))
    if net.dtype:
        rows.append(_row("Number format", net.dtype))
    return Table((("Property",), ("Value",)), tuple(rows), "ll")


def _state_features(state: str, notation: Notation | None) -> tuple[Inline, ...]:
    symbol = notation.symbols[state] if notation else Symbol(state)
    if symbol == Symbol(state):
        return (f"Features of the state {state}",)
    return "Features of the state ", Formula((symbol,))


# --- equations and notation ---------------------------------------------------------


def network_equations(net: Network, notation: Notation) -> Iterator[Block]:
    """Yield the equations of the cell, and what is said of layers and directions."""
    several = net.num_layers > 1
    layer = "(l)" if several else ""
    names = Names(cell=net.cell, notation=notation, layer=layer)
    where: list[Inline] = ["At every step ", Formula((Symbol("t"),))]
    if several:
        where += [" of layer ", Formula((Symbol("l"),))]
    yield Paragraph((*where, f", the {net.cell.name} computes"), leads=True)
    yield cell_equations(names)
    if several:
        yield _layer_inputs(net, names)
    if net.bidirectional:
        yield _directions(net, names)


def cell_equations(names: Names) -> Equations:
    """Return the equations of a cell, with its names as they are at some step."""
    lefts = [(names.symbol(e.target),) for e in names.cell.equations]
    indent = max(width(left) for left in lefts)
    lines: list[Line] = []
    for left, equation in zip(lefts, names.cell.equations, strict=True):
        whole = Line((), "equals", spell(equation.value, names))
        lines += fill(left, [whole], indent)
    return Equations(tuple(lines))


def _layer_inputs(net: Network, names: Names) -> Paragraph:
    symbol = replace(names, layer="").symbol(x)
    lowest, upper_layer = replace(symbol, sup="(1)"), replace(symbol, sup="(l)")
    own = Formula((lowest, Sign("equals"), symbol))
    upper = Formula((upper_layer,))
    below = "both directions of" if net.bidirectional else ""
    return Paragraph(
        (
            own,
            " is the input of the network; above the first layer, ",
            upper,
            f" is the output of {below} the layer below.".replace("  ", " "),
        )
    )


def _directions(net: Network, names: Names) -> Paragraph:
    symbol = names.state(net.cell.states[0])
    forward, reverse = replace(symbol, arrow="right"), replace(symbol, arrow="left")
    return Paragraph(
        (
            "The network runs through each sequence twice, with parameters of its own "
            "for each direction: forward (",
            Formula((forward,)),
            ") from the first step to the last, and in reverse (",
            Formula((reverse,)),
            ") from the last to the first. In reverse, the state at ",
            Formula((Symbol("t-1"),)),
            " in the equations is the one at ",
            Formula((Symbol("t+1"),)),
            ".",
        )
    )


def _functions(net: Network) -> list[ElementwiseFunction]:
    found: dict[str, ElementwiseFunction] = {}
    for line in net.cell.equations:
        for node in postorder(line.value):
            if isinstance(node, Elementwise):
                found[node.function.name] = node.function
    return list(found.values())


def _notation(values: Values) -> Iterator[Block]:
    """Yield what the reader must know; call it when all the numbers have been shown."""
    net = values.net
    nodes = {type(n) for e in net.cell.equations for n in postorder(e.value)}
    counted = "Steps and layers are" if net.num_layers > 1 else "Steps are"
    text: list[Inline] = [
        f"Vectors are {values.options.vectors}s. {counted} counted from 1."
    ]
    functions = _functions(net)
    if functions:
        text.append(" Functions act on every element: ")
        for function in functions:
            text += [*_defined(function), ", "]
        text[-1] = "."
    if Hadamard in nodes:
        text += [
            " The sign ",
            Formula((Sign("odot"),)),
            " multiplies element by element.",
        ]
    yield Paragraph(tuple(text))
    yield _accuracy(values)
    if values.options.units is not None:
        chosen = ", ".join(map(str, values.options.units))
        yield Paragraph((f"Of states and gates, these units are shown: {chosen}.",))
    if values.shortened:
        yield Paragraph(
            (
                "Dots stand for elements of large matrices that are left out; they are "
                "computed in the same way.",
            )
        )


def _accuracy(values: Values) -> Paragraph:
    """Return what the signs = and ≈ mean."""
    equals, approx = Formula((Sign("equals"),)), Formula((Sign("approx"),))
    rounded = _rounded(values.options)
    if values.options.carry == "by-hand":
        return Paragraph(
            (
                "Every number is computed from the numbers that are printed, as with a "
                f"calculator, and rounded {rounded} before it is used again, halves away "
                "from zero. Every number after ",
                equals,
                " is what exact arithmetic gives too; after ",
                approx,
                " at least one is not. How far the states are from the exact ones is "
                "said at the end.",
            )
        )
    return Paragraph(
        (
            "Where numbers are put in, every number after ",
            equals,
            " is exact, and after ",
            approx,
            f" at least one is rounded, {rounded}. Nothing is "
            "computed from rounded numbers: each number is the exactly carried value, "
            "rounded once, for print. The last digit of a printed result can therefore "
            "differ from what the printed terms give; it is the result that is right.",
        )
    )


def _rounded(options: Options) -> str:
    if options.rounding == "significant":
        plural = "s" if options.digits > 1 else ""
        return f"to {options.digits} significant digit{plural}"
    return f"to {_places(options.digits)}"


def _places(digits: int) -> str:
    if digits == 0:
        return "a whole number"
    return f"{digits} decimal{'s' if digits > 1 else ''}"


def _defined(function: ElementwiseFunction) -> list[Inline]:
    name = Function(function.name, function.latex)
    formula = function.definition
    if isinstance(formula, str):
        formula = (Function("", formula),)
    if formula is not None:
        return [Formula((name, Brackets((Symbol("a"),)), Sign("equals"), *formula))]
    return [Formula((name,)), f" ({function.words})" if function.words else ""]


# --- parameters ---------------------------------------------------------------------


def _parameters(values: Values) -> Iterator[Block]:
    net = values.net
    if net.dtype:
        yield Paragraph(
            (
                f"The parameters are {net.dtype} numbers. Each is taken exactly as "
                "stored, and printed with as many digits as there is room for.",
            )
        )
    yield _storage(values)
    shown = values.selection.positions
    for position in shown:
        title = position_title(net, position)
        if title:
            yield Heading(3, (title,))
        else:
            yield Paragraph(("Their values:",), leads=True)
        names = values.names(position)
        matrices: list[Math] = []
        vectors: list[Math] = []
        for p in net.cell.parameters:
            formula = equal((names.symbol(p),), values.parameter(position, p.name))
            (vectors if p.shape[1] == 1 else matrices).append(formula)
        yield Display((*pack(matrices), *pack(vectors)))
    if len(shown) < len(net.positions):
        yield Paragraph(
            ("The parameters of other layers and directions are left out.",)
        )


def _storage(values: Values) -> Table:
    net = values.net
    names = Names(cell=net.cell, notation=values.notation)
    symbols = {p.name: names.symbol(p) for p in net.cell.parameters}
    rows = []
    for array, members in net.cell.stacking.items():
        name = array_name(array, FIRST, single_step=net.single_step)
        height = sum(net.parameters[FIRST][m].shape[0] for m in members)
        columns = net.parameters[FIRST][members[0]].shape[1]
        vector = (
            next(p for p in net.cell.parameters if p.name == members[0]).shape[1] == 1
        )
        shape = (height,) if vector else (height, columns)
        held: list[Inline] = []
        for member in members:
            held += [*([", "] if held else []), Formula((symbols[member],))]
        rows.append(((Code(name),), tuple(held), (shape_text(shape),)))
    return Table(
        (("Stored as",), ("Holds, from the top",), ("Shape",)), tuple(rows), "lll"
    )
