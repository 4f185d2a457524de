"""Convolutional G and D for images of any height, width and channels, with sides of at least 8 pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gantrain.core.judgement import Judgement
from gantrain.core.spec import Spec
from gantrain.models.base import Discriminator, Generator, Model
from gantrain.models.layers import (
    G_INPUTS,
    ConditionEmbedding,
    DCondition,
    Head,
    LeakyReLU,
    sides,
    why_not_halved,
)
from gantrain.models.norms import D_NORMS, d_norm, g_norm
from gantrain.models.plain import PlainLayers
from gantrain.models.resampling import UpsampleConv
from gantrain.registry import option, register

UPSAMPLINGS: dict[str, Callable[..., nn.Module]] = {
    "transposed": partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1),
    "nearest": UpsampleConv,
}


class ConvGenerator(Generator):
    """``G(latents, y) -> x``: y [N, ...] or None, x [N, C, H, W] in [-1, 1]; dropout zeroes whole channels.

    Args:
        model: Its shared keys define the latent.
        spec: Of the data.
        stages: Height and width of each stage, smallest first.
        channels: Of each stage.
        norm: As for ``g_norm``.
        prior: Distribution of z, ``normal`` or ``uniform``.
        up: Makes a layer that doubles the sides from the numbers of its input and output channels, and ``bias``.
        out: Makes the last one, to the pixels, which doubles the sides too unless the last stage is at full resolution.
    """

    def __init__(
        self,
        model: Model,
        spec: Spec,
        stages: Sequence[tuple[int, int]],
        channels: list[int],
        norm: str,
        prior: str,
        up: Callable[..., nn.Module],
        out: Callable[[int, int], nn.Module],
    ):
        super().__init__(model, channels)
        self.sides, self.first, self.shape = stages, channels[0], spec.shape
        self.has_uniform_z = prior == "uniform"
        self.condition = ConditionEmbedding(spec, model.condition, G_INPUTS)
        kind, width = model.g_norm_kind(norm), self.condition.separate_width
        has_bias = kind != "batch"  # which batch norm would subtract
        inputs = self.z_dim + self.condition.joined_width
        self.stem = nn.Linear(inputs, channels[0] * math.prod(stages[0]), bias=has_bias)
        self.up = nn.ModuleList(up(i, o, bias=has_bias) for i, o in pairwise(channels))
        self.norms = nn.ModuleList(g_norm(kind, c, width) for c in channels)
        self.out = out(channels[-1], spec.shape[0])

    def forward(self, latents: Tensor, y: Tensor | None = None) -> Tensor:
        h, masks = self.parts(latents)
        h, e = self.condition.join(h, y)
        # [N, z_dim] to [N, C, h, w] of the smallest stage
        x = self.stem(h).reshape(-1, self.first, *self.sides[0])
        for i, (height, width) in enumerate(self.sides):
            if i:
                x = self.up[i - 1](x)[:, :, :height, :width]  # an odd side is one less than twice its half
            x = relu(self.norms[i](x, e))
            if masks:
                x = x * masks[i][:, :, None, None]  # [N, C] to whole channels
        # [N, width, H, W] to [N, C, H, W] in [-1, 1]
        x = self.out(x)
        return torch.tanh(x if x.shape[2:] == self.shape[1:] else x[:, :, : self.shape[1], : self.shape[2]])


class ConvDiscriminator(Discriminator):
    """``D(x, y) -> logits``: x [N, C, H, W], y [N, ...] or None as constant planes, logits [N].

    Args:
        model: Its shared keys define condition and head.
        spec: Of the data.
        layers: Makes the layers from the number of their input channels.
        features: Numbers of a sample that they return.
    """

    def __init__(self, model: Model, spec: Spec, layers: Callable[[int], list[nn.Module]], features: int):
        super().__init__()
        self.condition = DCondition(spec, model.condition)
        self.body = nn.Sequential(*layers(spec.shape[0] + self.condition.joined_width), nn.Flatten())
        self.head = Head(features, self.condition.separate_width, model.minibatch_std, self.condition.classes)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.judge(x, y).logit

    def judge(self, x: Tensor, y: Tensor | None = None) -> Judgement:
        x, e = self.condition.join(x, y)
        phi = self.body(x)
        return self.head.judge(phi, e)  # features [N, C h w] to logits [N]


@register("model")
@dataclass
class DCGAN(Model, PlainLayers):
    """Strided convolutions after Radford et al. 2016, by default without batch normalisation."""

    d_says: ClassVar[frozenset[str]] = frozenset({"features", "classes"})
    name: str = option("dcgan", "registered name")
    width: int = option(32, "channels at full resolution; 8 times as many at most", minimum=1, maximum=4096)
    d_width: int | None = option(None, "width of D; null is model.width", minimum=1, maximum=4096)
    upsample: str = option(
        "transposed",
        "how G doubles its sides: a 4x4 transposed convolution, or copied pixels and a 3x3 convolution, "
        "which make no checkerboard (Odena et al. 2016)",
        choices=tuple(UPSAMPLINGS),
    )
    g_norm: str = option("pixel", "normalisation of G's layers", choices=("pixel", "batch", "none"))
    d_norm: str = option("none", "normalisation of D's layers but the first", choices=D_NORMS)

    def why_unsupported(self, spec: Spec) -> str | None:
        return why_not_halved(self.name, spec) or super().why_unsupported(spec)

    def misfits(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        yield from super().misfits(spec)
        if self.g_spectral_norm and self.upsample == "transposed":
            what = "is for convolutions, and G of this model has transposed ones"
            yield "g_spectral_norm", what, "set model.upsample=nearest or model.g_spectral_norm=false"

    def faster(self, spec: Spec) -> str:
        # Half the channels took 0.35 to 0.38 of the time at 28, 32 and 64 pixels, and 0.73 of it at 8.
        is_slow = self.width == DCGAN.width and min(spec.shape[1:]) >= 28
        return "model=dcgan_small is about 3 times as fast" if is_slow else ""

    def generator(self, spec: Spec) -> Generator:
        stages = sides(*spec.shape[1:])
        channels = self._channels(self.width, len(stages))[::-1]
        out = partial(nn.Conv2d, kernel_size=3, padding=1)
        up = UPSAMPLINGS[self.upsample]
        return self.initialise(ConvGenerator(self, spec, stages, channels, self.g_norm, self.prior, up, out))

    def discriminator(self, spec: Spec) -> Discriminator:
        stages = sides(*spec.shape[1:])
        channels = self._channels(self.d_width or self.width, len(stages))

        def layers(inputs: int) -> list[nn.Module]:
            body: list[nn.Module] = [nn.Conv2d(inputs, channels[0], 3, padding=1), LeakyReLU(0.2)]
            for (i, o), (h, w) in zip(pairwise(channels), stages[:0:-1], strict=True):
                # An odd side gets one more row of padding, so that its half is rounded up as in G; this one is a copy.
                odd = nn.ZeroPad2d((0, w % 2, 0, h % 2)) if w % 2 or h % 2 else nn.Identity()
                norm = [] if self.d_norm == "none" else [d_norm(self.d_norm, o)]
                conv = nn.Conv2d(i, o, 4, stride=2, padding=1, bias=self.d_norm != "batch")
                body += [odd, conv, *norm, LeakyReLU(0.2)]
            return body

        D = ConvDiscriminator(self, spec, layers, channels[-1] * math.prod(stages[0]))
        return self.initialise(D, self.d_initial_scale)

    @staticmethod
    def _channels(width: int, stages: int) -> list[int]:
        """Return the channels of each stage, from full resolution: they double at each halving, up to 8 times."""
        return [width * min(2**s, 8) for s in range(stages)]
