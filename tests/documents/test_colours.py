# SPDX-License-Identifier: BSD-3-Clause
"""Colours: of gates, for any cell; everybody can read them and tell them apart."""

import math
from itertools import combinations

import numpy as np
import pytest

import symrnn
from symrnn.derivations.letters import Notation
from symrnn.derivations.options import Options
from symrnn.documents.colours import NIGHT, PAPER, palette, tones_of
from tests.audits.test_pages import contrast
from tests.derivations.notation_cases import CELLS, INPUT

GATES = "abcdef"
ALL = palette(GATES).values()


def test_colours_can_be_read():
    """Text has the contrast of WCAG AA on paper and on a dark screen."""
    assert len(set(ALL)) == len(GATES)
    for colour in ALL:
        assert contrast(f"#{colour.light}", f"#{PAPER}") >= 4.5
        assert contrast(f"#{colour.dark}", f"#{NIGHT}") >= 4.5


def linear(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]


def lab(rgb):
    """Return a colour in CIELAB; its distances are those that the eye sees."""
    to_xyz = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
    white = (0.9505, 1.0, 1.089)
    ratios = [v / w for v, w in zip(np.array(to_xyz) @ rgb, white, strict=True)]
    f = [r ** (1 / 3) if r > 0.008856 else 7.787 * r + 16 / 116 for r in ratios]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


SEEN_BY = {
    "everyone": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopes": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopes": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
"""Machado, Oliveira & Fernandes (2009), severity 1: on linear RGB."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("eyes", SEEN_BY)
def test_all_eyes_tell_gates_apart(eyes, scheme):
    """Two gates differ in colour, and a gate from the ink; 2.3 is just noticeable."""
    colours = [getattr(colour, scheme) for colour in ALL]
    ink = {"light": "1B1F24", "dark": "E6E8EB"}[scheme]
    seen = [np.array(SEEN_BY[eyes]) @ linear(colour) for colour in (*colours, ink)]
    points = [lab(np.clip(rgb, 0, 1)) for rgb in seen]
    assert min(math.dist(a, b) for a, b in combinations(points[:4], 2)) > 33
    assert min(math.dist(a, b) for a, b in combinations(points, 2)) > 27


@pytest.mark.parametrize("name", CELLS)
def test_gates_have_colours_and_states_have_none(name):
    """Whatever the cell: a gate and what it alone is computed with have one tone."""
    cell = CELLS[name]().cell
    symbols = Notation.of(cell, Options()).symbols
    gates = [line.name for line in cell.equations if line.name not in cell.states]
    for line in cell.equations:
        assert symbols[line.name].tone == (line.name if line.name in gates else "")
    assert symbols["x"].tone == ""
    for p in cell.parameters:
        users = [e.name for e in cell.equations if e.value.has(p)]
        alone = users[0] if len(users) == 1 and users[0] in gates else ""
        assert symbols[p.name].tone == alone
    page = symrnn.derive(CELLS[name](), INPUT, detail="summary")
    assert list(tones_of(page.document)) == gates
