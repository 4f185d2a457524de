"""Datasets in torchvision's layout: read from a root folder, downloaded into it when missing."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gantrain.datasets.base import Dataset
from gantrain.errors import DataError
from gantrain.registry import option


@dataclass
class TorchvisionDataset(Dataset):
    """A dataset of torchvision.

    Attributes:
        archive: Name of torchvision's class.
        inside: Folder of its files below the root.
        files: Their names.
    """

    root: str = option("data", "folder that holds the data, or will hold it")
    archive: ClassVar[str]
    inside: ClassVar[str]
    files: ClassVar[tuple[str, ...]]

    @property
    def folder(self) -> Path:
        """The folder of the files."""
        return Path(self.root).expanduser() / self.inside

    def open(self, **options: Any) -> Any:
        """Return torchvision's dataset."""
        from torchvision import datasets  # takes as long to import as torch

        return getattr(datasets, self.archive)(Path(self.root).expanduser(), **options)

    def download_missing(self) -> None:
        """Download missing files. Raises DataError, naming folder and files, when that is not possible."""
        if not self._missing():
            return
        absent = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            self.open(download=True)
        except (OSError, RuntimeError) as error:
            for folder in absent:  # empty folders that the failed download made
                with contextlib.suppress(OSError):
                    folder.rmdir()
            why = " ".join(str(error).split())
            raise DataError(
                self.folder,
                f"lacks {', '.join(self._missing()) or 'files'} and they cannot be downloaded ({why})",
                f"put the files there, or set dataset.root to the folder that holds {self.inside}",
            ) from error

    def _missing(self) -> list[str]:
        return [name for name in self.files if not (self.folder / name).is_file()]
