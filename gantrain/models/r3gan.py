"""R3GAN's networks, configuration E: residual blocks of grouped convolutions without normalisation, for images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from gantrain.core.judgement import Judgement
from gantrain.core.spec import Spec
from gantrain.models.base import Discriminator, Fit, Generator, Model
from gantrain.models.layers import (
    AUXILIARY,
    ConditionEmbedding,
    DCondition,
    Head,
    LeakyReLU,
    sides,
    why_not_halved,
)
from gantrain.models.resampling import Downsample, Upsample, padded_to_even, stage_widths
from gantrain.models.scaled import Convolution, linear
from gantrain.registry import option, register

SLOPE = 0.2  # of leaky ReLU
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # of weights before it that keep the variance (He et al. 2015, eq. 15)
BRANCH = 0.3  # weight of a branch in a sum that preserves magnitudes (Karras et al. 2024, eq. 88)


def pointwise(model: R3GAN, inputs: int, outputs: int) -> Convolution:
    """Return a 1x1 convolution outside of the residual blocks."""
    return Convolution(inputs, outputs, 1, 1.0, 1, False, model.magnitude_preserving)


class Block(nn.Module):
    """Adds the result of 1x1, grouped 3x3 and 1x1 convolutions with leaky ReLU between: [N, C, H, W] to the same.

    The last one starts at 0 and the others scaled by the number of blocks, as in Fixup (Zhang et al. 2019).
    """

    def __init__(self, model: R3GAN, channels: int, blocks: int):
        super().__init__()
        self.is_unit, wide = model.magnitude_preserving, model.expansion * channels
        gain, groups = GAIN * blocks**-0.25, groups_of(model, wide)
        self.expand = Convolution(channels, wide, 1, gain, 1, True, self.is_unit)
        self.mix = Convolution(wide, wide, 3, gain, groups, True, self.is_unit)
        self.reduce = Convolution(wide, channels, 1, 0.0, 1, False, self.is_unit)
        self.bend = LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        if not self.is_unit:
            return x + self.reduce(self.bend(self.mix(self.bend(self.expand(x)))))
        h = self.reduce(GAIN * self.bend(self.mix(GAIN * self.bend(self.expand(x)))))
        return torch.lerp(x, h, BRANCH) / math.hypot(1 - BRANCH, BRANCH)


def groups_of(model: R3GAN, wide: int) -> int:
    """Return the groups of ``wide`` channels; one where they are no more than a group."""
    return max(1, wide // model.group_width) if model.group_width else 1


def stage(model: R3GAN, channels: int, stages: int) -> nn.Sequential:
    """Return the residual blocks of one resolution, of a network with that many."""
    return nn.Sequential(*(Block(model, channels, model.blocks * stages) for _ in range(model.blocks)))


def resize(model: R3GAN, inputs: int, outputs: int, is_doubling: bool) -> nn.Sequential:
    """Return a layer that resamples, with a 1x1 convolution on the smaller side where the width changes."""
    convolution = [pointwise(model, inputs, outputs)] if inputs != outputs else []
    up = [*convolution, Upsample(outputs)]
    return nn.Sequential(*(up if is_doubling else [Downsample(inputs), *convolution]))


def stage_sides(model: R3GAN, spec: Spec) -> list[tuple[int, int]]:
    """Return the resolutions of the stages, smallest first: the largest is that of the data, or half of it."""
    height, width = (-(-side // model.stride) for side in spec.shape[1:])
    return sides(height, width)


class R3GANGenerator(Generator):
    """``G(latents, y) -> x``: y [N, ...] or None, x [N, C, H, W], about in [-1, 1]: there is no tanh."""

    def __init__(self, model: R3GAN, spec: Spec):
        super().__init__(model, [])
        self.sides, self.size = stage_sides(model, spec), spec.shape[1:]
        wide = stage_widths(model.width, self.sides, model.full_side)
        self.condition = ConditionEmbedding(spec, model.condition, ())
        e_width = self.condition.width
        self.embed = linear(e_width, self.z_dim) if e_width else None
        self.linear = linear(self.z_dim * (2 if e_width else 1), wide[0])
        self.basis = nn.Parameter(torch.randn(wide[0], *self.sides[0]))
        self.stages = nn.ModuleList(stage(model, channels, len(wide)) for channels in wide)
        self.up = nn.ModuleList(resize(model, i, o, is_doubling=True) for i, o in pairwise(wide))
        self.out: nn.Module = pointwise(model, wide[-1], spec.shape[0])
        if model.stride == 2:
            self.out = nn.ConvTranspose2d(wide[-1], spec.shape[0], 4, stride=2, padding=1)
        self.gain = nn.Parameter(torch.ones(())) if model.magnitude_preserving else None

    def forward(self, latents: Tensor, y: Tensor | None = None) -> Tensor:
        h, e = self.condition.join(latents, y)
        if self.embed is not None:
            h = torch.cat([h, self.embed(e)], 1)
        x = self.linear(h)[:, :, None, None] * self.basis  # [N, C, 1, 1] times [C, h, w]
        for i, (height, width) in enumerate(self.sides):
            if i:
                x = self.up[i - 1](x)[:, :, :height, :width]  # an odd side is one less than twice its half
            x = self.stages[i](x)
        x = self.out(x)[:, :, : self.size[0], : self.size[1]]
        return x if self.gain is None else self.gain * x


class R3GANDiscriminator(Discriminator):
    """``D(x, y) -> logits``: x [N, C, H, W], y [N, ...] or None, logits [N]."""

    def __init__(self, model: R3GAN, spec: Spec):
        super().__init__()
        self.condition = DCondition(spec, model.condition)
        stages = stage_sides(model, spec)[::-1]
        wide = stage_widths(model.d_width or model.width, stages, model.full_side)
        # A network of units of norm 1 has no biases, but an input that is 1 everywhere.
        self.has_ones = model.magnitude_preserving
        inputs = spec.shape[0] + self.condition.joined_width + self.has_ones
        self.stride = model.stride
        self.stem: nn.Module = pointwise(model, inputs, wide[0])
        if model.stride == 2:
            self.stem = nn.Conv2d(inputs, wide[0], 4, stride=2, padding=1)
        self.stages = nn.ModuleList(stage(model, channels, len(wide)) for channels in wide)
        self.down = nn.ModuleList(resize(model, i, o, is_doubling=False) for i, o in pairwise(wide))
        h, w = stages[-1]
        self.basis = nn.Parameter(torch.randn(wide[-1], h, w) / math.sqrt(h * w))
        self.head = R3GANHead(
            wide[-1], self.condition.separate_width, model.minibatch_std, self.condition.classes
        )

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.judge(x, y).logit

    def judge(self, x: Tensor, y: Tensor | None = None) -> Judgement:
        x, e = self.condition.join(x, y)
        if self.has_ones:
            x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        x = self.stem(x if self.stride == 1 else padded_to_even(x))
        for i, blocks in enumerate(self.stages):
            x = blocks(self.down[i - 1](x) if i else x)
        # One product for each channel, [N, C, h, w] to [N, C]: a convolution of as many groups on all pixels.
        features = (x * self.basis).sum((2, 3))
        return self.head.judge(features, e)


class R3GANHead(Head):
    """Maps D's features phi [N, d] to logits [N]: w phi, or (V e) (A phi) with the embedded condition e [N, width]."""

    def __init__(self, features: int, width: int, minibatch_std: bool, classes: int = 0):
        super().__init__(features, width, minibatch_std, classes)
        self.linear = linear(features + minibatch_std, features if width else 1)
        self.project = linear(width, features, 1 / math.sqrt(features)) if width else None

    def logits(self, phi: Tensor, e: Tensor) -> Tensor:
        h: Tensor = self.linear(self.joined_std(phi))
        return h.squeeze(1) if self.project is None else (self.project(e) * h).sum(1)


@register("model")
@dataclass
class R3GAN(Model):
    """Modernised residual networks, configuration E of Huang et al. 2024 (arXiv 2501.05441), fig. 1 and app. A."""

    d_says: ClassVar[frozenset[str]] = frozenset({"features", "classes"})
    fits: ClassVar[dict[str, Fit]] = {
        "source": Fit(("z",), "has no layer for dropout"),
        "condition": Fit(("none", "concat", "projection", AUXILIARY), "has no batch norm"),
        "spectral_norm": Fit(
            (False,), "starts its residual branches at 0, which has no spectral norm to divide by"
        ),
        "g_spectral_norm": Fit(
            (False,), "starts its residual branches at 0, which has no spectral norm to divide by"
        ),
    }

    name: str = option("r3gan", "registered name")
    width: int = option(64, "channels of G at the full width", minimum=1, maximum=4096)
    d_width: int | None = option(
        None, "channels of D at the full width; null is model.width", minimum=1, maximum=4096
    )
    full_side: int = option(
        32, "shorter side in pixels up to which a stage has the full width; half for each doubling", minimum=1
    )
    stride: int = option(
        1,
        "of D's first and G's last convolution: 1x1 ones as published, or with 2 4x4 ones, for a quarter of the work",
        minimum=1,
        maximum=2,
    )
    blocks: int = option(2, "residual blocks of each stage", minimum=1, maximum=64)
    expansion: int = option(2, "width inside a block, as a multiple of that outside", minimum=1, maximum=16)
    group_width: int | None = option(
        16, "channels of a group of the 3x3 convolutions; null for one group of all", minimum=1
    )
    magnitude_preserving: bool = option(
        False, "keep the norm of each unit's weights at 1, and the magnitude in sums (Karras et al. 2024)"
    )

    def why_unsupported(self, spec: Spec) -> str | None:
        return why_not_halved(self.name, spec) or super().why_unsupported(spec)

    def misfits(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        yield from super().misfits(spec)
        if self.magnitude_preserving and self.stride == 2:
            yield "stride", "is 2, whose layers do not preserve magnitudes", "set model.stride=1"
        if self.group_width is None or why_not_halved(self.name, spec) is not None:
            return
        for key, width in (("width", self.width), ("d_width", self.d_width or self.width)):
            for channels in stage_widths(width, stage_sides(self, spec), self.full_side):
                wide = self.expansion * channels
                if wide > self.group_width and wide % self.group_width:
                    what = f"makes stages of {wide} inner channels, which groups of {self.group_width} do not divide"
                    yield (
                        key,
                        what,
                        "set model.group_width=null, or a width that is a multiple of it in every stage",
                    )
                    return

    def learning_rate(self, spec: Spec) -> float:
        return 2e-4 if self.width >= 256 else 5e-4  # the first published, the second for presets of CPUs

    def generator(self, spec: Spec) -> Generator:
        return R3GANGenerator(self, spec)

    def discriminator(self, spec: Spec) -> Discriminator:
        return R3GANDiscriminator(self, spec)
