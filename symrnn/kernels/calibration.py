# SPDX-License-Identifier: BSD-3-Clause
"""How far the installed torch's activations are from the real functions, or anything's.

Which code of torch computes them says `symrnn.kernels.environment`.

Note [oneDNN in 16 bits]
    oneDNN's LSTM keeps gates in float32: their arguments and values are not rounded to the
    layer's format, so the format's own numbers are not all the arguments there are. Its
    functions are those of the float32 layer; what a layer returns is rounded once. So the
    figures are those of float32, plus half an ulp; and those of all arguments of the
    format, measured through a layer, must not exceed them or else are taken instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np

from symrnn.domains.activation_errors import (
    ActivationErrors,
    Floats,
    Provenance,
    nearly_subnormal,
)
from symrnn.equations.functions import FUNCTIONS, ElementwiseFunction
from symrnn.errors import SourceError, UnsupportedError
from symrnn.kernels.activation_cache import (
    find_errors,
    make_cache,
    processor,
    save_errors,
)
from symrnn.kernels.environment import Environment, environment_of, kernels_of
from symrnn.kernels.error_profiles import Compute, Tally, count_arguments, measure
from symrnn.networks.sources.options import require_package
from symrnn.numerics.formats import FORMATS, FloatFormat, find_format

__all__ = ["calibrate"]

Progress = Callable[[str, int, int], object]

_UNITS = 17  # of an LSTM: a vector register and one more
_SATURATED = 60.0  # tanh and sigmoid of it are 1 in every format

_QUANTITIES: dict[str, dict[str, tuple[str, dict[str, float], str]]] = {
    "tanh": {
        "gate g": ("g", {"i": _SATURATED, "f": 0.0, "o": 0.0}, "c"),
        "cell state": (
            "c",
            {"i": 0.0, "f": _SATURATED, "g": 0.0, "o": _SATURATED},
            "h",
        ),
    },
    "sigmoid": {
        "gate i": ("i", {"f": 0.0, "g": _SATURATED, "o": 0.0}, "c"),
        "gate o": ("o", {"i": _SATURATED, "f": 0.0, "g": _SATURATED}, "h"),
    },
}
"""The functions of torch's LSTM layer, and where they show: which gate reads the arguments,
the values of the others, which result shows it."""


def calibrate(
    activation: Callable[[Any], Any] | None = None,
    *,
    functions: str | Sequence[str] = tuple(_QUANTITIES),
    formats: str | Sequence[str] = tuple(FORMATS),
    exhaustive: bool = True,
    progress: Progress | None = None,
) -> list[ActivationErrors]:
    """Measure torch's functions, or one of yours, and return the errors.

    All arguments of a 16-bit format are tried, and all of float32 for which the function
    has to be computed; float64 is sampled. Of torch, each kernel that computes the
    function on this processor is measured, and audits use the figures from then on: they
    are cached for the version of torch, the processor and the number of threads. What is
    measured of `activation` is not cached.

    Args:
        activation: A function to measure instead of torch's. It is called, by several
            threads, with a one-dimensional NumPy array of the format (for bfloat16: of
            float32 that hold bfloat16 numbers), and returns as many results.
        functions: What to measure, by the names of registered functions: ``"tanh"`` and
            ``"sigmoid"``, and what else torch has by its entry; for `activation` the one
            that it should be.
        formats: Names of float formats, all four by default.
        exhaustive: Whether to try all float32 arguments that matter; else one in 61.
        progress: Called with the name of what is measured, the number of arguments that
            have been done since the last call, and the number in all.

    Raises:
        SourceError: There is no function or format of that name, or `activation` returns
            something else than as many numbers.
        UnsupportedError: torch is not installed or does not compute that function, or
            flushes subnormal numbers to zero.
        OSError: The cache cannot be written.

    >>> import numpy as np
    >>> import symrnn
    >>> def hard_tanh(x):
    ...     return np.clip(x, -1, 1)
    >>> [errors] = symrnn.calibrate(hard_tanh, functions="tanh", formats="float16")
    >>> errors.worst.argument, errors.peak > 400
    ('0x1.0000000000000p+0', True)
    """
    names = [functions] if isinstance(functions, str) else list(functions)
    targets = [_format(f) for f in ([formats] if isinstance(formats, str) else formats)]
    unknown = [name for name in names if name not in FUNCTIONS]
    if unknown:
        raise SourceError(
            f"no function named {unknown[0]!r}; see symrnn.equations.FUNCTIONS"
        )
    if activation is not None:
        if len(names) != 1:
            raise SourceError("say with functions= which function it should be")
        return [
            _measure_callable(activation, names[0], target, exhaustive, progress)
            for target in targets
        ]
    return list(_calibrate_torch(names, targets, exhaustive, progress))


def _format(name: str) -> FloatFormat:
    try:
        return find_format(name)
    except ValueError as error:
        raise SourceError(str(error)) from None


# --- anybody's function -------------------------------------------------------------


def _measure_callable(
    activation: Callable[[Any], Any],
    function: str,
    target: FloatFormat,
    exhaustive: bool,
    progress: Progress | None,
) -> ActivationErrors:
    dtype = np.dtype("float32" if target.name == "bfloat16" else target.name)

    def compute(x: Floats) -> Floats:
        y = np.asarray(activation(x.astype(dtype)), np.float64)
        if y.shape != x.shape:
            raise SourceError(
                f"expected as many results as arguments, shape {x.shape}, got {y.shape}"
            )
        return y

    name = getattr(activation, "__name__", type(activation).__name__)
    tally = _measure({"array": compute}, function, target, name, exhaustive, progress)
    origin = {"kernel": name, "library": None, "cpu": None, "threads": None}
    return _errors(tally, _provenance(target, exhaustive), function, origin)


def _measure(
    paths: Mapping[str, Compute],
    function: str,
    target: FloatFormat,
    kernel: str,
    exhaustive: bool,
    progress: Progress | None,
) -> Tally:
    total = count_arguments(target, function, exhaustive=exhaustive)
    title = f"{kernel} {function} in {target.name}"

    def advance(done: int) -> None:
        if progress is not None:
            progress(title, done, total)

    return measure(paths, function, target, exhaustive=exhaustive, progress=advance)


def _provenance(target: FloatFormat, exhaustive: bool) -> Provenance:
    sampled = target.precision == 53 or (target.precision == 24 and not exhaustive)
    return "measured on samples" if sampled else "measured exhaustively"


def _errors(
    tally: Tally, provenance: Provenance, function: str, origin: Mapping[str, Any]
) -> ActivationErrors:
    return ActivationErrors(
        function=function,
        format=tally.format,
        provenance=provenance,
        arguments=tally.arguments,
        profile=tally.profile,
        underflow=tally.underflow,
        worst=tally.worst,
        worst_underflow=tally.worst_underflow,
        **origin,
    )


# --- torch's ------------------------------------------------------------------------


def _calibrate_torch(
    functions: Sequence[str],
    targets: Sequence[FloatFormat],
    exhaustive: bool,
    progress: Progress | None,
) -> Iterator[ActivationErrors]:
    require_package("torch", "torch", "to measure its activations")
    for name in functions:
        _require_measurable(FUNCTIONS[name])
    make_cache()  # before minutes of measuring, not after
    # float32 comes first: oneDNN's figures for 16 bits are made of it.
    order = sorted(targets, key=lambda target: target.precision != 24)
    found: dict[tuple[str, str, str], ActivationErrors] = {}
    for target in order:
        for function in functions:
            for kernel in _kernels(function, target):
                errors = _measure_torch(function, target, kernel, exhaustive, progress)
                if kernel == "lstm/onednn" and target.precision < 24:
                    single = found.get((function, "float32", kernel))
                    errors = _widen(errors, single, exhaustive, progress)
                found[function, target.name, kernel] = errors
    for target in targets:
        for function in functions:
            for kernel in _kernels(function, target):
                errors = found[function, target.name, kernel]
                save_errors(errors)
                yield errors


def _require_measurable(function: ElementwiseFunction) -> None:
    if not function.rounds:
        raise UnsupportedError(
            f"torch's {function.name} needs no measuring: it is exact"
        )
    if function.torch is None:
        raise UnsupportedError(
            f"torch has no {function.name} to measure; give a function of yours as "
            "activation="
        )


def _kernels(function: str, target: FloatFormat) -> tuple[str, ...]:
    """Return the kernels of torch that compute a function."""
    layer = function in _QUANTITIES
    return tuple(k for k in kernels_of(target) if layer or k == "elementwise")


def _measure_torch(
    function: str,
    target: FloatFormat,
    kernel: str,
    exhaustive: bool,
    progress: Progress | None,
) -> ActivationErrors:
    environment = _environment(target)
    make = _layer_paths if kernel == "lstm/onednn" else _elementwise_paths
    paths = make(function, target)
    tally = _measure(paths, function, target, kernel, exhaustive, progress)
    origin = {
        "kernel": kernel,
        "library": f"torch {environment.torch}",
        "cpu": processor(environment),
        "threads": environment.threads,
    }
    return _errors(tally, _provenance(target, exhaustive), function, origin)


def _widen(
    errors: ActivationErrors,
    single: ActivationErrors | None,
    exhaustive: bool,
    progress: Progress | None,
) -> ActivationErrors:
    """Return errors for arguments that are not rounded; see Note [oneDNN in 16 bits]."""
    float32 = FORMATS["float32"]
    if single is None:
        single = _single_errors(errors, exhaustive, progress)
    target = errors.format
    ratio = 2.0 ** (target.precision - 24)
    # Where float32 counts as underflow, so does a format of the same exponents. One with
    # fewer has normal numbers of float32 below, whose error is that of the profile.
    least = nearly_subnormal(target)
    rounding = least * 2.0 ** (1 - target.precision)
    relative = single.peak * least * 2.0 ** (1 - float32.precision)
    flushed = 2.0**float32.emin  # by the instruction that rounds to bfloat16
    profile = (0.5 + single.profile * ratio) * (1 + 2.0**-50)
    worst = single.worst and replace(
        single.worst, ulps=float(profile.max()), path=f"{single.worst.path}, float32"
    )
    return replace(
        errors,
        provenance=single.provenance,
        arguments=single.arguments + errors.arguments,
        profile=np.maximum(errors.profile, profile),
        underflow=max(
            errors.underflow, single.underflow + relative + rounding + flushed
        ),
        worst=errors.worst if errors.peak > profile.max() else worst,
    )


def _single_errors(
    errors: ActivationErrors, exhaustive: bool, progress: Progress | None
) -> ActivationErrors:
    float32 = FORMATS["float32"]
    known = find_errors(
        errors.function, float32, _environment(float32), kernel=errors.kernel
    )
    sampled_will_do = not exhaustive and known.provenance == "measured on samples"
    if sampled_will_do or known.provenance == "measured exhaustively":
        return known
    return _measure_torch(errors.function, float32, errors.kernel, exhaustive, progress)


def _elementwise_paths(function: str, target: FloatFormat) -> dict[str, Compute]:
    import torch

    spelling = FUNCTIONS[function].torch
    assert spelling is not None
    apply = attrgetter(spelling.removeprefix("torch."))(torch)

    def vector(x: Floats) -> Floats:
        return _numbers(apply(_tensor(x, target)))

    def tail(x: Floats) -> Floats:
        # Rows of three numbers with a gap behind: none fills a vector register.
        rows = torch.zeros(-(-x.size // 3), 4, dtype=getattr(torch, target.name))
        padded = np.pad(x, (0, -x.size % 3)).reshape(-1, 3)
        rows[:, :3] = _tensor(padded, target)
        return _numbers(apply(rows[:, :3])).reshape(-1)[: x.size]

    return {"vector": vector, "tail": tail}


def _layer_paths(function: str, target: FloatFormat) -> dict[str, Compute]:
    return {
        name: _through_layer(*quantity, target)
        for name, quantity in _QUANTITIES[function].items()
    }


def _through_layer(
    reads: str, others: Mapping[str, float], shows: str, target: FloatFormat
) -> Compute:
    """Return the function that one gate, or the cell state, of an LSTM layer applies."""
    import torch

    dtype = getattr(torch, target.name)
    with torch.random.fork_rng(devices=[]):  # the caller's generator must not notice
        layer = torch.nn.LSTM(_UNITS, _UNITS, dtype=dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        for k, gate in enumerate("ifgo"):
            rows = slice(k * _UNITS, (k + 1) * _UNITS)
            if gate == reads:
                layer.weight_ih_l0[rows] = torch.eye(_UNITS, dtype=dtype)
            else:
                layer.bias_ih_l0[rows] = others[gate]

    def compute(x: Floats) -> Floats:
        padded = np.pad(x, (0, -x.size % _UNITS)).reshape(1, -1, _UNITS)
        given = _tensor(padded, target)
        zeros = torch.zeros_like(given)
        state = given if reads == "c" else zeros
        # tanh(c) is 1 if c is large, so that h shows the output gate alone.
        if shows == "h" and reads != "c":
            state = torch.full_like(given, _SATURATED)
        with torch.no_grad():
            _, (h, c) = layer(zeros if reads == "c" else given, (zeros, state))
        return _numbers(h if shows == "h" else c).reshape(-1)[: x.size]

    return compute


def _tensor(x: Floats, target: FloatFormat) -> Any:
    import torch

    return torch.from_numpy(x).to(getattr(torch, target.name))


def _numbers(tensor: Any) -> Floats:
    import torch

    numbers: Floats = tensor.to(torch.float64).numpy()
    return numbers


def _environment(target: FloatFormat) -> Environment:
    """Return what torch runs in, as an audit's report has it."""
    found = environment_of(target, "cpu")
    if found.flushes_subnormals:
        raise UnsupportedError(
            "this thread flushes subnormal numbers to zero (torch.set_flush_denormal); "
            "no bound can be proven in it"
        )
    return found
