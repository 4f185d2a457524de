"""A tar that is compressed by gzip, bzip2 or xz, unpacked into the cache: its files can be read in any order there."""

import bz2
import gzip
import hashlib
import lzma
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gantrain.core.atomic import replacement
from gantrain.core.files import cache_home
from gantrain.core.text import format_size
from gantrain.datasets.files.archive_members import AGAIN, BLOCK, UNREADABLE, tar_entries
from gantrain.errors import DataError, writing

PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
MAX_RATIO, MAX_UNPACKED = 200, 2**28  # more than both is a bomb
PIECE = 2**20  # bytes unpacked at once


def is_tar(path: Path) -> bool:
    """Return whether a file begins as a tar does that is not compressed. Raises DataError."""
    try:
        tarfile.TarInfo.frombuf(_head(path), "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def is_zip(path: Path) -> bool:
    """Return whether a file begins or ends as a ZIP does. Raises DataError."""
    return _head(path).startswith(b"PK\x03\x04") or zipfile.is_zipfile(path)


def is_packed(path: Path) -> bool:
    """Return whether a file is compressed by gzip, bzip2 or xz. Raises DataError."""
    return _head(path).startswith(tuple(PACKED))


def unpacked_tar(path: Path) -> Path:
    """Return the tar of a compressed one, in the cache, written there if it is missing.

    Raises:
        DataError: When it cannot be read, is no tar, or is a bomb.
        OutputError: When the cache cannot be written.
    """
    status = path.stat()
    key = repr((os.path.realpath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    elsewhere = "set XDG_CACHE_HOME to another disk, or give a .tar that is not compressed"
    with writing("cache", elsewhere):
        tar = cache_home() / f"archive-{hashlib.sha256(key.encode()).hexdigest()[:20]}.tar"
    if not tar.is_file():
        with writing(tar, elsewhere), replacement(tar) as file:
            for piece in _pieces(path):
                file.write(piece)
            file.seek(0)
            for _ in tar_entries(path, file):
                pass  # what is no whole tar does not stay
    return tar


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield what is packed in a file, piece by piece. Raises DataError."""
    unpack, size = next(unpack for mark, unpack in PACKED.items() if _head(path).startswith(mark)), 0
    try:
        with path.open("rb") as packed, unpack(packed) as file:
            while piece := file.read(PIECE):
                size += len(piece)
                if size > MAX_UNPACKED and size > MAX_RATIO * packed.tell():
                    what = f"unpacks to more than {format_size(size)}, {size // packed.tell()} times its size"
                    raise DataError(path, what, "unpack it yourself if you trust it")
                yield piece
    except (lzma.LZMAError, *UNREADABLE) as error:
        raise DataError(path, f"cannot be unpacked ({error})", AGAIN) from error


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(BLOCK)
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror or error})", "make it readable") from error
