# SPDX-License-Identifier: BSD-3-Clause
"""What a document is made of, and its writers; knows no network."""
