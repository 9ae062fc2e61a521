# SPDX-License-Identifier: BSD-3-Clause
"""Reports made by hand, with every part that a report may have."""

import numpy as np

from symrnn.audits.findings import (
    Arithmetic,
    ElementError,
    LayerReport,
    Section,
    Statement,
    StepError,
    TensorReport,
    Unseen,
)
from symrnn.audits.report import Report
from symrnn.audits.tolerance import Tolerance
from symrnn.kernels.environment import Environment
from symrnn.networks.layout import Location
from symrnn.networks.network import Direction, Position

TORCH = Environment(
    symrnn="0.1.0",
    python="3.11.7",
    dtype="float32",
    torch="2.13.0",
    device="cpu",
    threads=2,
    grad_mode="no_grad",
    onednn=True,
    cpu_capability="AVX2",
    flushes_subnormals=False,
)
ELSEWHERE = Environment(symrnn="0.1.0", python="3.11.7", dtype="float32")
CLAIMS = (
    Statement(kind="assumed", text="sums are sums of products"),
    Statement(kind="proven", text="bounds hold for any order of summation"),
    Statement(kind="measured", text="the outputs are those of one run"),
)


def place(
    tensor="h", index=None, layer=0, direction="forward", step=2, batch=1, unit=3
):
    return Location(
        tensor=tensor,
        index=index,
        layer=layer,
        direction=direction,
        step=step,
        batch=batch,
        unit=unit,
    )


def step_error(error=2.0**-26, bound=2.0**-22, **location):
    return StepError(
        location=place(**location),
        subject="0.25",
        subject_hex="0x1.0000000000000p-2",
        expected=0.25 + error,
        error=error,
        bound=bound,
        ulp=2.0**-25,
        holds=error <= bound,
    )


def layer(ratios, layer=0, direction="forward", unjudged=0, bound=64.0):
    """Return a report on a layer whose states have these ratios, (time, unit)."""
    ratios = np.asarray(ratios, dtype=np.float64)
    rows = ratios.max(axis=1, initial=0.0)
    beyond = np.argwhere(ratios > 1)
    named = {"layer": layer, "direction": direction}

    def show(step, unit):
        ratio = float(ratios[step, unit])
        return step_error(ratio * 2.0**-19, 2.0**-19, step=step, unit=unit, **named)

    worst = np.unravel_index(ratios.argmax(), ratios.shape)
    return LayerReport(
        layer=layer,
        direction=direction,
        judged=ratios.size,
        unjudged=unjudged,
        violations=len(beyond),
        first_violation=show(*map(int, beyond[0])) if len(beyond) else None,
        worst=show(*map(int, worst)),
        median_ratio=float(np.median(ratios)),
        error_by_step=tuple((rows * bound).tolist()),
        bound_by_step=(bound,) * len(ratios),
        ratio_by_step=tuple(rows.tolist()),
        ratio_by_unit=tuple(ratios.max(axis=0).tolist()),
        ratio_map=ratios,
    )


def tensor(**changes):
    fields = {
        "name": "output",
        "shape": (4, 2, 5),
        "elements": 40,
        "padding": 0,
        "max_ulps": 1.75,
        "max_absolute": 2.0**-22,
        "mean_ulps": 0.5,
        "median_ulps": 0.25,
        "correctly_rounded": 0.625,
    }
    return TensorReport(**fields | changes)


def report(**changes):
    fields = {
        "verdict": "holds",
        "subject": "LSTM, run by torch",
        "network": "Network(LSTM, input_size=2, hidden_size=5)",
        "dtype": "float32",
        "environment": TORCH,
        "arithmetic": Arithmetic(
            format="float32", accumulate="float32", flushes=False, activations=()
        ),
        "statements": CLAIMS,
    }
    return Report(**fields | changes)


def ratios(steps=4, units=5):
    """Return ratios below 1/2, none equal to another."""
    return np.arange(1, steps * units + 1).reshape(steps, units) / (2.5 * steps * units)


def holding():
    return report(
        layers=(
            layer(ratios()),
            layer(ratios()[::-1], direction="reverse", unjudged=3),
        ),
        tensors=(tensor(),),
        notes=("2 parameters were rounded to float32",),
        explanation=(
            Section(
                title="Origin of the last error",
                kind="measured",
                text="Contributions in ulps.",
                headings=("gate", "kind", "ulps", "share"),
                rows=(("i", "activation", 0.5, None), ("o", "bias", 12, 0.125)),
                by_step={
                    "input product": (0.5, 0.25, 0.0, 2.0),
                    "bias": (1.0, 2.0, 3.0, 4.0),
                },
            ),
        ),
    )


def violated():
    found = ratios()
    found[2, 3] = 735.5
    return report(
        verdict="violated",
        subject="the given outputs",
        environment=ELSEWHERE,
        layers=(layer(found),),
        unseen=(
            Unseen(
                position=Position(1, Direction.FORWARD), why="its states are not known"
            ),
        ),
    )


def beyond_tolerance():
    element = ElementError(
        location=place("output", (2, 1, 3)),
        subject="0.25",
        subject_hex="0x1.0000000000000p-2",
        exact="0.25000012345678901234",
        ulps=(4.125, 4.25),
        absolute=1.25e-7,
        tolerance=1e-8,
        holds=False,
        exact_overflows=False,
    )
    return report(
        verdict="violated",
        tolerance=Tolerance(0, 1e-8),
        tensors=(tensor(violations=1, worst=element, first_violation=element),),
    )


def not_finite():
    element = ElementError(
        location=place("output", (2, 1, 3)), subject="nan", subject_hex="nan"
    )
    infinite = float("inf")
    return report(
        verdict="not finite",
        tensors=(
            tensor(
                not_finite=2,
                violations=2,
                max_ulps=infinite,
                max_absolute=infinite,
                mean_ulps=infinite,
                correctly_rounded=0.95,
                first_not_finite=element,
            ),
        ),
    )


def meaningless():
    """A report on inputs that are not finite, whose names would be markup if they could."""
    return report(
        verdict="not finite",
        subject="<script>alert('&amp;')</script> \x1b[31m[bold]",
        causes=('input x["<b>"] at step 1 is nan', "parameter [red]w[/red] is inf"),
        arithmetic=None,
        tensors=(
            TensorReport(
                name="output", shape=(2, 1), elements=2, padding=0, violations=None
            ),
        ),
    )


ALL = {
    "holds": holding,
    "violated": violated,
    "tolerance": beyond_tolerance,
    "not_finite": not_finite,
    "meaningless": meaningless,
}
