# SPDX-License-Identifier: BSD-3-Clause
"""What holds of every HTML page that is written."""

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Collects elements, and fails where a tag is not closed in its place."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), list(self.open)))
        assert len(attrs) == len(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == self.open.pop()

    def handle_data(self, data):
        self.text += data

    def find(self, *names):
        return [attrs for tag, attrs, _ in self.elements if tag in names]


def check_page(text):
    """Check what holds of every page: well formed, self-contained, accessible."""
    page = Page(text)
    assert text.startswith("<!doctype html>\n<html lang=")
    assert [] == page.find("script", "link", "img", "iframe", "object", "form")
    for _, attrs, _ in page.elements:
        assert not {"src", "href", "style", "onload", "onclick"} & attrs.keys()
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text
    ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for attrs in page.find("svg"):
        if "aria-labelledby" in attrs:
            assert set(attrs["aria-labelledby"].split()) <= set(ids)
            assert "img" == attrs["role"]
        else:
            assert "none" == attrs["preserveaspectratio"]  # inside another
    for attrs in page.find("th"):
        assert attrs["scope"] in ("col", "row")
    assert len(page.find("table")) == len(page.find("caption"))
    assert len(page.find("figure")) == len(page.find("figcaption"))
    assert (
        1
        == len(page.find("h1"))
        == len(page.find("main"))
        == len(page.find("title")[:1])
    )
    for attrs in page.find("path"):
        assert re.fullmatch(r"[MLhvz\d. -]+", attrs["d"]), attrs["d"][:100]
    numbers = [
        v
        for attrs in page.find("rect", "circle", "line", "text")
        for v in attrs.values()
    ]
    assert not {"nan", "inf", "-inf", None} & set(numbers)
    return page
