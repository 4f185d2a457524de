"""Image datasets in torchvision's layout: read from a root folder, downloaded into it when missing."""

import contextlib
import os
from abc import abstractmethod
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from gantrain.core.data_files import DataFiles, named_files
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, FileDataset, Split
from gantrain.errors import DataError
from gantrain.registry import option

# What torchvision raises for a file that is damaged or of another kind.
UNREADABLE = (OSError, ValueError, TypeError, LookupError, RuntimeError, AssertionError)

SOURCES = {"dataset.root", "dataset.repository"}  # keys that name what may be downloaded
_may_download = ContextVar("may_download", default=True)


@contextlib.contextmanager
def downloads(are_allowed: bool) -> Iterator[None]:
    """Set whether missing files are downloaded in the block: not into a folder that a stranger's run or sweep names."""
    token = _may_download.set(are_allowed)
    try:
        yield
    finally:
        _may_download.reset(token)


def may_download() -> bool:
    """Return whether missing files may be downloaded."""
    return _may_download.get()


@dataclass
class TorchvisionDataset(FileDataset):
    """A dataset of torchvision with ten classes, whose test images are the held-out part.

    Attributes:
        archive: Name of torchvision's class.
        inside: Folder of its files below the root.
        file_names: Their names.
        shape: Of an image, (C, H, W).
        damaged: The message for files that torchvision cannot read, with fields ``archive`` and ``error``.
    """

    root: str = option("data", "folder that holds the data, or will hold it")
    archive: ClassVar[str]
    inside: ClassVar[str]
    file_names: ClassVar[tuple[str, ...]]
    shape: ClassVar[tuple[int, int, int]]
    damaged: ClassVar[str] = "cannot be read as {archive} ({error})"

    @property
    def folder(self) -> Path:
        """The folder of the files."""
        return Path(os.path.expanduser(self.root)) / self.inside

    @cached_property
    def files(self) -> DataFiles:
        self.download_missing()
        return named_files((name, self.folder / name) for name in self.file_names)

    @abstractmethod
    def split_of(self, images: Any) -> Split:
        """Return the images [N, C, H, W] and labels [N] of torchvision's dataset."""

    def spec(self) -> Spec:
        self.download_missing()
        return Spec(self.shape, classes=10)

    def load(self, seed: int) -> Data:
        self.download_missing()
        try:
            train, test = (self.split_of(self.open(train=train)) for train in (True, False))
        except UNREADABLE as error:
            why = str(error) or "its header is of another kind"
            what = self.damaged.format(archive=self.archive, error=why)
            raise DataError(self.folder, what, "delete the folder to download it again") from error
        return Data(self.spec(), train, test)

    def open(self, **options: Any) -> Any:
        """Return torchvision's dataset."""
        from torchvision import datasets  # takes as long to import as torch

        return getattr(datasets, self.archive)(Path(os.path.expanduser(self.root)), **options)

    def download_missing(self) -> None:
        """Download missing files. Raises DataError, naming folder and files, when that is not possible."""
        if not (missing := ", ".join(self._missing_files())):
            return
        if not may_download():
            remedy = "set dataset.root to the folder that holds them, or to one to download them into"
            raise DataError(self.folder, f"lacks {missing}", remedy)
        new = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            self.open(download=True)
        except (OSError, RuntimeError) as error:
            for folder in new:  # a failed download leaves them empty
                with contextlib.suppress(OSError):
                    folder.rmdir()
            missing, why = ", ".join(self._missing_files()) or missing, " ".join(str(error).split())
            what = f"lacks {missing} and they cannot be downloaded ({why})"
            remedy = f"put the files there, or set dataset.root to the folder that holds {self.inside}"
            raise DataError(self.folder, what, remedy) from error

    def _missing_files(self) -> list[str]:
        return [name for name in self.file_names if not (self.folder / name).is_file()]
