"""Residual G and D of SNGAN, with self-attention as an option, for images with sides of at least 8 pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, relu, softmax

from gantrain.core.judgement import Judgement
from gantrain.core.spec import Spec
from gantrain.models.base import Discriminator, Fit, Generator, Model
from gantrain.models.layers import (
    G_INPUTS,
    ConditionEmbedding,
    DCondition,
    Head,
    sides,
    why_not_halved,
)
from gantrain.models.norms import g_norm
from gantrain.models.resampling import DownsampleConv, UpsampleConv, stage_widths
from gantrain.registry import option, register

D_SIDE = 8  # pixels of the shorter side at which D stops to halve it


class SelfAttention(nn.Module):
    """Adds to each pixel a mean over all pixels, with a weight that starts at 0 (Zhang et al. 2019, eqs. 1 to 3).

    As in their code keys and values are pooled by 2, queries and keys have an eighth and values half of the channels:
    [N, C, H, W] to the same shape.
    """

    def __init__(self, channels: int):
        super().__init__()
        narrow, half = max(channels // 8, 1), max(channels // 2, 1)
        self.query, self.key = (nn.Conv2d(channels, narrow, 1, bias=False) for _ in range(2))
        self.value = nn.Conv2d(channels, half, 1, bias=False)
        self.out = nn.Conv2d(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        q = self.query(x).flatten(2)  # [N, C / 8, H W]
        k, v = (max_pool2d(layer(x), 2).flatten(2) for layer in (self.key, self.value))
        # Of each query over the keys, [N, H W, H W / 4]
        weights = softmax(torch.bmm(q.transpose(1, 2), k), 2)
        mean = torch.bmm(v, weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.out(mean)


class UpBlock(nn.Module):
    """Doubles the sides: norm, ReLU, upsampling, convolution, norm, ReLU, convolution, beside an upsampled 1x1 one."""

    def __init__(self, inputs: int, outputs: int, norms: list[nn.Module]):
        super().__init__()
        self.norms = nn.ModuleList(norms)
        self.up, self.conv = UpsampleConv(inputs, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        h = self.up(relu(self.norms[0](x, e)))
        h = self.conv(relu(self.norms[1](h, e)))
        # A 1x1 convolution of equal pixels is made once.
        return h + interpolate(self.skip(x), scale_factor=2.0)


class DownBlock(nn.Module):
    """ReLU, convolution, ReLU, convolution; averages of 2x2 pixels where it halves the sides, rounded up.

    The first block of D has no ReLU before, and pools its input beside; all with a 1x1 convolution beside where the
    shape changes (Miyato et al. 2018, fig. 8 and their code).
    """

    def __init__(self, inputs: int, outputs: int, is_halving: bool, is_first: bool = False):
        super().__init__()
        self.is_halving, self.is_first = is_halving, is_first
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.out: nn.Module = (
            DownsampleConv(outputs, outputs) if is_halving else nn.Conv2d(outputs, outputs, 3, padding=1)
        )
        self.skip = nn.Conv2d(inputs, outputs, 1) if is_halving or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.out(relu(self.conv(x if self.is_first else relu(x))))
        # Averages before a 1x1 convolution are those after it.
        return h + self.skip(avg_pool2d(x, 2, ceil_mode=True) if self.is_halving else x)


class ResNetGenerator(Generator):
    """``G(latents, y) -> x``: y [N, ...] or None, x [N, C, H, W] in [-1, 1]."""

    def __init__(self, model: ResNet, spec: Spec):
        super().__init__(model, [])
        self.sides = sides(*spec.shape[1:])
        wide = stage_widths(model.width, self.sides)
        self.condition = ConditionEmbedding(spec, model.condition, G_INPUTS)
        kind, e_width = model.g_norm_kind(model.g_norm), self.condition.separate_width

        def norm(channels: int) -> nn.Module:
            return g_norm(kind, channels, e_width)

        self.first = wide[0]
        self.stem = nn.Linear(self.z_dim + self.condition.joined_width, wide[0] * math.prod(self.sides[0]))
        self.blocks = nn.ModuleList(UpBlock(i, o, [norm(i), norm(o)]) for i, o in pairwise(wide))
        self.attention = attention_layers(model, wide[1:], self.sides[1:])
        self.norm, self.out = norm(wide[-1]), nn.Conv2d(wide[-1], spec.shape[0], 3, padding=1)
        initialise(self)

    def forward(self, latents: Tensor, y: Tensor | None = None) -> Tensor:
        h, e = self.condition.join(latents, y)
        # [N, z_dim] to [N, C, h, w] of the smallest stage
        x = self.stem(h).reshape(-1, self.first, *self.sides[0])
        for block, attend, (height, width) in zip(self.blocks, self.attention, self.sides[1:], strict=True):
            x = attend(block(x, e)[:, :, :height, :width])  # an odd side is one less than twice its half
        return torch.tanh(self.out(relu(self.norm(x, e))))


class ResNetDiscriminator(Discriminator):
    """``D(x, y) -> logits``: x [N, C, H, W], y [N, ...] or None, logits [N]; features are summed over all pixels."""

    def __init__(self, model: ResNet, spec: Spec):
        super().__init__()
        self.condition = DCondition(spec, model.condition)
        stages = d_sides(spec)
        wide = stage_widths(model.d_width or model.width, stages)[:-1]
        ends = [*wide, wide[-1], wide[-1]]  # two blocks at the last resolution
        pairs = pairwise([spec.shape[0] + self.condition.joined_width, *ends])
        blocks = [DownBlock(i, o, k < len(wide), k == 0) for k, (i, o) in enumerate(pairs)]
        self.blocks = nn.ModuleList(blocks)
        self.attention = attention_layers(model, wide, stages[1:])
        self.head = Head(wide[-1], self.condition.separate_width, model.minibatch_std, self.condition.classes)
        initialise(self)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.judge(x, y).logit

    def judge(self, x: Tensor, y: Tensor | None = None) -> Judgement:
        x, e = self.condition.join(x, y)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i < len(self.attention):
                x = self.attention[i](x)
        features = relu(x).sum((2, 3))  # [N, C]
        return self.head.judge(features, e)


def d_sides(spec: Spec) -> list[tuple[int, int]]:
    """Return the resolutions that D sees, largest first: halved until the shorter side has 8 pixels, at least once."""
    height, width = spec.shape[1:]
    halvings = max(1, math.ceil(math.log2(min(height, width) / D_SIDE)))
    return [(-(-height // 2**s), -(-width // 2**s)) for s in range(halvings + 1)]


def attention_layers(model: ResNet, channels: list[int], stages: list[tuple[int, int]]) -> nn.ModuleList:
    """Return a layer for each stage: self-attention at that whose shorter side is ``model.attention``."""
    return nn.ModuleList(
        SelfAttention(wide) if min(side) == model.attention else nn.Identity()
        for wide, side in zip(channels, stages, strict=True)
    )


def initialise(network: nn.Module) -> None:
    """Draw Glorot's uniform weights, of 3x3 convolutions with twice the variance for the ReLU before; biases are 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight, gain=math.sqrt(2) if layer.kernel_size == (3, 3) else 1.0)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


@register("model")
@dataclass
class ResNet(Model):
    """The residual networks of Miyato et al. 2018, tab. 4; with attention those of Zhang et al. 2019."""

    d_says: ClassVar[frozenset[str]] = frozenset({"features", "classes"})
    fits: ClassVar[dict[str, Fit]] = {"source": Fit(("z",), "has no layer for dropout")}

    name: str = option("resnet", "registered name")
    width: int = option(
        64, "channels of G, half as many for each doubling above 32 pixels", minimum=1, maximum=4096
    )
    d_width: int | None = option(None, "channels of D; null is model.width", minimum=1, maximum=4096)
    g_norm: str = option(
        "pixel",
        "norm of G without conditional batch norm: of each pixel, of the batch as published, or none",
        choices=("pixel", "batch", "none"),
    )
    attention: int | None = option(
        None, "shorter side in pixels of the stage of G and D with self-attention; null for none", minimum=1
    )

    def why_unsupported(self, spec: Spec) -> str | None:
        return why_not_halved(self.name, spec) or super().why_unsupported(spec)

    def misfits(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        yield from super().misfits(spec)
        if self.attention is not None and why_not_halved(self.name, spec) is None:
            both = {min(side) for side in sides(*spec.shape[1:])[1:]} & {
                min(side) for side in d_sides(spec)[1:]
            }
            if self.attention not in both:
                remedy = (
                    " or ".join(f"model.attention={side}" for side in sorted(both)) or "model.attention=null"
                )
                yield (
                    "attention",
                    f"is {self.attention}, a side that no stage of both networks has",
                    f"set {remedy}",
                )

    def learning_rate(self, spec: Spec) -> float:
        return 2e-4  # published

    def generator(self, spec: Spec) -> Generator:
        return ResNetGenerator(self, spec)

    def discriminator(self, spec: Spec) -> Discriminator:
        return ResNetDiscriminator(self, spec)
