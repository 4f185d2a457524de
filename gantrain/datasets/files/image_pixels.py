"""What a sample of the image files, and of their pixels, shows of all of them."""

import numpy as np
import torch

from gantrain.datasets.base import Split
from gantrain.datasets.files.image_decoding import image_readers
from gantrain.datasets.files.image_source import ImageSource

SAMPLE_FILES = 64  # whose largest level is looked up
SAMPLE_IMAGES, SAMPLE_BYTES = (
    256,
    2**24,
)  # most images and pixels whose levels are counted, but four images at least
FEW_LEVELS = 64  # between the lowest and the highest, as 14-bit data in 16-bit files have


def largest_level(source: ImageSource, max_pixels: int) -> int | None:
    """Return the largest level of the 16-bit files among 64 of a source; None if none has 16 bits."""
    files = source.listing.files
    names = [files[row].name for row in _spread(len(files), SAMPLE_FILES)]
    with image_readers() as pool:
        levels = pool.map(lambda name: source.largest_level(name, max_pixels), names)
        return max((level for level in levels if level is not None), default=None)


def describe_flatness(split: Split) -> str:
    """Return why images uint8 [C, H, W] that are spread over a split show next to nothing, or an empty text."""
    count = min(SAMPLE_IMAGES, max(4, SAMPLE_BYTES // split.x.shape[1:].numel()))
    images = split.select(torch.tensor(_spread(len(split), count)))[0].flatten(2)  # [n, C, H W]
    if any(len(image) == 4 and image[3].min() < image[3].max() for image in images):
        return ""  # transparency shows something
    colours = [image[:3] for image in images]
    levels = torch.stack([image.flatten().bincount(minlength=256) for image in colours]).sum(0).nonzero()
    low, high = int(levels[0]), int(levels[-1])
    if high - low <= FEW_LEVELS:
        return f"pixels use {len(levels)} of 256 levels ({low} to {high})"
    if all((image.amin(1) == image.amax(1)).all() for image in colours):
        return "each image is of one colour"
    return ""


def _spread(total: int, count: int) -> list[int]:
    """Return at most ``count`` of the numbers 0 to total - 1, evenly spaced."""
    return sorted({round(i) for i in np.linspace(0, total - 1, count).tolist()})
