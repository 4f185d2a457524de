"""Fashion-MNIST as torchvision lays it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gantrain.datasets.mnist import MNIST
from gantrain.registry import option, register


@register("dataset")
@dataclass
class FashionMNIST(MNIST):
    """70,000 grey 28x28 pictures of clothes (Xiao, Rasul and Vollgraf 2017); the 10,000 test images are held out."""

    name: str = option("fashion_mnist", "registered name")
    root: str = option("data", "folder that holds, or will hold, FashionMNIST/raw/")
    archive: ClassVar[str] = "FashionMNIST"
    inside: ClassVar[str] = "FashionMNIST/raw"
