# SPDX-License-Identifier: BSD-3-Clause
"""Results against their exact values: true errors, and limits to them."""
