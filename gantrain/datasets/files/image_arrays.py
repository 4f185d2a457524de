"""Pictures in NumPy's files: an .npz with an array of pictures and perhaps one of labels, or an .npy."""

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gantrain.core.text import format_size
from gantrain.datasets.files.image_file import Target, fit
from gantrain.errors import DataError

CHANNELS = (1, 3, 4)
REMEDY = "give an array of uint8, or of floats in [-1, 1] or [0, 1], N x H x W x C or N x C x H x W"
UNREADABLE = (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
ROWS = 1000  # pictures whose range is computed at a time


class Arrays(NamedTuple):
    """The content of a file.

    Attributes:
        x: Pictures [N, C, H, W]: uint8, or float32 in [-1, 1].
        y: The label of each, int64 [N]; None without.
        description: The kind of the numbers and their order, as they were found.
    """

    x: Tensor
    y: Tensor | None
    description: str


def read_arrays(path: Path, most: float) -> Arrays:
    """Return the pictures of an ``.npy`` or ``.npz``, whose one array of three or four dimensions they are.

    A second array of one dimension, of N whole numbers, are labels. The order of the dimensions and the range of
    floats are those that fit; what fits in two ways is refused.

    Args:
        path: The file.
        most: GiB that it may take in memory.

    Raises:
        DataError: When it cannot be read, holds something else, or could be read in two ways.
    """
    arrays = load_arrays(path, most)
    pictures = [name for name, array in arrays.items() if array.ndim in (3, 4)]
    if len(pictures) != 1:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
        what = "several arrays of pictures" if pictures else "no array of pictures"
        raise DataError(path, f"holds {what} ({found})", REMEDY)
    x, order = in_order(arrays[pictures[0]], path)
    _check_memory(x.nbytes, path, most)
    scaled, kind = in_range(x, path)
    labels = [array for name, array in arrays.items() if name != pictures[0] and array.shape == (len(x),)]
    if len(labels) > 1:
        raise DataError(path, "holds several arrays that may be labels", "leave one")
    y = _labels(labels[0], path) if labels else None
    return Arrays(scaled, y, f"{kind}, {order}")


def resize(x: Tensor, target: Target) -> Tensor:
    """Return pictures, uint8 or float32 in [-1, 1], as uint8 [N, C, H, W] of a target, by the rules of image files."""
    levels = x if x.dtype == torch.uint8 else x.add(1).mul(127.5).round().clamp(0, 255).byte()
    rows = levels.permute(0, 2, 3, 1).numpy()  # [N, H, W, C]
    images = (Image.fromarray(row[:, :, 0] if row.shape[2] == 1 else row) for row in rows)
    return torch.from_numpy(np.stack([fit(image, target).pixels for image in images]))


def load_arrays(path: Path, most: float) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name; an .npy is mapped, not read.

    Args:
        path: The file.
        most: GiB that an ``.npz`` may take in memory.

    Raises:
        DataError: When it cannot be read, or takes more.
    """
    remedy = "save it again with numpy.savez, without objects"
    try:
        with path.open("rb") as file:
            is_zip = file.read(2) == b"PK"
        if not is_zip:
            return {"array": np.load(path, mmap_mode="r", allow_pickle=False)}
        _check_size(path, most)
        with np.load(path, allow_pickle=False) as content:
            return {name: array for name in content.files if isinstance(array := content[name], np.ndarray)}
    except MemoryError as error:
        raise DataError(path, "does not fit into memory", "save fewer samples") from error
    except UNREADABLE as error:
        raise DataError(path, f"cannot be read ({' '.join(str(error).split())})", remedy) from error


def _check_size(path: Path, most: float) -> None:
    """Raise DataError for an .npz that is larger than may be read: a small file may unpack to any size."""
    with zipfile.ZipFile(path) as archive:
        size = sum(info.file_size for info in archive.infolist())
        # NumPy reserves what a header declares before it reads.
        for info in archive.infolist():
            with archive.open(info) as member:
                size = max(size, _bytes_in_header(member))
    _check_memory(size, path, most)


def _check_memory(size: int, path: Path, most: float) -> None:
    if size > most * 2**30:
        what = f"takes {format_size(size)} of memory, more than dataset.memory_limit={most:g} GiB"
        raise DataError(path, what, "raise it, or save fewer samples")


def _bytes_in_header(member: Any) -> int:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    return math.prod(shape) * dtype.itemsize


def in_order(array: np.ndarray, path: Path) -> tuple[np.ndarray, str]:
    """Return pictures as [N, C, H, W], and the order in which they were. Raises DataError for another shape."""
    if array.ndim == 3 and array.shape[2] in CHANNELS:
        raise DataError(path, f"has the shape {array.shape}, which may be that of one picture", REMEDY)
    if array.ndim == 3:
        return array[:, None], "N x H x W"
    last, second = (array.shape[axis] in CHANNELS for axis in (3, 1))
    if last and second:
        what = f"has the shape {array.shape}, whose channels may be its second or its last number"
        raise DataError(path, what, "save it as pictures, or without the dimension of one channel")
    if not (last or second):
        what = f"has the shape {array.shape}, of which no number is that of 1, 3 or 4 channels"
        raise DataError(path, what, REMEDY)
    return (np.moveaxis(array, 3, 1), "N x H x W x C") if last else (array, "N x C x H x W")


def in_range(x: np.ndarray, path: Path) -> tuple[Tensor, str]:
    """Return pictures as uint8, or as float32 in [-1, 1], and what they were. Raises DataError for others."""
    if x.size == 0:
        raise DataError(path, "holds no pictures", REMEDY)
    if x.dtype.kind not in "uif":
        raise DataError(path, f"holds {x.dtype}", REMEDY)
    low, high = (
        float(extreme([extreme(x[i : i + ROWS]) for i in range(0, len(x), ROWS)]))
        for extreme in (np.min, np.max)
    )
    span, kind = f"from {low:.4g} to {high:.4g}", str(x.dtype)
    if x.dtype.kind in "ui":
        if low < 0 or high > 255 or (high <= 1 and x.dtype != np.uint8):
            raise DataError(path, f"holds {kind} {span}, which are no levels from 0 to 255", REMEDY)
        return torch.from_numpy(np.array(x, np.uint8)), f"{kind} {span}"
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(path, "holds numbers that are not finite", "leave such pictures out")
    if low < -1 or high > 1:
        what = f"holds {kind} {span}, neither in [-1, 1] nor in [0, 1]"
        raise DataError(path, what, "scale it, clip it, or save it as uint8")
    if low == high:
        raise DataError(path, f"holds {kind} that are all {low:g}, whose range is not known", REMEDY)
    numbers = torch.from_numpy(np.array(x, np.float32))
    return (numbers, f"{kind} in [-1, 1]") if low < 0 else (numbers.mul_(2).sub_(1), f"{kind} in [0, 1]")


def _labels(array: np.ndarray, path: Path) -> Tensor:
    if array.dtype.kind not in "ui" or array.min() < 0:
        raise DataError(path, f"holds labels of {array.dtype}, not whole numbers from 0", "leave them out")
    return torch.from_numpy(array.astype(np.int64))
