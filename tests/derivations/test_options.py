# SPDX-License-Identifier: BSD-3-Clause
"""What an author may choose, in Python, in a file and at the command line."""

import json
import re
import typing
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import symrnn
from symrnn.cli import main
from symrnn.derivations.options import Choices, Options, read_choices, read_notation
from symrnn.errors import SourceError
from tests.derivations.test_cases import SEQUENCE, bidirectional, one_feature, stacked

# --- names --------------------------------------------------------------------------


def test_editors_know_every_option():
    """What a type checker lets pass is what there is, and nothing else."""
    assert [f.name for f in fields(Options)] == list(typing.get_type_hints(Choices))


@pytest.mark.parametrize(
    ("wrong", "right"), [("digit", "digits"), ("detial", "detail"), ("color", "colour")]
)
def test_a_misspelt_option_suggests_the_right_one(wrong, right):
    """The name that was perhaps meant is in the message."""
    with pytest.raises(SourceError, match=f"{wrong}'; did you mean '{right}'"):
        symrnn.derive(one_feature(), [[3]], **{wrong: 1})


def test_an_option_unlike_any_other_lists_them():
    """Where nothing is near, everything is named."""
    with pytest.raises(SourceError, match="there are title, digits, rounding"):
        Options.of({"zzzzzz": 1})


def test_options_and_choices_are_not_mixed():
    """There is one place to look at for how a document is written."""
    with pytest.raises(TypeError, match="options= or choices, not both"):
        symrnn.derive(one_feature(), [[3]], options=Options(), digits=3)


def test_options_are_the_same_as_choices():
    """One value may serve many documents."""
    one = symrnn.derive(one_feature(), [[3]], options=Options(digits=7))
    other = symrnn.derive(one_feature(), [[3]], digits=7)
    assert one.document == other.document
    assert "0.9896775" in one.markdown()


# --- values -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("digits", 201, "at most 200"),
        ("digits", True, "whole number"),
        ("rounding", "decimal", "did you mean 'decimals'"),
        ("numbers", "fractions", "did you mean 'fraction'"),
        ("detail", "scalar", "did you mean 'scalars'"),
        ("detail", None, "one of summary, steps, scalars"),
        ("carry", "by hand", "did you mean 'by-hand'"),
        ("vectors", ["row"], "one of column, row"),
        ("colour", 1, "true or false"),
        ("graph", "no", "true or false"),
        ("title", 3, "title must be text"),
        ("directions", "backward", "one of forward, reverse"),
        ("directions", [], "must name one"),
        ("directions", 1, "one of forward, reverse"),
        ("notation", 3, "a name such as"),
        *[
            (name, value, f"{name} must be whole numbers from 1")
            for name in ("layers", "steps", "units", "sequences")
            for value in (
                *(0, -1, [], [0, 1], 1.5, [1.0], True, [True], b"12", 10**9),
                *("", "0", "1-", "-3", "3-1", "1,,2", "a", "1-1000000000", "1.5"),
            )
        ],
    ],
)
def test_a_choice_that_does_not_exist_is_refused(name, value, message):
    """The message names the option, and what it can be."""
    with pytest.raises(SourceError, match=message):
        Options.of({name: value})


@pytest.mark.parametrize(
    "value", [(1, 2, 3, 50), [50, 3, 2, 1, 1], "1-3,50", " 50 , 1 - 3", {1, 2, 3, 50}]
)
def test_numbers_can_be_written_in_many_ways(value):
    """A list, a range in text, in any order: one choice."""
    assert (1, 2, 3, 50) == Options(steps=value).steps


def test_one_number_and_numbers_of_numpy():
    """What counts as an int is an int."""
    assert (7,) == Options(units=7).units == Options(units=np.array([7])).units
    assert (1, 2) == Options(layers=range(1, 3)).layers


@given(st.sets(st.integers(1, 300), min_size=1))
def test_text_of_numbers_is_read_back(numbers):
    """Commas separate what was chosen."""
    assert tuple(sorted(numbers)) == Options(steps=",".join(map(str, numbers))).steps


def test_a_notation_is_not_changed_from_outside():
    """The options are frozen, and what they hold is their own."""
    symbols = {"W_ih": "U"}
    options = Options(notation=symbols)
    symbols["W_ih"] = "V"
    assert {"W_ih": "U"} == options.notation


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"steps": 5}, "steps are counted from 1 to 4 here .got 5"),
        ({"layers": [1, 2]}, "layers are counted from 1 to 1 here .got 2"),
        ({"units": "1-3"}, "units are counted from 1 to 2 here .got 3"),
        ({"sequences": 2}, "sequences are counted from 1 to 1 here .got 2"),
        ({"notation": "goodfelow"}, "did you mean 'goodfellow'"),
        ({"notation": {"W_hi": "U"}}, "the cell has no 'W_hi' to rename; did you mean"),
        ({"notation": {"W_ih": "W", "W_hh": "W"}}, "would both be written W"),
        ({"notation": {"W_ih": r"\input{x}"}}, "a symbol is a letter"),
    ],
)
def test_what_the_network_lacks_is_refused_before_anything_is_computed(
    choices, message, monkeypatch
):
    """Hours of computing do not end in a misprint."""
    monkeypatch.setattr("symrnn.derivations.derive.evaluate_inputs", None)
    with pytest.raises(SourceError, match=message):
        symrnn.derive(bidirectional(), SEQUENCE, **choices)


def test_a_direction_that_the_network_lacks():
    """A network that runs forward has nothing in reverse."""
    with pytest.raises(SourceError, match="no reverse direction"):
        symrnn.derive(stacked(), SEQUENCE, directions="reverse")


# --- files --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "detial = 1",
            "sheet.toml: there is no option 'detial'; did you mean 'detail'",
        ),
        ("[derive]\ndigits = 'six'", "sheet.toml: digits must be a whole number"),
        ("digits = 3\n[derive]\ndetail = 'steps'", r"digits outside of its table"),
        ("digits: 3", "sheet.toml is no TOML"),
        ("[[derive]]\ndigits = 3", "there is no option 'derive'"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    """Which file, and what is wrong in it."""
    path = tmp_path / "sheet.toml"
    path.write_text(text)
    with pytest.raises(SourceError, match=message):
        read_choices(path)


@pytest.mark.parametrize("head", ["", "[derive]\n", "[course]\nyear = 1\n[derive]\n"])
def test_a_file_holds_every_option(tmp_path, head):
    """At its top, or in its table; other tables are for others."""
    choices = {
        "title": "Sheet", "digits": 3, "rounding": "significant", "numbers": "closed",
        "detail": "scalars", "layers": [1], "directions": ["forward"], "steps": "1-2",
        "units": [1], "sequences": [1], "notation": "cho", "vectors": "row",
        "carry": "by-hand", "colour": True, "graph": False,
    }  # fmt: skip
    assert set(choices) == {f.name for f in fields(Options)}
    path = tmp_path / "sheet.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in choices.items()]
    path.write_text(head + "\n".join(lines))
    assert choices == read_choices(path)


def test_a_file_of_symbols_holds_nothing_else(tmp_path):
    """A number is no symbol."""
    path = tmp_path / "symbols.toml"
    path.write_text("W_ih = 3")
    with pytest.raises(SourceError, match='expected lines such as W_ih = "U"'):
        read_notation(path)


# --- the command line ---------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A command in a folder that has model.json and x.json."""
    monkeypatch.chdir(tmp_path)
    arrays = {"weight_ih_l0": [["-0.8769"]], "weight_hh_l0": [["-0.8218"]]}
    model = {"cell": "rnn_tanh", "parameters": arrays}
    Path("model.json").write_text(json.dumps(model))
    Path("x.json").write_text("[[3], [4], [5]]")
    common = ["derive", "model.json", "-i", "x.json", "--no-check"]
    return lambda *more: CliRunner().invoke(
        main, [*common, *more], catch_exceptions=False
    )


def page(**choices):
    return symrnn.derive(one_feature(), [[3], [4], [5]], **choices).markdown()


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [
        (["--digits", "9"], {"digits": 9}),
        (["--rounding", "significant"], {"rounding": "significant"}),
        (["--numbers", "fraction"], {"numbers": "fraction"}),
        (["--detail", "summary"], {"detail": "summary"}),
        (["--steps", "2-3"], {"steps": (2, 3)}),
        (["--notation", "goodfellow"], {"notation": "goodfellow"}),
        (["--symbol", "W_ih=U", "--symbol", "h=s"],
         {"notation": {"W_ih": "U", "h": "s"}}),
        (["--vectors", "row"], {"vectors": "row"}),
        (["--carry", "by-hand"], {"carry": "by-hand"}),
        (["--no-graph"], {"graph": False}),
    ],
)  # fmt: skip
def test_each_choice_at_the_command_line(run, arguments, choices):
    """It writes what Python writes, and that is not what is written by default."""
    result = run(*arguments)
    assert (0, page(**choices)) == (result.exit_code, result.stdout)
    assert page() != result.stdout


def test_every_option_is_at_the_command_line():
    """Nothing can be chosen in Python alone."""
    parameters = {p.name for p in main.get_command(None, "derive").params}
    assert {f.name for f in fields(Options)} <= parameters


def test_the_command_line_comes_before_the_file(run):
    """A file gives what nothing else gives, and symbols add up."""
    Path("c.toml").write_text("digits = 9\ndetail = 'summary'\n[notation]\nh = 's'")
    result = run("--config", "c.toml", "--digits", "2", "--symbol", "W_ih=U")
    expected = page(digits=2, detail="summary", notation={"h": "s", "W_ih": "U"})
    assert expected == result.stdout


def test_symbols_from_a_file(run):
    """What ends in .toml is a file of symbols, not a notation by name."""
    Path("mine.toml").write_text('W_ih = "U"')
    result = run("--notation", "mine.toml")
    assert page(notation={"W_ih": "U"}) == result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--detial", "steps"], "No such option.*--detail"),
        (["--detail", "step"], "'step' is not one of"),
        (["--steps", "4"], "steps are counted from 1 to 3"),
        (["--steps", "3-1"], "steps must be whole numbers from 1"),
        (["--notation", "cho", "--symbol", "h=s"], "not both"),
        (["--symbol", "h"], "expected --symbol NAME=LATEX"),
        (["--config", "none.toml"], "none.toml: No such file"),
        (["--notation", "none.toml"], "none.toml: No such file"),
        (["--format", "pdf"], "a PDF needs a file"),
        (["--fragment", "--beamer", "--format", "latex"], "not both"),
        (["--beamer", "--format", "html"], "--beamer is for"),
    ],
)
def test_a_wrong_choice_is_one_message(run, arguments, message):
    """Exit code 2, nothing on standard output, and what is wrong."""
    result = run(*arguments)
    assert (2, "") == (result.exit_code, result.stdout)
    assert re.search(message, result.stderr, re.DOTALL)
