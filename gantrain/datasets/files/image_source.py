"""Image files by name, wherever they lie: what a folder, an archive and a column of a table have in common."""

import hashlib
import os
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial
from typing import BinaryIO

from gantrain.datasets.files import image_file
from gantrain.datasets.files.image_bytes import ImageError, largest_file
from gantrain.datasets.files.image_file import Picture, Target
from gantrain.datasets.files.image_paths import ImageFile, Listing

PIECE = 2**20  # bytes of a long file that are read at once


class ImageSource(ABC):
    """Image files by name, listed once; threads and forked processes may read them side by side.

    Args:
        root: Where their names begin, as messages show it.
        listing: What is there.
    """

    def __init__(self, root: str, listing: Listing):
        self.root, self.listing = root, listing

    @abstractmethod
    def open(self, name: str, max_pixels: int) -> BinaryIO:
        """Open a file, to read and seek, of an image of at most so many pixels. Raises ImageError or OSError."""

    def path(self, name: str) -> str:
        """Return where a file lies, as messages show it."""
        return os.path.join(self.root, name)

    def read(self, name: str, target: Target) -> Picture:
        """Return an image as ``image_file.read`` does. Raises DataError or ConfigError."""
        return image_file.read(self.path(name), target, partial(self.open, name, target.max_pixels))

    def digest(self, file: ImageFile) -> bytes:
        """Return the SHA-256 of a file, up to the size that it was listed with; empty if it cannot be read."""
        if file.size > largest_file(
            image_file.MAX_PIXELS
        ):  # no picture but a page of a TIFF, and endless to read
            return hashlib.sha256(repr((file.size, file.stamp)).encode()).digest()
        digest, left = hashlib.sha256(), file.size
        with suppress(OSError, ImageError), self.open(file.name, image_file.MAX_PIXELS) as content:
            while left > 0 and (piece := content.read(min(left, PIECE))):
                digest.update(piece)
                left -= len(piece)
            return digest.digest()
        return b""

    @property
    def stamp(self) -> str:
        """A digest that changes when a file does, or moves, of what the disk says of all of them."""
        key = hashlib.sha256(os.fsencode(os.path.realpath(self.root)))
        for file in self.listing.files:
            key.update(repr((file.name, file.size, file.stamp)).encode(errors="surrogateescape"))
        return key.hexdigest()

    def largest_level(self, name: str, max_pixels: int) -> int | None:
        """Return the largest level of a file as ``image_file.largest_level`` does."""
        return image_file.largest_level(self.path(name), max_pixels, partial(self.open, name, max_pixels))
