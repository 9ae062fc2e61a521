# SPDX-License-Identifier: BSD-3-Clause
"""Reports as text, JSON and HTML: complete, valid, and safe whatever they quote."""

import io
import json
import re
from dataclasses import replace
from importlib.resources import files
from typing import get_args

import numpy as np
import pytest
from rich.console import Console

import symrnn
from symrnn import Tolerance
from symrnn.audits.findings import Arithmetic, TensorReport, Unseen
from symrnn.audits.pages.text import print_report
from symrnn.audits.pages.wording import headline, sentence
from symrnn.audits.report import FORMS, Report, render
from symrnn.domains.activation_errors import (
    ActivationErrors,
    Provenance,
    assumed_errors,
)
from symrnn.networks.network import DIRECTIONS, Position
from tests.audits import reports as audit_reports
from tests.audits.reports import ALL
from tests.documents.pages import check_page
from tests.require import require_module

every_report = pytest.mark.parametrize("name", ALL)


# --- golden files and the verdict ---------------------------------------------------


@every_report
@pytest.mark.parametrize(("form", "suffix"), [("text", "txt"), ("html", "html")])
def test_golden(golden, name, form, suffix):
    """What a reader sees changes only where somebody has looked at the change."""
    golden(f"audit/{name}.{suffix}", f"{render(ALL[name](), form)}\n")


SENTENCES = {
    "holds": "explained by rounding: every one of 40 states is within its proven bound; "
    "states that could not be judged: 3",
    "violated": "NOT explained by rounding: first at layer 0, forward, batch element 1, "
    "step 2, unit 3: h = 0.25, expected 0.251402854919, off by 0.001403 (4.707e+04 ulps), "
    "bound 1.907e-06",
    "tolerance": "NOT in tolerance: first at layer 0, forward, batch element 1, step 2, "
    "unit 3: output[2, 1, 3] = 0.25, exactly 0.25000012345678901234, off by 1.25e-07 "
    "(4.25 ulps), tolerance 1e-08",
    "not_finite": "NOT FINITE: first at layer 0, forward, batch element 1, step 2, "
    "unit 3: output[2, 1, 3] = nan",
    "meaningless": 'not finite: input x["<b>"] at step 1 is nan, and 1 more',
}


@every_report
def test_the_verdict_in_a_sentence(name):
    """It comes first in every form."""
    report = ALL[name]()
    assert SENTENCES[name] == sentence(report)
    assert report.to_dict()["summary"] == sentence(report)
    assert " ".join(str(report).split()).startswith(headline(report))
    assert sentence(report).startswith(headline(report))


def test_what_a_verdict_rests_on_is_said():
    """Bounds, a tolerance, both, or nothing; and bounds that are not proven are not."""
    held = audit_reports.holding()
    tolerance = Tolerance(ulps=4)
    both = sentence(replace(held, tolerance=tolerance))
    assert "40 states is within its proven bound; every one of 40 results is" in both
    alone = sentence(replace(held, tolerance=tolerance, layers=()))
    assert "in tolerance: every one of 40 results is within tolerance" == alone
    assert "nothing was judged" == sentence(replace(held, layers=(), tensors=()))
    beyond = replace(held, tolerance=tolerance, layers=audit_reports.violated().layers)
    assert sentence(beyond).endswith("tolerance; states beyond their bounds: 1")
    assert sentence(beyond).startswith("in tolerance: ")
    model = Arithmetic(
        format="float32",
        accumulate="float32",
        flushes=False,
        activations=(),
        probability=1e-9,
    )
    assert "is within its probable bound" in sentence(replace(held, arithmetic=model))
    below = [Unseen(position=Position(1, d), why="why") for d in DIRECTIONS]
    unseen = replace(held, unseen=tuple(below))
    assert sentence(unseen).endswith("not judged: layer 1, forward; layer 1, reverse")


# --- text ---------------------------------------------------------------------------


@every_report
def test_text_is_ascii_that_fits(name):
    """Any terminal shows it: 100 columns, no control characters, no trailing blanks."""
    text = str(ALL[name]())
    assert text.isascii()
    assert all(c == "\n" or c.isprintable() for c in text)
    assert max(map(len, text.splitlines())) <= 100
    assert [] == [line for line in text.splitlines() if line != line.rstrip()]


def test_text_says_everything():
    """Figures, places, what could not be judged, claims by kind, environment."""
    text = str(audit_reports.violated())
    for part in (
        "layer 1, forward: its states are not known",
        "0.25  (0x1.0000000000000p-2)",
        "error / bound 735.5",
        "h: batch 1, step 2, unit 3",
        "symrnn 0.1.0, python 3.11.7",
    ):
        assert part in text
    kinds = re.findall(r"^(proven|measured|assumed) ", text, re.MULTILINE)
    assert ["proven", "measured", "assumed"] == kinds


def test_markup_in_names_is_text():
    """Brackets are no styles, and escape sequences do not reach the terminal."""
    text = str(audit_reports.meaningless())
    assert "[bold]" in text
    assert "[red]w[/red]" in text
    assert r"\x1b[31m" in text


def test_colours_are_for_terminals():
    """A pipe gets `str(report)`; a terminal the same words, and colours."""
    report = audit_reports.violated()
    pipe = io.StringIO()
    print_report(report, pipe)
    assert f"{report}\n" == pipe.getvalue()
    terminal = io.StringIO()
    console = Console(
        file=terminal,
        width=100,
        force_terminal=True,
        color_system="standard",
        _environ={},
    )
    console.print(report)
    assert "\x1b[1;31mNOT explained by rounding" in terminal.getvalue()
    plain = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue())
    assert str(report).split() == plain.split()


def test_a_file_without_unicode_gets_escapes():
    """A name in another script is no reason to fail."""
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    print_report(audit_reports.report(notes=("parameter \u03c3 was rounded",)), file)
    file.flush()
    assert rb"note         parameter \u03c3 was rounded" in file.buffer.getvalue()


# --- JSON ---------------------------------------------------------------------------


def schema():
    text = files("symrnn.audits").joinpath("audit-2.schema.json").read_text("utf-8")
    return json.loads(text)


def strict(part):
    """Return a schema that allows no key which it does not describe."""
    if isinstance(part, list):
        return [strict(item) for item in part]
    if not isinstance(part, dict):
        return part
    closed = {key: strict(value) for key, value in part.items()}
    if "required" in part and "properties" in part:
        closed["additionalProperties"] = False
    return closed


def check_json(report: Report) -> None:
    def refuse(token):
        raise AssertionError(f"{token} is not JSON")

    validators = require_module("jsonschema")
    data = json.loads(render(report, "json"), parse_constant=refuse)
    validators.Draft202012Validator(strict(schema())).validate(data)
    assert data == json.loads(json.dumps(report.to_dict(), allow_nan=False))


@every_report
def test_json_is_what_the_schema_says(name):
    """Nothing is missing, nothing is undescribed, and nothing is NaN or Infinity."""
    check_json(ALL[name]())


def test_the_schema_is_valid_and_closed_by_a_test():
    """A key that the schema does not describe is noticed, at any depth."""
    validators = require_module("jsonschema")
    validators.Draft202012Validator.check_schema(schema())
    checker = validators.Draft202012Validator(strict(schema()))
    data = audit_reports.violated().to_dict()
    data = json.loads(json.dumps(data))
    assert checker.is_valid(data)
    data["layers"][0]["worst"]["location"]["new"] = 1
    assert not checker.is_valid(data)
    assert validators.Draft202012Validator(schema()).is_valid(data)


def test_real_reports_are_what_the_schema_says(torch):
    """Torch's, others', honest, wrong, not finite, overflowing, empty, single-step."""
    torch.manual_seed(0)
    lstm, x = torch.nn.LSTM(2, 3, 2, bidirectional=True), torch.randn(5, 4, 2)
    with torch.no_grad():
        output, states = lstm(x)
    broken = output.clone()
    broken[3, 1, 2] = float("nan")
    relu = torch.nn.RNN(1, 1, nonlinearity="relu")
    with torch.no_grad():
        for parameter in relu.parameters():
            parameter.fill_(1e30)
    nan = torch.nn.GRU(2, 3)
    with torch.no_grad():
        nan.weight_ih_l0[0, 0] = float("nan")
    reports = [
        symrnn.audit(lstm, x),
        symrnn.audit(lstm, x, lengths=[5, 2, 1, 4], tolerance=Tolerance(ulps=0.1)),
        symrnn.audit(lstm, x, outputs=output),
        symrnn.audit(lstm, x, outputs=(-output, *states)),
        symrnn.audit(lstm, x, outputs=(broken, *states)),
        symrnn.audit(lstm, x[:, :0]),
        symrnn.audit(torch.nn.GRUCell(2, 3), x[0]),
        symrnn.audit(relu, torch.full((4, 1), 1e30)),
        symrnn.audit(nan, x),
    ]
    assert {"holds", "violated", "not finite", "undecided"} == {
        report.verdict for report in reports
    }
    for report in reports:
        check_json(report)
        check_page(render(report, "html"))
        assert max(map(len, str(report).splitlines())) <= 100


# --- files --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.html", "html"), ("a.HTM", "html"), ("a.json", "json"), ("a.b.txt", "text")],
)
def test_save(tmp_path, name, form):
    """The suffix says in which form."""
    report = audit_reports.violated()
    report.save(tmp_path / name)
    assert f"{render(report, form)}\n" == (tmp_path / name).read_text(encoding="utf-8")
    report.save(str(tmp_path / name))
    assert [name] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["a.pdf", "a", ".html", "html"])
def test_save_refuses_other_suffixes(tmp_path, name):
    """The message says which there are; nothing is written."""
    with pytest.raises(ValueError, match=r"saved as \.html, \.json or \.txt"):
        audit_reports.violated().save(tmp_path / name)
    assert [] == list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_leaves_the_old(tmp_path, monkeypatch):
    """Whole or not at all."""
    path = tmp_path / "a.html"
    path.write_text("old")
    monkeypatch.setattr("symrnn.numerics.files.os.replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        audit_reports.violated().save(path)
    assert ["a.html"] == [p.name for p in tmp_path.iterdir()]
    assert "old" == path.read_text()


def test_every_form_is_deterministic():
    """Equal reports are equal files."""
    for form in FORMS:
        assert render(audit_reports.holding(), form) == render(
            audit_reports.holding(), form
        )


def test_conditioning_is_a_section():
    """Condition numbers come with a report, and infinite ones are still JSON."""
    from symrnn.audits.explain.conditioning import condition
    from symrnn.audits.explain.sections import explain_conditioning
    from symrnn.networks.inputs import read_inputs

    weights = {"weight_ih_l0": [[1, -1]], "weight_hh_l0": [[1]]}
    net = symrnn.load(weights, cell="rnn_tanh")
    section = explain_conditioning(condition(net, read_inputs(net, [[3, 3]])))
    report = audit_reports.report(explanation=(section,))
    check_json(report)
    check_page(render(report, "html"))
    assert "inf" in str(report)


def test_attribution_is_a_section():
    """Shares of each grouping add up to 1, and every step has a figure."""
    from symrnn.audits.explain.attribution import attribute
    from symrnn.audits.explain.sections import explain_attribution
    from symrnn.networks.inputs import read_inputs

    weights = {
        "weight_ih_l0": [[0.3, -0.7], [0.2, 0.9]],
        "weight_hh_l0": [[0.1, 0.6], [-0.4, 0.8]],
    }
    net = symrnn.load(weights, cell="rnn_tanh")
    x = np.random.default_rng(0).normal(size=(300, 2))
    section = explain_attribution(attribute(net, read_inputs(net, x), "float16"))
    for what in ("kind", "quantity", "layer", "direction"):
        shares = [row[3] for row in section.rows if row[0] == what]
        assert 1 == pytest.approx(sum(shares))
        assert sorted(shares, key=lambda share: -abs(share)) == shares
    assert 300 == len(section.by_step["contribution"])
    report = audit_reports.report(explanation=(section,))
    check_json(report)
    check_page(render(report, "html"))
    assert "Where the error of the output came from (measured)" in str(report)


def test_a_bound_is_a_section():
    """The largest of every step, of all layers in the table and of the last in the chart."""
    from symrnn.audits.explain.bound import bound_errors
    from symrnn.audits.explain.sections import explain_bound
    from symrnn.domains.rounding_bounds import FloatingDomain
    from symrnn.networks.inputs import read_inputs
    from symrnn.numerics.formats import FORMATS

    random = np.random.default_rng(0)
    weights = {
        f"weight_{kind}_l{layer}{end}": random.uniform(
            -0.5, 0.5, (8, 2 + 2 * (layer and kind == "ih"))
        )
        for layer in (0, 1)
        for kind in ("ih", "hh")
        for end in ("", "_reverse")
    }
    net = symrnn.load(weights, cell="lstm")
    inputs = read_inputs(net, random.normal(size=(7, 3, 2)), lengths=[5, 1, 3])
    found = bound_errors(net, inputs, FloatingDomain(FORMATS["float32"]))
    section = explain_bound(found)
    assert "proven" == section.kind
    assert 2 * 2 * 2 == len(section.rows)
    assert ["h, forward", "c, forward", "h, reverse", "c, reverse"] == [
        *section.by_step
    ]
    steps = section.by_step["h, forward"]
    assert np.nanmax(found.states[1, "forward"]["h"][2]) == steps[2]
    assert max(steps) == next(
        r[5] for r in section.rows if r[:3] == (1, "forward", "h")
    )
    assert "probability" in explain_bound(replace(found, failure=1e-6)).text
    report = audit_reports.report(explanation=(section,))
    check_json(report)
    check_page(render(report, "html"))


def test_results_without_exact_values_have_no_figures():
    """A dash, not a zero: nothing is claimed that was not computed."""
    bare = TensorReport(
        name="output", shape=(2, 1), elements=2, padding=0, violations=None
    )
    text = str(audit_reports.report(tensors=(bare,)))
    (row,) = (line for line in text.splitlines() if line.strip().startswith("output"))
    assert 6 == row.split().count("-")


# --- words are for readers ----------------------------------------------------------


def test_what_a_statement_rests_on_is_not_read_off_its_words(torch, monkeypatch):
    """Another wording of the figures changes no kind."""
    module, x = torch.nn.LSTM(2, 3), torch.ones(4, 2)

    def kinds():
        report = symrnn.audit(module, x)
        return report.verdict, [one.kind for one in report.statements]

    expected = kinds()
    describe = ActivationErrors.describe
    for word in ("assumed", "measured"):
        monkeypatch.setattr(
            ActivationErrors, "describe", lambda e, w=word: f"{describe(e)}, {w}"
        )
        assert kinds() == expected


@pytest.mark.parametrize("provenance", get_args(Provenance))
def test_figures_are_measured_or_assumed_as_they_were_found(
    torch, monkeypatch, provenance
):
    from symrnn.audits import local_audit

    def errors(name, format, environment, kernel):
        return replace(
            assumed_errors(name, format, kernel=kernel), provenance=provenance
        )

    monkeypatch.setattr(local_audit, "find_errors", errors)
    report = symrnn.audit(torch.nn.RNN(2, 3), torch.ones(4, 2))
    (figures,) = [one for one in report.statements if "tanh" in one.text]
    assert figures.kind == provenance.partition(" ")[0]


def test_plain_data_is_of_plain_types(torch):
    """Other writers than `json` look at types: YAML's refuse a subclass of str."""

    def types(value):
        if isinstance(value, dict):
            value = [*value, *value.values()]
        if isinstance(value, list):
            return set().union(*map(types, value))
        return {type(value)}

    report = symrnn.audit(torch.nn.LSTM(2, 3, bidirectional=True), torch.ones(4, 2))
    assert types(report.to_dict()) <= {str, int, float, bool, type(None)}


def test_layers_that_were_not_judged_are_sentences_in_json(torch):
    """Positions are data in Python; what is written for readers is whole sentences."""
    module, x = torch.nn.RNN(2, 3, num_layers=2), torch.ones(4, 2)
    report = symrnn.audit(module, x, outputs=module(x)[0].detach())
    assert [(0, "forward"), (1, "forward")] == [one.position for one in report.unseen]
    assert report.to_dict()["unseen"] == [
        "layer 0, forward: its states are not known",
        "layer 1, forward: the states of the layer below, from which it starts, are not known",
    ]


@pytest.mark.parametrize(
    ("x", "rounded"), [([[0.1, 0.2]], True), ([[0.5, 0.25]], False)]
)
def test_a_report_knows_whether_inputs_were_rounded(torch, x, rounded):
    """It is said in a note, and is no part of the JSON."""
    report = symrnn.audit(torch.nn.GRU(2, 3), x)
    assert (report.rounded, bool(report.notes)) == (rounded, rounded)
    assert "rounded" not in report.to_dict()
