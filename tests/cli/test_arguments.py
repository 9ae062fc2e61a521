# SPDX-License-Identifier: BSD-3-Clause
"""What torch ran in place of a file's network is known from data, not from words."""

from dataclasses import replace

import pytest

import symrnn
import symrnn.audits.audit
from symrnn.cli.arguments import Problem, audit_in_torch


def problem(x, weight=0.5):
    weights = {"weight_ih_l0": [[weight]], "weight_hh_l0": [[0.25]]}
    net = symrnn.load(weights, cell="rnn_tanh")
    return Problem(net=net, x=x, hx=None, lengths=None)


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("x", "weight", "as_given"),
    [([[1.5]], 0.5, True), ([["0.1"]], 0.5, False), ([[1.5]], "0.1", False)],
)
def test_a_module_that_runs_other_numbers_is_not_returned(x, weight, as_given):
    report, module = audit_in_torch(problem(x, weight))
    assert (module is not None) == as_given
    assert any("rounded" in note for note in report.notes) != as_given


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("x", "note"), [([[1.5]], "rounded: so a state is called"), ([["0.1"]], "gerundet")]
)
def test_the_wording_of_notes_decides_nothing(monkeypatch, x, note):
    """Neither a name that reads like a note, nor a translation, is a fact."""
    audit = symrnn.audits.audit.audit
    expected = audit_in_torch(problem(x))[1] is None

    def reworded(*args, **options):
        return replace(audit(*args, **options), notes=(note,))

    monkeypatch.setattr(symrnn.audits.audit, "audit", reworded)
    assert (audit_in_torch(problem(x))[1] is None) == expected
