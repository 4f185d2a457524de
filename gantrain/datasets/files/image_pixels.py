"""The pixels of many image files, decoded side by side."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch

from gantrain.core.streams import redraws_lines
from gantrain.datasets.base import Split
from gantrain.datasets.files.image_file import Target
from gantrain.datasets.files.image_source import ImageSource
from gantrain.errors import DataError

UNREADABLE, OPAQUE, COMPOSITED = (
    0,
    1,
    2,
)  # what an image is; the last one has transparent pixels over the background
CHUNK = 64  # files given to the threads together
SAMPLE_FILES = 64  # whose largest level is looked up
SAMPLE_IMAGES, SAMPLE_BYTES = (
    256,
    2**24,
)  # most images and pixels whose levels are counted, but four images at least
FEW_LEVELS = 64  # between the lowest and the highest, as 14-bit data in 16-bit files have


def decode(
    source: ImageSource,
    target: Target,
    x: np.ndarray,
    skip_bad: bool,
    finish_chunk: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Fill ``x``, uint8 [N, C, H, W], and return what each row is, uint8 [N]: one of the constants above.

    Args:
        source: The images.
        target: What each becomes.
        x: Where to.
        skip_bad: Whether a file that cannot be read is left out.
        finish_chunk: Called each time that some hundred rows are filled.

    Raises:
        DataError: For the first file that cannot be read, unless such files are skipped.
    """
    from tqdm import tqdm

    def fill(row: int) -> DataError | None:
        try:
            x[row], is_composited = source.read(names[row], target)
        except DataError as error:
            return error
        status[row] = COMPOSITED if is_composited else OPAQUE
        return None

    names = [file.name for file in source.listing.files]
    status = np.full(len(names), UNREADABLE, np.uint8)
    is_silent = not redraws_lines(sys.stderr)
    style = dict(unit="image", dynamic_ncols=True, disable=is_silent, leave=False)
    with tqdm(total=len(names), desc="decoding", **style) as bar, _readers() as pool:
        for start in range(0, len(names), CHUNK):
            rows = range(start, min(start + CHUNK, len(names)))
            for error in pool.map(fill, rows):
                if error and not skip_bad:
                    raise error
                bar.update(1)
            finish_chunk()
    return status


def largest_level(source: ImageSource, max_pixels: int) -> int | None:
    """Return the largest level of the 16-bit files among 64 of a source; None if none has 16 bits."""
    files = source.listing.files
    names = [files[row].name for row in _spread(len(files), SAMPLE_FILES)]
    with _readers() as pool:
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


@contextmanager
def _readers() -> Iterator[ThreadPoolExecutor]:
    """Yield threads that decode side by side, since Pillow's readers release the interpreter lock."""
    pillow = logging.getLogger("PIL")
    level = pillow.level
    # What Pillow warns of is decided by the rules of image_file.
    with warnings.catch_warnings(), ThreadPoolExecutor(min(torch.get_num_threads(), 8)) as pool:
        warnings.simplefilter("ignore")
        pillow.setLevel(logging.CRITICAL)
        try:
            yield pool
        finally:
            pillow.setLevel(level)
