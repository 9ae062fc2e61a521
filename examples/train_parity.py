# SPDX-License-Identifier: BSD-3-Clause
"""Train a small GRU to say the running parity of bits, and write it as exact decimals.

    python examples/train_parity.py [PATH]

makes the file ``symrnn/cli/data/parity.json``. With the same torch on the same kind of
machine the weights are the same every time: one thread, one seed. Elsewhere the last
bits may differ, which is why the trained weights are kept in the package.

Inputs are -1 and 1, hidden unit 0 is trained to have the sign of their product so far.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import torch

HIDDEN, LENGTH, BATCH, STEPS = 8, 16, 128, 1500
X = [1, -1, -1, 1, -1, 1, 1, -1, -1, -1, 1, -1]
DEFAULT = Path(__file__).parents[1] / "symrnn" / "cli" / "data" / "parity.json"


def train(seed: int = 0) -> tuple[torch.nn.GRU, float]:
    """Return the trained GRU, and the share of right signs on longer sequences."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    gru = torch.nn.GRU(1, HIDDEN, batch_first=True)
    optimizer = torch.optim.Adam(gru.parameters(), lr=0.02)
    for _ in range(STEPS):
        x, parity = sequences(BATCH, LENGTH)
        loss = ((gru(x)[0][..., 0] - parity) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, parity = sequences(256, 8 * LENGTH)
    with torch.no_grad():
        right = (gru(x)[0][..., 0].sign() == parity).double().mean().item()
    return gru, right


def sequences(count: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random signs of shape (count, length, 1), and their running product."""
    x = torch.randint(0, 2, (count, length, 1)).float() * 2 - 1
    return x, x[..., 0].cumprod(dim=1)


def exact(values: Any) -> Any:
    """Return nested lists of floats as the decimal strings that equal them."""
    if isinstance(values, list):
        return [exact(value) for value in values]
    return f"{Decimal(values):f}"


def document(gru: torch.nn.GRU, right: float) -> dict[str, Any]:
    """Return what the file holds."""
    weights = {name: exact(p.tolist()) for name, p in gru.state_dict().items()}
    return {
        "name": "parity",
        "title": "Running parity",
        "cell": "gru",
        "dtype": "float32",
        "batch_first": True,
        "parameters": weights,
        "x": [[str(value)] for value in X],
        "note": (
            f"A GRU of {HIDDEN} units, trained by examples/train_parity.py: the sign "
            "of unit 0 is the product of the inputs so far, for "
            f"{right:.2%} of the steps of fresh sequences of {8 * LENGTH}. The weights "
            "are float32 numbers, written as the decimals that equal them."
        ),
    }


def main(arguments: list[str]) -> None:
    """Train, write the file, and show what the network says for one sequence."""
    path = Path(arguments[0]) if arguments else DEFAULT
    gru, right = train()
    path.write_text(json.dumps(document(gru, right), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path.name}: {path.stat().st_size} bytes, {right:.2%} of signs right")
    with torch.no_grad():
        said = gru(torch.tensor(X).float()[None, :, None])[0][0, :, 0]
    for value, unit in zip(X, said.tolist(), strict=True):
        print(f"x = {value:+d}   unit 0 = {unit:+.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
