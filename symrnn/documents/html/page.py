# SPDX-License-Identifier: BSD-3-Clause
"""The writer for HTML: one file that needs nothing else, and no script to be read.

Sections nest as the headings do, and each has a name to point at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from symrnn.documents.colours import palette, tones_of
from symrnn.documents.html.figure import draw
from symrnn.documents.html.mathml import MathML, origin_key, plain_text
from symrnn.documents.html.tags import element, escaped
from symrnn.documents.model import (
    Block,
    Code,
    Document,
    Figure,
    Formula,
    Heading,
    Inline,
    Line,
    Math,
    Origin,
    Script,
    Sign,
    Strong,
)

__all__ = ["Section", "arranged", "write_fragment", "write_html"]


def write_html(document: Document, *, colour: bool = False) -> str:
    """Write `document` as a page that works offline, on paper and without script.

    Args:
        document: What to write; its first heading is the title.
        colour: Whether each gate has a colour.

    >>> from symrnn.documents.model import Heading
    >>> page = write_html(Document((Heading(1, ("RNN <tanh>",)),)))
    >>> print(page.splitlines()[0], "<h1>RNN &lt;tanh&gt;</h1>" in page)
    <!DOCTYPE html> True
    """
    top = arranged(document)
    return _render(
        "page.html.j2",
        document,
        top,
        colour=colour,
        has_time=len({section.step for section in top.walk()} - {None}) > 1,
        style=_inlined("style.css"),
        script=_inlined("script.js"),
    )


def write_fragment(
    document: Document, *, label: str = "Result", colour: bool = False
) -> str:
    """Write `document` as an element for a page of others, such as a notebook's.

    It is styled by rules that touch nothing else, and has no script and no identifiers:
    there may be several of them in a page.

    Args:
        document: What to write; where it begins with a heading, that is the title.
        label: What it is called to readers of a screen where it has no title.
        colour: Whether each gate has a colour.

    >>> from symrnn.documents.model import Paragraph
    >>> "<p>a &lt; b</p>" in write_fragment(Document((Paragraph(("a < b",)),)))
    True
    """
    titled = bool(document.blocks) and isinstance(document.blocks[0], Heading)
    title = () if titled else (Heading(1, (label,)),)
    return _render(
        "fragment.html.j2",
        document,
        arranged(Document((*title, *document.blocks))),
        colour=colour,
        named=False,
        titled=titled,
    )


def _render(
    template: str,
    document: Document,
    top: Section,
    *,
    colour: bool,
    named: bool = True,
    **further: Any,
) -> str:
    colours = palette(tones_of(document)) if colour else {}
    tones = {tone: f"tone-{i}" for i, tone in enumerate(colours)}
    page = (
        _environment()
        .get_template(template)
        .render(
            top=top,
            write=_Writer(MathML(tones), named),
            colours=list(colours.values()),
            blocks_style=_inlined("blocks.css"),
            **further,
        )
    )
    return f"{page.rstrip()}\n"


@dataclass(slots=True)
class _Writer:
    """What the template asks for: the parts of blocks as markup.

    Attributes:
        mathml: The writer for mathematics.
        named: Whether parts of the page have identifiers.
        figures: How many are written.
        results: The values that have a line of their own already.
    """

    mathml: MathML
    named: bool = True
    figures: int = 0
    results: set[str] = field(default_factory=set)

    def display(self, math: Math) -> Markup:
        """Return mathematics on a line of its own."""
        return self.mathml.formula(math, style="block")

    def left(self, line: Line) -> Markup:
        """Return a line up to its relation."""
        return (
            self.mathml.formula(line.left, style="display") if line.left else Markup()
        )

    def right(self, line: Line) -> Markup:
        """Return a line from its relation on."""
        relation = () if line.relation is None else (Sign(line.relation),)
        return self.mathml.formula((*relation, *line.right), style="display")

    def name(self, line: Line) -> str | None:
        """Return the identifier of a line in which a value appears first."""
        key = None if line.result is None else origin_key(line.result)
        if not self.named or key is None or key in self.results:
            return None
        self.results.add(key)
        return key

    def text(self, content: Iterable[Inline]) -> Markup:
        """Return text with its formulas."""
        return Markup(_BESIDE.sub(_joined, "".join(map(self._inline, content))))

    def header(self, content: tuple[Inline, ...]) -> Markup:
        """Return the text of a header cell.

        A formula is not text to every reader of a screen; one that stands alone has a
        name in letters.
        """
        match content:
            case (Formula(math),):
                return self.mathml.formula(math, label=plain_text(content))
        return self.text(content)

    def _inline(self, part: Inline) -> Markup:
        match part:
            case Formula():
                return self.mathml.formula(part.math)
            case Code():
                return element("code", part.text)
            case Strong():
                return element("strong", part.text)
        return escaped(part)

    def drawing(self, figure: Figure) -> Markup:
        """Return a drawing as SVG."""
        self.figures += 1
        return draw(figure, self.figures, self.mathml.tones)


_BESIDE = re.compile(r"([(\[]*)(<math\b.*?</math>)([)\].,;:]*)")


def _joined(found: re.Match[str]) -> str:
    """Keep a formula on one line with the marks around it."""
    if not found[1] and not found[3]:
        return found[0]
    return f'<span class="joined">{found[0]}</span>'


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("symrnn.documents.html", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda part: type(part).__name__
    environment.filters["plain"] = plain_text
    return environment


@cache
def _inlined(name: str) -> Markup:
    """Return a file of this folder as it is, for an element of the page."""
    return Markup(files(__package__).joinpath(name).read_text("utf-8").strip())


_LOWEST = 6


@dataclass(slots=True)
class Section:
    """A heading and what is below it.

    Attributes:
        heading: The heading.
        level: Of the element, 1 to 6: no level is skipped.
        name: An identifier.
        path: Its words, after those of the sections it is in.
        parts: Blocks and sections in reading order.
    """

    heading: Heading
    level: int
    name: str
    path: str
    parts: list[Block | Section] = field(default_factory=list)

    @property
    def step(self) -> int | None:
        """The step that it is about, from 0."""
        origin = self.heading.origin
        return None if origin is None else origin.step

    @property
    def sections(self) -> list[Section]:
        """The sections in it, one level down."""
        return [part for part in self.parts if isinstance(part, Section)]

    def walk(self) -> Iterator[Section]:
        """Yield the section and all that are in it."""
        yield self
        for section in self.sections:
            yield from section.walk()


def arranged(document: Document) -> Section:
    """Return a document as the section of its title.

    >>> blocks = Heading(1, ("A",)), Heading(2, ("B",)), Heading(4, ("C",))
    >>> [(s.level, s.path) for s in arranged(Document(blocks)).walk()]
    [(1, 'A'), (2, 'B'), (3, 'B, C')]
    """
    blocks = [block for block in document if not isinstance(block, Script)]
    title = Heading(1, ("Worked example",))
    if blocks and isinstance(blocks[0], Heading):
        title, blocks = blocks[0], blocks[1:]
    top = Section(title, 1, "top", plain_text(title.content))
    chain = [top]
    names = _Names()
    for block in blocks:
        if not isinstance(block, Heading):
            chain[-1].parts.append(block)
            continue
        while len(chain) > 1 and chain[-1].heading.level >= block.level:
            chain.pop()
        words = plain_text(block.content)
        path = words if len(chain) == 1 else f"{chain[-1].path}, {words}"
        level = min(chain[-1].level + 1, _LOWEST)
        section = Section(block, level, names.of(block.origin), path)
        chain[-1].parts.append(section)
        chain.append(section)
    return top


@dataclass(slots=True)
class _Names:
    """Identifiers of sections: the first at a step is named by it."""

    count: int = 0
    steps: set[int] = field(default_factory=set)

    def of(self, origin: Origin | None) -> str:
        self.count += 1
        if origin is None or origin.step is None or origin.step in self.steps:
            return f"section-{self.count}"
        self.steps.add(origin.step)
        return f"step-{origin.step + 1}"
