# SPDX-License-Identifier: BSD-3-Clause
"""The local audit: every step from the subject's own inputs, within a derived bound."""
