"""An image file before Pillow sees it: opened without waiting, within bounds, without texts that Pillow refuses."""

import io
import os
import re
import struct
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from gantrain.core.text import format_size

LARGEST_PIXEL, LARGEST_REST = 8, 2**26  # bytes of a pixel, and of everything else in a file
MAX_SCANS = 100  # of a JPEG; a progressive one has about ten
JPEG, SCAN = b"\xff\xd8", re.compile(rb"\xff\xda")
TIFF = (b"II", b"MM")
PNG = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # chunks of a PNG without a word on its pixels
T = TypeVar("T")


class ImageError(Exception):
    """The reason why an image is refused."""


def open_file(path: str) -> BinaryIO:
    """Open a file to read, without waiting where a pipe took its place or a link leads into /proc."""
    flags = os.O_NONBLOCK | os.O_NOCTTY
    return open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags))


def check_bounds(file: BinaryIO, max_pixels: int) -> None:
    """Check what an image may take of time and memory before its header is known.

    Raises:
        ImageError: For an empty file, one longer than its pixels can be, and a JPEG of very many scans.
    """
    head = file.read(2)
    if not head:
        raise ImageError("is empty")
    # Some formats are read whole before their header is; the other pages of a TIFF are not read.
    if head not in TIFF:
        check_size(file.seek(0, os.SEEK_END), max_pixels)
    if head == JPEG:
        file.seek(0)
        if sum(len(SCAN.findall(block)) for block in iter(lambda: file.read(2**16), b"")) > MAX_SCANS:
            raise ImageError(
                f"has more than {MAX_SCANS} scans, each of which takes the time of a whole image"
            )


def largest_file(max_pixels: int) -> int:
    """Return the most bytes that an image of so many pixels can take, the other pages of a TIFF aside."""
    return LARGEST_PIXEL * max_pixels + LARGEST_REST


def check_size(size: int, max_pixels: int) -> None:
    """Raise ImageError for more bytes than an image of so many pixels can take."""
    if size > largest_file(max_pixels):
        raise ImageError(f"is {format_size(size)} long, more than dataset.max_pixels={max_pixels} can take")


def skip_text(work: Callable[[BinaryIO], T], file: BinaryIO) -> T:
    """Return what is made of a file, without its texts if Pillow refuses it for their length."""
    try:
        return work(file)
    except ValueError:
        if (textless := _without_text(file)) is None:
            raise
        return work(textless)


def _without_text(file: BinaryIO) -> BinaryIO | None:
    """Return a PNG without its texts and its colour profile; None for another format."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    kept = [file.read(len(PNG))]
    if kept != [PNG]:
        return None
    while (
        len(head := file.read(8)) == 8
    ):  # of a chunk: length and name, then the data, then four bytes of checksum
        length, name = struct.unpack(">I4s", head)
        if name in TEXTS:
            file.seek(length + 4, os.SEEK_CUR)
        else:
            kept += [head, file.read(min(length + 4, end))]
    return io.BytesIO(b"".join(kept))
