# SPDX-License-Identifier: BSD-3-Clause
"""Small networks with inputs, for examples and demonstrations.

``seed.json`` lists the examples of a tutorial notebook on ``torch.nn.RNN``;
``parity.json`` is one trained GRU, made by ``examples/train_parity.py``.
"""
