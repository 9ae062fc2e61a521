# SPDX-License-Identifier: BSD-3-Clause
"""Drawings as TikZ, no wider and no higher than a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from symrnn.documents.model import Figure, Math, Node

__all__ = ["picture"]

_WIDE = (15.0, 21.0)  # a step of time, in millimetres: at least, and with room
_HIGH = (11.0, 14.0)  # a layer, likewise
_NODE = 17.0  # room for the widest node

_STYLES = (
    "x={wide:.1f}mm, y={high:.1f}mm, {scale}>=stealth, every node/.style={{font=\\small, "
    "inner sep=2pt, minimum height=6mm}}, input/.style={{}}, initial/.style={{draw, "
    "rounded corners, dashed, minimum width=8mm}}, state/.style={{draw, rounded "
    "corners, minimum width=8mm}}, output/.style={{}}, dots/.style={{}}"
)


def picture(
    figure: Figure,
    math: Callable[[Math], str],
    *,
    width: float = 166.0,
    height: float = 190.0,
) -> str:
    r"""Return a ``tikzpicture`` of a figure's graph.

    Args:
        figure: What to draw; its caption is not written.
        math: The writer for the labels.
        width: Room, in millimetres.
        height: Room, in millimetres.

    >>> from symrnn.documents.model import Edge, Graph, Symbol
    >>> from symrnn.documents.latex.math import math
    >>> a = Node(key="a", label=(Symbol("x", "1"),), x=1, y=0, kind="input")
    >>> b = Node(key="b", label=(Symbol("h", "1"),), x=1, y=1, kind="state")
    >>> text = picture(Figure(Graph((a, b), (Edge("a", "b"),)), ()), math)
    >>> print("\n".join(text.splitlines()[1:]))
    \node[input] (a) at (1,0) {$x_{1}$};
    \node[state] (b) at (1,1) {$h_{1}$};
    \draw[->] (a) -- (b);
    \end{tikzpicture}
    """
    across = _extent(node.x for node in figure.graph.nodes)
    up = _extent(node.y for node in figure.graph.nodes)
    wide = _clamped((width - _NODE) / max(1.0, across), _WIDE)
    high = _clamped((height - _NODE) / max(1.0, up), _HIGH)
    # Where even the closest does not fit, everything shrinks.
    shrunk = min(1.0, width / (wide * across + _NODE), height / (high * up + _NODE))
    scale = f"scale={shrunk:.2f}, transform shape, " if shrunk < 1 else ""
    styles = _STYLES.format(wide=wide, high=high, scale=scale)
    lines = [rf"\begin{{tikzpicture}}[{styles}]"]
    lines += [_node(node, math) for node in figure.graph.nodes]
    lines += [
        rf"\draw[->] ({edge.tail}) -- ({edge.head});" for edge in figure.graph.edges
    ]
    return "\n".join([*lines, r"\end{tikzpicture}"])


def _clamped(number: float, bounds: tuple[float, float]) -> float:
    return max(bounds[0], min(bounds[1], number))


def _extent(numbers: Iterable[float]) -> float:
    found = list(numbers)
    return max(found) - min(found) if found else 0.0


def _node(node: Node, math: Callable[[Math], str]) -> str:
    at = f"({node.x:g},{node.y:g})"
    return rf"\node[{node.kind}] ({node.key}) at {at} {{${math(node.label)}$}};"
