# SPDX-License-Identifier: BSD-3-Clause
"""Every printed number of every golden file, read from the file and computed again.

The Markdown is read and verified formula by formula and table by table, with the reader
and the recurrences of `tests.test_documents_numbers`, over mpmath. The other formats are
read by readers of their own, and must print the same numbers in the same order.
"""

import json
import random
import re
from html.parser import HTMLParser

import pytest

from tests.conftest import GOLDEN as FOLDER
from tests.test_documents_cases import GOLDEN, PACKED, packed_network
from tests.test_documents_numbers import (
    STEPS,
    check_page,
    judge,
    numbers_in,
    symbols_of,
)

CASES = [*GOLDEN, "lstm_packed"]


def read(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def meaning(case):
    """Return the values of all symbols, for each sequence."""
    if case == "lstm_packed":
        net = packed_network()
        return [symbols_of(STEPS["lstm"], net, x) for x in reversed(PACKED)]
    make, x = GOLDEN[case]
    return [symbols_of(STEPS[case.partition("_")[0]], make(), x)]


def parts(page, count):
    """Yield the parts of a page, each with the sequence that it is about."""
    if count == 1:
        yield page, 0
        return
    found = re.split(r"^(?:## )?Sequence (\d+):?$", page, flags=re.MULTILINE)
    yield found[0], 0
    for number, text in zip(found[1::2], found[2::2], strict=True):
        yield text, int(number) - 1


# --- tables -------------------------------------------------------------------------

LABEL = re.compile(r"\$(?:\((?P<many>\S+)\) ?_\{(?P<unit>\d+)\}|(?P<one>\S+))\$")


def check_tables(text, symbols):
    """Check the tables of states; return how many numbers they have."""
    count, header = 0, None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| Step |"):
            header = [LABEL.fullmatch(cell) for cell in cells[1:]]
            assert all(header), line
        elif not line.startswith("|"):
            header = None
        elif header and cells[0].isdecimal():
            for label, cell in zip(header, cells[1:], strict=True):
                symbol = (label["many"] or label["one"]).replace(
                    "{t}", f"{{{cells[0]}}}"
                )
                value = symbols[symbol][int(label["unit"] or 1) - 1][0]
                number = re.fullmatch(r"\$(-?\d+(?:\.\d+)?)\$", cell)
                judge(number[1], value)
                count += 1
    return count


def check(page, symbols):
    """Check a whole page; return how many numbers it has, as it was read."""
    count = 0
    for text, sequence in parts(page, len(symbols)):
        found = check_page(text, symbols[sequence])
        assert found == numbers_in(text)
        count += found + check_tables(text, symbols[sequence])
    return count


@pytest.mark.parametrize("case", CASES)
def test_every_number_of_the_markdown_is_right(case):
    page = read(f"{case}.md")
    assert check(page, meaning(case)) > 30
    rows = re.findall(r"^\| \d+ \|.*$", page, re.MULTILINE)
    assert sum(row.count("$") // 2 for row in rows) == sum(
        check_tables(text, meaning(case)[b])
        for text, b in parts(page, len(meaning(case)))
    )


@pytest.mark.parametrize("case", ["rnn_hidden_size_two", "lstm_packed"])
def test_any_digit_that_is_changed_is_noticed(case):
    """Numbers of formulas and of tables, drawn at random."""
    page, symbols = read(f"{case}.md"), meaning(case)
    places = [m.start(1) for m in re.finditer(r"\d\.\d{3}(\d)(?=[ $)])", page)]
    assert len(places) > 50
    for place in random.Random(0).sample(places, 12):
        wrong = page[:place] + str((int(page[place]) + 1) % 10) + page[place + 1 :]
        with pytest.raises((AssertionError, KeyError)):
            check(wrong, symbols)


# --- the other formats --------------------------------------------------------------

DECIMAL = r"-?\d+\.\d+"


def in_tex(text):
    """Return the decimals of TeX's formulas, in order; lengths are none."""
    text = re.sub(r"\\(?:hphantom|hspace\*?|vspace)\{[^{}]*\}", "", text)
    text = re.sub(r"\\\\\*?\[[^\]]*\]", "", text)
    text = re.sub(
        r"\\begin\{tikzpicture\}.*?\\end\{tikzpicture\}", "", text, flags=re.S
    )
    return re.findall(DECIMAL, text)


def in_latex(text):
    body = text.partition(r"\begin{document}")[2]
    drawing = re.compile(r"\\begingroup\n?.*?tikzpicture.*?\\endgroup", re.S)
    return in_tex(
        re.sub(r"(?<=[=( ])-?[\d.]+(?:mm|cm|pt|em|ex)", "", drawing.sub("", body))
    )


class Numbers(HTMLParser):
    """Collects what MathML calls numbers, with the sign before them."""

    def __init__(self, text):
        super().__init__()
        self.found, self.inside, self.ignored = [], False, 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = tag == "mn"
        self.ignored += tag == "svg"

    def handle_endtag(self, tag):
        self.inside = False
        self.ignored -= tag == "svg"

    def handle_data(self, data):
        if self.inside and not self.ignored:
            self.found.append(data.replace("−", "-"))


def in_html(text):
    return [n for n in Numbers(text).found if re.fullmatch(DECIMAL, n)]


def in_notebook(text):
    cells = json.loads(text)["cells"]
    words = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
    return in_tex("\n".join(words))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("suffix", "reader"), [("tex", in_latex), ("html", in_html), ("ipynb", in_notebook)]
)
def test_other_formats_print_the_same_numbers(case, suffix, reader):
    """Each decimal of the verified Markdown, in its order, and no other."""
    expected = in_tex(read(f"{case}.md"))
    assert len(expected) > 20
    assert expected == reader(read(f"{case}.{suffix}"))
