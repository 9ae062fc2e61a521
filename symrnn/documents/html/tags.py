# SPDX-License-Identifier: BSD-3-Clause
"""Elements of HTML, SVG and MathML, as markup or as trees; what is text stays text.

`element` makes markup, for templates; `tag` makes a tree, which `document` writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, tostring

from markupsafe import Markup, escape

__all__ = ["Child", "document", "element", "escaped", "printable", "tag"]


# What HTML does not allow in a page, however it is escaped.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]"
)


def escaped(text: str) -> Markup:
    """Return text as markup that prints it; markup stays as it is.

    >>> print(escaped("a < b"), escaped(Markup("<b>c</b>")))
    a &lt; b <b>c</b>
    """
    if isinstance(text, Markup):
        return text
    return escape(printable(text))


def printable(text: str) -> str:
    """Return text with a sign in place of each character that no page may hold."""
    return _FORBIDDEN.sub("\ufffd", text)


def element(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element; children that are not markup are escaped.

    Args:
        name: Its name.
        children: What it holds, in order.
        attributes: By name, an underscore standing for a hyphen, one at the end for
            nothing; ``None`` is left out.

    >>> print(element("mi", "<a>", class_="tone", data_v=None))
    <mi class="tone">&lt;a&gt;</mi>
    """
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    body = "".join(map(escaped, children))
    return Markup(f"<{name}{named}>{body}</{name}>")


def _value(value: str | float) -> str:
    return escaped(value) if isinstance(value, str) else f"{value:.6g}"


Child = Element | str | None


_INLINE = frozenset({"b", "code", "span", "strong", "tspan", "a"})


def tag(name: str, /, *children: Child, **attributes: str | float | None) -> Element:
    """Return an element.

    Args:
        name: Its name.
        children: What it holds, in order; ``None`` is left out.
        attributes: By name, an underscore standing for a hyphen, one at the end for
            nothing; ``None`` is left out.

    >>> print(tostring(tag("p", "1 < 2 ", tag("b", "yes"), class_="x"), encoding="unicode"))
    <p class="x">1 &lt; 2 <b>yes</b></p>
    """
    named = {
        key.rstrip("_").replace("_", "-"): _text(value)
        for key, value in attributes.items()
        if value is not None
    }
    element = Element(name, named)
    for child in children:
        if isinstance(child, Element):
            element.append(child)
        elif child is not None:
            _append_text(element, _text(child))
    return element


def _append_text(element: Element, text: str) -> None:
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return _FORBIDDEN.sub("\ufffd", value)
    return f"{value:.6g}"


def document(root: Element) -> str:
    """Return a page, a line for each element that is not inside a line of text."""
    for element in _blocks(root):
        element.tail = (element.tail or "") + "\n"
    text: str = tostring(root, encoding="unicode", method="html")
    return f"<!doctype html>\n{text.rstrip()}"


def _blocks(element: Element) -> Iterator[Element]:
    for child in element:
        if child.tag not in _INLINE:
            yield child
            yield from _blocks(child)
