"""The pixels of many image files, decoded side by side."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from gantrain.datasets.files import image_file
from gantrain.datasets.files.image_file import Target
from gantrain.errors import DataError

CHUNK = 256  # files given to the threads together


def decode(root: str, names: list[str], target: Target, x: np.ndarray, skip_bad: bool) -> np.ndarray:
    """Fill ``x``, uint8 [N, C, H, W], and return which rows hold an image, uint8 [N] of 0 and 1.

    Args:
        root: The folder of images.
        names: Their paths below it.
        target: What each becomes.
        x: Where to.
        skip_bad: Whether a file that cannot be read is left out.

    Raises:
        DataError: For the first file that cannot be read, unless such files are skipped.
    """
    from tqdm import tqdm

    def fill(row: int) -> DataError | None:
        try:
            x[row] = image_file.read(os.path.join(root, names[row]), target)
        except DataError as error:
            return error
        return None

    good = np.ones(len(names), np.uint8)
    style = dict(unit="image", dynamic_ncols=True, disable=None, leave=False)
    bar = tqdm(total=len(names), desc="decoding", **style)
    # Pillow's readers release the interpreter lock, so that threads decode side by side.
    with bar, warnings.catch_warnings(), ThreadPoolExecutor(min(torch.get_num_threads(), 8)) as pool:
        warnings.simplefilter("ignore")  # what Pillow warns of is decided by the rules of image_file
        for start in range(0, len(names), CHUNK):
            rows = range(start, min(start + CHUNK, len(names)))
            for row, error in zip(rows, pool.map(fill, rows), strict=True):
                if error and not skip_bad:
                    raise error
                good[row] = error is None
                bar.update(1)
    return good
