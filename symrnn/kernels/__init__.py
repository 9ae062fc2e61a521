# SPDX-License-Identifier: BSD-3-Clause
"""What libraries really compute: orders of operations, float formats, calibration.

>>> import symrnn
>>> from symrnn.kernels import emulate, find_schedule, read_inputs
>>> net = symrnn.load({"weight_ih_l0": [["-0.8769"]], "weight_hh_l0": [[0]]}, cell="rnn_tanh")
>>> output, (h_n,) = emulate(net, read_inputs(net, [[3]]), "float8_e5m2")
>>> output.tolist()
[[-1.0]]
>>> print(find_schedule("torch cpu", symrnn.equations.gru()).order.equations[-1])
h = s + n
"""

from symrnn.domains.activation_errors import ActivationErrors, assumed_errors
from symrnn.kernels.activation_cache import cache_path
from symrnn.kernels.calibration import calibrate
from symrnn.kernels.emulation import SCHEDULES, emulate, find_schedule
from symrnn.kernels.environment import kernels_of, layer_kernel
from symrnn.kernels.schedule import Schedule, as_written
from symrnn.kernels.torch_orders import (
    reveal_order,
    torch_functions,
    torch_order,
    torch_products,
)
from symrnn.networks.inputs import Inputs, read_inputs
from symrnn.numerics.formats import (
    FORMATS,
    FloatFormat,
    find_emulated_format,
    find_format,
)

__all__ = [
    "FORMATS",
    "SCHEDULES",
    "ActivationErrors",
    "FloatFormat",
    "Inputs",
    "Schedule",
    "as_written",
    "assumed_errors",
    "cache_path",
    "calibrate",
    "emulate",
    "find_emulated_format",
    "find_format",
    "find_schedule",
    "kernels_of",
    "layer_kernel",
    "read_inputs",
    "reveal_order",
    "torch_functions",
    "torch_order",
    "torch_products",
]


def __dir__() -> list[str]:
    return __all__
