# SPDX-License-Identifier: BSD-3-Clause
"""The drawing of an unrolled network as SVG.

Labels are text, in any font that a reader has: each run of letters is centred where it
belongs, so that no width needs to be known exactly.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from symrnn.documents.html.latex_names import plain_latex
from symrnn.documents.html.mathml import graph_words, node_words, origin_key
from symrnn.documents.html.tags import element
from symrnn.documents.model import Edge, Figure, Graph, Math, Node, Sign, Symbol

__all__ = ["draw"]

_WIDE, _HIGH = 84.0, 66.0  # of a unit, in pixels
_BETWEEN = 30.0  # two nodes in a row, so that an arrow is seen
_NODE_HIGH = 36.0
_SIZE, _SMALL = 17.0, 12.0  # of letters
_MARGIN = 12.0
_HEAD = 7.0  # length of the head of an arrow
_SIGNS = {"cdots": "⋯", "vdots": "⋮", "ddots": "⋱", "comma": ","}


def draw(figure: Figure, number: int, tones: Mapping[str, str] | None = None) -> Markup:
    """Return the SVG of a figure.

    Args:
        figure: What to draw; its caption is not written.
        number: Of the figure in its page; identifiers are made of it.
        tones: By tone, the class of its nodes, which the page's style colours.
    """
    return _Drawing(figure.graph, number, tones or {}).svg()


@dataclass(frozen=True, slots=True)
class _Box:
    """A node's place, in pixels from the top left; half of its width and height."""

    x: float
    y: float
    wide: float
    high: float

    def border(self, dx: float, dy: float) -> float:
        """Return how far from the centre a ray in a direction of length 1 leaves it."""
        return min(
            self.wide / abs(dx) if dx else math.inf,
            self.high / abs(dy) if dy else math.inf,
        )


class _Drawing:
    """A graph with every node in its place."""

    def __init__(self, graph: Graph, number: int, tones: Mapping[str, str]) -> None:
        self.graph = graph
        self.number = number
        self.tones = tones
        labels = {node.key: list(_runs(node.label)) for node in graph.nodes}
        left = min((node.x for node in graph.nodes), default=0.0)
        top = max((node.y for node in graph.nodes), default=0.0)
        self.labels = labels
        wide = {key: _room(node_runs) for key, node_runs in labels.items()}
        widest = max(wide.values(), default=0.0)
        unit = max(_WIDE, widest + _BETWEEN)
        self.boxes = {
            node.key: _Box(
                _MARGIN + widest / 2 + unit * (node.x - left),
                _MARGIN + _NODE_HIGH / 2 + _HIGH * (top - node.y),
                wide[node.key] / 2,
                _NODE_HIGH / 2,
            )
            for node in graph.nodes
        }

    def svg(self) -> Markup:
        """Return the whole drawing."""
        right = max((box.x + box.wide for box in self.boxes.values()), default=0.0)
        low = max((box.y + box.high for box in self.boxes.values()), default=0.0)
        wide, high = right + _MARGIN, low + _MARGIN
        name = f"graph-{self.number}"
        edges = (self._edge(edge) for edge in self.graph.edges)
        nodes = (self._node(node) for node in self.graph.nodes)
        return element(
            "svg",
            element("title", "The unrolled network", id=f"{name}-title"),
            element("desc", graph_words(self.graph), id=f"{name}-words"),
            element("g", *edges, *nodes, id=name, class_="net"),
            class_="graph",
            viewBox=f"0 0 {wide:.0f} {high:.0f}",
            width=f"{wide:.0f}",
            height=f"{high:.0f}",
            role="group",
            aria_labelledby=f"{name}-title",
            aria_describedby=f"{name}-words",
        )

    def _node(self, node: Node) -> Markup:
        box = self.boxes[node.key]
        frame = element(
            "rect",
            x=box.x - box.wide,
            y=box.y - box.high,
            width=2 * box.wide,
            height=2 * box.high,
            rx=7.0,
        )
        parts = [] if node.kind == "dots" else [frame]
        parts += self._label(node, box)
        tone = f" {self.tones[node.tone]}" if node.tone in self.tones else ""
        origin = node.origin
        return element(
            "g",
            *parts,
            class_=f"node {node.kind}{tone}",
            role="img" if origin else None,
            aria_label=node_words(node) if origin else None,
            aria_hidden=None if origin else "true",
            data_v=origin_key(origin) if origin else None,
            data_at="" if origin is None or origin.step is None else str(origin.step),
            data_key=node.key,
        )

    def _label(self, node: Node, box: _Box) -> Iterator[Markup]:
        at = box.x - sum(run.advance for run in self.labels[node.key]) / 2
        for run in self.labels[node.key]:
            middle = at + run.wide / 2
            yield element(
                "text",
                run.text,
                x=middle,
                y=box.y + 6 + run.down,
                class_=run.kind,
                font_size=run.size,
            )
            if run.arrow:
                yield _arrow_above(middle, box.y - 10, run)
            at += run.advance

    def _edge(self, edge: Edge) -> Markup:
        tail, head = self.boxes[edge.tail], self.boxes[edge.head]
        dx, dy = head.x - tail.x, head.y - tail.y
        length = math.hypot(dx, dy) or 1.0
        dx, dy = dx / length, dy / length
        start, end = tail.border(dx, dy) + 1, length - head.border(dx, dy) - 2
        x1, y1 = tail.x + start * dx, tail.y + start * dy
        x2, y2 = tail.x + end * dx, tail.y + end * dy
        bx, by = x2 - _HEAD * dx, y2 - _HEAD * dy  # where the head begins
        wx, wy = -0.38 * _HEAD * dy, 0.38 * _HEAD * dx
        line = f"M{x1:.1f} {y1:.1f}L{bx:.1f} {by:.1f}"
        tip = f"M{x2:.1f} {y2:.1f}L{bx + wx:.1f} {by + wy:.1f}L{bx - wx:.1f} {by - wy:.1f}Z"
        return element(
            "g",
            element("path", d=line, class_="shaft"),
            element("path", d=tip, class_="tip"),
            class_="edge",
            data_tail=edge.tail,
            data_head=edge.head,
        )


# --- labels -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Run:
    """Letters in one size; widths are estimates, in pixels."""

    text: str
    wide: float
    advance: float  # to the next run; 0 where that one stands above or below this one
    down: float = 0.0
    size: float = _SIZE
    kind: str = "letter"
    arrow: str = ""


def _room(runs: list[_Run]) -> float:
    return max(40.0, sum(run.advance for run in runs) + 18)


def _runs(label: Math) -> Iterator[_Run]:
    """Yield the runs of a label from left to right."""
    for piece in label:
        if isinstance(piece, Symbol):
            yield from _symbol_runs(piece)
        elif isinstance(piece, Sign):
            text = _SIGNS.get(piece.name, "")
            yield _Run(text, 8, 12 if piece.name == "comma" else 8, kind="sign")
        else:
            text = getattr(piece, "text", "").replace("-", "−")
            yield _Run(text, _wide(text), _wide(text), kind="sign")


def _symbol_runs(symbol: Symbol) -> Iterator[_Run]:
    base = plain_latex(symbol.base)
    kind = "letter" if len(_printed(base.rstrip("′"))) == 1 else "sign"
    wide = _wide(base)
    yield _Run(
        base, wide, wide + (2 if symbol.arrow else 0), kind=kind, arrow=symbol.arrow
    )
    sub, sup = plain_latex(symbol.sub).replace("-", "−"), plain_latex(symbol.sup)
    ratio = _SMALL / _SIZE
    scripts = max(_wide(sub), _wide(sup)) * ratio
    if sub:
        yield _Run(sub, _wide(sub) * ratio, 0 if sup else scripts, 5, _SMALL, "script")
    if sup:
        yield _Run(sup, _wide(sup) * ratio, scripts, -8, _SMALL, "script")


def _printed(text: str) -> str:
    """Leave out the accents, which stand above a letter."""
    return "".join(c for c in text if not unicodedata.combining(c))


def _wide(text: str) -> float:
    text = _printed(text)
    narrow = len(re.findall(r"[(),.ijlt|]", text))
    return _SIZE * (0.52 * (len(text) - narrow) + 0.33 * narrow)


def _arrow_above(middle: float, y: float, run: _Run) -> Markup:
    half = max(5.5, run.wide / 2)
    sign = 1 if run.arrow == "right" else -1
    tip, back = middle + sign * half, middle + sign * (half - 4)
    line = f"M{middle - sign * half:.1f} {y:.1f}H{tip:.1f}"
    head = f"M{back:.1f} {y - 2.5:.1f}L{tip:.1f} {y:.1f}L{back:.1f} {y + 2.5:.1f}"
    return element("path", d=line + head, class_="above")
