# SPDX-License-Identifier: BSD-3-Clause
r"""Magnitudes of the two sides of a matrix product, for the |p| of its rounding bound.

Note [Sizes in groups]
    |p| of an inner product is Σ|w||x|, as large a matrix product as the value itself. By
    Cauchy and Schwarz, with the products in groups of g and ‖·‖ the 2-norm over a group,
    Σ|w||x| <= Σ ‖w‖‖x‖: a product with g times fewer columns. For dense numbers the
    bound grows by a third; in the worst case, where of each group one side has a single
    number, by √g. (Where one side has zeros wherever the other has none, both are zero in
    truth.) Who finds a result that comes near such a bound judges it again with g = 1.

Both sides are bounded from above, and rounded to the format in which they are multiplied.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.audit.local.sets import Floating, size_of

__all__ = ["left_sizes", "right_sizes", "rough_sizes"]

_TINY = 2.0**-126  # products of smaller float32 numbers take twenty times as long
_ABOVE = 1 + 2.0**-22  # more than roundings to float32 and of a few float64 operations


def rough_sizes(a: Floating, dtype: type[np.floating[Any]]) -> npt.NDArray[Any]:
    """Return an upper bound of `size` in the format that sizes are computed in.

    >>> rough_sizes(Floating(mid=np.array([[-0.5, 0.0]])), np.float32).round(3).tolist()
    [[0.5, 0.0]]
    """
    exact = _is_exact(a)
    size = a.mid if exact else size_of(a)
    if size.dtype == dtype and not exact:
        return size
    found: npt.NDArray[Any] = size.astype(dtype)
    if exact:  # the sign is lost where the array is half as wide
        np.abs(found, out=found)
    found *= dtype(_ABOVE)
    if not float(np.min(found, initial=1.0)) >= _TINY:
        np.maximum(found, dtype(_TINY), out=found, where=size != 0)
    return found


def left_sizes(
    a: Floating, group: int, dtype: type[np.floating[Any]]
) -> npt.NDArray[Any]:
    """Return upper bounds of the norms of groups of a matrix's columns.

    Args:
        a: Atoms, (m × k).
        group: g of Note [Sizes in groups].
        dtype: Of the result.

    Returns:
        (m × (k // g + k % g)): the last columns stand alone. Column j of the others is
        over columns j, j + k // g, ...

    >>> a = Floating(mid=np.array([[3.0, 7.0, -4.0, 0.0, -1.0]]))
    >>> left_sizes(a, 2, np.float64).round(5)
    array([[5., 7., 1.]])
    """
    values = a.mid if _is_exact(a) else size_of(a)
    return _norms(values, group, dtype)


def right_sizes(
    a: Floating, group: int, dtype: type[np.floating[Any]]
) -> npt.NDArray[Any]:
    """Return the same of groups of rows, (k × n) to ((k // g + k % g) × n).

    >>> right_sizes(Floating(mid=np.array([[3.0], [-4.0]])), 2, np.float64).round(5)
    array([[5.]])
    """
    values = a.mid if _is_exact(a) else size_of(a)
    return _norms(values.T, group, dtype).T


def _is_exact(a: Floating) -> bool:
    return a.size is None and a.rad is None and a.spread is None


def _norms(
    values: npt.NDArray[Any], group: int, dtype: type[np.floating[Any]]
) -> npt.NDArray[Any]:
    width, alone = divmod(values.shape[1], group)
    found = np.empty((len(values), width + alone))
    norms, rest = found[:, :width], found[:, width:]
    parts = [values[:, i * width : (i + 1) * width] for i in range(group)]
    np.square(parts[0], out=norms, dtype=np.float64)
    for part in parts[1:]:
        norms += np.square(part, dtype=np.float64)
    np.sqrt(norms, out=norms)
    np.abs(values[:, group * width :], out=rest)
    rough: npt.NDArray[Any] = found.astype(dtype)
    rough *= dtype(_ABOVE)
    # Squares of numbers that are as small as this may have vanished.
    if not float(np.min(rough, initial=1.0)) >= _TINY:
        some = np.any([part != 0 for part in parts], axis=0)
        some = np.concatenate([some, rest != 0], axis=1)
        np.maximum(rough, dtype(_TINY), out=rough, where=some)
    return rough
