# SPDX-License-Identifier: BSD-3-Clause
"""The walk over layers, directions and steps; traces, and what is asked of them."""
