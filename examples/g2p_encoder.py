# SPDX-License-Identifier: BSD-3-Clause
"""Audit torch on a trained GRU that is in use: the encoder of g2p-en.

    python examples/g2p_encoder.py checkpoint20.npz [--words WORD ...]

g2p-en turns English words into phonemes. Its encoder reads a word letter by letter; it
has 256 units and float32 weights. This runs it in torch and to 30 proven digits, and
says how far the two are apart: the worst error over all states in ulps (many, where
the exact value is almost 0) and as it is, and the share of states that are the float32
nearest to the exact value. How to get the file: see examples/README.md. Nothing is
fetched here.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import symrnn

GRAPHEMES = ["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"]
WORDS = ["gate", "tanh", "recurrent"]
HEADINGS = (
    "word",
    "letters",
    "verdict",
    "worst ulps",
    "worst error",
    "nearest",
    "s",
    "last h, unit 0",
)
LAYOUT = "{:<20} {:>7} {:>9} {:>10} {:>11} {:>8} {:>5}  {}"


def spell(word: str) -> list[str]:
    """Return the graphemes of a word as g2p-en reads them."""
    known = [letter if letter in GRAPHEMES else "<unk>" for letter in word.lower()]
    return [*known, "</s>"]


def encoder(weights: np.lib.npyio.NpzFile) -> torch.nn.GRU:
    """Return a torch GRU with the arrays ``enc_w_ih``, ``enc_b_hh``, … as weights."""
    rows, inputs = weights["enc_w_ih"].shape
    gru = torch.nn.GRU(inputs, rows // 3)
    names = {"weight_ih_l0": "w_ih", "weight_hh_l0": "w_hh"}
    names |= {"bias_ih_l0": "b_ih", "bias_hh_l0": "b_hh"}
    gru.load_state_dict(
        {name: torch.from_numpy(weights[f"enc_{key}"]) for name, key in names.items()}
    )
    return gru


def examine(
    word: str, net: symrnn.Network, gru: torch.nn.GRU, embedding: np.ndarray
) -> str:
    """Return a row of the table: what torch makes of one word, and what is true."""
    letters = spell(word)
    x = embedding[[GRAPHEMES.index(letter) for letter in letters]]
    start = time.perf_counter()
    report = symrnn.audit(gru, torch.from_numpy(x))
    last = symrnn.evaluate(net, x, digits=30, keep="states").h_n[0, 0].decimal(30)
    seconds = time.perf_counter() - start
    output = report.tensors[0]
    return LAYOUT.format(
        word,
        len(letters),
        report.verdict,
        "none" if output.max_ulps is None else f"{output.max_ulps:.2f}",
        "none" if output.max_absolute is None else f"{output.max_absolute:.1e}",
        f"{output.correctly_rounded or 0:.1%}",
        f"{seconds:.1f}",
        last,
    )


def main() -> None:
    """Print one line for each word."""
    parser = argparse.ArgumentParser(description="Audit the encoder of g2p-en.")
    parser.add_argument("path", type=Path, help="checkpoint20.npz of g2p-en")
    parser.add_argument("--words", nargs="+", default=WORDS, help="words to encode")
    arguments = parser.parse_args()
    net = symrnn.load(arguments.path, prefix="enc_", single_step=False)
    print(f"{net!r}\n")
    print(LAYOUT.format(*HEADINGS))
    with np.load(arguments.path, allow_pickle=False) as weights:
        gru, embedding = encoder(weights), weights["enc_emb"]
    for word in arguments.words:
        print(examine(word, net, gru, embedding), flush=True)


if __name__ == "__main__":
    main()
