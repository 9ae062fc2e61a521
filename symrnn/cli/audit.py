# SPDX-License-Identifier: BSD-3-Clause
"""``symrnn audit``: a float network against the exact values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from symrnn.cli.arguments import FILES, Problem, take_problem, with_problem
from symrnn.cli.output import output_option, precision_option, working, write
from symrnn.errors import SourceError, SymrnnError

__all__ = ["audit"]

_RESULTS = ("output", "h_n", "c_n")
_REPORTS = ("text", "json", "html")


@click.command(
    epilog=FILES
    + """
    FILE of --outputs is an .npz with output and, if you like, h_n and c_n; or a .npy
    with output alone.
    """,
    help="""Judge floating-point outputs by the exact values.

    The network runs in torch, unless --outputs brings what something else returned, or
    --format emulates it. Each step is judged from the subject's own states by a bound
    that is derived from its arithmetic; a tolerance that you state decides instead.
    Exit code 0: every number is explained by rounding, or within the stated tolerance.
    1: one is not, or is NaN or infinite.

    \b
    Example:
      symrnn audit model.pt --input x.npy
      symrnn audit model.pt --input x.npy --outputs onnx.npz -o report.html
      symrnn audit model.pt --input x.npy --format bfloat16
      symrnn audit model.pt --input x.npy --ulps 4 --report json
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
@click.option("--atol", type=float, help="Absolute tolerance, added.")
@click.option(
    "--format",
    "emulated",
    metavar="NAME",
    help="Emulate the network in this float format: bfloat16, float16, float8_e4m3fn, "
    "float8_e5m2, p11e5 (bits of significand and exponent), …",
)
@click.option(
    "--schedule",
    metavar="NAME",
    help="Order of operations of --format: 'torch cpu', 'as written', …",
)
@click.option(
    "--accumulate",
    metavar="FORMAT",
    help="The format in which the subject accumulates matrix products: an assumption. "
    "float32 for formats of 16 bits, else the format.",
)
@click.option(
    "--exact/--no-exact",
    default=None,
    help="Compare results with exact values too; where that takes seconds, by default. "
    "Where a tolerance decides, they are compared in any case.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Say where errors come from: steps, layers, gates, kinds of rounding. For small "
    "networks.",
)
@precision_option
@click.option(
    "--report",
    "form",
    type=click.Choice(_REPORTS),
    help="What to write; by the suffix of --output, or text.",
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
    emulated: str | None,
    schedule: str | None,
    accumulate: str | None,
    exact: bool | None,
    explain: bool,
    max_precision: int,
    form: str | None,
    output: Path | None,
    **arguments: Any,
) -> None:
    """Audit, write the report, and let the exit code be the verdict."""
    form = form or _form_of(output)
    if emulated in _REPORTS:
        raise click.UsageError(
            f"--format names a float format to emulate; write --report {emulated}"
        )
    if emulated is not None and outputs is not None:
        raise click.UsageError(
            "--format emulates a run, --outputs brings one; give one of them"
        )
    if schedule is not None and emulated is None:
        raise click.UsageError("--schedule is the order of --format; give that too")
    problem = take_problem(**arguments)
    options = {
        "tolerance": _tolerance(ulps, rtol, atol),
        "max_precision": max_precision,
        "accumulate": accumulate,
        "exact": exact,
        "explain": explain,
    }
    with working("auditing"), _usage():
        if emulated is not None:
            report = _audit_emulated(problem, emulated, schedule, options)
        elif outputs is None:
            from symrnn.cli.arguments import audit_in_torch

            report, _ = audit_in_torch(problem, **options)
        else:
            report = _audit_given(problem, outputs, arguments["dtype"], options)
    from symrnn.audits.report import render

    if form == "text" and output is None:
        from symrnn.audits.pages.text import print_report

        print_report(report)
    else:
        write(render(report, form), output)
    ctx.exit(0 if report.passed else 1)


@contextmanager
def _usage() -> Iterator[None]:
    """Turn what an argument says wrongly into a message about arguments."""
    try:
        yield
    except SymrnnError:
        raise
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _form_of(output: Path | None) -> str:
    suffixes = {".json": "json", ".html": "html", ".htm": "html"}
    return suffixes.get(output.suffix.lower(), "text") if output else "text"


def _audit_emulated(
    problem: Problem, emulated: str, schedule: str | None, options: dict[str, Any]
) -> Any:
    from symrnn.audits.audit import audit as judge

    return judge(
        problem.net,
        problem.x,
        problem.hx,
        lengths=problem.lengths,
        format=emulated,
        schedule=schedule,
        **options,
    )


def _tolerance(ulps: float | None, rtol: float | None, atol: float | None) -> Any:
    if ulps is None and rtol is None and atol is None:
        return None
    from symrnn.audits.tolerance import Tolerance

    try:
        return Tolerance(rtol, atol, ulps=ulps)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _audit_given(
    problem: Problem, path: Path, dtype: str | None, options: dict[str, Any]
) -> Any:
    from symrnn.audits.audit import audit as judge
    from symrnn.networks.sources.inputs import read_arrays

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
