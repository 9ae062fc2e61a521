# SPDX-License-Identifier: BSD-3-Clause
"""Grading: what is right, to how many decimals, and what follows from earlier answers."""

import csv
import json
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import symrnn
from symrnn.cli import main
from symrnn.derivations.exercises.grading import read_json


def rounded(value, places):
    """Return a key's value as a decimal of so many places."""
    fraction = Fraction(value)
    exact = Decimal(fraction.numerator) / Decimal(fraction.denominator)
    return str(exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN))


def answered(made, places=None):
    """Return the form of an exercise with every answer right."""
    form = made.answer_form()
    for a in made.key["sheets"][0]["answers"]:
        form["answers"][a["key"]] = rounded(a["value"], places or a["places"])
    return form


def key_with(value, places=2):
    """Return a key of one answer, and its form."""
    made = symrnn.exercise("rnn_tanh", hidden=1, inputs=1, steps=1, difficulty="hard")
    key = json.loads(json.dumps(made.key))
    key["sheets"][0]["answers"][0] |= {"value": value, "places": places}
    return key, made.answer_form()


def mark(value, given, places=2):
    """Return the mark of one answer."""
    key, form = key_with(value, places)
    form["answers"] = dict.fromkeys(form["answers"], given)
    (found,) = symrnn.grade(key, form).marks
    return found


IRRATIONAL = "0.5723456789012345678901234567890123456789"


@pytest.mark.parametrize(
    ("value", "given", "verdict", "message"),
    [
        (IRRATIONAL, "0.57", "right", "0.57 is right to 2 decimals"),
        (IRRATIONAL, "0.58", "wrong", "0.58 is not right to 2 decimals (0.5723…)"),
        (IRRATIONAL, "0.572", "right", "0.572 is right to 3 decimals"),
        (IRRATIONAL, ".57", "right", None),
        (IRRATIONAL, "+0,57", "right", None),
        (IRRATIONAL, "57e-2", "right", None),
        (IRRATIONAL, 0.57, "right", None),
        (IRRATIONAL, Decimal("5.7E-1"), "right", None),
        (IRRATIONAL, "0.5729", "right", "the 2 decimals asked for, not to 4"),
        (IRRATIONAL, "0.579", "wrong", None),
        (
            IRRATIONAL,
            "0.6",
            "partial",
            "right to 1 decimal only; 2 decimals were asked",
        ),
        (IRRATIONAL, "1", "wrong", "right to 0 decimals only"),
        (IRRATIONAL, "0e2", "wrong", None),
        (IRRATIONAL, "4/7", "right", None),
        (IRRATIONAL, "1/2", "wrong", None),
        ("-" + IRRATIONAL, "\u22120.57", "right", None),
        ("-" + IRRATIONAL, "0.57", "wrong", "(-0.5723…)"),
        ("4/105", "4/105", "right", "4/105 is exact"),
        ("4/105", "8/210", "right", None),
        ("4/105", "0.04", "right", None),
        ("4/105", "4/104", "wrong", "(4/105 = 0.0380…)"),
        ("3/4", "0.75", "right", "0.75 is exact"),
        ("1/2", "0.5", "right", "0.5 is exact"),
        ("1/8", "0.12", "right", None),  # a tie: both neighbours are nearest
        ("1/8", "0.13", "right", None),
        ("0/1", "0", "right", "0 is exact"),
        ("0/1", "-0", "right", None),
        (IRRATIONAL, None, "not answered", None),
        (IRRATIONAL, "  ", "not answered", None),
        (IRRATIONAL, "about a half", "unreadable", "is no number"),
        (IRRATIONAL, "1/0", "unreadable", None),
        (IRRATIONAL, "1e999999999", "unreadable", None),
        (IRRATIONAL, "9" * 5000, "unreadable", None),
        (IRRATIONAL, "__import__('os')", "unreadable", None),
        (IRRATIONAL, "nan", "unreadable", None),
        (IRRATIONAL, True, "unreadable", None),
        (IRRATIONAL, [0.57], "unreadable", None),
        (IRRATIONAL, "٠.٥٧", "unreadable", None),
    ],
)
def test_one_answer(value, given, verdict, message):
    """An answer is judged by the decimals that it has."""
    found = mark(value, given)
    assert found.verdict == verdict
    assert found.points == {"right": 1, "partial": 0.5}.get(verdict, 0)
    assert message is None or message in found.message


exercises = st.builds(
    symrnn.exercise,
    st.sampled_from(["rnn_relu", "rnn_tanh", "gru", "lstm"]),
    hidden=st.integers(1, 2),
    steps=st.integers(1, 3),
    difficulty=st.sampled_from(["easy", "medium", "hard"]),
    seed=st.integers(0, 10**6),
)


@settings(max_examples=25, deadline=None)
@given(exercises, st.integers(0, 3))
def test_right_answers_have_all_points(made, more):
    """Rounded as asked, or to more decimals, every answer is right."""
    form = answered(made, made.sheet.options.digits + more)
    grade = symrnn.grade(made.key, form)
    assert grade.passed
    assert grade.points == grade.total == len(form["answers"])


@settings(max_examples=25, deadline=None)
@given(exercises, st.sampled_from([-1, 1]))
def test_the_last_digit_decides(made, change):
    """One unit more or less in the last digit is wrong, but for ties."""
    form = answered(made)
    values = {a["key"]: a["value"] for a in made.key["sheets"][0]["answers"]}
    unit = Decimal(1).scaleb(-made.key["sheets"][0]["answers"][0]["places"])
    ties = 0
    for name, text in form["answers"].items():
        moved = Decimal(text) + change * unit
        form["answers"][name] = str(moved)
        ties += abs(Fraction(moved) - Fraction(values[name])) <= Fraction(unit) / 2
    grade = symrnn.grade(made.key, form)
    assert sum(mark.verdict == "right" for mark in grade.marks) == ties


def test_follow_gives_points_for_consequences():
    """One mistake costs one point where everything after it was done right with it."""
    made = symrnn.exercise("rnn_relu", hidden=1, inputs=1, difficulty="medium", seed=3)
    (sheet,) = made.key["sheets"]
    w, u, b, c = (Fraction(sheet["parameters"][n][0][0] if "w" in n else v[0])
                  for n, v in sheet["parameters"].items())  # fmt: skip
    form = made.answer_form()
    h = Fraction(0)
    for t, (x,) in enumerate(sheet["x"], start=1):
        product = w * Fraction(x) + (1 if t == 1 else 0)  # the mistake
        recurrent = u * h
        total = product + b + recurrent + c
        h = max(total, Fraction(0))
        names = ["W_ih*x", "W_hh*h_prev", "W_ih*x + b_ih + W_hh*h_prev + b_hh", "h"]
        for name, value in zip(names, [product, recurrent, total, h], strict=True):
            form["answers"][f"step {t}: {name}"] = str(value)
    strict, lenient = (symrnn.grade(made.key, form, follow=f) for f in (False, True))
    assert [m.key for m in lenient.marks if not m.points] == ["step 1: W_ih*x"]
    assert strict.points < lenient.points == lenient.total - 1
    assert not lenient.passed


def test_follow_goes_through_layers_and_directions():
    """Whoever goes on with a wrong state of a layer below loses one point for it."""
    made = symrnn.exercise(
        "rnn_relu", hidden=1, inputs=1, steps=2, layers=2, bidirectional=True, seed=1
    )
    (sheet,) = made.key["sheets"]
    weights = sheet["parameters"]
    form = answered(made, places=12)

    def weight(name, layer, direction, column=0):
        suffix = "_reverse" * (direction == "reverse")
        return Fraction(weights[f"weight_{name}_l{layer}{suffix}"][0][column])

    def answer(layer, direction, step, node):
        return f"layer {layer + 1}, {direction} direction, step {step + 1}: {node}"

    lower = {  # the exact states of the first layer
        (d, t): Fraction(
            symrnn.evaluate(made.sheet.trace.net, sheet["x"], exact=True)[0, d, t]
            .h.exact()[0]
        )
        for d in ("forward", "reverse")
        for t in (0, 1)
    }  # fmt: skip
    mistake = answer(0, "reverse", 0, "h")
    lower["reverse", 0] += 1
    form["answers"][mistake] = str(lower["reverse", 0])
    for direction, order in (("forward", (0, 1)), ("reverse", (1, 0))):
        h = Fraction(0)
        for t in order:
            product = sum(
                weight("ih", 1, direction, column) * lower[d, t]
                for column, d in enumerate(("forward", "reverse"))
            )
            recurrent = weight("hh", 1, direction) * h
            h = max(product + recurrent, Fraction(0))
            names = ("W_ih*x", "W_hh*h_prev", "W_ih*x + W_hh*h_prev", "h")
            values = (product, recurrent, product + recurrent, h)
            for node, value in zip(names, values, strict=True):
                key = answer(1, direction, t, node)
                if key in form["answers"]:
                    form["answers"][key] = str(value)
    strict, lenient = (symrnn.grade(made.key, form, follow=f) for f in (False, True))
    assert [m.key for m in lenient.marks if not m.points] == [mistake]
    assert strict.points < lenient.points == lenient.total - 1


def test_follow_does_not_reward_a_second_mistake():
    """An answer that follows from nothing stays wrong."""
    made = symrnn.exercise("gru", seed=7)
    form = answered(made)
    form["answers"]["step 3: r[1]"] = "0.99"
    form["answers"]["step 3: h[1]"] = "9.00"
    marks = {m.key: m for m in symrnn.grade(made.key, form, follow=True).marks}
    assert marks["step 3: r[1]"].verdict == marks["step 3: h[1]"].verdict == "wrong"
    assert marks["step 3: r[2]"].verdict == "right"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda key, form: form.update(sheet="gru-1"), "the answers are for sheet"),
        (lambda key, form: form.update(schema="x"), "these are no answers"),
        (lambda key, form: form.update(answers=[1]), "must be an object"),
        (lambda key, form: form["answers"].update({"h": 1}), "does not ask for 'h'"),
        (lambda key, form: key.update(schema="x"), "this is no key"),
        (lambda key, form: key["sheets"][0].pop("x"), "damaged"),
        (lambda key, form: key["sheets"][0]["answers"][0].update(value="e"), "damaged"),
        (lambda key, form: key["sheets"][0]["answers"][0].pop("key"), "damaged"),
    ],
)
def test_what_does_not_belong_together_is_refused(change, message):
    """A key or form of something else is an error that says so."""
    key, form = key_with(IRRATIONAL)
    change(key, form)
    with pytest.raises(symrnn.SourceError, match=message):
        symrnn.grade(key, form)


def test_numbers_in_files_keep_their_digits(tmp_path):
    """0.50 in a file claims two decimals, and no number is too long to read."""
    path = tmp_path / "a.json"
    path.write_text("[0.50, 1e999999999, 7, %s]" % ("9" * 6000))
    assert read_json(path)[:3] == ["0.50", "1e999999999", 7]
    assert mark("0.4961234567890123456789012345678901234567", "0.50").verdict == "right"


# --- the command --------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    """Return a key and two forms, one right and one with an error, as files."""
    made = [symrnn.exercise(seed=7, number=n, name=f"=S{n}") for n in (1, 2)]
    key = {**made[0].key, "sheets": [s for m in made for s in m.key["sheets"]]}
    forms = [answered(m) for m in made]
    forms[1]["answers"]["step 3: h[2]"] = "7.77"
    paths = []
    for name, content in zip(["key", "1", "2"], [key, *forms], strict=True):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(content), encoding="utf-8")
    return paths


def run(*arguments):
    """Run symrnn grade."""
    return CliRunner().invoke(main, ["grade", *map(str, arguments)])


def test_command_says_whether_all_is_right(files):
    """Exit code 0 where all is right, 1 where something is not."""
    key, right, wrong = files
    assert run(key, right).exit_code == 0
    result = run(key, right, wrong)
    assert result.exit_code == 1
    assert "gru-2-2-3-easy-7-1 =S1: 34 of 34 points" in result.output
    assert "gru-2-2-3-easy-7-2 =S2: 33 of 34 points" in result.output


def test_command_writes_json_and_csv(files, tmp_path):
    """A line for each answer; names that look like formulas stay text."""
    table = tmp_path / "marks.csv"
    result = run(*files, "--report", "json", "--csv", table)
    reports = json.loads(result.output)
    assert [report["points"] for report in reports] == [34, 33]
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 68
    assert {row["name"] for row in rows} == {"'=S1", "'=S2"}
    (wrong,) = [row for row in rows if row["verdict"] == "wrong"]
    assert (wrong["answer"], wrong["given"]) == ("step 3: h[2]", "7.77")


@pytest.mark.parametrize("content", ["", "[", "[" * 100_000, "{}", '{"schema": NaN}'])
def test_command_refuses_what_is_no_form(files, tmp_path, content):
    """Exit code 2 and one line, whatever the file holds."""
    bad = tmp_path / "bad.json"
    bad.write_text(content)
    for arguments in ([files[0], bad], [bad, files[1]], [files[0], tmp_path / "none"]):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "Traceback" not in result.output


# --- who goes on from printed numbers -----------------------------------------------


@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
@pytest.mark.parametrize("seed", range(8))
def test_working_from_the_printed_step_is_right(cell, seed):
    """An easy sheet prints the step before the last; nobody computes it again."""
    made = symrnn.exercise(cell, seed=seed)
    (sheet,) = made.key["sheets"]
    net = symrnn.load(sheet["parameters"], cell=cell)
    before = symrnn.evaluate(net, sheet["x"][:-1], places=made.sheet.options.digits)
    printed = [before.state(s).decimal(places=5) for s in net.cell.states]
    assert all(text in made.sheet.markdown() for (row,) in [printed[0]] for text in row)
    hx = printed[0] if len(printed) == 1 else tuple(printed)
    last = symrnn.evaluate(net, sheet["x"][-1:], hx, places=40)[0, "forward", 0]
    form = made.answer_form()
    asked = [a for a in sheet["answers"] if a["node"] in last.names]
    for a in asked:
        digits = last[a["node"]].decimal(places=a["places"])
        form["answers"][a["key"]] = digits[max(a["unit"] - 1, 0)]
    marks = {m.key: m.verdict for m in symrnn.grade(made.key, form).marks}
    assert {"right"} == {marks[a["key"]] for a in asked}
    assert len(asked) >= 2


def test_a_damaged_form_does_not_stop_a_class(tmp_path):
    """It is named; the others are marked; and Windows' mark of UTF-8 is no damage."""
    made = symrnn.exercise(seed=7)
    form = answered(made)
    (tmp_path / "key.json").write_text(json.dumps(made.key))
    (tmp_path / "good.json").write_text(json.dumps(form), encoding="utf-8-sig")
    form["answers"] = []
    (tmp_path / "bad.json").write_text(json.dumps(form))
    names = ["key.json", "bad.json", "good.json", "--csv", "marks.csv"]
    paths = [n if n == "--csv" else str(tmp_path / n) for n in names]
    result = CliRunner().invoke(main, ["grade", *paths])
    assert result.exit_code == 2
    assert "bad.json: the answers must be an object" in result.stderr
    assert "34 of 34 points" in result.stdout
    assert 35 == len((tmp_path / "marks.csv").read_text().splitlines())
    paths[0] = str(tmp_path / "bad.json")
    result = CliRunner().invoke(main, ["grade", *paths])
    assert result.exit_code == 2
    assert "this is no key" in result.stderr


@pytest.mark.parametrize("text", ["-2,00", "-1/3", "-0.5", "+1e-3"])
def test_numbers_stay_numbers_in_a_table(tmp_path, text):
    """What a spreadsheet could take for a formula is quoted; a number is none."""
    made = symrnn.exercise(seed=7)
    form = made.answer_form()
    form["answers"]["step 3: h[1]"] = text
    form["answers"]["step 3: h[2]"] = "-1+cmd()"
    for name, content in (("key", made.key), ("form", form)):
        (tmp_path / name).write_text(json.dumps(content))
    paths = [str(tmp_path / name) for name in ("key", "form", "out.csv")]
    CliRunner().invoke(main, ["grade", *paths[:2], "--csv", paths[2]])
    lines = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    rows = {row["answer"]: row for row in csv.DictReader(lines)}
    assert rows["step 3: h[1]"]["given"] == text
    assert rows["step 3: h[2]"]["given"] == "'-1+cmd()"
