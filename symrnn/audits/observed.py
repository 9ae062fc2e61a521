# SPDX-License-Identifier: BSD-3-Clause
"""The subject's own states, as far as its results show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from symrnn.networks.inputs import Inputs
from symrnn.networks.layout import result_states
from symrnn.networks.network import Network, Position

__all__ = ["Observed", "count_padding", "observe"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is known of the states of one subject.

    Attributes:
        outputs: The first state at every step, by (layer, direction): (time, batch,
            size); what lies beyond a sequence's length means nothing. Layers that the
            results do not show are missing.
        finals: Last states, by (layer, direction) and state: (batch, size).
    """

    outputs: Mapping[Position, Floats]
    finals: Mapping[tuple[Position, str], Floats]


def observe(
    net: Network,
    inputs: Inputs,
    values: Mapping[str, Floats],
    inner: Sequence[Floats] = (),
) -> Observed:
    """Read states off results in torch's shapes.

    Args:
        net: The network.
        inputs: What it was run on.
        values: ``output``, ``h_n``, …, or ``h``, ``c`` of a single step.
        inner: Outputs of the layers below the last, as far as they are known.

    >>> import symrnn, numpy as np
    >>> from symrnn.networks.inputs import read_inputs
    >>> net = symrnn.load({"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    >>> inputs = read_inputs(net, [[3], [4]])
    >>> observe(net, inputs, {"output": np.ones((2, 1))}).outputs[0, "forward"].shape
    (2, 1, 1)
    """
    states = result_states(net)
    first = next(iter(states))
    outputs: dict[Position, Floats] = {}
    finals: dict[tuple[Position, str], Floats] = {}
    shown = [(net.num_layers - 1, values[first])] if first in values else []
    for layer, array in [*enumerate(inner), *shown]:
        steps = _steps_first(inputs, array)
        parts = np.split(steps, len(net.directions), axis=2)
        outputs |= zip(net.layer(layer), parts, strict=True)
    for name, array in values.items():
        if name != first:
            state = states[name]
            size = net.state_sizes[state]
            rows = array.reshape(len(net.positions), inputs.batch, size)
            finals |= {(p, state): r for p, r in zip(net.positions, rows, strict=True)}
    return Observed(outputs=outputs, finals=finals)


def count_padding(inputs: Inputs, values: Mapping[str, Floats]) -> int:
    """Return how many numbers beyond a sequence's length are not 0, as they should be.

    >>> import symrnn, numpy as np
    >>> from symrnn.networks.inputs import read_inputs
    >>> net = symrnn.load({"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    >>> inputs = read_inputs(net, np.ones((3, 2, 1)), lengths=[3, 1])
    >>> count_padding(inputs, {"output": np.ones((3, 2, 1))})
    2
    """
    if "output" not in values or inputs.layout.packed:
        return 0
    steps = _steps_first(inputs, values["output"])
    return sum(
        int(np.count_nonzero(steps[n:, b])) for b, n in enumerate(inputs.lengths)
    )


def _steps_first(inputs: Inputs, array: Floats) -> Floats:
    """Bring an output in torch's shape to (time, batch, features)."""
    layout = inputs.layout
    if layout.packed:
        steps = np.full((len(inputs.widths), inputs.batch, array.shape[-1]), np.nan)
        start = 0
        for t, width in enumerate(inputs.widths):
            steps[t, list(inputs.order[:width])] = array[start : start + width]
            start += width
        return steps
    if layout.single_step:
        array = array[np.newaxis]
    if not layout.batched:
        return array[:, np.newaxis]
    swapped = layout.batch_first and not layout.single_step
    return array.swapaxes(0, 1) if swapped else array
