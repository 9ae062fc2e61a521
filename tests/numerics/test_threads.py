# SPDX-License-Identifier: BSD-3-Clause
"""The limit on BLAS's threads holds while anybody needs it, and no longer."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

import symrnn
from symrnn.numerics.threads import count_workers, one_thread_a_product
from tests.require import require_module


def test_it_can_be_nested():
    before = count_workers()
    with one_thread_a_product():
        with one_thread_a_product():
            assert count_workers() == 1
        assert count_workers() == 1
    assert count_workers() == before


def test_threads_find_it_limited_and_leave_it_so():
    """Those that are handed work must not change the number, nor keep it changed."""
    before, together = count_workers(), Barrier(4)

    def work(_):
        seen = set()
        for _ in range(50):
            together.wait()
            with one_thread_a_product():
                seen.add(count_workers())
        return seen | {count_workers()}

    with one_thread_a_product(), ThreadPoolExecutor(4) as pool:
        assert set().union(*pool.map(work, range(4))) == {1}
    assert count_workers() == before


def test_audits_restore_it():
    """Also where groups of sequences are judged in threads."""
    torch = require_module("torch")
    before = count_workers()
    module = torch.nn.LSTM(2, 300)
    for _ in range(2):
        symrnn.audit(module, torch.zeros(2, 64, 2), exact=False)
        assert count_workers() == before


def test_an_error_restores_too():
    before = count_workers()
    with pytest.raises(ZeroDivisionError), one_thread_a_product():
        raise ZeroDivisionError
    assert count_workers() == before
