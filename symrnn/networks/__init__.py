# SPDX-License-Identifier: BSD-3-Clause
"""A network, its inputs, and the shapes in which torch and others hand them over."""
