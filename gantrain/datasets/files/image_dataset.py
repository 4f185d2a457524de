"""Datasets of image files: decoded once to pixels of one shape, kept in memory or mapped from a cache file."""

import sys
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.core.stored_rows import StoredRows
from gantrain.core.streams import warn
from gantrain.core.system import physical_memory
from gantrain.datasets.base import Data, FileDataset, Split, split
from gantrain.datasets.files import image_depth, image_file, image_pixels
from gantrain.datasets.files.image_cache import decoded_pixels, is_worth_storing, stored_pixels
from gantrain.datasets.files.image_decoding import COMPOSITED
from gantrain.datasets.files.image_file import Target
from gantrain.datasets.files.image_source import ImageSource
from gantrain.datasets.files.image_summary import describe_omissions, summarise
from gantrain.errors import ConfigError, DataError, OutputError
from gantrain.registry import option

MIN_IMAGES = 4  # two for training and two held out
MEMORY_SHARE = 0.5  # of the machine's memory that pixels may take
BITS = (*map(str, image_depth.DEPTHS), "auto")


class Content(NamedTuple):
    """What a dataset of images consists of, before a file is decoded.

    Attributes:
        source: The image files.
        spec: Shape and conditioning.
        classes: The names of the classes, if there are any.
        y: The class of each file, int64 [N], or its attributes, float32 [N, K]; None without either.
    """

    source: ImageSource
    spec: Spec
    classes: Sequence[str] = ()
    y: Tensor | None = None


@dataclass
class ImageDataset(FileDataset):
    """Image files of any sizes as pixels of one shape; a subclass says where they are and what conditions them.

    ``gantrain.datasets.files.image_file`` documents how a file becomes pixels.
    """

    resolution: int = option(32, "height in pixels, and width unless that is set", minimum=8, maximum=4096)
    width: int | None = option(None, "width in pixels; null for the height", minimum=8, maximum=4096)
    channels: int = option(3, "1 grey, 3 colour, 4 colour and alpha", minimum=1, maximum=4)
    holdout: float = option(
        0.1, "fraction held out of training, for the metrics; 0 leaves one out at a time", minimum=0, below=1
    )
    fit: str = option("cover", "cover crops to the shape, contain pads to it", choices=("cover", "contain"))
    background: int = option(
        0, "grey under transparent pixels and in the margins of fit=contain, 0 black", minimum=0, maximum=255
    )
    depth: str = option("16", "bits that the data of 16-bit files use; auto finds them", choices=BITS)
    bad_files: str = option("error", "what to do with a file that cannot be read", choices=("error", "skip"))
    max_pixels: int = option(64_000_000, "most pixels in a file", minimum=64, maximum=image_file.MAX_PIXELS)
    memory_limit: float = option(
        4.0,
        "GiB of pixels above which they stay on disk; never more than half of the memory",
        minimum=0,
        maximum=1e6,
    )

    def __post_init__(self) -> None:
        if self.channels not in (1, 3, 4):
            what = f"{self.channels} is not a kind of image"
            raise ConfigError("dataset.channels", what, "choose from 1, 3, 4")

    @property
    @abstractmethod
    def content(self) -> Content:
        """The files and what is known of them, found once. Raises DataError or ConfigError."""

    def spec(self) -> Spec:
        return self.content.spec

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of each image, (C, H, W)."""
        return self.channels, self.resolution, self.width or self.resolution

    def load(self, seed: int) -> Data:
        source, spec, classes, y = self.content
        files, target = source.listing.files, self._target()
        x, status, stored = self._pixels(target)
        rows = status.nonzero().flatten()
        if len(rows) < len(files):
            first = source.path(files[int(status.argmin())].name)
            what = f"{len(files) - len(rows)} of {len(files)} images cannot be read and are left out, first {first}"
            self._warn(what, "see why with dataset.bad_files=error")
        if len(rows) < MIN_IMAGES:
            what = f"holds {count_images(len(rows))} that can be read"
            raise DataError(source.root, what, f"add some: it takes {MIN_IMAGES}")
        if flatness := image_pixels.describe_flatness(Split(x, rows=rows, file=stored)):
            self._warn(flatness, self._flatness_remedy(target))
        # Conditions of the images that could be read
        y = None if y is None else y[rows]
        if classes and y is not None:
            counts = y.bincount(minlength=len(classes))
            # A class without a readable image could be requested, but never learned.
            if not counts.all():
                where = source.path(classes[int(counts.argmin())])
                raise DataError(where, "is a class without an image that can be read", "fill or remove it")
        # Rows are split, not pixels: these are never copied.
        for_training, held_out = split(rows, y, self.holdout, seed)
        train = Split(x, for_training.y, for_training.x, stored)
        holdout = train if held_out is for_training else Split(x, held_out.y, held_out.x, stored)
        return Data(spec, train, holdout, summary=self._summary(status, y))

    def _pixels(self, target: Target) -> tuple[Tensor, Tensor, StoredRows | None]:
        """Return all pixels, uint8 [N, C, H, W], what each file is, [N], and the rows of a file if they stay there."""
        source, skip_bad = self.content.source, self.bad_files == "skip"
        size = len(source.listing.files) * self.spec().numel
        is_large = size > min(self.memory_limit * 2**30, MEMORY_SHARE * physical_memory())
        if is_large or is_worth_storing(source):
            try:
                x, status, path = stored_pixels(source, target, skip_bad)
                return x, status, StoredRows(path, tuple(x.shape)) if is_large else None
            except OutputError as error:
                if is_large:
                    raise
                warn(f"{error}: images are decoded into memory, at each start")
        return *decoded_pixels(source, target, skip_bad), None

    def check_count(self, source: ImageSource, remedy: str) -> None:
        """Raise DataError for too few image files."""
        files = source.listing.files
        if len(files) < MIN_IMAGES:
            suffixes, others = " ".join(image_file.SUFFIXES), describe_omissions(source.listing, len(files))
            what = f"holds {count_images(len(files))} (files ending in {suffixes}){others.replace(';', ',')}"
            raise DataError(source.root, what, remedy)

    def _summary(self, status: Tensor, y: Tensor | None) -> str:
        listing, classes = self.content.source.listing, self.content.classes
        line = summarise(listing, classes, y, int(status.count_nonzero()))
        composited = int((status == COMPOSITED).sum())
        ground = {0: "black", 255: "white"}.get(self.background, f"grey {self.background}")
        return line + (
            f"; transparency of {composited:,} on {ground} (dataset.background)" if composited else ""
        )

    def _target(self) -> Target:
        """Return what each image becomes, the depth as the key says or as a sample of the files shows."""
        if self.depth == "auto":
            level = self._largest_level()
            depth = 16 if level is None else image_depth.fitting_depth(level)
            why = "no file has 16" if level is None else f"the largest level of its 16-bit files is {level}"
            self._warn(f"dataset.depth=auto takes {depth} bits", f"in a sample {why}")
        else:
            depth = int(self.depth)
        channels, *size = self.shape
        return Target(channels, (size[0], size[1]), self.background, self.fit, depth, self.max_pixels)

    def _flatness_remedy(self, target: Target) -> str:
        level = self._largest_level() if self.depth == "16" else None
        if level is not None and (depth := image_depth.fitting_depth(level)) < target.depth:
            return f"set dataset.depth={depth}: the largest level in a sample of its 16-bit files is {level}"
        transparent = "" if self.channels == 4 else ", and set dataset.background if they are transparent"
        return f"look at the files{transparent}"

    def _largest_level(self) -> int | None:
        return image_pixels.largest_level(self.content.source, self.max_pixels)

    def _warn(self, what: str, remedy: str) -> None:
        print(f"gantrain: {DataError(self.content.source.root, what, remedy)}", file=sys.stderr)


def count_images(number: int) -> str:
    """Return a number of images in words."""
    return f"{number} image{'' if number == 1 else 's'}" if number else "no image"
