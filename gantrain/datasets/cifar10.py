"""CIFAR-10 as torchvision lays it out: found under the root, else downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.files.torchvision import Published
from gantrain.errors import DataError
from gantrain.registry import option, register

FILES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")


@register("dataset")
@dataclass
class CIFAR10(Published):
    """60,000 colour 32x32 pictures of ten classes (Krizhevsky 2009); the 10,000 test images are the held-out part.

    The files are pickles, which could run code. They are read only after torchvision found each one's MD5 to be that of
    the published file, so a folder that somebody else filled is as safe as the original.
    """

    name: str = option("cifar10", "registered name")
    root: str = option("data", "folder that holds, or will hold, cifar-10-batches-py/")
    archive: ClassVar[str] = "CIFAR10"
    inside: ClassVar[str] = "cifar-10-batches-py"
    files: ClassVar[tuple[str, ...]] = FILES

    def spec(self) -> Spec:
        """Return 3x32x32 and ten classes. Raises DataError when files are absent and cannot be downloaded."""
        self.fetch()
        return Spec(shape=(3, 32, 32), classes=10)

    def load(self, seed: int) -> Data:
        """Return the published split as uint8; the seed does not change it. Raises DataError for altered files."""
        self.fetch()
        parts = []
        for train in (True, False):
            try:
                images = self.read(train=train)
            except (OSError, RuntimeError) as error:
                what = "holds files that are not those of CIFAR-10 as published (their MD5 differs)"
                raise DataError(self.folder, what, "delete the folder to fetch it again") from error
            x = torch.from_numpy(np.ascontiguousarray(images.data.transpose(0, 3, 1, 2)))
            parts.append(Split(x, torch.tensor(images.targets)))
        return Data(self.spec(), parts[0], parts[1])
