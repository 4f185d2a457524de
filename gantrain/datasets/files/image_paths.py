"""The image files of a folder, each once, in an order that depends on names alone, and what else lies there."""

import heapq
import os
import stat
from collections import Counter
from dataclasses import dataclass, field

from gantrain.core.run_folder import HYDRA, LOG, MULTIRUN, PLAN
from gantrain.core.work_progress import WorkProgress
from gantrain.datasets.files.image_file import SUFFIXES
from gantrain.errors import DataError

OUTPUTS = {
    HYDRA,
    LOG,
    MULTIRUN,
    PLAN,
}  # any of these is in a run's folder, or a sweep's, before its first picture

REMEDY = "set dataset.root to a folder of images, or to a .zip or .tar of them"


@dataclass(frozen=True)
class ImageFile:
    """A file that should hold an image.

    Attributes:
        name: Its path below the root; bytes that are not UTF-8 are surrogates.
        size: In bytes; -1 for a broken link.
        stamp: What changes with its content on this disk: times of changes, in nanoseconds, and number of the file.
    """

    name: str
    size: int
    stamp: tuple[int, ...] = ()


@dataclass
class Listing:
    """What lies below a folder; names are paths below it, sorted by their bytes.

    Attributes:
        files: The image files.
        folders: The sub-folders of the folder itself, those in ``outputs`` left out.
        outputs: Folders of runs and sweeps, whose pictures are samples; they are not looked into.
        others: Number of other files by suffix, hidden ones left out.
        repeats: Number of links and hard links to files that count already.
        refused: Number of entries of an archive that are never read, by what they are.
    """

    files: list[ImageFile] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def sort(self) -> None:
        """Sort files and folders by the bytes of their names."""
        self.files.sort(key=lambda file: os.fsencode(file.name))
        self.folders.sort(key=os.fsencode)


def list_images(root: str) -> Listing:
    """Return the image files below a folder, each once, and what else lies there.

    Raises:
        DataError: When there is no such folder, it is that of a run, or one below it cannot be listed.
    """
    if not os.path.isdir(root):
        raise DataError(
            root,
            "is neither a folder nor a ZIP or tar archive" if os.path.exists(root) else "does not exist",
            REMEDY,
        )
    top = os.path.realpath(root)
    found = Listing()
    visited: set[tuple[int, int]] = set()  # device and inode
    # A heap of: is it a link, its name as bytes, its name. Links come last, so that a file counts at its own path.
    queue = [(False, b"", "")]
    progress = WorkProgress("listing images")
    while queue:
        progress.reach(len(found.files))
        is_link, _, name = heapq.heappop(queue)
        path = os.path.join(root, name)
        try:
            info = os.stat(path)
        except OSError:  # a broken link is reported as a missing image
            if is_image(name):
                found.files.append(ImageFile(name, -1))
            continue
        identity = (info.st_dev, info.st_ino)
        is_new = identity not in visited
        visited.add(identity)
        if stat.S_ISREG(info.st_mode) and is_image(name):
            found.repeats += not is_new
            if is_new:
                found.files.append(ImageFile(name, info.st_size, file_stamp(info)))
        # A link to a folder that contains the root would list the root again.
        elif stat.S_ISDIR(info.st_mode) and is_new and not (is_link and _contains(path, top)):
            entries = _entries(path)
            if any(entry.name in OUTPUTS for entry in entries):
                found.outputs.append(name)
                continue
            if name and os.sep not in name:
                found.folders.append(name)
            for entry in entries:
                if not entry.name.startswith("."):
                    _add(entry, os.path.join(name, entry.name), queue, found.others)
    if "" in found.outputs:
        raise run_error(root)
    found.sort()
    return found


def file_stamp(info: os.stat_result) -> tuple[int, ...]:
    """Return what tells that a file was changed: nobody can set the time of the change of its status."""
    return info.st_mtime_ns, info.st_ctime_ns, info.st_ino


def run_error(root: str) -> DataError:
    """Return what is wrong with the folder of a run as a source of images."""
    what = "is the folder of a run or a sweep, whose pictures are samples"
    return DataError(root, what, REMEDY)


def _entries(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except OSError as error:
        what = f"cannot be listed ({error.strerror or error})"
        raise DataError(path, what, "make it readable, or move it away") from error


def _add(
    entry: os.DirEntry[str], name: str, queue: list[tuple[bool, bytes, str]], others: Counter[str]
) -> None:
    """Add a possible image or folder to the queue, and count any other file by its suffix."""
    is_link = entry.is_symlink()
    if is_link or is_image(name) or entry.is_dir(follow_symlinks=False):
        heapq.heappush(queue, (is_link, os.fsencode(name), name))
    elif entry.is_file(follow_symlinks=False):
        others[os.path.splitext(name)[1].lower()] += 1


def _contains(folder: str, top: str) -> bool:
    return f"{top}/".startswith(f"{os.path.realpath(folder).rstrip('/')}/")


def top_folder(name: str) -> str:
    """Return the first part of a path below the root."""
    return name.split(os.sep, 1)[0]


def is_image(name: str) -> bool:
    """Return whether a file has the suffix of an image."""
    return name.lower().endswith(SUFFIXES)
