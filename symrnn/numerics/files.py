# SPDX-License-Identifier: BSD-3-Clause
"""Writing a file: complete, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

__all__ = ["write_bytes", "write_text"]


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, its line ends as they are, as `write_bytes` does.

    Raises:
        OSError: It cannot be written; the message names `path`.
        UnicodeEncodeError: There is no UTF-8 for it.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write to a temporary file beside `path`, and put it in its place.

    Links stay links, permissions stay as they were, and what is no regular file (a device,
    a pipe) is written to instead of being replaced.

    Raises:
        OSError: It cannot be written; the message names `path`.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        target.write_bytes(content)
        return
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        # Not tempfile: its files are for their owner alone.
        with open(temporary, "xb") as file:
            file.write(content)
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is not None:
            error.filename, error.filename2 = str(path), None
        raise
