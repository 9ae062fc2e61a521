# SPDX-License-Identifier: BSD-3-Clause
"""One element of HTML, SVG or MathML; what is text stays text."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

__all__ = ["element", "escaped", "printable"]

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
