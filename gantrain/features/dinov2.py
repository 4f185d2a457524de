"""What a transformer that was trained on photographs without labels sees: DINOv2 ViT-S/14."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, scaled_dot_product_attention

from gantrain.features.base import Extractor
from gantrain.features.tools.pictures import IMAGENET_MEAN, IMAGENET_STD, levels, resize, standardise
from gantrain.features.tools.published import PublishedFeatures
from gantrain.features.tools.weights import fill
from gantrain.registry import option, register

WIDTH, DEPTH, HEADS, PATCH = 384, 12, 6, 14
SIDE, TRAINED = 16, 37  # patches along a side of images here, of 224 pixels, and in its training, of 518
FILE = "dinov2_vits14_pretrain.pth"


class Scale(nn.Module):
    """A factor for each number (Touvron et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """Attention, then two layers on each token, each added to what it read; names as in the published file."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(WIDTH, eps=1e-6) for _ in range(2))
        self.ls1, self.ls2 = Scale(), Scale()
        self.attn = nn.ModuleDict({"qkv": nn.Linear(WIDTH, 3 * WIDTH), "proj": nn.Linear(WIDTH, WIDTH)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(WIDTH, 4 * WIDTH), "fc2": nn.Linear(4 * WIDTH, WIDTH)})

    def forward(self, x: Tensor) -> Tensor:
        # Tokens [N, T, 3 * width] to queries, keys and values, each [N, heads, T, width / heads]
        qkv = self.attn["qkv"](self.norm1(x)).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(*qkv.unbind()).transpose(1, 2).flatten(2)
        x = x + self.ls1(self.attn["proj"](mixed))
        return x + self.ls2(self.mlp["fc2"](gelu(self.mlp["fc1"](self.norm2(x)))))


class VisionTransformer(Extractor):
    """DINOv2 (Oquab et al. 2023) up to the class token after its last norm."""

    dimension = WIDTH
    protocol: Mapping[str, object] = {
        "preprocessing": "8 bits, bicubic with antialiasing to 224 x 224, mean and standard deviation of ImageNet"
    }
    bytes_per_sample = 4 * SIDE**2 * WIDTH * 12  # of a block, all that it reads and writes

    def __init__(self) -> None:
        super().__init__()
        self.cls_token, self.mask_token = (
            nn.Parameter(torch.zeros(1, 1, WIDTH)),
            nn.Parameter(torch.zeros(1, WIDTH)),
        )
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + TRAINED**2, WIDTH))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, WIDTH, PATCH, stride=PATCH)})
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = standardise(resize(levels(x), SIDE * PATCH), IMAGENET_MEAN, IMAGENET_STD)
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)  # tokens [N, patches, width]
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.positions()
        return self.norm(self.blocks(x)[:, 0])

    def positions(self) -> Tensor:
        """Return the embedded positions [1, 1 + patches, width] of images of 224 pixels.

        They are interpolated as in the published code, by a scale a tenth of a patch too large.
        """
        grid = self.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (TRAINED, TRAINED))
        scale = (SIDE + 0.1) / TRAINED
        resized = interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], resized.flatten(2).transpose(1, 2)], 1)


@register("features")
@dataclass
class Dinov2(PublishedFeatures):
    """The 384 numbers of DINOv2 ViT-S/14's class token, which agree with people's ranking better than Inception's.

    (Stein et al. 2023, who use the largest of the four networks: their values are not comparable.)
    """

    name: str = option("dinov2", "registered name")
    weights: str = option(FILE, "file of the weights, or its name in torch's folder of downloads")
    width: ClassVar[int] = VisionTransformer.dimension
    sha256: ClassVar[str] = "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"
    source: ClassVar[str] = (
        f"download https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/{FILE} into that folder"
    )

    def network(self, tensors: Mapping[str, Tensor]) -> Extractor:
        network = VisionTransformer()
        fill(network, tensors, self.weights)
        return network
