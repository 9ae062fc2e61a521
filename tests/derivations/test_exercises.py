# SPDX-License-Identifier: BSD-3-Clause
"""Exercises: friendly networks, sheets that give nothing away, solutions alike."""

import json
import os
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction

import pytest
from click.testing import CliRunner
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import symrnn
from symrnn.cli import main
from symrnn.documents.model import Blank, Equations, Heading, Number, Script
from symrnn.equations.cells import CELLS
from tests.require import require

exercises = st.builds(
    symrnn.exercise,
    st.sampled_from(sorted(CELLS)),
    hidden=st.integers(1, 2),
    inputs=st.integers(1, 3),
    steps=st.integers(1, 4),
    difficulty=st.sampled_from(["easy", "medium", "hard"]),
    seed=st.integers(0, 10**6),
)


def pieces(part, kind):
    """Return all parts of one kind in a part of a document, in reading order."""
    if isinstance(part, kind):
        return [part]
    if isinstance(part, tuple):
        return [piece for inner in part for piece in pieces(inner, kind)]
    if is_dataclass(part):
        parts = [getattr(part, field.name) for field in fields(part)]
        return pieces(tuple(parts), kind)
    return []


def emptied(part):
    """Return a part of a document with nothing in its blanks."""
    if isinstance(part, Blank):
        return replace(part, filled="")
    if isinstance(part, tuple):
        return tuple(map(emptied, part))
    if is_dataclass(part):
        inner = {f.name: emptied(getattr(part, f.name)) for f in fields(part)}
        return replace(part, **inner)
    return part


def network(made):
    """Return the network and the inputs of an exercise's key."""
    (sheet,) = made.key["sheets"]
    return symrnn.load(sheet["parameters"], cell=sheet["cell"]), sheet["x"]


@st.composite
def deep(draw, difficulties=("easy", "medium", "hard")):
    """Exercises of several layers, directions, or both; none is found for some."""
    layers, bidirectional = draw(st.sampled_from([(2, False), (1, True), (2, True)]))
    try:
        return symrnn.exercise(
            draw(st.sampled_from(["rnn_tanh", "rnn_relu", "gru", "lstm"])),
            hidden=draw(st.integers(1, 2)),
            steps=draw(st.integers(1, 3)),
            layers=layers,
            bidirectional=bidirectional,
            difficulty=draw(st.sampled_from(difficulties)),
            seed=draw(st.integers(0, 10**6)),
        )
    except symrnn.UnsupportedError:
        reject()


@settings(max_examples=25, deadline=None)
@given(exercises)
def test_networks_are_friendly(made):
    """Numbers are short, nothing saturates, every unit does something of its own."""
    net, x = network(made)
    (sheet,) = made.key["sheets"]
    flat = [
        v for a in sheet["parameters"].values() for v in json.dumps(a).split('"')[1::2]
    ]
    flat += [v for row in x for v in row]
    assert all(
        re.fullmatch(r"-?\d(\.\d{1,2})?", v) and abs(Fraction(v)) <= 2 for v in flat
    )
    trace = symrnn.evaluate(net, x, places=20)
    for step in trace:
        for equation in net.cell.equations:
            if equation.preactivation is not None:
                before = step[f"{equation.name}_pre"].decimal(places=10)
                assert all(abs(float(v)) <= 2.5 for v in before)
    units = list(zip(*trace.output.decimal(places=6), strict=True))
    assert len(set(units)) == len(units)
    assert all(any(float(v) for v in unit) for unit in units)


@settings(max_examples=25, deadline=None)
@given(st.one_of(exercises, deep()))
def test_solution_is_the_sheet_filled_in(made):
    """Sheet and solution differ in what is in the blanks, and in nothing else."""
    assert emptied(made.solution.document) == made.sheet.document
    filled = pieces(made.solution.document, Blank)
    assert all(bool(b.filled) == bool(b.answer) for b in filled)
    asked = [a["key"] for a in made.key["sheets"][0]["answers"]]
    assert asked == list(dict.fromkeys(b.answer for b in filled if b.answer))
    assert list(made.answer_form()["answers"]) == asked
    assert asked


@settings(max_examples=25, deadline=None)
@given(exercises)
def test_sheets_give_nothing_away(made):
    """On a sheet stand given numbers, those of worked steps, and no others."""
    net, x = network(made)
    derived = symrnn.derive(net, x, digits=made.sheet.options.digits, graph=False)
    given = {Fraction(v) for row in x for v in row} | {Fraction(0), Fraction(1)}
    for values in net.parameters[0, "forward"].values():
        given |= {Fraction(v) for v in values.ravel()}
    last = f"Step {len(x)}"
    for block in derived.document if "easy" in made.id else ():
        if isinstance(block, Heading) and block.content == (last,):
            break
        given |= {Fraction(n.text) for n in pieces(block, Number)}
    asked = {a["step"] for a in made.key["sheets"][0]["answers"]}
    assert asked == ({len(x)} if "easy" in made.id else set(range(1, len(x) + 1)))
    printed = {Fraction(n.text) for n in pieces(made.sheet.document, Number)}
    assert not any(blank.filled for blank in pieces(made.sheet.document, Blank))
    if "easy" not in made.id:
        assert printed <= given
    else:
        states = {a["value"] for a in made.key["sheets"][0]["answers"]}
        shown = [b for b in made.sheet.document if isinstance(b, Equations)]
        count = len(net.cell.equations)
        numbers = {Fraction(n.text) for b in shown[-count:] for n in pieces(b, Number)}
        assert states
        assert numbers <= given


@pytest.mark.parametrize(
    ("size", "steps"),
    [
        ({"layers": 2}, {(1, "forward"): {3}, (2, "forward"): {3}}),
        ({"bidirectional": True}, {(1, "forward"): {3}, (1, "reverse"): {1}}),
        (
            {"layers": 2, "bidirectional": True},
            {
                (1, "forward"): {3},
                (1, "reverse"): {1},
                (2, "forward"): {1, 2, 3},
                (2, "reverse"): {1, 2, 3},
            },
        ),
    ],
)
def test_what_is_computed_from_a_blank_is_asked(size, steps):
    """Easy sheets work what they can: a value after a blank would give it away."""
    made = symrnn.exercise("rnn_tanh", seed=5, **size)
    found = {}
    for a in made.key["sheets"][0]["answers"]:
        found.setdefault((a["layer"], a["direction"]), set()).add(a["step"])
    assert steps == found


@settings(max_examples=25, deadline=None)
@given(deep(["medium", "hard"]))
def test_layers_read_blanks_of_those_below(made):
    """Where all is asked, a number on the sheet is a weight, an input, 0 or 1."""
    net, x = network(made)
    given = {Fraction(v) for row in x for v in row} | {Fraction(0), Fraction(1)}
    for parameters in net.parameters.values():
        given |= {Fraction(v) for values in parameters.values() for v in values.ravel()}
    assert {Fraction(n.text) for n in pieces(made.sheet.document, Number)} <= given


@settings(max_examples=20, deadline=None)
@given(deep())
def test_keys_have_the_values_of_every_layer(made):
    """An answer is the quantity at its layer, direction and step, and has its place."""
    net, x = network(made)
    trace = symrnn.evaluate(net, x, places=30)
    half = Fraction(1, 10**29)
    found = 0
    for a in made.key["sheets"][0]["answers"]:
        step = trace[a["layer"] - 1, a["direction"], a["step"] - 1]
        if a["node"] in step.names:
            value = step[a["node"]].decimal(places=30)[max(a["unit"] - 1, 0)]
            assert abs(Fraction(value) - Fraction(a["value"])) <= half
            assert f"step {a['step']}: {a['node']}" in a["key"]
            assert ("layer" in a["key"]) == (net.num_layers > 1)
            assert (a["direction"] in a["key"]) == net.bidirectional
            found += 1
    assert found


@settings(max_examples=20, deadline=None)
@given(exercises)
def test_printed_answers_are_the_key_rounded(made):
    """What the solution prints is within half a unit of what the key knows."""
    values = {a["key"]: a["value"] for a in made.key["sheets"][0]["answers"]}
    (half,) = {
        Fraction(1, 2 * 10 ** a["places"]) for a in made.key["sheets"][0]["answers"]
    }
    for blank in pieces(made.solution.document, Blank):
        if blank.answer:
            assert abs(Fraction(blank.filled) - Fraction(values[blank.answer])) <= half


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_a_seed_gives_the_same_sheet_in_every_process(hash_seed):
    """The key of a seed is what it was when this test was written."""
    code = (
        "import json, symrnn\n"
        "made = symrnn.exercise('lstm', hidden=1, inputs=1, steps=1, seed=5)\n"
        "(sheet,) = made.key['sheets']\n"
        "print(json.dumps([sheet['parameters'], sheet['x']]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", code]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment
    )
    assert json.loads(run.stdout) == SEED_5


SEED_5 = [
    {
        "weight_ih_l0": [["1"], ["0.5"], ["-1"], ["-1"]],
        "weight_hh_l0": [["0.5"], ["1"], ["1"], ["0.5"]],
    },
    [["2"]],
]


def test_numbers_names_and_seeds():
    """Another number or seed is another network; a name is printed, and changes none."""
    first, named = symrnn.exercise(seed=1), symrnn.exercise(seed=1, name="Zoë & $x_1$")
    assert named.key["sheets"][0]["x"] == first.key["sheets"][0]["x"]
    line = next(t for t in named.sheet.latex().splitlines() if "Name:" in t)
    assert r"\&" in line
    assert "$x_1$" not in line
    assert "Zoë &amp; $x_1$" in named.sheet.html()
    others = [symrnn.exercise(seed=1, number=n).key["sheets"][0] for n in range(2, 6)]
    networks = [str(s["parameters"]) for s in (*first.key["sheets"], *others)]
    assert len(set(networks)) == 5


def test_hard_sheets_have_their_working_apart():
    """A hard sheet asks for states alone; the working derives the same states."""
    made = symrnn.exercise("lstm", difficulty="hard", seed=2)
    assert {a["node"] for a in made.key["sheets"][0]["answers"]} == {"c", "h"}
    assert pieces(made.working.document, Equations)
    filled = [b.filled for b in pieces(made.solution.document, Blank) if b.answer]
    assert filled[-1] in made.working.markdown()


def test_pages_of_sheet_and_solution_agree(tmp_path):
    """What is at the top of each printed page is the same in both."""
    require("pdflatex")
    reader = require("pdftotext")
    made = symrnn.exercise("gru", difficulty="medium", seed=3)
    tops = []
    for kind in (made.sheet, made.solution):
        path = kind.save(tmp_path / "page.pdf")
        text = subprocess.check_output([reader, "-layout", path, "-"], text=True)
        pages = [page.split() for page in text.split("\f")]
        tops.append([page[:2] for page in pages])
    assert tops[0] == tops[1]
    assert len(tops[0]) > 3


def test_sheets_have_no_code():
    """A notebook of a sheet does not compute the answers."""
    for kind in (symrnn.exercise(seed=1).sheet, symrnn.exercise(seed=1).solution):
        assert not pieces(kind.document, Script)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"difficulty": "eazy"}, "did you mean 'easy'"),
        ({"cell": "gruu"}, "did you mean 'gru'"),
        ({"hidden": 9}, "at most 8"),
        ({"steps": 13}, "at most 12"),
        ({"digits": 13}, "at most 12"),
        ({"cell": "lstm", "hidden": 4, "difficulty": "hard"}, "at most 3"),
        ({"number": 0}, "number"),
        ({"layers": 4}, "at most 3"),
        ({"layers": 0}, "layers"),
        ({"layers": 2, "hidden": 5, "bidirectional": True}, "at most 8 features"),
        ({"bidirectional": "yes"}, "bool"),
        ({"name": 5}, "name must be text"),
        ({"seed": "7"}, "seed"),
    ],
)
def test_what_has_no_room_is_refused(choices, message):
    """Sizes that do not fit on a page, and names of nothing, are errors."""
    with pytest.raises(symrnn.SourceError, match=message):
        symrnn.exercise(**choices)


def test_command_writes_all_files(tmp_path):
    """A sheet, a solution and a form for each name, and one key."""
    names = tmp_path / "names.txt"
    names.write_text("Ada <b>\n\nBob\n", encoding="utf-8")
    folder = tmp_path / "new" / "sheets"
    arguments = [
        "exercise",
        "--seed",
        "7",
        "--students",
        str(names),
        "--format",
        "html",
    ]
    result = CliRunner().invoke(main, [*arguments, "-o", str(folder)])
    assert result.exit_code == 0, result.output
    files = sorted(path.name for path in folder.iterdir())
    each = [f"{kind}-0{n}" for n in (1, 2) for kind in ("answers", "sheet", "solution")]
    assert files == sorted(
        ["key.json", *(f"{f}.json" if f[0] == "a" else f"{f}.html" for f in each)]
    )
    assert "Ada &lt;b&gt;" in (folder / "sheet-01.html").read_text(encoding="utf-8")
    key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
    assert [sheet["name"] for sheet in key["sheets"]] == ["Ada <b>", "Bob"]


@pytest.mark.parametrize("students", ["0", "1001", "missing.txt"])
def test_command_refuses_students(tmp_path, students):
    """No students, too many, or a file that is not there: exit code 2, one line."""
    arguments = ["exercise", "--students", students, "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()
