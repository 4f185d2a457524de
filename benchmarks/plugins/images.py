"""Images of any shape: MNIST's, where its folder is given, otherwise generated ones."""

import os
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Dataset, split
from gantrain.registry import option, register


def smooth_patterns(n: int, channels: int, side: int) -> Tensor:
    """Return uint8 images [n, channels, side, side] of smooth random patterns, the same ones each time."""
    coarse = torch.randn(n, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    pieces = []
    for piece in coarse.split(1000):  # as numbers they take four times the memory
        x = interpolate(piece, (side, side), mode="bilinear", align_corners=True)
        pieces.append(x.tanh_().mul_(127.5).add_(127.5).to(torch.uint8))
    return torch.cat(pieces)


def mnist(root: str, n: int, channels: int, side: int) -> Tensor:
    """Return the first ``n`` training images of MNIST, enlarged and repeated in each channel: uint8 as above."""
    from torchvision.datasets import MNIST

    x = MNIST(os.path.expanduser(root)).data[:n, None].float()
    x = interpolate(x, (side, side), mode="bilinear", align_corners=False) if side != x.shape[-1] else x
    return x.round().to(torch.uint8).repeat(1, channels, 1, 1)


@register("dataset")
@dataclass
class Images(Dataset):
    """Uint8 images in memory, a tenth of them held out."""

    name: str = option("benchmark_images", "registered name")
    root: str | None = option(None, "folder that holds MNIST/raw; null for generated images")
    n: int = option(20_000, "images", minimum=20)
    channels: int = option(1, "channels", minimum=1)
    side: int = option(28, "pixels", minimum=8)

    def spec(self) -> Spec:
        return Spec((self.channels, self.side, self.side))

    def pixels(self) -> Tensor:
        """Return all images, uint8 [n, channels, side, side]."""
        size = self.n, self.channels, self.side
        return mnist(self.root, *size) if self.root else smooth_patterns(*size)

    def load(self, seed: int) -> Data:
        return Data(self.spec(), *split(self.pixels(), None, 0.1, seed))
