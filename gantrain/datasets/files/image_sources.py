"""Where images come from: a folder, or an archive that is read in place."""

import os
from typing import BinaryIO

from gantrain.datasets.files.archives import ImagesOfArchive, find_archive
from gantrain.datasets.files.image_bytes import open_file
from gantrain.datasets.files.image_paths import list_images
from gantrain.datasets.files.image_source import ImageSource


class ImagesOfFolder(ImageSource):
    """The images of a folder and of all folders below it. Raises DataError as ``list_images``."""

    def __init__(self, root: str):
        super().__init__(root, list_images(root))

    def open(self, name: str, max_pixels: int) -> BinaryIO:
        return open_file(self.path(name))


def open_images(root: str) -> ImageSource:
    """Return the images of a folder, of an archive, or of a folder in one such as ``photos.zip/train``.

    Raises:
        DataError: When there is no such folder or archive, or it cannot be read.
    """
    found = None if os.path.isdir(root) else find_archive(root)
    return ImagesOfArchive(*found) if found else ImagesOfFolder(root)
