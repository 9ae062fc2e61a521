# SPDX-License-Identifier: BSD-3-Clause
"""Printed documents read back into blocks, the same for every format; no tests of its own.

The readers know LaTeX, Markdown, HTML and notebooks, not symrnn. A line, a tag or a
command that they have not been told of is an error, so that nothing is passed over.
"""

import html
import json
import re
from dataclasses import dataclass
from functools import cache
from xml.etree import ElementTree

from tests.reading.mathematics import ReadingError, read_mathml, read_tex


@dataclass(frozen=True)
class Heading:
    """Text is strings and formulas, which are tuples of tokens."""

    text: tuple


@dataclass(frozen=True)
class Paragraph:
    text: tuple


@dataclass(frozen=True)
class Equations:
    """Lines of (left, right), the relation at the beginning of what is right."""

    lines: tuple


@dataclass(frozen=True)
class Display:
    """Lines of formulas, which commas separate."""

    lines: tuple


@dataclass(frozen=True)
class Table:
    header: tuple
    rows: tuple


@dataclass(frozen=True)
class Edges:
    """A drawing: each label with the labels that it is computed from, if it says them."""

    labels: tuple


@dataclass(frozen=True)
class Code:
    """A cell of a notebook that holds Python."""

    source: str


def read(name, text):
    """Read a document by the suffix of its name."""
    reader = {"md": read_markdown, "tex": read_latex, "html": read_html}
    reader["ipynb"] = read_notebook
    return reader[name.rpartition(".")[2]](text)


def _inline(text, formula, plain):
    r"""Split at dollar signs: plain text is unescaped, formulas are read."""
    parts = []
    for i, part in enumerate(re.split(r"(?<!\\)\$", text)):
        if i % 2:
            parts.append(formula(part))
        elif part:
            parts.append(plain(part))
    return tuple(parts)


def _aligned(text):
    """Read the lines of an ``aligned`` environment."""
    lines = []
    for line in _tex_lines(text):
        left, ampersand, right = line.partition("&")
        if not ampersand:
            raise ReadingError(f"no relation in {line!r}")
        lines.append((read_tex(left), read_tex(right)))
    return Equations(tuple(lines))


def _gathered(text):
    return Display(tuple(read_tex(line) for line in _tex_lines(text)))


def _tex_lines(text):
    lines = text.strip().splitlines()
    for line in lines[:-1]:
        if not re.search(r" \\\\\*?(\[0\.8ex\])?$", line):
            raise ReadingError(f"{line!r} does not end")
    return [re.sub(r" \\\\\*?(\[[\d.]+ex\])?$", "", line) for line in lines]


# --- Markdown and notebooks ---------------------------------------------------------


def read_markdown(text):
    """Read Markdown: blocks with empty lines between."""
    found = []
    for block in re.split(r"\n\n+", text.strip()):
        found.append(_markdown_block(block))
    return found


@cache
def _markdown_block(block):
    lines = block.splitlines()
    if lines[0] == "$$":
        begin, *inner, end = lines[1:-1]
        kind = re.fullmatch(r"\\begin\{(aligned|gathered)\}", begin)[1]
        assert (end, lines[-1]) == (rf"\end{{{kind}}}", "$$")
        read_lines = _aligned if kind == "aligned" else _gathered
        return read_lines("\n".join(inner))
    if lines[0].startswith("|"):
        header, rule, *rows = (
            tuple(_markdown_text(cell.strip()) for cell in line.strip("|").split("|"))
            for line in lines
        )
        assert all(re.fullmatch(":--|--:", cell[0]) for cell in rule)
        return Table(header, tuple(rows))
    if lines[0].startswith("- "):
        text = "; ".join(line.removeprefix("- ") for line in lines)
        return Edges(tuple(p for p in _markdown_text(text) if isinstance(p, tuple)))
    (line,) = lines
    heading = re.fullmatch(r"#{1,5} (.*)", line)
    if heading:
        return Heading(_markdown_text(heading[1]))
    return Paragraph(_markdown_text(line))


def _markdown_text(text):
    return _inline(text, read_tex, _markdown_plain)


def _markdown_plain(text):
    text = re.sub(r"</?code>|\*\*", "", text)
    text = re.sub(r"\\([\\`*_{}\[\]#|~])", r"\1", text)
    if re.search(r"[<>*`]", text):
        raise ReadingError(f"cannot read {text!r} of Markdown")
    return html.unescape(text)


def read_notebook(text):
    """Read the cells of a notebook in order; it must come without outputs."""
    found = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            found += read_markdown(source)
        else:
            assert (cell["cell_type"], cell["outputs"]) == ("code", [])
            found.append(Code(source))
    return found


# --- LaTeX --------------------------------------------------------------------------

LAYOUT = re.compile(
    r"\\(nopagebreak|vskip|vspace|raggedbottom|newpage|providecommand|end\{document\})"
)


def read_latex(text):
    """Read what stands between the beginning and the end of the document."""
    lines = text.partition("\\begin{document}")[2].splitlines()
    found = []
    while lines:
        line = lines.pop(0)
        if line and not LAYOUT.match(line):
            found.append(_latex_block(line, lines))
    return found


def _latex_block(line, lines):
    if match := re.fullmatch(
        r"\\begin\{center\}\\LARGE\\bfseries (.*)\\end\{center\}", line
    ):
        return Heading(_latex_text(match[1]))
    if match := re.fullmatch(r"\\(?:(?:sub)*section|paragraph)\*\{(.*)\}", line):
        return Heading(_latex_text(match[1]))
    if match := re.fullmatch(r"\\begin\{(align|gather)\*\}", line):
        inner = _taken(lines, rf"\end{{{match[1]}*}}")
        return (_aligned if match[1] == "align" else _gathered)("\n".join(inner))
    if line.startswith(r"\smallskip{"):
        return _latex_table(_taken(lines, r"\end{tabular}}\smallskip"))
    if line == r"\ifcsname tikzpicture\endcsname":
        return _tikz(_taken(lines, r"\fi"))
    if match := re.fullmatch(r"\{\\small (.*)\\par\}", line):
        return Paragraph(_latex_text(match[1]))
    return Paragraph(_latex_text(line))


def _taken(lines, end):
    """Take the lines before `end`, and `end` itself."""
    index = lines.index(end)
    inner = lines[:index]
    del lines[: index + 1]
    return inner


def _latex_table(lines):
    rows = []
    for line in lines:
        if line not in (r"\toprule", r"\midrule", r"\bottomrule"):
            assert line.endswith(r" \\"), line
            cells = line.removesuffix(r" \\").split(" & ")
            rows.append(tuple(_latex_text(cell) for cell in cells))
    return Table(rows[0], tuple(rows[1:]))


def _tikz(lines):
    labels = []
    for line in lines[2:-2]:
        if match := re.fullmatch(r"\\node\[\w+\] \([\w-]+\) at \([\d.,-]+\) \{\$(.*)\$\};",
                                 line):  # fmt: skip
            labels.append(read_tex(match[1]))
        elif not re.fullmatch(
            r"\\draw\[->\] \([\w-]+\) (--|to\[.*\]) \([\w-]+\);", line
        ):
            raise ReadingError(f"cannot read {line!r} of a drawing")
    return Edges(tuple(labels))


def _latex_text(text):
    return _inline(text, read_tex, _latex_plain)


def _latex_plain(text):
    text = text.replace(r"\allowbreak{}", "")
    text = re.sub(r"\\text(?:tt|bf)\{((?:\\_|[^{}])*)\}", r"\1", text)
    text = re.sub(r"\\([_&%#])", r"\1", text)
    if re.search(r"[\\{}~]", text):
        raise ReadingError(f"cannot read {text!r} of LaTeX")
    return text.replace("--", "–")


# --- HTML ---------------------------------------------------------------------------


def read_html(text):
    """Read the title, and what stands in the main part of a page."""
    title = re.search(r"<h1>.*?</h1>", text)[0]
    main = re.search(r"<main .*?</main>", text, re.DOTALL)[0]
    found = [Heading(_html_text(ElementTree.fromstring(title)))]
    found += _html_blocks(ElementTree.fromstring(main))
    return found


def _html_blocks(parent):
    for element in parent:
        words = (element.get("class") or "").split()
        match element.tag:
            case "section":
                yield from _html_blocks(element)
            case "h2" | "h3" | "h4" | "h5":
                yield Heading(_html_text(element))
            case "p":
                yield Paragraph(_html_text(element))
            case "div" if "equations" in words:
                (lines,) = element
                pairs = tuple(tuple(map(_html_math, line)) for line in lines)
                yield Equations(pairs)
            case "div" if "display" in words:
                yield Display(tuple(_html_math(line) for line in element))
            case "div" if [child.tag for child in element] == ["table"]:
                yield _html_table(element[0])
            case "figure":
                yield Edges(())
                yield Paragraph(_html_text(element.find("figcaption")))
            case _:
                raise ReadingError(f"cannot read <{element.tag} class={words}>")


def _html_math(element):
    if len(element) == 0:
        return ()
    (math,) = element
    return read_mathml(math)


def _html_table(table):
    caption, head, body = table
    assert (caption.tag, head.tag, body.tag) == ("caption", "thead", "tbody")
    (header,) = head
    rows = [tuple(_html_text(cell) for cell in row) for row in (header, *body)]
    return Table(rows[0], tuple(rows[1:]))


def _html_text(element):
    """Return the text of an element with its formulas."""
    parts = [element.text or ""]
    for child in element:
        if child.tag == "math":
            parts.append(read_mathml(child))
        elif child.tag in ("code", "strong") or child.get("class") == "joined":
            parts += _html_text(child)
        else:
            raise ReadingError(f"cannot read <{child.tag}> in text")
        parts.append(child.tail or "")
    joined = []
    for part in parts:
        if joined and isinstance(part, str) and isinstance(joined[-1], str):
            joined[-1] += part
        elif part:
            joined.append(part)
    return tuple(part for part in joined if part)
