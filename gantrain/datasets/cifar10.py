"""CIFAR-10 as torchvision lays it out: read from the root folder, or downloaded."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from gantrain.datasets.base import Split
from gantrain.datasets.files.torchvision import TorchvisionDataset
from gantrain.registry import option, register

FILES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")


@register("dataset")
@dataclass
class CIFAR10(TorchvisionDataset):
    """60,000 colour 32x32 pictures of ten classes (Krizhevsky 2009); the 10,000 test images are the held-out part.

    The files are pickles, which can run code. torchvision opens them only after it has compared each one's MD5 with
    that of the published file, so a folder from someone else is as safe as the original.
    """

    name: str = option("cifar10", "registered name")
    root: str = option("data", "folder that holds, or will hold, cifar-10-batches-py/")
    archive: ClassVar[str] = "CIFAR10"
    inside: ClassVar[str] = "cifar-10-batches-py"
    file_names: ClassVar[tuple[str, ...]] = FILES
    shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)
    damaged: ClassVar[str] = "holds files whose MD5 differs from that of {archive} as published"

    def split_of(self, images: Any) -> Split:
        # [N, H, W, C] to [N, C, H, W]
        x = torch.from_numpy(np.ascontiguousarray(images.data.transpose(0, 3, 1, 2)))
        return Split(x, torch.tensor(images.targets))
