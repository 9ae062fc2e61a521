# SPDX-License-Identifier: BSD-3-Clause
"""``symrnn audit``: a float network against the exact values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from symrnn.cli.arguments import FILES, Problem, take_problem, with_problem
from symrnn.cli.output import output_option, precision_option, working, write
from symrnn.errors import SourceError

__all__ = ["audit"]

_RESULTS = ("output", "h_n", "c_n")


@click.command(
    epilog=FILES
    + """
    FILE of --outputs is an .npz with output and, if you like, h_n and c_n; or a .npy
    with output alone.
    """,
    help="""Judge floating-point outputs by the exact values.

    The network runs in torch, unless --outputs brings what something else returned.
    Exit code 0: every number is within tolerance. 1: one is not, or is NaN or infinite.

    \b
    Example:
      symrnn audit model.pt --input x.npy
      symrnn audit model.pt --input x.npy --ulps 4 --format json
      symrnn audit model.pt --input x.npy --outputs onnx.npz --rtol 1e-5 --atol 1e-6
    """,
)
@with_problem
@click.option(
    "--outputs",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Judge these outputs instead of torch's.",
)
@click.option("--ulps", type=float, help="Tolerance in units in the last place.")
@click.option("--rtol", type=float, help="Tolerance relative to the exact value.")
@click.option(
    "--atol",
    type=float,
    help="Absolute tolerance, added. Without any, figures after those of "
    "torch.testing.assert_close for the format, which the report names.",
)
@precision_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
)
@output_option
@click.pass_context
def audit(
    ctx: click.Context,
    /,
    outputs: Path | None,
    ulps: float | None,
    rtol: float | None,
    atol: float | None,
    max_precision: int,
    form: str,
    output: Path | None,
    **arguments: Any,
) -> None:
    """Audit, write the report, and let the exit code be the verdict."""
    problem = take_problem(**arguments)
    options = {
        "tolerance": _tolerance(ulps, rtol, atol),
        "max_precision": max_precision,
    }
    with working("auditing"):
        if outputs is None:
            from symrnn.cli.subjects import audit_in_torch

            report, _ = audit_in_torch(problem, **options)
        else:
            report = _audit_given(problem, outputs, arguments["dtype"], options)
    text = json.dumps(report.to_dict(), indent=1, allow_nan=False)
    write(text if form == "json" else str(report), output)
    ctx.exit(0 if report.passed else 1)


def _tolerance(ulps: float | None, rtol: float | None, atol: float | None) -> Any:
    if ulps is None and rtol is None and atol is None:
        return None
    from symrnn.audit import Tolerance

    try:
        return Tolerance(rtol, atol, ulps=ulps)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _audit_given(
    problem: Problem, path: Path, dtype: str | None, options: dict[str, Any]
) -> Any:
    from symrnn.audit import audit as judge
    from symrnn.sources.inputs import read_arrays

    if path.suffix.lower() not in (".npy", ".npz"):
        raise SourceError(
            f"{path}: outputs are floats of one format, from .npz or .npy"
        )
    arrays = read_arrays(path, unnamed="output")
    unknown = [name for name in arrays if name not in _RESULTS]
    if unknown or "output" not in arrays:
        raise SourceError(
            f"{path} holds {', '.join(arrays) or 'nothing'}; expected output, and if "
            "you like h_n and c_n"
        )
    return judge(
        problem.net,
        problem.x,
        problem.hx,
        lengths=problem.lengths,
        outputs=tuple(arrays[name] for name in _RESULTS if name in arrays),
        dtype=dtype,
        **options,
    )
