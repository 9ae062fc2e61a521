# SPDX-License-Identifier: BSD-3-Clause
"""Which code of torch computes the activations of a recurrent layer.

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
    float16 where it has AVX-512-FP16, unless torch records for differentiation.
"""

from __future__ import annotations

from symrnn.formats import FloatFormat

__all__ = ["kernels_of", "layer_kernel"]


def layer_kernel(
    cell: str,
    target: FloatFormat,
    *,
    grad: bool,
    onednn: bool = True,
    single_step: bool = False,
    projected: bool = False,
    packed: bool = False,
) -> str:
    """Return which kernel computes the activations of a layer; see Note [Kernels].

    Args:
        cell: Name of the cell, ``"lstm"``.
        target: The layer's float format.
        grad: Whether torch records for differentiation.
        onednn: Whether torch may use oneDNN (``torch.backends.mkldnn``).
        single_step: Whether it is an ``…Cell`` module.
        projected: Whether the LSTM has a projection.
        packed: Whether its input is a packed sequence.

    >>> from symrnn.formats import FORMATS
    >>> layer_kernel("gru", FORMATS["float32"], grad=False)
    'elementwise'
    """
    if cell != "lstm" or not onednn or single_step or projected or packed:
        return "elementwise"
    return "lstm/onednn" if _onednn_takes(target, grad) else "elementwise"


def _onednn_takes(target: FloatFormat, grad: bool) -> bool:
    import torch

    if target.name == "float32":
        return True
    if target.name == "bfloat16":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if target.name == "float16":
        return not grad and bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
    return False


def kernels_of(target: FloatFormat) -> tuple[str, ...]:
    """Return the kernels that the installed torch has for a format on this processor."""
    import torch

    onednn = torch.backends.mkldnn
    enabled = onednn.is_available() and bool(getattr(onednn, "enabled", True))
    of_lstm = layer_kernel("lstm", target, grad=False, onednn=enabled)
    return tuple(dict.fromkeys(["elementwise", of_lstm]))
