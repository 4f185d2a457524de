"""What a ZIP or tar archive holds, by its own table of contents; nothing of it is unpacked."""

import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gantrain.errors import DataError

AGAIN = "get it again, or give the folder that it was made of"
BLOCK = 512  # bytes of a tar
LOCAL_HEADER = struct.Struct(
    "<4s22xHH"
)  # of a ZIP's member: signature, lengths of its name and of what follows
ENCRYPTED = 1  # flag of a ZIP's member
METHODS = {
    0: "",
    8: "deflate",
    9: "deflate64",
    12: "bzip2",
    14: "LZMA",
    93: "zstd",
    95: "xz",
}  # APPNOTE.TXT, 4.4.5
UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


class Member(NamedTuple):
    """A file in an archive, as the archive declares it.

    Attributes:
        name: Its path, with slashes.
        offset: Of its data in a tar, of the header before them in a ZIP.
        packed: Bytes there.
        size: Bytes unpacked.
        crc: The CRC-32 of a ZIP; -1 in a tar, which has none.
        is_deflated: Whether it is compressed.
        fault: Why it cannot be read; empty if it can.
    """

    name: str
    offset: int
    packed: int
    size: int
    crc: int = -1
    is_deflated: bool = False
    fault: str = ""


class Entry(NamedTuple):
    """A line of an archive's table of contents.

    Attributes:
        name: Its path, as the archive states it.
        kind: file, folder, or what else it is, in the plural, which is never read.
        member: The file.
    """

    name: str
    kind: str
    member: Member | None = None


def zip_entries(path: Path) -> Iterator[Entry]:
    """Yield what a ZIP holds. Raises DataError for one that is damaged or cut."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except UNREADABLE as error:
        raise DataError(path, f"cannot be read as a ZIP archive ({_reason(error)})", AGAIN) from error
    for info in infos:
        mode = info.external_attr >> 16  # of Unix; 0 where the archive was made elsewhere
        if info.is_dir():
            yield Entry(info.filename, "folder")
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            yield Entry(info.filename, "links" if stat.S_ISLNK(mode) else "devices")
        else:
            method = METHODS.get(info.compress_type, f"method {info.compress_type}")
            fault = "" if method in ("", "deflate") else f"is packed by {method}, not by deflate"
            if info.flag_bits & ENCRYPTED:
                fault = "is encrypted"
            sizes = info.header_offset, info.compress_size, info.file_size
            yield Entry(info.filename, "file", Member(info.filename, *sizes, info.CRC, bool(method), fault))


def tar_entries(path: Path, file: BinaryIO) -> Iterator[Entry]:
    """Yield what a tar holds that is not compressed. Raises DataError for one that is damaged or cut."""
    try:
        with tarfile.TarFile(fileobj=file, errorlevel=2) as archive:
            members: list[tarfile.TarInfo] = vars(archive)["members"]
            while (info := archive.next()) is not None:
                members.clear()  # each takes a kilobyte
                if info.isdir():
                    yield Entry(info.name, "folder")
                elif not info.isreg() or info.sparse is not None:
                    yield Entry(info.name, "links" if info.issym() or info.islnk() else "devices")
                else:
                    yield Entry(info.name, "file", Member(info.name, info.offset_data, info.size, info.size))
            file.seek(archive.offset)
    except (tarfile.TarError, *UNREADABLE) as error:
        raise DataError(path, f"cannot be read as a tar archive ({_reason(error)})", AGAIN) from error
    # tarfile takes a damaged header for the end, which is a block of zeros.
    if file.read(BLOCK) != bytes(BLOCK):
        raise DataError(path, "is a tar archive without its end: damaged, or cut", AGAIN)


def _reason(error: BaseException) -> str:
    return " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
