"""Convolutional G and D for images of any height, width and channels, with sides of at least 8 pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gantrain.core.spec import Spec
from gantrain.models.base import Generator, Model, Player
from gantrain.models.layers import (
    ConditionalBatchNorm,
    ConditionEmbedding,
    Head,
    LeakyReLU,
    PixelNorm,
    sides,
    why_not_halved,
)
from gantrain.models.resampling import UpsampleConv
from gantrain.registry import option, register

UPSAMPLINGS: dict[str, Callable[[int, int], nn.Module]] = {
    "transposed": partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1),
    "nearest": UpsampleConv,
}


class DCGANGenerator(Generator):
    """``G(latents, y) -> x``: y [N, ...] or None, x [N, C, H, W] in [-1, 1]; dropout zeroes whole channels."""

    def __init__(self, model: DCGAN, spec: Spec):
        stages = sides(*spec.shape[1:])
        # Channels double at each halving of the side, up to 8 times the width.
        wide = [model.width * min(2**s, 8) for s in range(len(stages) - 1, -1, -1)]
        super().__init__(model, wide)
        self.sides, self.first = stages, wide[0]
        self.condition = ConditionEmbedding(spec, model.condition, ("concat", "projection"))
        self.stem = nn.Linear(self.z_dim + self.condition.joined_width, wide[0] * math.prod(stages[0]))
        self.up = nn.ModuleList(UPSAMPLINGS[model.upsample](i, o) for i, o in pairwise(wide))
        e_width, norms = self.condition.separate_width, wide if self.has_batch_stats else []
        self.norms = nn.ModuleList(ConditionalBatchNorm(channels, e_width) for channels in norms)
        self.pixel_norm = PixelNorm()
        self.out = nn.Conv2d(wide[-1], spec.shape[0], 3, padding=1)

    def forward(self, latents: Tensor, y: Tensor | None = None) -> Tensor:
        h, masks = self.parts(latents)
        h, e = self.condition.join(h, y)
        # [N, z_dim] to [N, C, h, w] of the smallest stage
        x = self.stem(h).reshape(-1, self.first, *self.sides[0])
        for i, (height, width) in enumerate(self.sides):
            if i:
                x = self.up[i - 1](x)[:, :, :height, :width]  # an odd side is one less than twice its half
            x = relu(self.norms[i](x, e) if self.has_batch_stats else self.pixel_norm(x))
            if masks:
                x = x * masks[i][:, :, None, None]  # [N, C] to whole channels
        # [N, width, H, W] to [N, C, H, W] in [-1, 1]
        return torch.tanh(self.out(x))


class DCGANDiscriminator(Player):
    """``D(x, y) -> logits``: x [N, C, H, W], y [N, ...] or None as constant planes, logits [N]; no normalisation."""

    def __init__(self, model: DCGAN, spec: Spec):
        super().__init__()
        self.condition = ConditionEmbedding(spec, model.condition)
        stages = sides(*spec.shape[1:])
        wide = [(model.d_width or model.width) * min(2**s, 8) for s in range(len(stages))]
        stem = nn.Conv2d(spec.shape[0] + self.condition.joined_width, wide[0], 3, padding=1)
        body: list[nn.Module] = [stem, LeakyReLU(0.2)]
        for (i, o), (h, w) in zip(pairwise(wide), stages[:0:-1], strict=True):
            # An odd side gets one more row of padding, so that its half is rounded up as in G; this one is a copy.
            odd = nn.ZeroPad2d((0, w % 2, 0, h % 2)) if w % 2 or h % 2 else nn.Identity()
            body += [odd, nn.Conv2d(i, o, 4, stride=2, padding=1), LeakyReLU(0.2)]
        self.body = nn.Sequential(*body, nn.Flatten())
        self.head = Head(wide[-1] * math.prod(stages[0]), self.condition.separate_width, model.minibatch_std)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x, e = self.condition.join(x, y)
        return self.head(self.body(x), e)  # features [N, C h w] to logits [N]


@register("model")
@dataclass
class DCGAN(Model):
    """Strided convolutions after Radford et al. 2016, without batch normalisation."""

    name: str = option("dcgan", "registered name")
    width: int = option(32, "channels at full resolution; 8 times as many at most", minimum=1, maximum=4096)
    d_width: int | None = option(None, "width of D; null is model.width", minimum=1, maximum=4096)
    upsample: str = option(
        "transposed",
        "how G doubles its sides: a 4x4 transposed convolution, or copied pixels and a 3x3 convolution, "
        "which make no checkerboard (Odena et al. 2016)",
        choices=tuple(UPSAMPLINGS),
    )

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
        return DCGANGenerator(self, spec)

    def discriminator(self, spec: Spec) -> Player:
        return DCGANDiscriminator(self, spec)
