"""CIFAR-10 as torchvision lays it out: found under the root, else downloaded."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gantrain.datasets.base import Data, Dataset, Spec, Split
from gantrain.errors import DataError
from gantrain.registry import option, register

FILES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")


@register("dataset")
@dataclass
class CIFAR10(Dataset):
    """60,000 colour 32x32 pictures of ten classes (Krizhevsky 2009); the 10,000 test images are the held-out part.

    The files are pickles, which could run code. They are read only after torchvision found each one's MD5 to be that of
    the published file, so a folder that somebody else filled is as safe as the original.
    """

    name: str = option("cifar10", "registered name")
    root: str = option("data", "folder that holds, or will hold, cifar-10-batches-py/")

    def spec(self) -> Spec:
        """Return 3x32x32 and ten classes. Raises DataError when files are absent and cannot be downloaded."""
        self._fetch()
        return Spec(shape=(3, 32, 32), classes=10)

    def load(self, seed: int) -> Data:
        """Return the published split as uint8; the seed does not change it. Raises DataError for altered files."""
        self._fetch()
        parts = []
        for train in (True, False):
            try:
                images = self._files(train=train)
            except (OSError, RuntimeError) as error:
                what = "holds files that are not those of CIFAR-10 as published (their MD5 differs)"
                raise DataError(self._folder, what, "delete the folder to fetch it again") from error
            x = torch.from_numpy(np.ascontiguousarray(images.data.transpose(0, 3, 1, 2)))
            parts.append(Split(x, torch.tensor(images.targets)))
        return Data(self.spec(), parts[0], parts[1])

    @property
    def _folder(self) -> Path:
        return Path(self.root).expanduser() / "cifar-10-batches-py"

    def _files(self, **how: Any) -> Any:
        from torchvision import datasets  # as heavy as torch itself, so only where it is used

        return datasets.CIFAR10(Path(self.root).expanduser(), **how)

    def _missing(self) -> list[str]:
        return [name for name in FILES if not (self._folder / name).is_file()]

    def _fetch(self) -> None:
        if not self._missing():
            return
        absent = [folder for folder in (self._folder, *self._folder.parents) if not folder.exists()]
        try:
            self._files(download=True)
        except (OSError, RuntimeError) as error:
            for folder in absent:  # what the download made and could not fill
                with contextlib.suppress(OSError):
                    folder.rmdir()
            why = " ".join(str(error).split())
            raise DataError(
                self._folder,
                f"lacks {', '.join(self._missing()) or 'files'} and they cannot be downloaded ({why})",
                "put the seven files there, or set dataset.root to the folder that holds cifar-10-batches-py",
            ) from error
