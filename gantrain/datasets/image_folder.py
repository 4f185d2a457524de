"""Any folder of images, in a fixed order, decoded once, kept in memory or mapped from a cache file."""

import hashlib
import math
import mmap
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrain.core.atomic import replacement
from gantrain.core.data_files import DataFile, DataFiles, named_files
from gantrain.core.files import cache_home
from gantrain.core.spec import Spec
from gantrain.core.stored_rows import StoredRows
from gantrain.datasets.base import Data, FileDataset, Split, split
from gantrain.datasets.files import image_depth, image_file, image_pixels
from gantrain.datasets.files.attributes import read_attributes
from gantrain.datasets.files.image_classes import class_folders
from gantrain.datasets.files.image_file import Target
from gantrain.datasets.files.image_paths import ImageFile, Listing, list_images, top_folder
from gantrain.datasets.files.image_summary import describe_omissions, summarise
from gantrain.errors import ConfigError, DataError, OutputError, writing
from gantrain.registry import option, register

MIN_IMAGES = 4  # two for training and two held out
BITS = (*map(str, image_depth.DEPTHS), "auto")
CACHE_VERSION = 3  # to be raised when the same file gives other pixels


@register("dataset")
@dataclass
class ImageFolder(FileDataset):
    """Images of a folder and all folders below it, sorted by the bytes of their paths.

    ``gantrain.datasets.files.image_file`` documents how a file becomes pixels. Files with the suffix of an image
    format count; hidden files and folders, pipes, sockets and devices do not. Links are followed, each file counts
    once, and a link to a folder that contains the root is ignored.

    With ``labels=auto`` the sub-folders of the root that hold images are the classes, sorted by name, when there are at
    least two and all images lie below them. Folders of runs and sweeps are not looked into. With ``attributes`` an
    image's condition is its row of that file in place of a class.
    """

    name: str = option("image_folder", "registered name")
    root: str | None = option(None, "folder of images, with or without class folders")
    resolution: int = option(32, "height in pixels, and width unless that is set", minimum=8, maximum=4096)
    width: int | None = option(None, "width in pixels; null for the height", minimum=8, maximum=4096)
    channels: int = option(3, "1 grey, 3 colour, 4 colour and alpha", minimum=1, maximum=4)
    holdout: float = option(
        0.1, "fraction of the data held out of training, for the metrics", above=0, below=1
    )
    labels: str = option("auto", "whether class folders are classes", choices=("auto", "none"))
    attributes: str | None = option(None, "a CSV of paths and numbers: the condition, in place of classes")
    fit: str = option("cover", "cover crops to the shape, contain pads to it", choices=("cover", "contain"))
    background: int = option(
        0, "grey under transparent pixels and in the margins of fit=contain, 0 black", minimum=0, maximum=255
    )
    depth: str = option("16", "bits that the data of 16-bit files use; auto finds them", choices=BITS)
    bad_files: str = option("error", "what to do with a file that cannot be read", choices=("error", "skip"))
    max_pixels: int = option(64_000_000, "most pixels in a file", minimum=64, maximum=image_file.MAX_PIXELS)
    memory_limit: float = option(
        4.0, "GiB of pixels above which they stay on disk, in a file", minimum=0, maximum=1e6
    )

    def __post_init__(self) -> None:
        if self.channels not in (1, 3, 4):
            what = f"{self.channels} is not a kind of image"
            raise ConfigError("dataset.channels", what, "choose from 1, 3, 4")

    def spec(self) -> Spec:
        return self._listing[3]

    @cached_property
    def files(self) -> DataFiles:
        images = tuple(DataFile(file.name, file.size) for file in self._listing[0].files)
        if self.attributes is None:
            return DataFiles(images)
        table = named_files([("dataset.attributes", Path(os.path.expanduser(self.attributes)))])
        return DataFiles((*images, *table.entries))

    def load(self, seed: int) -> Data:
        listing, classes, attributes, spec = self._listing
        files = listing.files
        target = self._target(files, spec)
        # Pixels uint8 [N, C, H, W], and what each file is, [N]
        stored = None
        if len(files) * spec.numel > self.memory_limit * 2**30:
            x, status, stored = self._store_pixels(files, target)
        else:
            pixels = np.zeros((len(files), *spec.shape), np.uint8)
            x, status = torch.from_numpy(pixels), torch.from_numpy(self._decode(files, target, pixels))
        rows = status.nonzero().flatten()
        if len(rows) < len(files):
            first = os.path.join(self._root, files[int(status.argmin())].name)
            what = f"{len(files) - len(rows)} of {len(files)} images cannot be read and are left out, first {first}"
            self._warn(what, "see why with dataset.bad_files=error")
        if len(rows) < MIN_IMAGES:
            what = f"holds {_count(len(rows))} that can be read"
            raise DataError(self._root, what, f"add some: it takes {MIN_IMAGES}")
        if flatness := image_pixels.describe_flatness(Split(x, rows=rows, file=stored)):
            self._warn(flatness, self._flatness_remedy(files, target))
        # Conditions of the images that could be read
        y = None if attributes is None else attributes[rows]
        if classes:
            index = {name: label for label, name in enumerate(classes)}
            labels = [index[top_folder(files[row].name)] for row in rows.tolist()]
            # A class without a readable image could be requested, but never learned.
            if empty := sorted({*range(len(classes))} - {*labels}):
                where = os.path.join(self._root, classes[empty[0]])
                raise DataError(where, "is a class without an image that can be read", "fill or remove it")
            y = torch.tensor(labels)
        # Rows are split, not pixels: these are never copied.
        parts = split(rows, y, self.holdout, seed)
        train, holdout = (Split(x, part.y, part.x, stored) for part in parts)
        return Data(spec, train, holdout, summary=self._summary(status, y))

    def _summary(self, status: Tensor, y: Tensor | None) -> str:
        listing, classes, *_ = self._listing
        line = summarise(listing, classes, y, int(status.count_nonzero()))
        composited = int((status == image_pixels.COMPOSITED).sum())
        ground = {0: "black", 255: "white"}.get(self.background, f"grey {self.background}")
        return line + (
            f"; transparency of {composited:,} on {ground} (dataset.background)" if composited else ""
        )

    @property
    def _root(self) -> str:
        if self.root is None or not self.root.strip():
            remedy = "set dataset.root=FOLDER to a folder of images"
            raise ConfigError("dataset.root", "names no folder", remedy)
        return os.path.expanduser(self.root)

    @cached_property
    def _listing(self) -> tuple[Listing, list[str], Tensor | None, Spec]:
        """What the folder holds, the class folders, the images' attributes [N, K] or None, and the spec."""
        listing = list_images(self._root)
        files = listing.files
        if len(files) < MIN_IMAGES:
            suffixes, others = " ".join(image_file.SUFFIXES), describe_omissions(listing, len(files))
            what = f"holds {_count(len(files))} (files ending in {suffixes}){others.replace(';', ',')}"
            raise DataError(self._root, what, f"set dataset.root to a folder of at least {MIN_IMAGES}")
        shape = (self.channels, self.resolution, self.width or self.resolution)
        if self.attributes is not None:
            y, condition = read_attributes(self.attributes, self._root, [file.name for file in files])
            return listing, [], y, Spec(shape, condition=condition)
        classes = class_folders(self._root, listing) if self.labels == "auto" else []
        return listing, classes, None, Spec(shape=shape, classes=len(classes))

    def _target(self, files: list[ImageFile], spec: Spec) -> Target:
        """Return what each image becomes, the depth as the key says or as a sample of the files shows."""
        if self.depth == "auto":
            level = self._largest_level(files)
            depth = 16 if level is None else image_depth.fitting_depth(level)
            why = "no file has 16" if level is None else f"the largest level of its 16-bit files is {level}"
            self._warn(f"dataset.depth=auto takes {depth} bits", f"in a sample {why}")
        else:
            depth = int(self.depth)
        size = (spec.shape[1], spec.shape[2])  # height and width
        return Target(self.channels, size, self.background, self.fit, depth, self.max_pixels)

    def _flatness_remedy(self, files: list[ImageFile], target: Target) -> str:
        level = self._largest_level(files) if self.depth == "16" else None
        if level is not None and (depth := image_depth.fitting_depth(level)) < target.depth:
            return f"set dataset.depth={depth}: the largest level in a sample of its 16-bit files is {level}"
        transparent = "" if self.channels == 4 else ", and set dataset.background if they are transparent"
        return f"look at the files{transparent}"

    def _largest_level(self, files: list[ImageFile]) -> int | None:
        return image_pixels.largest_level(self._root, [file.name for file in files], self.max_pixels)

    def _warn(self, what: str, remedy: str) -> None:
        print(f"gantrain: {DataError(self._root, what, remedy)}", file=sys.stderr)

    def _store_pixels(self, files: list[ImageFile], target: Target) -> tuple[Tensor, Tensor, StoredRows]:
        """Return the pixels and what each file is, mapped from a cache file, and that file, written if missing."""
        shape = (len(files), target.channels, *target.size)
        count, size = len(files), math.prod(shape)
        elsewhere = "set XDG_CACHE_HOME to another disk, or raise dataset.memory_limit"
        with writing("cache", elsewhere):
            path = self._cache_file(files, target)
        if not path.is_file() or path.stat().st_size != size + count:
            with writing(path, elsewhere), replacement(path) as file:
                # Reserved before it is mapped: a full disk kills a process that writes to a map.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size + count)
                file.truncate(size + count)
                # The pixels of all images, then a byte for each: what it is
                whole = np.memmap(file, np.uint8, "r+", shape=(size + count,))
                area: Any = whole.base
                unload = partial(area.madvise, mmap.MADV_DONTNEED)  # what was written leaves the process
                whole[size:] = self._decode(files, target, whole[:size].reshape(shape), unload)
                whole.flush()
        try:
            content = torch.from_file(str(path), shared=False, size=size + count, dtype=torch.uint8)
        except RuntimeError as error:
            remedy = "delete it, or raise dataset.memory_limit"
            raise OutputError(path, "cannot be mapped into memory", remedy) from error
        return content[:size].reshape(shape), content[size:], StoredRows(path, shape)

    def _cache_file(self, files: list[ImageFile], target: Target) -> Path:
        """Return the cache file of these files and options; a change of any of them gives another file."""
        key = hashlib.sha256(
            repr((os.path.realpath(self._root), CACHE_VERSION, target, self.bad_files)).encode()
        )
        for file in files:
            key.update(repr((os.fsencode(file.name), file.size, file.mtime)).encode())
        return cache_home() / f"images-{key.hexdigest()[:20]}.u8"

    def _decode(
        self, files: list[ImageFile], target: Target, x: np.ndarray, *finish_chunk: Callable[[], None]
    ) -> np.ndarray:
        """Fill ``x`` [N, C, H, W] and return what each file is, shape [N]."""
        names = [file.name for file in files]
        return image_pixels.decode(self._root, names, target, x, self.bad_files == "skip", *finish_chunk)


def _count(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}" if number else "no image"
