# SPDX-License-Identifier: BSD-3-Clause
"""The whole trajectory: how far it can stray, where errors came from, what magnifies them."""
