# SPDX-License-Identifier: BSD-3-Clause
"""The command line: arguments in, exit code out.

Nothing but click is imported before a command runs, so that ``symrnn --help`` is quick.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings
from typing import Any

import click

from symrnn._version import __version__
from symrnn.cli.audit import audit
from symrnn.cli.calibrate import calibrate
from symrnn.cli.demo import demo
from symrnn.cli.derive import derive
from symrnn.cli.evaluate import evaluate
from symrnn.cli.exercise import exercise
from symrnn.cli.grade import grade
from symrnn.errors import SymrnnError, SymrnnWarning

__all__ = ["main"]

_BAD_INPUT = 2
# What a shell says of a program that SIGINT or SIGPIPE ended: 1 would be a verdict.
_INTERRUPTED = 130
_CLOSED_PIPE = 141
_LONGEST = 1000  # characters of a message; it may quote a number from a file


_show = warnings.showwarning


def _say(message: Any, category: Any, *where: Any, **more: Any) -> None:
    """Say a warning of ours in a line; show others as Python does."""
    if issubclass(category, SymrnnWarning):
        click.echo(f"symrnn: warning: {message}", err=True)
    else:
        _show(message, category, *where, **more)


class _Commands(click.Group):
    """A group whose expected errors are one line each, and exit code 2."""

    def main(self, *args: Any, **extra: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # an ASCII terminal has no ×
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _say
                result = super().invoke(ctx)
            sys.stdout.flush()
        except SymrnnError as error:
            return _fail(ctx, str(error))
        except OSError as error:
            if error.errno == errno.EPIPE:
                return _stop_writing(ctx)
            return _fail(ctx, _explain(error))
        except MemoryError:
            return _fail(ctx, "the input needs more memory than there is")
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)
        return result


def _fail(ctx: click.Context, message: str) -> None:
    line = " ".join(message.split())
    if len(line) > _LONGEST:
        line = f"{line[:_LONGEST]}…"
    click.echo(f"symrnn: error: {line}", err=True)
    ctx.exit(_BAD_INPUT)


def _explain(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason


def _stop_writing(ctx: click.Context) -> None:
    """Whoever read the output has gone, which is no error: leave without a word."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    ctx.exit(_CLOSED_PIPE)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Derive what a recurrent network computes, exactly, and check floats against it.

    A MODEL is a file of torch's parameters, an INPUT the numbers that it reads:

    \b
      symrnn demo
      symrnn evaluate model.pt --input x.json --digits 30
      symrnn audit    model.pt --input x.npy --ulps 4
      symrnn derive   model.pt --input x.csv -o example.tex

    Exit codes: 0 done, or the audit holds; 1 an audit does not hold; 2 bad input or
    usage, with one line on standard error.
    """,
)
@click.version_option(__version__, message="symrnn %(version)s")
def main() -> None:
    """Hold the commands."""


for _command in (derive, evaluate, audit, calibrate, demo, exercise, grade):
    main.add_command(_command)
