"""Image files by name, wherever they lie: what a folder, an archive and a column of a table have in common."""

import os
from abc import ABC, abstractmethod
from functools import partial
from typing import BinaryIO

from gantrain.datasets.files import image_file
from gantrain.datasets.files.image_file import Picture, Target
from gantrain.datasets.files.image_paths import Listing


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

    def largest_level(self, name: str, max_pixels: int) -> int | None:
        """Return the largest level of a file as ``image_file.largest_level`` does."""
        return image_file.largest_level(self.path(name), max_pixels, partial(self.open, name, max_pixels))
