# SPDX-License-Identifier: BSD-3-Clause
"""The formulas of Markdown and of notebooks, rendered by KaTeX in its strict mode."""

import json
import re
import subprocess
from pathlib import Path

import pytest

import symrnn
from symrnn.equations.cells import rnn
from tests.conftest import GOLDEN as FOLDER
from tests.derivations.test_cases import DIFFICULT, GOLDEN, SEQUENCE, random_network
from tests.require import require, require_node_file

RENDERER = Path(__file__).parents[1] / "node" / "katex_errors.js"

# What GitHub renders too: it refuses \operatorname, for one.
COMMANDS = {
    *("begin", "end", "frac", "hphantom", "left", "mathit", "mathrm", "quad", "right"),
    *(
        "hat",
        "overleftarrow",
        "overrightarrow",
        "tilde",
        "Phi",
        "max",
        "sigma",
        "tanh",
        "top",
    ),
    *("approx", "cdot", "leftarrow", "odot", "cdots", "ddots", "vdots"),
}

OPTIONS = {
    "fractions": (GOLDEN["gru"][0], SEQUENCE[:2], {"numbers": "fraction"}),
    "closed": (GOLDEN["rnn_one_feature"][0], [[3], [4]], {"numbers": "closed"}),
    "significant": (GOLDEN["lstm"][0], SEQUENCE[:2], {"rounding": "significant"}),
    "scalars": (GOLDEN["gru"][0], SEQUENCE[:2], {"detail": "scalars"}),
    "rows": (GOLDEN["rnn_stacked"][0], SEQUENCE[:2], {"vectors": "row"}),
    "by hand": (GOLDEN["lstm"][0], SEQUENCE[:2], {"carry": "by-hand"}),
    "goodfellow": (GOLDEN["lstm"][0], SEQUENCE[:2], {"notation": "goodfellow"}),
    "cho": (GOLDEN["gru"][0], SEQUENCE[:2], {"notation": "cho"}),
    "own letters": (
        GOLDEN["rnn_stacked"][0],
        SEQUENCE[:2],
        {"notation": {"W_ih": r"\Phi", "h": r"\hat{s}", "b_ih": "b^{in}"}},
    ),
    "relu": (lambda: random_network(rnn("relu"), 2, 2), [[1, "1/3"]], {}),
    "tiny": (GOLDEN["rnn_one_feature"][0], [["1e-30"]], {"rounding": "significant"}),
}


def formulas(markdown):
    """Return the formulas of a page, each with whether it is displayed."""
    displayed = re.findall(r"^\$\$\n(.*?)\n\$\$$", markdown, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^\$\$\n.*?\n\$\$$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    inline = re.findall(r"\$([^$\n]+)\$", rest)
    assert "$" not in re.sub(r"\$[^$\n]+\$", "", rest)
    return [(tex, True) for tex in displayed] + [(tex, False) for tex in inline]


def check_commands(found):
    """Check that GitHub renders formulas: its commands, no cell of a table that ends."""
    for tex, displayed in found:
        assert set(re.findall(r"\\([A-Za-z]+)", tex)) <= COMMANDS
        assert displayed or (tex == tex.strip() and "|" not in tex)


@pytest.fixture(scope="module")
def complaints():
    """Return the formulas that KaTeX does not render without a remark, and the remark."""
    require_node_file("katex/package.json")
    with subprocess.Popen(
        [require("node"), RENDERER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as renderer:

        def complaints(found):
            renderer.stdin.write(f"{json.dumps(found)}\n")
            renderer.stdin.flush()
            said = json.loads(renderer.stdout.readline())
            pairs = zip(found, said, strict=True)
            return [(tex, remark) for (tex, _), remark in pairs if remark]

        yield complaints


def text_of(path):
    """Return the Markdown of a file, or of the cells of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    cells = json.loads(text)["cells"]
    sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
    return "\n\n".join(sources)


FILES = sorted(path.name for end in ("md", "ipynb") for path in FOLDER.glob(f"*.{end}"))


@pytest.mark.parametrize("name", FILES)
def test_golden_formulas_render(name, complaints):
    """KaTeX finds nothing unknown, and nothing that LaTeX would refuse."""
    found = formulas(text_of(FOLDER / name))
    assert len(found) > 10
    check_commands(found)
    assert [] == complaints(found)


@pytest.mark.parametrize("case", [*DIFFICULT, *OPTIONS])
def test_formulas_of_every_choice_render(case, complaints):
    """Whatever the numbers look like, and whatever the letters."""
    make, inputs, options = (DIFFICULT | OPTIONS)[case]
    found = formulas(symrnn.derive(make(), inputs, **options).markdown())
    check_commands(found)
    assert [] == complaints(found)


@pytest.mark.parametrize(
    ("tex", "remark"),
    [
        (r"\begin{aligned} a &= 1 \\ ", "Expected"),
        (r"\undefined{x}", "Undefined control sequence"),
        (r"x_1_2", "Double subscript"),
        ("größer", "unicodeTextInMathMode"),
    ],
)
def test_the_renderer_is_strict(tex, remark, complaints):
    """What a lenient renderer would print in red, or as it likes, is noticed."""
    assert [] == complaints([("x_{1}", True)])
    ((_, said),) = complaints([(tex, True)])
    assert remark in said
