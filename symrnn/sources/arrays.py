# SPDX-License-Identifier: BSD-3-Clause
"""Parameter arrays of any kind, copied exactly, with the float format they came in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symrnn.errors import SourceError
from symrnn.numbers import Exact, exact_array, float_format

__all__ = ["read_arrays"]


def read_arrays(
    arrays: Mapping[str, Any], dtype: str | None = None
) -> tuple[dict[str, Exact], str | None]:
    """Copy `arrays` exactly and return them with the float format that all share.

    Args:
        arrays: Tensors, NumPy arrays or nested lists, of any shape.
        dtype: The float format to report, whatever the arrays' own.

    Raises:
        SourceError: An array's numbers cannot be taken exactly, it holds none, or the
            arrays have different float formats and `dtype` is not given.

    >>> read_arrays({"w": np.ones((1, 1), dtype=np.float32)})
    ({'w': array([[1.]])}, 'float32')
    """
    formats = {name: float_format(values) for name, values in arrays.items()}
    if dtype is None and len(set(formats.values())) > 1:
        listed = ", ".join(f"{n} {found or 'none'}" for n, found in formats.items())
        raise SourceError(
            f"the arrays have different dtypes ({listed}); say with dtype= which float "
            "format the network has"
        )
    return (
        {name: _copy(values, name) for name, values in arrays.items()},
        dtype or next(iter(formats.values()), None),
    )


def _copy(values: Any, name: str) -> Exact:
    if hasattr(values, "detach"):
        _check_tensor(values, name)
    try:
        # A float64 array would be shared, and change when the model is trained.
        return np.array(exact_array(values, name))
    except (RuntimeError, TypeError) as error:  # a tensor subclass: fake, distributed
        raise SourceError(f"{name} cannot be copied to NumPy: {error}") from None


def _check_tensor(tensor: Any, name: str) -> None:
    problem = None
    if type(tensor).__name__.startswith("Uninitialized"):
        problem = (
            "is not initialised: call the model once, or load a state_dict into it"
        )
    elif tensor.is_meta:
        problem = "is on the meta device and holds no numbers"
    elif tensor.is_quantized or float_format(tensor) is None:
        problem = (
            f"has dtype {tensor.dtype}; expected float64, float32, float16 or bfloat16"
        )
    elif str(tensor.layout) != "torch.strided":
        problem = f"is stored as {tensor.layout}; convert it with .to_dense()"
    if problem:
        raise SourceError(f"{name} {problem}")
