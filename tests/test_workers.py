# SPDX-License-Identifier: BSD-3-Clause
"""The limit on BLAS's threads holds while anybody needs it, and no longer."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from symrnn.workers import count_workers, one_thread_a_product


def test_the_last_one_to_leave_restores():
    before = count_workers()
    first, second = one_thread_a_product(), one_thread_a_product()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert count_workers() == 1
    second.__exit__(None, None, None)
    assert count_workers() == before


def test_threads_that_overlap_leave_nothing_behind():
    before, together = count_workers(), Barrier(4)

    def work(_):
        seen = set()
        for _ in range(50):
            together.wait()
            with one_thread_a_product():
                seen.add(count_workers())
        return seen

    with ThreadPoolExecutor(4) as pool:
        assert set().union(*pool.map(work, range(4))) == {1}
    assert count_workers() == before


def test_an_error_restores_too():
    before = count_workers()
    with pytest.raises(ZeroDivisionError), one_thread_a_product():
        raise ZeroDivisionError
    assert count_workers() == before
