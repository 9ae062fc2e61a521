# SPDX-License-Identifier: BSD-3-Clause
"""What a page says where a reader may not see it: names of values, and of drawings."""

from __future__ import annotations

from markupsafe import Markup

from symrnn.documents.html.mathml import MathML
from symrnn.documents.html.tags import printable
from symrnn.documents.model import Code, Formula, Graph, Inline, Math, Node, Strong

__all__ = ["graph_words", "node_words", "plain_text"]


def plain_text(content: tuple[Inline, ...]) -> str:
    """Return text with its formulas as letters alone.

    >>> from symrnn.documents.model import Symbol
    >>> plain_text(("Hidden state ", Formula((Symbol("h", "1"),))))
    'Hidden state h1'
    """
    parts = []
    for part in content:
        match part:
            case Formula():
                parts.append(spoken(part.math))
            case Code() | Strong():
                parts.append(part.text)
            case _:
                parts.append(part)
    return printable("".join(parts))


def spoken(math: Math) -> str:
    """Return a formula as letters alone."""
    markup = MathML().formula(math)
    text = Markup(markup).striptags()
    return "".join(c for c in text if c.isprintable() and not c.isspace())


def node_words(node: Node) -> str:
    """Return what a node of a drawing is called."""
    kinds = {
        "input": "input",
        "initial": "initial state",
        "state": "state",
        "output": "output",
    }
    origin = node.origin
    words = [f"{kinds.get(node.kind, '')} {spoken(node.label)}".strip()]
    if origin is not None:
        words.append(f"layer {origin.layer + 1}")
        if origin.direction:
            words.append(origin.direction)
        if origin.step is not None and node.kind != "initial":
            words.append(f"step {origin.step + 1}")
    return ", ".join(words)


def graph_words(graph: Graph) -> str:
    """Return which node is computed from which, in words.

    >>> from symrnn.documents.model import Edge, Symbol
    >>> a = Node(key="a", label=(Symbol("x", "1"),), x=1, y=0, kind="input")
    >>> b = Node(key="b", label=(Symbol("h", "1"),), x=1, y=1, kind="state")
    >>> graph_words(Graph((a, b), (Edge("a", "b"),)))
    'h1 from x1.'
    """
    nodes = {node.key: node for node in graph.nodes}
    tails: dict[str, list[str]] = {}
    for edge in graph.edges:
        if "dots" not in (nodes[edge.tail].kind, nodes[edge.head].kind):
            tails.setdefault(edge.head, []).append(spoken(nodes[edge.tail].label))
    sentences = [
        f"{spoken(nodes[head].label)} from {' and '.join(found)}"
        for head, found in tails.items()
    ]
    return f"{'; '.join(sentences)}." if sentences else ""
