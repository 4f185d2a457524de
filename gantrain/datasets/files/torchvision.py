"""Data sets as torchvision lays them out: found under a root, else downloaded."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gantrain.datasets.base import Dataset
from gantrain.errors import DataError
from gantrain.registry import option


@dataclass
class Published(Dataset):
    """A data set that torchvision knows.

    Attributes:
        archive: Name of torchvision's class.
        inside: Where its files lie under the root.
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

    def read(self, **how: Any) -> Any:
        """Return torchvision's data set."""
        from torchvision import datasets  # as heavy as torch itself, so only where it is used

        return getattr(datasets, self.archive)(Path(self.root).expanduser(), **how)

    def fetch(self) -> None:
        """Download what is missing. Raises DataError, naming folder and files, when that is not possible."""
        if not self._missing():
            return
        absent = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            self.read(download=True)
        except (OSError, RuntimeError) as error:
            for folder in absent:  # what the download made and could not fill
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
