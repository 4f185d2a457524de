"""The images of a ZIP or tar archive, read in place; of a compressed tar, the tar is unpacked into the cache."""

import io
import os
import stat
import weakref
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from gantrain.datasets.files.archive_members import LOCAL_HEADER, Entry, Member, tar_entries, zip_entries
from gantrain.datasets.files.image_bytes import ImageError, check_size
from gantrain.datasets.files.image_paths import (
    OUTPUTS,
    REMEDY,
    ImageFile,
    Listing,
    file_stamp,
    is_image,
    run_error,
    top_folder,
)
from gantrain.datasets.files.image_source import ImageSource
from gantrain.datasets.files.packed_tar import is_packed, is_tar, is_zip, unpacked_tar
from gantrain.errors import DataError


def find_archive(root: str) -> tuple[Path, str] | None:
    """Return the archive that a path names or leads into, and the path in it; None if there is none."""
    path = Path(root)
    for file in (path, *path.parents):
        try:
            mode = file.stat().st_mode
        except OSError:  # it may lie in an archive
            continue
        if not stat.S_ISREG(mode):
            return None
        is_archive = is_tar(file) or is_packed(file) or is_zip(file)
        return (file, "" if file == path else path.relative_to(file).as_posix()) if is_archive else None
    return None


class ImagesOfArchive(ImageSource):
    """The images of an archive; the folder that holds all of them is where their names begin.

    Args:
        path: The archive.
        inner: A folder in it; empty for all of it.

    Raises:
        DataError: When it is damaged, has no such folder, or holds a run.
    """

    def __init__(self, path: Path, inner: str):
        if is_zip := not (is_tar(path) or is_packed(path)):
            self._handle, entries = os.open(path, os.O_RDONLY | os.O_CLOEXEC), zip_entries(path)
        else:
            tar = unpacked_tar(path) if is_packed(path) else path
            self._handle = os.open(tar, os.O_RDONLY | os.O_CLOEXEC)
            entries = tar_entries(path, os.fdopen(self._handle, "rb", closefd=False))
        weakref.finalize(self, os.close, self._handle)
        self._read = self._read_zip if is_zip else self._read_tar
        where, stamp = os.path.join(path, inner).rstrip("/"), file_stamp(path.stat())
        root, listing, self._members = index_entries(where, inner, entries, stamp)
        super().__init__(root, listing)

    def open(self, name: str, max_pixels: int) -> BinaryIO:
        member = self._members[name]
        if member.fault:
            raise ImageError(member.fault)
        check_size(max(member.size, member.packed), max_pixels)  # before either is read
        return io.BytesIO(self._read(member))

    def _read_tar(self, member: Member) -> bytes:
        return self._bytes_at(member.offset, member.size)

    def _read_zip(self, member: Member) -> bytes:
        signature, *lengths = LOCAL_HEADER.unpack(self._bytes_at(member.offset, LOCAL_HEADER.size))
        if signature != b"PK\x03\x04":
            raise ImageError("is not where its archive says")
        data = self._bytes_at(member.offset + LOCAL_HEADER.size + sum(lengths), member.packed)
        if member.is_deflated:
            unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
            data = unpacker.decompress(data, member.size + 1)  # a bomb declares less
        if len(data) != member.size:
            raise ImageError("has another size than its archive says")
        if zlib.crc32(data) != member.crc:
            raise ImageError("is damaged: its CRC-32 is another one")
        return data

    def _bytes_at(self, offset: int, count: int) -> bytes:
        data = os.pread(self._handle, count, offset)  # which moves no place that threads would share
        if len(data) < count:
            raise ImageError("is cut: its archive has become shorter")
        return data


def index_entries(
    root: str, inner: str, entries: Iterable[Entry], stamp: tuple[int, ...] = ()
) -> tuple[str, Listing, dict[str, Member]]:
    """Return where names begin, what an archive holds below, and its image files by name.

    As in a folder, hidden files and those of runs are left out. Of two files of one name the later one counts, as when
    they are unpacked. What is no file, and a path that leads out of the archive, is counted and never read.

    Args:
        root: The archive, or the folder in it, for messages.
        inner: That folder; empty for the whole archive.
        entries: The archive's table of contents.
        stamp: Of the archive, by ``file_stamp``.

    Raises:
        DataError: When there is no such folder, or it is that of a run.
    """
    listing, members, folders, outputs = Listing(), dict[str, Member](), set[str](), set[str]()
    top, is_there = inner.split("/") if inner else [], not inner
    for entry in entries:
        parts = [part for part in entry.name.split("/") if part not in ("", ".")]
        if entry.name.startswith("/") or ".." in parts:
            listing.refused["with a path out of the archive"] += 1
        elif parts[: len(top)] == top:
            is_there, parts = True, parts[len(top) :]
            outputs |= {"/".join(parts[:i]) for i, part in enumerate(parts) if part in OUTPUTS}
            if not any(part.startswith(".") for part in parts):
                _add(entry, "/".join(parts), listing, members, folders)
    if not is_there:
        raise DataError(root, "does not exist in the archive", REMEDY)
    if "" in outputs:
        raise run_error(root)
    names = [name for name in members if not any(name.startswith(f"{folder}/") for folder in outputs)]
    # The folder in which all images lie, so that an archive of a folder and one of its content are the same
    common = os.path.commonpath([os.path.dirname(name) for name in names]) if names else ""
    start = len(f"{common}/") if common else 0
    listing.files = [ImageFile(name[start:], members[name].size, stamp) for name in names]
    inside = [name[start:] for name in (*folders, *map(os.path.dirname, names)) if len(name) > start]
    listing.folders = list({top_folder(name) for name in inside})
    listing.outputs = [name[start:] for name in sorted(outputs) if name.startswith(common)]
    listing.sort()
    return os.path.join(root, common).rstrip("/"), listing, {name[start:]: members[name] for name in names}


def _add(entry: Entry, name: str, listing: Listing, members: dict[str, Member], folders: set[str]) -> None:
    """Add an entry under its name to the files, to the folders, or to what is counted alone."""
    if entry.member is None and entry.kind == "folder":
        folders.add(name)
    elif entry.member is None:
        listing.refused[entry.kind] += 1
    elif not is_image(name):
        listing.others[os.path.splitext(name)[1].lower()] += 1
    elif name in members:
        listing.refused["repeated by name"] += 1
        members[name] = entry.member
    else:
        members[name] = entry.member
