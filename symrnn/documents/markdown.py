# SPDX-License-Identifier: BSD-3-Clause
"""The writer for Markdown with ``$`` and ``$$``, as GitHub and Jupyter render it."""

from __future__ import annotations

import re

from symrnn.documents.latex.math import aligned_rows, display_rows, math
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
    Math,
    Node,
    Paragraph,
    Script,
    Strong,
    Table,
)

__all__ = ["escape", "write_block", "write_markdown"]

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}
_RULES = {"l": ":--", "r": "--:"}


def escape(text: str) -> str:
    r"""Return plain text as Markdown that prints it: no markup, HTML or mathematics.

    >>> escape("<b> costs $5 *each*")
    '&lt;b&gt; costs &#36;5 \\*each\\*'
    """
    plain = "".join(c if c.isprintable() else " " for c in text)
    plain = re.sub(r"[\\`*_{}\[\]#|~]", lambda found: "\\" + found[0], plain)
    # Entities: a renderer looks for dollar signs before it looks at backslashes.
    return "".join(_ENTITIES.get(c, c) for c in plain)


def write_markdown(document: Document) -> str:
    """Write `document` as Markdown."""
    blocks = [block for block in document if not isinstance(block, Script)]
    return "\n\n".join(write_block(block) for block in blocks) + "\n"


def write_block(block: Block) -> str:
    """Return one block, without the empty line that follows it."""
    match block:
        case Heading():
            return f"{'#' * block.level} {_text(block.content)}"
        case Paragraph():
            return _text(block.content)
        case Equations():
            return _environment("aligned", aligned_rows(block))
        case Display():
            return _environment("gathered", display_rows(block))
        case Table():
            return _table(block)
        case Figure():
            return _figure(block)
        case Script():
            return ""


def _environment(name: str, rows: list[str]) -> str:
    lines = [rf"\begin{{{name}}}", *rows, rf"\end{{{name}}}"]
    return "\n".join(["$$", *map(_allowed, lines), "$$"])


def _allowed(tex: str) -> str:
    r"""Replace what GitHub refuses: it does not allow ``\operatorname``."""
    return tex.replace(r"\operatorname{", r"\mathrm{")


def _formula(formula: Math) -> str:
    return f"${_allowed(math(formula))}$"


def _figure(figure: Figure) -> str:
    """Write what a drawing says, row by row: Markdown has no drawings of its own."""
    nodes = {node.key: node for node in figure.graph.nodes}
    tails: dict[str, list[str]] = {}
    for edge in figure.graph.edges:
        tails.setdefault(edge.head, []).append(edge.tail)
    rows: dict[float, list[str]] = {}
    for key, node in nodes.items():
        if node.kind == "dots" or key not in tails:
            continue
        sources = ", ".join(math(_read(nodes[tail], node)) for tail in tails[key])
        formula = _allowed(rf"{math(node.label)} \leftarrow {sources}")
        rows.setdefault(node.y, []).append(f"${formula}$")
    lines = [f"- {'; '.join(row)}" for _, row in sorted(rows.items())]
    return "\n".join([_text(figure.caption), "", *lines])


def _read(tail: Node, head: Node) -> Math:
    """Return what `head` reads of `tail`: upwards only the first state is handed on."""
    return tail.label if tail.y == head.y else tail.label[:1]


def _table(table: Table) -> str:
    rows = [table.header, *table.rows]
    lines = [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows]
    lines.insert(1, f"| {' | '.join(_RULES[letter] for letter in table.align)} |")
    return "\n".join(lines)


def _text(content: tuple[Inline, ...]) -> str:
    return "".join(_inline(part) for part in content)


def _inline(part: Inline) -> str:
    match part:
        case Formula():
            return _formula(part.math)
        case Code():
            # Not in backticks: inside them nothing can be escaped.
            return f"<code>{escape(part.text)}</code>"
        case Strong():
            return f"**{escape(part.text)}**"
    return escape(part)
