"""The picture files of a folder: each once, in an order that its names alone decide, with the classes they lie in."""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from gantrain.datasets.files.image_file import SUFFIXES
from gantrain.errors import DataError


@dataclass(frozen=True)
class File:
    """A file that should hold a picture.

    Attributes:
        name: Its path below the root; a name that is not UTF-8 has surrogates.
        size: Bytes; -1 for a link that leads nowhere.
        mtime: When it was last written, in nanoseconds.
    """

    name: str
    size: int
    mtime: int


def listed(root: str) -> tuple[list[File], list[str]]:
    """Return the picture files below a folder, each once, sorted by the bytes of their names, and its sub-folders.

    Raises:
        DataError: When there is no such folder, or one below it cannot be listed.
    """
    if not os.path.isdir(root):
        what = "is a file" if os.path.exists(root) else "is not there"
        raise DataError(root, what, "set dataset.root to a folder of images")
    top = os.path.realpath(root)
    files: list[File] = []
    folders: list[str] = []
    seen: set[tuple[int, int]] = set()
    # Links come after everything else, so that a file is known by its own place whatever the links are called.
    waiting = [(False, b"", "")]
    while waiting:
        linked, _, name = heapq.heappop(waiting)
        path = os.path.join(root, name)
        try:
            info = os.stat(path)
        except OSError:  # a link that leads nowhere is a picture that is missing
            if _is_picture(name):
                files.append(File(name, -1, 0))
            continue
        if stat.S_ISDIR(info.st_mode):
            if linked and f"{top}/".startswith(f"{os.path.realpath(path).rstrip('/')}/"):
                continue
            if name and os.sep not in name:
                folders.append(name)
            if (info.st_dev, info.st_ino) not in seen:
                for entry in _entries(path, name):
                    heapq.heappush(waiting, entry)
        elif stat.S_ISREG(info.st_mode) and _is_picture(name) and (info.st_dev, info.st_ino) not in seen:
            files.append(File(name, info.st_size, info.st_mtime_ns))
        seen.add((info.st_dev, info.st_ino))
    return sorted(files, key=lambda file: os.fsencode(file.name)), sorted(folders, key=os.fsencode)


def _entries(path: str, name: str) -> Iterator[tuple[bool, bytes, str]]:
    """Yield what may be, or hold, a picture: whether it is a link, and its name below the root as bytes and text."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                inner = os.path.join(name, entry.name)
                linked = entry.is_symlink()
                wanted = linked or _is_picture(inner) or entry.is_dir(follow_symlinks=False)
                if wanted and not entry.name.startswith("."):
                    yield linked, os.fsencode(inner), inner
    except OSError as error:
        what = f"cannot be listed ({error.strerror or error})"
        raise DataError(path, what, "make it readable, or move it away") from error


def class_folders(root: str, files: list[File], folders: list[str]) -> list[str]:
    """Return the sub-folders that are classes, none where the images are not sorted into at least two.

    Raises:
        DataError: Naming an image that lies beside class folders, or a class folder without images.
    """
    holding = {top_folder(file.name) for file in files if os.sep in file.name}
    loose = [file.name for file in files if os.sep not in file.name]
    remedy = "or set dataset.labels=none"
    if loose and len(holding) > 1:
        what = f"lies beside class folders such as {min(holding, key=os.fsencode)}"
        raise DataError(os.path.join(root, loose[0]), what, f"move it into one, {remedy}")
    if loose or len(folders) < 2:
        return []
    for name in folders:
        if name not in holding:
            what = "is a class folder without an image of its own"
            raise DataError(os.path.join(root, name), what, f"fill or remove it, {remedy}")
    return folders


def top_folder(name: str) -> str:
    """Return the first part of a path below the root."""
    return name.split(os.sep, 1)[0]


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)
