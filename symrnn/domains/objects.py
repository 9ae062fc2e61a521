# SPDX-License-Identifier: BSD-3-Clause
"""What domains whose matrices are NumPy object arrays have in common: moving elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.domains.base import Domain

__all__ = ["ObjectDomain", "Objects", "object_array"]

Objects = npt.NDArray[np.object_]


class ObjectDomain(Domain[Objects]):
    """Stacking, splitting and listing of object arrays; arithmetic is the subclass's."""

    def transpose(self, a: Objects) -> Objects:
        return a.T

    def vstack(self, parts: Sequence[Objects]) -> Objects:
        return np.vstack(parts)

    def hstack(self, parts: Sequence[Objects]) -> Objects:
        return np.hstack(parts)

    def split(self, a: Objects, widths: Sequence[int]) -> list[Objects]:
        ends = np.cumsum(widths)
        return [
            a[:, end - width : end] for width, end in zip(widths, ends, strict=True)
        ]

    def rows(self, a: Objects) -> list[list[Any]]:
        return a.tolist()


def object_array(flat: Sequence[Any], shape: tuple[int, ...]) -> Objects:
    """Return `flat`, row by row, as an array of the given shape."""
    array = np.empty(len(flat), dtype=object)
    array[:] = flat
    return array.reshape(shape)
