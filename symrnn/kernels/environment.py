# SPDX-License-Identifier: BSD-3-Clause
"""What a subject ran in, and which code of torch that makes compute its activations.

Note [Kernels]
    On a CPU, torch computes activations in two places (torch 2.13):

    * ``"elementwise"``: ``torch.tanh`` and ``torch.sigmoid``, in RNN, GRU, all cells of
      one step, LSTM with projections or packed sequences, and whatever oneDNN does not
      take. Where elements do not fill a vector register, or are not contiguous, another
      function computes them than elsewhere, so both paths are measured.
    * ``"lstm/onednn"``: a kernel for whole LSTM layers that has functions of its own. They
      can only be seen through a layer whose other gates are saturated: there
      c = sigmoid(i)·1 + f·0, c = 1·tanh(g), h = sigmoid(o)·1 and h = 1·tanh(c).

    oneDNN takes LSTM layers in float32; in bfloat16 where the processor has AVX-512; in
    float16 where it has AVX-512-FP16, unless torch records for differentiation. The
    environment variable ONEDNN_MAX_CPU_ISA hides instructions from it. So torch is asked;
    where it is not installed, the processor is taken to have all of them.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, fields
from typing import Any

from symrnn._version import __version__
from symrnn.numerics.formats import FloatFormat

__all__ = [
    "Environment",
    "environment_of",
    "kernels_of",
    "layer_kernel",
    "onednn_enabled",
]

_ONEDNN_FORMATS = ("float32", "bfloat16", "float16")


def layer_kernel(
    family: str | None,
    target: FloatFormat,
    *,
    grad: bool,
    onednn: bool = True,
    single_step: bool = False,
    projected: bool = False,
    packed: bool = False,
    here: bool = True,
) -> str:
    """Return which kernel computes a layer and its activations; see Note [Kernels].

    Args:
        family: The cell's: `symrnn.Cell.family`, such as ``"lstm"``.
        target: The layer's float format.
        grad: Whether torch records for differentiation.
        onednn: Whether torch may use oneDNN (``torch.backends.mkldnn``).
        single_step: Whether it is an ``…Cell`` module.
        projected: Whether the LSTM has a projection.
        packed: Whether its input is a packed sequence.
        here: Whether to ask torch about this processor, instead of taking one with all
            the instructions that oneDNN can make use of.

    >>> from symrnn.kernels import FORMATS
    >>> layer_kernel("gru", FORMATS["float32"], grad=False)
    'elementwise'
    >>> layer_kernel("lstm", FORMATS["float16"], grad=False, here=False)
    'lstm/onednn'
    """
    if family != "lstm" or not onednn or single_step or projected or packed:
        return "elementwise"
    if target.name == "float16" and grad:
        return "elementwise"
    name = target.name
    takes = _onednn_takes(name) if here else name in _ONEDNN_FORMATS
    return "lstm/onednn" if takes else "elementwise"


def _onednn_takes(name: str) -> bool:
    """Ask torch whether oneDNN has LSTMs of a format for this processor."""
    try:
        import torch
    except ModuleNotFoundError:
        return name in _ONEDNN_FORMATS
    match name:
        case "bfloat16":
            return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        case "float16":
            return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
        case _:
            return name in _ONEDNN_FORMATS


def onednn_enabled() -> bool:
    """Tell whether torch has oneDNN and may use it; yes where torch is not installed."""
    try:
        import torch
    except ModuleNotFoundError:
        return True
    onednn = torch.backends.mkldnn
    return onednn.is_available() and bool(getattr(onednn, "enabled", True))


def kernels_of(target: FloatFormat) -> tuple[str, ...]:
    """Return the kernels that the installed torch has for a format on this processor."""
    of_lstm = layer_kernel("lstm", target, grad=False, onednn=onednn_enabled())
    return tuple(dict.fromkeys(["elementwise", of_lstm]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the subject ran in; ``None`` where symrnn did not run it.

    Attributes:
        symrnn: Version.
        python: Version.
        dtype: The subject's float format.
        torch: Version.
        device: Where the module is.
        threads: ``torch.get_num_threads()``.
        grad_mode: ``"no_grad"``, ``"grad"`` or ``"inference_mode"``. On a CPU, float32
            LSTMs take different kernels in the first two, with different results.
        onednn: Whether torch may use oneDNN kernels.
        cpu_capability: The vector instructions that torch chose.
        flushes_subnormals: Whether the thread's arithmetic flushed them to zero.
    """

    symrnn: str
    python: str
    dtype: str
    torch: str | None = None
    device: str | None = None
    threads: int | None = None
    grad_mode: str | None = None
    onednn: bool | None = None
    cpu_capability: str | None = None
    flushes_subnormals: bool | None = None

    def __str__(self) -> str:
        known = [(f.name, getattr(self, f.name)) for f in fields(self)]
        return ", ".join(f"{name} {v}" for name, v in known if v is not None)


def environment_of(target: FloatFormat, device: Any) -> Environment:
    """Return what torch runs in on a device, in a float format."""
    import torch

    grad_mode = "grad" if torch.is_grad_enabled() else "no_grad"
    tiny = torch.full((1,), 2.0**-126, dtype=torch.float32, device="cpu")
    return Environment(
        symrnn=__version__,
        python=platform.python_version(),
        dtype=target.name,
        torch=str(torch.__version__),
        device=str(device),
        threads=torch.get_num_threads(),
        grad_mode="inference_mode" if torch.is_inference_mode_enabled() else grad_mode,
        onednn=onednn_enabled(),
        cpu_capability=str(torch.backends.cpu.get_cpu_capability()),
        flushes_subnormals=bool((tiny * 0.5 == 0).item()),
    )
