# SPDX-License-Identifier: BSD-3-Clause
"""Which figures hold for the activations of a subject: measured and cached, or assumed.

There is one file for each function, format and kernel of a library's version, processor
and number of threads, in the directory that `cache_path` names.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np

from symrnn.domains.activation_errors import (
    BINADES,
    ActivationErrors,
    Floats,
    Provenance,
    Worst,
    assumed_errors,
)
from symrnn.equations.functions import rounds
from symrnn.errors import SourceError
from symrnn.kernels.environment import Environment
from symrnn.numerics.files import write_text
from symrnn.numerics.formats import FORMATS, FloatFormat

__all__ = [
    "ActivationErrors",
    "assumed_errors",
    "cache_path",
    "find_errors",
    "make_cache",
    "processor",
    "save_errors",
]

_SCHEMA = "symrnn.activations/1"
_COMPLETE: Provenance = "measured exhaustively"
_KEY = ("function", "format", "kernel", "library", "cpu", "threads")


def find_errors(
    function: str,
    format: FloatFormat,
    environment: Environment,
    *,
    kernel: str = "elementwise",
) -> ActivationErrors:
    """Return what was measured of the library that `environment` names, or assumptions.

    Args:
        function: ``"tanh"``, ``"sigmoid"``, …
        format: The float format of the results.
        environment: What the subject ran in; of one that names no torch, or
            another device than the CPU, all is assumed.
        kernel: Which code computes it; see `symrnn.calibrate`.

    Raises:
        SourceError: The file of the cache that should hold it is malformed.
    """
    assumed = assumed_errors(function, format, kernel=kernel)
    elsewhere = not str(environment.device or "cpu").startswith("cpu")
    if environment.torch is None or elsewhere or not rounds(function):
        return assumed
    key = {
        "function": function,
        "format": format.name,
        "kernel": kernel,
        "library": f"torch {environment.torch}",
        "cpu": processor(environment),
        "threads": environment.threads,
    }
    path = _file(key)
    return _load(path, key) if path.exists() else assumed


def save_errors(errors: ActivationErrors) -> Path:
    """Put measured figures into the cache, and return the file.

    Figures of all arguments that are there already are not replaced by those of a sample.

    Raises:
        OSError: It cannot be written.
    """
    key = {name: getattr(errors, name) for name in _KEY}
    key["format"] = errors.format.name
    content = {
        "schema": _SCHEMA,
        **key,
        "provenance": errors.provenance,
        "arguments": errors.arguments,
        "profile": [_runs(row) for row in errors.profile],
        "underflow": errors.underflow,
        "worst": _plain(errors.worst),
        "worst_underflow": _plain(errors.worst_underflow),
    }
    path = _file(key)
    if errors.provenance != _COMPLETE and _is_complete(path, key):
        return path
    make_cache()
    write_text(path, json.dumps(content, indent=1) + "\n")
    return path


def make_cache() -> None:
    """Create the directory of measured figures, if there is none.

    Raises:
        OSError: It cannot be created.
    """
    _folder().mkdir(parents=True, exist_ok=True)


def cache_path() -> Path:
    """Return the directory of measured figures.

    ``$SYMRNN_CACHE`` if that is set, else ``symrnn`` where the platform keeps caches.
    """
    if chosen := os.environ.get("SYMRNN_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local"
        return Path(base) / "symrnn" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/symrnn"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "symrnn"


def processor(environment: Environment) -> str:
    """Return what may choose torch's code: the processor, its instructions, its mode."""
    mode = ", subnormals flushed" if environment.flushes_subnormals else ""
    return f"{_cpu_name()}, {environment.cpu_capability}{mode}"


@cache
def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    first = info.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    found = {name.strip(): value.strip() for name, _, value in pairs}
    numbers = [found.get(name, "?") for name in ("cpu family", "model", "stepping")]
    return f"{found.get('model name', platform.machine())} ({'.'.join(numbers)})"


def _file(key: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    name = f"{key['function']}-{key['format']}-{digest}.json"
    return _folder() / name


def _folder() -> Path:
    return cache_path() / "activations"


def _is_complete(path: Path, key: dict[str, Any]) -> bool:
    try:
        return path.exists() and _load(path, key).provenance == _COMPLETE
    except SourceError:  # it will be written anew
        return False


def _load(path: Path, key: dict[str, Any]) -> ActivationErrors:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != _SCHEMA or {k: content[k] for k in _KEY} != key:
            raise ValueError("it is of something else")
        if content["provenance"] not in get_args(Provenance):
            raise ValueError("its provenance is unknown")
        errors = ActivationErrors(
            **{**key, "format": FORMATS[key["format"]]},
            provenance=content["provenance"],
            arguments=int(content["arguments"]),
            profile=np.array([_unpack(runs) for runs in content["profile"]]),
            underflow=float(content["underflow"]),
            worst=_worst(content["worst"]),
            worst_underflow=_worst(content["worst_underflow"]),
        )
        _require_consistent(errors)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise SourceError(
            f"{path} holds no measured activations ({error}); delete it, and run "
            "`symrnn calibrate` again"
        ) from error
    return errors


def _require_consistent(errors: ActivationErrors) -> None:
    """Refuse figures that nobody measures, and a profile without its own worst error."""
    if errors.arguments < 1:
        raise ValueError("it is of no arguments")
    if errors.worst is None or errors.peak != errors.worst.ulps:
        raise ValueError("its profile and its worst error are not the same")


def _plain(worst: Worst | None) -> dict[str, Any] | None:
    return None if worst is None else asdict(worst)


def _worst(content: dict[str, Any] | None) -> Worst | None:
    if content is None:
        return None
    worst = Worst(**content)
    float.fromhex(worst.argument)
    return worst


def _runs(row: Floats) -> list[list[float]]:
    """Shorten a row to its runs of equal numbers, ``[length, number]``."""
    ends = [*(np.flatnonzero(row[1:] != row[:-1]) + 1).tolist(), row.size]
    return [
        [end - start, float(row[start])]
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]


def _unpack(runs: list[list[float]]) -> Floats:
    lengths = [int(length) for length, _ in runs]
    if min(lengths) < 1 or sum(lengths) != BINADES:
        raise ValueError("its profile has another length")
    numbers = [number for _, number in runs]
    return np.repeat(np.array(numbers, np.float64), lengths)
