"""MNIST as torchvision lays it out: found under the root, else downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.files.torchvision import TorchvisionDataset
from gantrain.errors import DataError
from gantrain.registry import option, register

FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


@register("dataset")
@dataclass
class MNIST(TorchvisionDataset):
    """70,000 grey 28x28 digits (LeCun, Cortes and Burges 1998); the 10,000 test images are the held-out part."""

    name: str = option("mnist", "registered name")
    root: str = option("data", "folder that holds, or will hold, MNIST/raw/")
    archive: ClassVar[str] = "MNIST"
    inside: ClassVar[str] = "MNIST/raw"
    files: ClassVar[tuple[str, ...]] = FILES

    def spec(self) -> Spec:
        self.download_missing()
        return Spec(shape=(1, 28, 28), classes=10)

    def load(self, seed: int) -> Data:
        self.download_missing()
        parts = []
        for train in (True, False):
            try:
                images = self.open(train=train)
            # torchvision reports a damaged header as any of these.
            except (OSError, ValueError, TypeError, LookupError, RuntimeError, AssertionError) as error:
                what = f"cannot be read as {self.archive} ({str(error) or 'its header is of another kind'})"
                raise DataError(self.folder, what, "delete the folder to download it again") from error
            parts.append(Split(images.data.unsqueeze(1), images.targets.to(torch.int64)))
        # Images and labels are separate files, which may come from different downloads.
        for part, files in zip(parts, (FILES[:2], FILES[2:]), strict=True):
            wrong = part.y is None or len(part.x) != len(part.y) or part.x.shape[1:] != (1, 28, 28)
            if wrong or not len(part.x) or int(part.y.max()) > 9:  # type: ignore[union-attr]
                raise DataError(
                    self.folder, f"{' and '.join(files)} do not belong together", "replace both files"
                )
        return Data(self.spec(), parts[0], parts[1])
