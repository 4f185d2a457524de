"""What an image file declares of itself, before it is decoded."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from PIL import ExifTags

from gantrain.datasets.files.image_bytes import skip_text
from gantrain.datasets.files.image_file import image_errors, open_image
from gantrain.datasets.files.image_source import ImageSource
from gantrain.errors import DataError

TURNED = 5  # the first EXIF orientation that swaps height and width
GREY = ("1", "L", "LA", "La", "I", "F")


class Header(NamedTuple):
    """The size of an image as (height, width), after its EXIF orientation, and whether it is grey."""

    size: tuple[int, int]
    is_grey: bool


def read_headers(source: ImageSource, max_pixels: int, skip_bad: bool) -> Iterator[Header]:
    """Yield the header of each image.

    Args:
        source: The images.
        max_pixels: The most that a file may declare.
        skip_bad: Whether a file without a header that can be read is left out.

    Raises:
        DataError: For the first file that has none, unless such files are skipped.
    """
    for file in source.listing.files:
        try:
            with image_errors(source.path(file.name)), source.open(file.name, max_pixels) as opened:
                yield skip_text(_read, opened)
        except DataError:
            if not skip_bad:
                raise


def _read(file: BinaryIO) -> Header:
    image = open_image(file)
    width, height = image.size
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    is_turned = isinstance(orientation, int) and orientation >= TURNED
    size = (width, height) if is_turned else (height, width)
    return Header(size, image.mode in GREY or image.mode.startswith("I;16"))
