"""The image files of a folder, each once, in an order that depends on names alone; class folders."""

import heapq
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from gantrain.datasets.files.image_file import SUFFIXES
from gantrain.errors import DataError


@dataclass(frozen=True)
class ImageFile:
    """A file that should hold an image.

    Attributes:
        name: Its path below the root; bytes that are not UTF-8 are surrogates.
        size: In bytes; -1 for a broken link.
        mtime: Time of the last change, in nanoseconds.
    """

    name: str
    size: int
    mtime: int


def list_images(root: str) -> tuple[list[ImageFile], list[str]]:
    """Return the image files below a folder, each once, sorted by the bytes of their names, and its sub-folders.

    Raises:
        DataError: When there is no such folder, or one below it cannot be listed.
    """
    if not os.path.isdir(root):
        what = "is a file" if os.path.exists(root) else "does not exist"
        raise DataError(root, what, "set dataset.root to a folder of images")
    top = os.path.realpath(root)
    files: list[ImageFile] = []
    folders: list[str] = []
    visited: set[tuple[int, int]] = set()  # device and inode
    # A heap of: is it a link, its name as bytes, its name. Links come last, so that a file counts at its own path.
    queue = [(False, b"", "")]
    while queue:
        is_link, _, name = heapq.heappop(queue)
        path = os.path.join(root, name)
        try:
            info = os.stat(path)
        except OSError:  # a broken link is reported as a missing image
            if _is_image(name):
                files.append(ImageFile(name, -1, 0))
            continue
        identity = (info.st_dev, info.st_ino)
        if stat.S_ISDIR(info.st_mode):
            # A link to a folder that contains the root would list the root again.
            if is_link and f"{top}/".startswith(f"{os.path.realpath(path).rstrip('/')}/"):
                continue
            if name and os.sep not in name:
                folders.append(name)
            if identity not in visited:
                for entry in _entries(path, name):
                    heapq.heappush(queue, entry)
        elif stat.S_ISREG(info.st_mode) and _is_image(name) and identity not in visited:
            files.append(ImageFile(name, info.st_size, info.st_mtime_ns))
        visited.add(identity)
    return sorted(files, key=lambda file: os.fsencode(file.name)), sorted(folders, key=os.fsencode)


def _entries(path: str, name: str) -> Iterator[tuple[bool, bytes, str]]:
    """Yield possible images and folders: whether it is a link, and its path below the root as bytes and text."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                inner = os.path.join(name, entry.name)
                is_link = entry.is_symlink()
                is_candidate = is_link or _is_image(inner) or entry.is_dir(follow_symlinks=False)
                if is_candidate and not entry.name.startswith("."):
                    yield is_link, os.fsencode(inner), inner
    except OSError as error:
        what = f"cannot be listed ({error.strerror or error})"
        raise DataError(path, what, "make it readable, or move it away") from error


def class_folders(root: str, files: list[ImageFile], folders: list[str]) -> list[str]:
    """Return the sub-folders that are classes; none unless all images lie in at least two of them.

    Raises:
        DataError: For an image next to class folders, or a class folder without images.
    """
    # Folders that hold images at any depth, and images in no folder
    holding = {top_folder(file.name) for file in files if os.sep in file.name}
    loose = [file.name for file in files if os.sep not in file.name]
    remedy = "or set dataset.labels=none"
    if loose and len(holding) > 1:
        what = f"lies next to class folders such as {min(holding, key=os.fsencode)}"
        raise DataError(os.path.join(root, loose[0]), what, f"move it into one, {remedy}")
    if loose or len(folders) < 2:
        return []
    if empty := [name for name in folders if name not in holding]:
        what = "is a class folder without an image"
        raise DataError(os.path.join(root, empty[0]), what, f"fill or remove it, {remedy}")
    return folders


def top_folder(name: str) -> str:
    """Return the first part of a path below the root."""
    return name.split(os.sep, 1)[0]


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)
