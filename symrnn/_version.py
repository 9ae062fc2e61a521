# SPDX-License-Identifier: BSD-3-Clause
"""The version, for those who may not import the package."""

__version__ = "0.1.0"
