"""Decoded images in the cache: found by the content of their files and by what became of it, and mapped.

The content is known by the SHA-256 of each file. It is read once, and again when the disk says that a file has changed
(sizes, numbers of files, and times of changes, which cannot be set back). So a folder that was moved, copied or made an
archive is read, but not decoded again.
"""

import fcntl
import hashlib
import math
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrain.core.atomic import replace_file, replacement
from gantrain.core.files import cache_home, read_text
from gantrain.core.streams import warn
from gantrain.core.work_progress import WorkProgress
from gantrain.datasets.files.image_decoding import CHUNK, Decoding, image_readers, most_processes
from gantrain.datasets.files.image_file import Target
from gantrain.datasets.files.image_source import ImageSource
from gantrain.errors import OutputError, writing

VERSION = 4  # to be raised when the same file gives other pixels
STORED_FILES, STORED_BYTES = 5000, 2**26  # image files from which on decoding takes seconds
ELSEWHERE = "set XDG_CACHE_HOME to another disk, or raise dataset.memory_limit"


def is_worth_storing(source: ImageSource) -> bool:
    """Return whether it takes seconds to decode the images."""
    files = source.listing.files
    return len(files) >= STORED_FILES or sum(file.size for file in files) >= STORED_BYTES


def decoded_pixels(source: ImageSource, target: Target, skip_bad: bool) -> tuple[Tensor, Tensor]:
    """Decode all images into memory: pixels, uint8 [N, C, H, W], and what each file is, [N]. Raises as ``Decoding``."""
    count, shape = len(source.listing.files), (target.channels, *target.size)
    area = np.frombuffer(mmap.mmap(-1, count * (math.prod(shape) + 1)), np.uint8)  # which processes share
    return _decode_into(area, source, target, skip_bad)


def stored_pixels(source: ImageSource, target: Target, skip_bad: bool) -> tuple[Tensor, Tensor, Path]:
    """Return pixels and what each file is, mapped from a file in the cache, and that file, written if it is missing.

    One process decodes; others that want the same images wait for it.

    Raises:
        OutputError: When the file cannot be written or mapped.
        DataError, ConfigError: As ``Decoding``.
    """
    stamp, count = source.stamp, len(source.listing.files)
    shape = (count, target.channels, *target.size)
    size = math.prod(shape)
    with writing("cache", ELSEWHERE):
        home = cache_home()
    with _lock(home / f"images-{stamp[:20]}.lock", source.root):
        key = repr((VERSION, _content_digest(source, home, stamp), target, skip_bad))
        path = home / f"pixels-{hashlib.sha256(key.encode()).hexdigest()[:20]}.u8"
        if not path.is_file() or path.stat().st_size != size + count:
            if [*home.glob("images-*.u8")]:
                warn(
                    f"{home}: images-*.u8 are of an earlier version, and can be deleted: they are decoded anew"
                )
            _store(path, size + count, source, target, skip_bad)
    try:
        content = torch.from_file(str(path), shared=False, size=size + count, dtype=torch.uint8)
    except RuntimeError as error:
        remedy = "delete it, or raise dataset.memory_limit"
        raise OutputError(path, "cannot be mapped into memory", remedy) from error
    return content[:size].reshape(shape), content[size:], path


def _store(path: Path, size: int, source: ImageSource, target: Target, skip_bad: bool) -> None:
    """Write the pixels of all images, then a byte for each: what it is."""
    with writing(path, ELSEWHERE), replacement(path) as file:
        # Reserved before it is mapped: a full disk kills a process that writes to a map.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        file.truncate(size)
        whole = np.memmap(file, np.uint8, "r+", shape=(size,))
        area: Any = whole.base
        unload = partial(area.madvise, mmap.MADV_DONTNEED)  # what was written leaves the process
        _decode_into(whole, source, target, skip_bad, unload)
        whole.flush()


def _decode_into(
    area: np.ndarray, source: ImageSource, target: Target, skip_bad: bool, *unload: Any
) -> tuple[Tensor, Tensor]:
    count = len(source.listing.files)
    x, status = area[:-count].reshape(count, target.channels, *target.size), area[-count:]
    Decoding(source, target, x, status, skip_bad, *unload).run(most_processes())
    return torch.from_numpy(x), torch.from_numpy(status)


def _content_digest(source: ImageSource, home: Path, stamp: str) -> str:
    """Return a digest of what all files hold, in order, kept in the cache until one of them changes."""
    path = home / f"content-{stamp[:20]}.txt"
    if re.fullmatch("[0-9a-f]{64}", found := read_text(path, strict=False)):
        return found
    files, digest = source.listing.files, hashlib.sha256()
    with image_readers() as pool, WorkProgress("reading images", len(files)) as progress:
        for start in range(0, len(files), CHUNK):
            for one in pool.map(source.digest, files[start : start + CHUNK]):
                digest.update(one or b"unreadable")
            progress.reach(start)
    with writing(path, ELSEWHERE):
        replace_file(path, digest.hexdigest().encode())
    return digest.hexdigest()


@contextmanager
def _lock(path: Path, what: str) -> Iterator[None]:
    """Let one process at a time run the block."""
    with writing(path, ELSEWHERE):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            warn(f"{what}: another gantrain decodes these images: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            pass  # a disk without locks, where both decode them
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(handle)
