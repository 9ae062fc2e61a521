# SPDX-License-Identifier: BSD-3-Clause
r"""What a library may return for functions of balls; for narrow ones in few passes.

Note [Narrow balls]
    For |d| <= r <= 1/4, |f(m + d) - f(m)| <= |f'(m)| r (1 + b r) with b = 3/2 for tanh
    and 3/4 for sigmoid (`symrnn.elementary`, whose ``1 + 16·2^-53`` in place of 1 makes
    the computed |f'| an upper bound). Where no radius is above R, the last factor is one
    number, 1 + bR.

Note [The value's own error]
    In formats of up to 24 bits, the error of the float64 value is not worth passes of its
    own. It is at most e·|v|, e = 6.1·2^-53, but for 16·2^-1074, and so less than
    e·2^p + 2^-900 ulps of the format. Library errors are taken to be `LEAST` ulps at
    least, so a factor of 1 + (e·2^p + 2^-900)/LEAST on them covers it: 1.001 in float32.
    2^-46 more covers the roundings of the sums.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from symrnn.audit.activation_errors import LEAST, ActivationErrors
from symrnn.audit.local.sets import INFLATE
from symrnn.directed import UNIT
from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.domains.function_slopes import slope
from symrnn.elementary import RELATIVE_ERROR, sigmoid_values, tanh_values
from symrnn.functions import ElementwiseFunction

__all__ = ["NARROW", "image", "narrow_image"]

Floats = npt.NDArray[np.float64]

NARROW = 2.0**-8
"""The largest radius of a narrow ball."""

_BLOCK = 1 << 15  # elements: half a dozen arrays of them fit into a second-level cache
_ABOVE_ONE = 1 + 16 * UNIT
_INFLATE = 1 + 2.0**-46


class _Function(NamedTuple):
    values: Callable[[Floats, Floats], bool]
    bend: float  # b of Note [Narrow balls]


_FUNCTIONS = {
    "tanh": _Function(tanh_values, 1.5),
    "sigmoid": _Function(sigmoid_values, 0.75),
}


def image(
    function: ElementwiseFunction,
    mid: Floats,
    rad: Floats,
    spread: Floats | None,
    errors: ActivationErrors | None,
) -> tuple[Floats, Floats, Floats | None]:
    """Return what a library may return for a function of numbers known to within bounds.

    Args:
        function: f.
        mid: The numbers.
        rad: What roundings may have done to them.
        spread: How far they may be from `mid` otherwise, if at all.
        errors: The library's errors; ``None`` where f rounds nothing.

    Returns:
        ``(mid, rad, spread)`` of the values, in the same sense.
    """
    if spread is None and errors is not None:
        found = _flat(partial(narrow_image, errors=errors), mid, rad)
        if found is not None:
            return (*found, None)
    within = rad
    if spread is None:
        value, moved = _hull(function, mid, rad)
        around, reach = moved, None
    else:
        within = (rad + spread) * INFLATE
        value, reach = _hull(function, mid, spread)
        _, around = _hull(function, mid, within)
        slopes = slope(function, Enclosed(mid, within))
        steepest = np.abs(slopes.mid) + slopes.rad
        moved = np.minimum(steepest * rad * INFLATE, 2 * around)
    if errors is not None:
        most = np.abs(value)
        most += around
        most *= INFLATE
        moved = moved + _flat(errors.bound, mid, within, most)
        moved *= INFLATE
    return value, moved, reach


def _hull(
    function: ElementwiseFunction, mid: Floats, rad: Floats
) -> tuple[Floats, Floats]:
    if function.enclose is not None:
        return _flat(function.enclose, mid, rad)
    found = EnclosureDomain().elementwise(function, Enclosed(mid, rad))
    return found.mid, found.rad


def _flat(function: Any, *arrays: Floats) -> Any:
    """Call a function of arrays on them as they lie in memory, or nearly."""
    if arrays[0].flags.c_contiguous:
        return function(*map(np.ascontiguousarray, arrays))
    found = function(*(np.ascontiguousarray(values.T) for values in arrays))
    if found is None:
        return None
    return tuple(f.T for f in found) if isinstance(found, tuple) else found.T


def narrow_image(
    mid: Floats, rad: Floats, errors: ActivationErrors
) -> tuple[Floats, Floats] | None:
    """Return the values of tanh or sigmoid, and how far from them a library may be.

    Args:
        mid: Midpoints, C-contiguous.
        rad: Radii, 0 or more, in the same shape.
        errors: The library's errors. They name function and format.

    Returns:
        ``(value, radius)`` in the same shape: what the library returns for any argument
        within `rad` of `mid` is within radius of value. ``None`` where that takes more
        care: for other functions, for formats of more than 24 bits, and where a ball is
        not narrow or not finite.

    >>> from symrnn.audit.activation_errors import assumed_errors
    >>> from symrnn.formats import FORMATS
    >>> errors = assumed_errors("tanh", FORMATS["float32"])
    >>> value, radius = narrow_image(np.array([0.0, 1.0]), np.array([1e-6, 0.0]), errors)
    >>> value.round(6).tolist(), bool((radius < 1.1e-6).all())
    ([0.0, 0.761594], True)
    """
    precision = errors.format.precision
    function = _FUNCTIONS.get(errors.function)
    if function is None or precision > 24 or not mid.size:
        return None
    widest = float(rad.max())
    if not widest <= NARROW:
        return None
    scale = 1 + RELATIVE_ERROR * 2.0**precision / LEAST + 2.0**-45
    growth = (1 + function.bend * widest) * _INFLATE
    value, radius = np.empty_like(mid), np.empty_like(mid)
    flat = [array.reshape(-1) for array in (mid, rad, value, radius)]
    for start in range(0, mid.size, _BLOCK):
        m, r, v, image = (array[start : start + _BLOCK] for array in flat)
        if not function.values(m, v):
            return None
        if errors.function == "tanh":
            np.multiply(v, v, out=image)
            np.subtract(_ABOVE_ONE, image, out=image)
        else:
            np.subtract(_ABOVE_ONE, v, out=image)
            image *= v
        image *= r
        image *= growth
        most = np.abs(v)
        most += image
        most *= _INFLATE
        image += errors.bound(m, r, most, scale=scale)
    return value, radius
