"""MNIST and Fashion-MNIST as torchvision lays them out: read from the root folder, or downloaded."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

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
    file_names: ClassVar[tuple[str, ...]] = FILES
    shape: ClassVar[tuple[int, int, int]] = (1, 28, 28)

    def split_of(self, images: Any) -> Split:
        # [N, 28, 28] to [N, 1, 28, 28]
        return Split(images.data.unsqueeze(1), images.targets.to(torch.int64))

    def load(self, seed: int) -> Data:
        data = super().load(seed)
        # Images and labels are separate files, which may come from different downloads.
        for part, files in zip((data.train, data.holdout), (FILES[:2], FILES[2:]), strict=True):
            assert part.y is not None
            is_pair = len(part.x) == len(part.y) > 0 and part.x.shape[1:] == self.shape and part.y.max() <= 9
            if not is_pair:
                what = f"{' and '.join(files)} do not belong together"
                raise DataError(self.folder, what, "replace both files")
        return data


@register("dataset")
@dataclass
class FashionMNIST(MNIST):
    """70,000 grey 28x28 pictures of clothes (Xiao, Rasul and Vollgraf 2017); the 10,000 test images are held out."""

    name: str = option("fashion_mnist", "registered name")
    root: str = option("data", "folder that holds, or will hold, FashionMNIST/raw/")
    archive: ClassVar[str] = "FashionMNIST"
    inside: ClassVar[str] = "FashionMNIST/raw"
