# SPDX-License-Identifier: BSD-3-Clause
"""The headings of a document as a tree, with names to point at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from symrnn.documents.html.wording import plain_text
from symrnn.documents.model import Block, Document, Heading, Origin, Script

__all__ = ["Section", "arranged"]

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
