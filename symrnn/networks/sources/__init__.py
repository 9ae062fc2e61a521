# SPDX-License-Identifier: BSD-3-Clause
"""Where networks come from: live torch modules, mappings of arrays, files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from symrnn.equations.cells import Cell
from symrnn.errors import SourceError
from symrnn.networks.network import Network
from symrnn.networks.sources.files import load_file
from symrnn.networks.sources.modules import is_torch_module, load_module
from symrnn.networks.sources.options import Options
from symrnn.networks.sources.state_dicts import load_mapping

__all__ = ["load"]


def load(
    source: Any,
    *,
    prefix: str | None = None,
    cell: str | Cell | None = None,
    batch_first: bool | None = None,
    dtype: str | None = None,
    single_step: bool | None = None,
) -> Network:
    """Make a `Network` of a torch module, a mapping of arrays, or a file.

    Parameters are taken exactly and copied; NaN and infinity pass, so that an audit can
    report on them.

    Args:
        source: One of

            - a live ``torch.nn.RNN``, ``LSTM``, ``GRU`` or ``…Cell``, or a model that
              contains one. Its parameters are those that its next call will use:
              ``weight_norm``, ``prune`` and parametrizations have acted. Forward hooks,
              which see the outputs afterwards, are no part of the network.
            - a mapping of names to tensors, arrays or nested lists: a state_dict, or a
              checkpoint with one state_dict in it. ``weight_ih_l0_reverse`` (a layer),
              ``weight_ih`` (a single step) and ``w_ih``, ``b_ih``, … are understood.
              Strings in lists, such as ``"-0.8769"`` or ``"1/3"``, are taken exactly.
            - the path of a ``.pt`` or ``.pth`` (weights only: nothing is unpickled that
              could run code), ``.safetensors``, ``.npz``, ``.json``, ``.yaml`` or
              ``.yml`` file. JSON and YAML hold such a mapping, or ``{"cell": "lstm",
              "batch_first": false, "parameters": {…}}``. Their numbers are taken **as
              written, in decimal**: 0.1 is 1/10, not the double nearest to it.
            - a `Network`, which is returned as it is.

        prefix: Which part to load: ``"encoder.lstm"``, or ``"enc_"`` for ``enc_w_ih``.
            Needed where there are several.
        cell: One of ``symrnn.equations.CELLS``, or a `Cell`, whose ``stacking`` then names
            the arrays. Needed where the arrays fit several: an RNN of tanh or relu.
            Arrays with three gates are taken for torch's GRU.
        batch_first: Whether batched inputs are (batch, time, features).
        dtype: The float format the network is meant for, such as ``"float32"``. The
            arrays' own by default; no parameter is rounded to it.
        single_step: Whether it takes one step, as torch's ``…Cell``; by default where
            names have no layer suffix.

    Raises:
        SourceError: It cannot be read as one network; the message lists the choices.
        ShapeError: Shapes contradict each other; both are in the message.
        UnsupportedError: A package is missing, or the module is random or has equations
            of its own.

    >>> load({"weight_ih_l0": [["1/2"]] * 3, "weight_hh_l0": [["-0.1"]] * 3})
    Network(GRU, input_size=1, hidden_size=1, num_layers=1, bidirectional=False)
    >>> import torch
    >>> load(torch.nn.Sequential(torch.nn.GRU(2, 5), torch.nn.Tanh())).dtype
    'float32'
    """
    options = Options(
        prefix=prefix,
        cell=cell,
        batch_first=batch_first,
        dtype=dtype,
        single_step=single_step,
    )
    if isinstance(source, Network):
        if options.given:
            raise SourceError(
                f"a Network takes no options (got {', '.join(options.given)})"
            )
        return source
    if is_torch_module(source):
        return load_module(source, options)
    if isinstance(source, Mapping):
        return load_mapping(source, options)
    if isinstance(source, (str, os.PathLike)):
        return load_file(source, options)
    raise SourceError(
        f"cannot load a network from {type(source).__name__}; expected a torch module, "
        "a mapping of arrays, a path or a Network"
    )
