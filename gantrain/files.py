"""Files that a reader, a crash or a full disk never finds half written."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads it meets the old content or the new, never a part.

    Raises:
        OSError: When it cannot be written; what was there before is untouched.
    """
    part = path.with_name(
        f".{path.name}.{os.getpid()}.part"
    )  # of this process: another may write the same file
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
