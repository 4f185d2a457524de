"""Sets of pictures that belong to no run: a folder or an archive of image files, or a file of arrays."""

from __future__ import annotations

import os
import shlex
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gantrain.core.run_folder import is_run, is_sweep
from gantrain.core.text import count
from gantrain.datasets.base import Split
from gantrain.datasets.files.image_arrays import read_arrays, resize
from gantrain.datasets.files.image_dataset import MIN_IMAGES
from gantrain.datasets.files.image_file import Target
from gantrain.datasets.files.image_header import read_headers
from gantrain.datasets.files.image_sources import open_images
from gantrain.datasets.files.sample_set import Samples
from gantrain.datasets.image_folder import ImageFolder
from gantrain.errors import ConfigError, DataError

KINDS = "give a folder of pictures, a .zip or .tar of one, or an .npz or .npy"
SIZES = 4  # in a message
KIND_OF_CHANNELS = {1: "grey", 3: "in colour", 4: "in colour with transparency"}


class PictureSet(ABC):
    """Pictures of which the shapes are known.

    Attributes:
        root: Where they are.
        sizes: How many have which (height, width).
        channels: 1 where all are grey, else 3, or 4 of arrays with alpha.
    """

    root: str
    sizes: Counter[tuple[int, int]]
    channels: int

    @abstractmethod
    def load(self, shape: tuple[int, int, int]) -> Samples:
        """Return the pictures in one shape (C, H, W). Raises DataError for one that cannot be read."""

    @property
    def size(self) -> tuple[int, int]:
        """Their one size. Raises DataError when they have several."""
        if len(self.sizes) == 1:
            return next(iter(self.sizes))
        most = [f"{number:,} of {text_of(size)}" for size, number in self.sizes.most_common(SIZES)]
        what = f"holds pictures of {count(len(self.sizes), 'size')}: {', '.join(most)}"
        height, width = self.sizes.most_common(1)[0][0]
        raise DataError(self.root, what, f"resize all by {resize_words(height, width)}")


class FilesOfPictures(PictureSet):
    """The image files of a folder or archive. Raises DataError as ``open_images`` and ``read_headers``."""

    def __init__(self, root: str, options: ImageFolder):
        self.root, self.options = root, replace(options, root=root)
        source = open_images(root)
        self.options.check_count(source, KINDS)
        headers = list(read_headers(source, options.max_pixels, options.bad_files == "skip"))
        self.sizes = Counter(header.size for header in headers)
        self.channels = 1 if all(header.is_grey for header in headers) else 3

    def load(self, shape: tuple[int, int, int]) -> Samples:
        channels, height, width = shape
        options = replace(self.options, channels=channels, resolution=height, width=width)
        with _words_of_pictures():
            data = options.load(seed=0)
        # A dataset is split by a seed: joined again, in the order of the files' own names, so that classes are mixed
        # as they were where ``export-data`` wrote them
        rows = torch.cat([_rows(part) for part in (data.train, data.holdout)])
        names = [file.name for file in options.content.source.listing.files]
        places = [(os.path.basename(name), name) for name in names]
        order = torch.tensor(sorted(range(len(rows)), key=lambda i: places[int(rows[i])]))
        labels = [part.y for part in (data.train, data.holdout) if part.y is not None]
        y = torch.cat(labels)[order] if labels else None
        if data.train.file is not None:
            split = Split(data.train.x, y, rows[order], data.train.file)
        else:
            split = Split(data.train.x[rows[order]], y)
        return Samples(split, options.content.classes, f"{data.summary}, {text_of((height, width))}")


class ArraysOfPictures(PictureSet):
    """The pictures of an ``.npz`` or ``.npy``. Raises DataError as ``read_arrays``."""

    def __init__(self, root: str, options: ImageFolder):
        self.root, self.options = root, options
        self.arrays = read_arrays(Path(root), options.memory_limit)
        n, self.channels, height, width = self.arrays.x.shape
        if n < MIN_IMAGES:
            raise DataError(root, f"holds {count(n, 'picture')}", f"add some: it takes {MIN_IMAGES}")
        self.sizes = Counter({(height, width): n})

    def load(self, shape: tuple[int, int, int]) -> Samples:
        x, labels, description = self.arrays
        channels, height, width = shape
        if tuple(x.shape[1:]) != shape:
            options = self.options
            x = resize(x, Target(channels, (height, width), options.background, options.fit))
        kinds, y = ([], None) if labels is None else labels.unique(return_inverse=True)
        names = [str(int(kind)) for kind in kinds]
        if len(names) < 2 or self.options.labels == "none":
            names, y = [], None
        classes = count(len(names), "class").replace("classs", "classes") if names else "no classes"
        what = f"{count(len(x), 'picture')}, {classes}, {text_of((height, width))}, {description}"
        return Samples(Split(x, y), names, what)


def open_pictures(root: str, options: ImageFolder) -> PictureSet:
    """Return the pictures at a path.

    Args:
        root: A folder, an archive or a folder in one, an ``.npz`` or an ``.npy``.
        options: How image files become pixels; their root, size and channels do not count.

    Raises:
        ConfigError: For the folder of a run or a sweep.
        DataError: For what cannot be read as pictures.
    """
    root = os.path.expanduser(root)
    path = Path(root)
    if is_run(path) or is_sweep(path):
        what = "is the folder of a run, whose pictures are grids"
        remedy = f"give samples of it: gantrain sample {shlex.quote(root)} n=1000 out=samples.npz"
        raise ConfigError(root, what, remedy)
    kind = ArraysOfPictures if path.suffix.lower() in (".npz", ".npy") and path.is_file() else FilesOfPictures
    with _words_of_pictures():
        return kind(root, options)


@contextmanager
def _words_of_pictures() -> Iterator[None]:
    """Raise an error of a dataset with a remedy for what is none: its root is then a word of its own."""
    try:
        yield
    except DataError as error:
        is_general = "set dataset.root to " in error.remedy
        remedy = KINDS if is_general else error.remedy.replace("set dataset.root=", "give ")
        raise DataError(error.where, error.what, remedy) from error


def _rows(part: Split) -> Tensor:
    return torch.arange(len(part)) if part.rows is None else part.rows


def common_shape(sets: Sequence[PictureSet], words: Mapping[str, object]) -> tuple[int, int, int]:
    """Return the shape (C, H, W) in which sets are compared.

    Args:
        sets: Two at least.
        words: What the user set of ``resolution``, ``width`` and ``channels``; pictures are not resized otherwise.

    Raises:
        DataError: When sets differ in size or channels.
    """
    if "resolution" in words:
        height = int(str(words["resolution"]))
        size = height, int(str(words.get("width") or height))
    else:
        size = sets[0].size
        if other := next((one for one in sets if one.size != size), None):
            what = f"holds pictures of {text_of(other.size)}, and {sets[0].root} of {text_of(size)}"
            smallest = min(one.size for one in sets)
            raise DataError(other.root, what, f"compare them by {resize_words(*smallest)}")
    channels = {one.channels for one in sets}
    if "channels" in words:
        channels = {int(str(words["channels"]))}
    if len(channels) > 1:
        kinds = [f"{one.root} is {KIND_OF_CHANNELS[one.channels]}" for one in sets]
        raise DataError("evaluate", " and ".join(kinds[:2]), "compare them by dataset.channels=1, or by 3")
    return channels.pop(), *size


def text_of(size: tuple[int, int]) -> str:
    """Return (height, width) in words, the width first."""
    return f"{size[1]} x {size[0]} pixels"


def resize_words(height: int, width: int) -> str:
    """Return the words that ask for a size."""
    return f"dataset.resolution={height}" + (f" dataset.width={width}" if width != height else "")
