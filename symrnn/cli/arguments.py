# SPDX-License-Identifier: BSD-3-Clause
"""The arguments that all commands share, and the network and inputs they stand for.

`audit_in_torch` judges networks that came from a file: torch runs their numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from symrnn.errors import SourceError

if TYPE_CHECKING:
    from symrnn.audits.report import Report

__all__ = [
    "FILES",
    "Problem",
    "audit_in_torch",
    "has_torch",
    "take_problem",
    "with_problem",
]


_Command = TypeVar("_Command", bound=Callable[..., Any])

FILES = """
    \b
    MODEL is one of
      .pt .pth .safetensors .npz   a state_dict, or a checkpoint that holds one
      .json .yaml .yml             {"cell": "lstm", "parameters": {"weight_ih_l0": …}}
    Numbers in text are taken as written: 0.1 is 1/10. Nothing is unpickled that
    could run code.

    \b
    FILE of --input and --hx is one of
      .json        nested lists, or {"x": …, "hx": …, "lengths": …}
      .npy .npz    an array; or the arrays x, hx (or h_0 and c_0), lengths
      .csv .txt    a row for each step (--input only)
    x has torch's shape: (steps, features), or with a batch (steps, batch, features).
"""
"""How the files look, for the end of a command's help."""

_KEYS = ("x", "hx", "h_0", "c_0", "lengths")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A network and what it is run on."""

    net: Any
    x: Any
    hx: Any
    lengths: list[int] | None


def with_problem(command: _Command) -> _Command:
    """Add the arguments of which `take_problem` makes a `Problem`."""
    for decorate in reversed(_ARGUMENTS):
        command = decorate(command)
    return command


_ARGUMENTS: tuple[Callable[[Any], Any], ...] = (
    click.argument("model", type=click.Path(path_type=Path)),
    click.option(
        "-i",
        "--input",
        "input_",
        metavar="FILE",
        required=True,
        type=click.Path(path_type=Path, allow_dash=True),
        help="The inputs; - reads JSON from standard input.",
    ),
    click.option(
        "--hx",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The initial states, in torch's shape; zeros by default.",
    ),
    click.option(
        "--lengths",
        metavar="N,N,…",
        help="Number of steps of each sequence of a padded batch.",
    ),
    click.option(
        "--prefix",
        metavar="NAME",
        help="Which part of the model, such as encoder.lstm.",
    ),
    click.option(
        "--cell",
        metavar="NAME",
        help="rnn_tanh, rnn_relu, lstm, gru or gru_reset_before, where the file does "
        "not tell: an RNN's parameters fit tanh and relu.",
    ),
    click.option(
        "--batch-first/--time-first",
        default=None,
        help="Whether a batch is (batch, steps, features).",
    ),
    click.option(
        "--dtype",
        metavar="NAME",
        help="The float format that the network is meant for, such as float32; its "
        "file's own by default.",
    ),
    click.option(
        "--single-step/--sequence",
        default=None,
        help="Whether the network takes one step, as torch.nn.LSTMCell; by default "
        "where parameters have no layer in their names.",
    ),
)


def take_problem(
    *,
    model: Path,
    input_: Path,
    hx: Path | None,
    lengths: str | None,
    **options: Any,
) -> Problem:
    """Load the network and read its inputs.

    Raises:
        SymrnnError: A file cannot be read, or holds something else.
        click.UsageError: Options contradict each other, or the input.
    """
    from symrnn.networks.sources import load
    from symrnn.networks.sources.inputs import read_arrays, read_json

    stdin = str(input_) == "-"
    arrays = read_json(sys.stdin.buffer.read()) if stdin else read_arrays(input_)
    _require_names(str(input_), arrays, _KEYS)
    if "x" not in arrays:
        raise SourceError(f"{input_} holds no x, only {', '.join(arrays) or '{}'}")
    states = _states(arrays)
    if hx is not None:
        if states is not None:
            raise click.UsageError(f"initial states are in {input_} and in {hx}")
        found = read_arrays(hx, unnamed="hx")
        _require_names(str(hx), found, _KEYS[1:4])
        states = _states(found)
    if lengths is not None and "lengths" in arrays:
        raise click.UsageError(f"lengths are in {input_} and in --lengths")
    given = lengths.split(",") if lengths is not None else arrays.get("lengths")
    return Problem(
        net=load(model, **options),
        x=arrays["x"],
        hx=states,
        lengths=_whole_numbers(given),
    )


def _require_names(path: str, arrays: dict[str, Any], known: Sequence[str]) -> None:
    unknown = [name for name in arrays if name not in known]
    if unknown:
        raise SourceError(
            f"{path} holds {', '.join(map(repr, unknown))}; expected {', '.join(known)}"
        )


def _states(arrays: dict[str, Any]) -> Any:
    """Return hx as `symrnn.evaluate` takes it: a tuple where there are two states."""
    named = [arrays[name] for name in ("h_0", "c_0") if name in arrays]
    if named and "hx" in arrays:
        raise SourceError("initial states are given as hx and as h_0 or c_0")
    return (tuple(named) if len(named) > 1 else named[0]) if named else arrays.get("hx")


def _whole_numbers(given: Any) -> list[int] | None:
    if given is None:
        return None
    try:
        return [int(n) for n in given]
    except (TypeError, ValueError):
        raise SourceError(
            f"lengths must be whole numbers, such as 3,5,2 (got {given!r:.60})"
        ) from None


def has_torch() -> bool:
    """Tell whether torch is installed, without importing it."""
    from importlib.util import find_spec

    return find_spec("torch") is not None


def audit_in_torch(
    problem: Problem, dtype: str | None = None, **options: Any
) -> tuple[Report, Any]:
    """Run a network in torch and audit what it returns.

    Args:
        problem: The network and its inputs.
        dtype: The float format to run in; see `symrnn.networks.sources.modules.to_torch`.
        options: Passed to `symrnn.audit`.

    Returns:
        The report, and the torch module if its parameters and inputs are the problem's,
        ``None`` if they had to be rounded; the report then says so.

    Raises:
        UnsupportedError: torch is missing, or has no such cell.
    """
    import numpy as np

    from symrnn.audits.audit import audit
    from symrnn.networks.sources import load
    from symrnn.networks.sources.modules import to_torch

    module = to_torch(problem.net, dtype)
    report = audit(module, problem.x, problem.hx, lengths=problem.lengths, **options)
    given, run = problem.net.parameters, load(module).parameters
    changed = [
        np.count_nonzero((values != run[position][name]) & (values == values))
        for position, arrays in given.items()
        for name, values in arrays.items()
    ]
    if any(changed):
        note = (
            f"{sum(changed)} parameters were rounded to {report.dtype}; the exact "
            "values are those for the rounded ones"
        )
        report = replace(report, notes=(note, *report.notes))
    return report, None if report.rounded or any(changed) else module
