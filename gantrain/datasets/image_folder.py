"""Any folder of images: found in a fixed order, decoded once, held in memory or mapped from a cache file."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gantrain.core.files import cache_dir, replacement
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Dataset, Split, split
from gantrain.datasets.files import image_file as picture
from gantrain.datasets.files.attributes import attributes
from gantrain.datasets.files.image_paths import File, class_folders, listed, top_folder
from gantrain.errors import ConfigError, DataError, OutputError
from gantrain.registry import option, register

FEWEST = 4  # two to train on and two to hold out
AT_A_TIME = 256  # files handed to the threads together
RULES = 1  # raise it when the same file gives other pixels, so that no older cache is taken


@dataclass(frozen=True, kw_only=True)
class Rows(Split):
    """Some rows of a mapped tensor, read from the disk when they are taken.

    Attributes:
        rows: Which rows of ``x`` these are, shape [N]; ``y`` has one label for each.
    """

    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: Tensor, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor | None]:
        """Return the samples at ``index`` as every split does."""
        x, _ = Split(self.x).take(self.rows[index], device)
        return x, None if self.y is None else self.y[index].to(device)


@register("dataset")
@dataclass
class ImageFolder(Dataset):
    """Images of a folder and all folders below it, sorted by the bytes of their paths.

    How a file becomes pixels is said in ``gantrain.datasets.picture``. Files count whose names end as those formats
    do; hidden files and folders do not, nor pipes, sockets and devices. Links are followed, each file counts once, and
    a link to a folder that contains the root is left alone.

    With ``labels=auto`` the sub-folders of the root are the classes, sorted by name, when there are at least two and
    all images lie below them. With ``attributes`` a picture's condition is its row of that file, and there are none.
    """

    name: str = option("image_folder", "registered name")
    root: str | None = option(None, "folder of images, with or without class folders")
    resolution: int = option(32, "height in pixels, and width unless that is set", minimum=8, maximum=4096)
    width: int | None = option(None, "width in pixels; null is the height", minimum=8, maximum=4096)
    channels: int = option(3, "1 grey, 3 colour, 4 colour and alpha", minimum=1, maximum=4)
    holdout: float = option(0.1, "share kept from training, for every estimate", above=0, below=1)
    labels: str = option("auto", "whether class folders are classes", choices=("auto", "none"))
    attributes: str | None = option(
        None, "a CSV of numbers for each image, its path below the root first, to ask for in place of classes"
    )
    background: int = option(0, "grey under transparent pixels, 0 black to 255 white", minimum=0, maximum=255)
    bad_files: str = option("error", "what a file that cannot be read does", choices=("error", "skip"))
    max_pixels: int = option(
        64_000_000, "pixels that a file may declare", minimum=64, maximum=picture.MOST_PIXELS
    )
    memory_limit: float = option(
        4.0, "GiB of decoded pixels above which they are mapped from a cache file", minimum=0, maximum=1e6
    )

    def __post_init__(self) -> None:
        if self.channels not in (1, 3, 4):
            raise ConfigError(
                "dataset.channels", f"{self.channels} is not a kind of image", "choose from 1, 3, 4"
            )

    def spec(self) -> Spec:
        """Return [channels, height, width] and the class folders or attributes, from names and numbers alone.

        Raises:
            ConfigError: When the root is not set.
            DataError: When it is no folder, holds too few images, has class folders that are not in order, or the
                attributes cannot be read.
        """
        return self._listed()[3]

    def load(self, seed: int) -> Data:
        """Decode the images and split them by ``seed``; uint8 [N, channels, H, W].

        Raises:
            ConfigError: When the root is not set.
            DataError: As ``spec``, and naming the first file that cannot be read unless these are skipped.
            OutputError: When the cache file cannot be written.
        """
        files, classes, told, spec = self._listed()
        mapped = len(files) * spec.numel > self.memory_limit * 2**30
        x, good = self._mapped(files, spec) if mapped else self._in_memory(files, spec)
        rows = good.nonzero().flatten()
        if len(rows) < len(files):
            first = os.path.join(self._root, files[int(good.argmin())].name)
            what = f"{len(files) - len(rows)} of {len(files)} images cannot be read and are left out, first {first}"
            line = DataError(
                self._root, what, "see why with dataset.bad_files=error"
            )  # its words, not raised
            print(f"gantrain: {line}", file=sys.stderr)
        if len(rows) < FEWEST:
            raise DataError(
                self._root, f"holds {_count(len(rows))} that can be read", f"add some: it takes {FEWEST}"
            )
        y = None if told is None else told[rows]
        if classes:
            y = torch.tensor([classes.index(top_folder(files[row].name)) for row in rows.tolist()])
            for label in (torch.bincount(y, minlength=len(classes)) == 0).nonzero().flatten().tolist():
                where = os.path.join(self._root, classes[label])
                raise DataError(
                    where, "is a class folder without an image that can be read", "fill or remove it"
                )
        parts = split(rows, y, self.holdout, seed)
        train, held = (
            Rows(x=x, y=part.y, rows=part.x) if mapped else Split(x[part.x], part.y) for part in parts
        )
        return Data(spec, train, held)

    @property
    def _root(self) -> str:
        if self.root is None or not self.root.strip():
            raise ConfigError(
                "dataset.root", "names no folder", "set dataset.root=FOLDER to a folder of images"
            )
        return os.path.expanduser(self.root)

    def _listed(self) -> tuple[list[File], list[str], Tensor | None, Spec]:
        """Return the pictures, the class folders, the pictures' attributes [N, K], and the spec."""
        files, folders = listed(self._root)
        if len(files) < FEWEST:
            what = f"holds {_count(len(files))} (files ending in {' '.join(picture.SUFFIXES)})"
            raise DataError(self._root, what, f"set dataset.root to a folder of at least {FEWEST}")
        shape = (self.channels, self.resolution, self.width or self.resolution)
        if self.attributes is not None:
            y, given = attributes(self.attributes, self._root, [file.name for file in files])
            return files, [], y, Spec(shape, condition=given)
        classes = class_folders(self._root, files, folders) if self.labels == "auto" else []
        return files, classes, None, Spec(shape=shape, classes=len(classes))

    def _in_memory(self, files: list[File], spec: Spec) -> tuple[Tensor, Tensor]:
        x = np.zeros((len(files), *spec.shape), np.uint8)
        good = self._decode(files, x)
        return torch.from_numpy(x), torch.from_numpy(good)

    def _mapped(self, files: list[File], spec: Spec) -> tuple[Tensor, Tensor]:
        """Return the pixels and which rows are good, both mapped from a cache file that is made when it is absent."""
        count, size = len(files), len(files) * spec.numel
        path = self._cache(files)
        if not path.is_file() or path.stat().st_size != size + count:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with replacement(path, size + count) as part:
                    whole = np.memmap(part, np.uint8, "r+", shape=(size + count,))
                    whole[size:] = self._decode(files, whole[:size].reshape(count, *spec.shape))
                    whole.flush()
            except OSError as error:
                what = f"cannot be written ({error.strerror or error})"
                remedy = "free space, set XDG_CACHE_HOME to another disk, or raise dataset.memory_limit"
                raise OutputError(path, what, remedy) from error
        try:
            content = torch.from_file(str(path), shared=False, size=size + count, dtype=torch.uint8)
        except RuntimeError as error:
            raise OutputError(
                path, "cannot be mapped into memory", "delete it, or raise dataset.memory_limit"
            ) from error
        return content[:size].reshape(count, *spec.shape), content[size:]

    def _cache(self, files: list[File]) -> Path:
        """Return the file that holds these files' pixels under these options; a change of either is another file."""
        options = (
            RULES,
            self.channels,
            self.resolution,
            self.width,
            self.background,
            self.bad_files,
            self.max_pixels,
        )
        key = hashlib.sha256(repr((os.path.realpath(self._root), options)).encode())
        for file in files:
            key.update(repr((os.fsencode(file.name), file.size, file.mtime)).encode())
        return cache_dir() / f"images-{key.hexdigest()[:20]}.u8"

    def _decode(self, files: list[File], x: np.ndarray) -> np.ndarray:
        """Fill ``x`` [N, C, H, W] and return which rows hold a picture, shape [N]."""
        from tqdm import tqdm

        size = (x.shape[2], x.shape[3])

        def one(row: int) -> DataError | None:
            path = os.path.join(self._root, files[row].name)
            try:
                x[row] = picture.read(path, self.channels, size, self.background, self.max_pixels)
            except DataError as error:
                return error
            return None

        good = np.ones(len(files), np.uint8)
        bar = tqdm(
            total=len(files), desc="decoding", unit="image", dynamic_ncols=True, disable=None, leave=False
        )
        # Pillow warns of what the rules settle; its readers leave the interpreter to other threads.
        with bar, warnings.catch_warnings(), ThreadPoolExecutor(min(torch.get_num_threads(), 8)) as pool:
            warnings.simplefilter("ignore")
            for start in range(0, len(files), AT_A_TIME):
                rows = range(start, min(start + AT_A_TIME, len(files)))
                for row, error in zip(rows, pool.map(one, rows), strict=True):
                    if error and self.bad_files == "error":
                        raise error
                    good[row] = error is None
                    bar.update(1)
        return good


def _count(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}" if number else "no image"
