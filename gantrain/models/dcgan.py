"""Convolutional players for images of any height, width and channels, with sides of at least 8."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gantrain.core.spec import Spec
from gantrain.models.base import Generator, Model, Player
from gantrain.models.layers import Condition, ConditionalNorm, Head, PixelNorm
from gantrain.registry import option, register

SMALLEST = 4  # pixels of the shorter side at which the players meet z and the logit


def sides(height: int, width: int) -> list[tuple[int, int]]:
    """Return the resolutions of the stages, smallest first; each is half the next, rounded up."""
    stages = int(math.log2(min(height, width) / SMALLEST))
    return [(-(-height // 2**s), -(-width // 2**s)) for s in range(stages, -1, -1)]


class DCGANGenerator(Generator):
    """``G(latents, y) -> x``: y [N, ...] or None, x [N, C, H, W] in [-1, 1]; dropout silences whole channels."""

    def __init__(self, model: DCGAN, spec: Spec):
        channels, height, width = spec.shape
        stages = sides(height, width)
        wide = [model.width * min(2**s, 8) for s in range(len(stages) - 1, -1, -1)]
        super().__init__(model, wide)
        self.sides, self.first = stages, wide[0]
        self.condition = Condition(spec, model.is_conditional)
        (h, w), joined = self.sides[0], 0 if self.normalises else self.condition.width
        self.stem = nn.Linear(self.z_dim + joined, wide[0] * h * w)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 4, stride=2, padding=1) for i, o in zip(wide[:-1], wide[1:], strict=True)
        )
        self.norms = nn.ModuleList(ConditionalNorm(c, self.condition.width) for c in wide if self.normalises)
        self.pixel_norm = PixelNorm()
        self.out = nn.Conv2d(wide[-1], channels, 3, padding=1)

    def forward(self, latents: Tensor, y: Tensor | None = None) -> Tensor:
        h, masks = self.parts(latents)
        e = self.condition(y, h)
        x = self.stem(h if self.normalises else torch.cat([h, e], 1)).reshape(-1, self.first, *self.sides[0])
        for i, (height, width) in enumerate(self.sides):
            if i:
                x = self.up[i - 1](x)[:, :, :height, :width]  # an odd side is one less than twice its half
            x = relu(self.norms[i](x, e) if self.normalises else self.pixel_norm(x))
            if masks:
                x = x * masks[i][:, :, None, None]
        return torch.tanh(self.out(x))


class DCGANDiscriminator(Player):
    """``D(x, y) -> logits``: x [N, C, H, W], y [N, ...] or None as constant planes, logits [N]; no normalisation."""

    def __init__(self, model: DCGAN, spec: Spec):
        super().__init__()
        channels, height, width = spec.shape
        self.condition, steps = Condition(spec, model.is_conditional), sides(height, width)
        self.concat = model.condition == "concat"
        joined = self.condition.width if self.concat else 0
        wide = [model.width * min(2**s, 8) for s in range(len(steps))]
        body: list[nn.Module] = [nn.Conv2d(channels + joined, wide[0], 3, padding=1), nn.LeakyReLU(0.2)]
        for i, o, (h, w) in zip(wide[:-1], wide[1:], steps[::-1], strict=False):
            # An odd side gets one more row of padding, so that its half is rounded up as in G.
            body += [
                nn.ZeroPad2d((1, 1 + w % 2, 1, 1 + h % 2)),
                nn.Conv2d(i, o, 4, stride=2),
                nn.LeakyReLU(0.2),
            ]
        h, w = steps[0]
        self.body = nn.Sequential(*body, nn.Flatten())
        self.head = Head(wide[-1] * h * w, self.condition.width - joined, model.minibatch_std)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        e = self.condition(y, x)
        planes = e[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.head(self.body(torch.cat([x, planes], 1) if self.concat else x), e)


@register("model")
@dataclass
class DCGAN(Model):
    """Strided convolutions after Radford et al. 2016, without batch normalisation."""

    name: str = option("dcgan", "registered name")
    width: int = option(
        32, "channels at full resolution; doubled at each halving, at most 8 times", minimum=1, maximum=4096
    )

    def why_unsupported(self, spec: Spec) -> str | None:
        """Return why not: it wants images with sides of at least 8 pixels."""
        if not spec.is_image:
            return "dcgan makes images and this data is points"
        if min(spec.shape[1:]) < 2 * SMALLEST:
            return f"dcgan wants sides of at least {2 * SMALLEST} pixels, this data has {spec.shape[1:]}"
        return None

    def generator(self, spec: Spec) -> Generator:
        """Return a freshly initialised generator."""
        return DCGANGenerator(self, spec)

    def discriminator(self, spec: Spec) -> Player:
        """Return a freshly initialised discriminator."""
        return DCGANDiscriminator(self, spec)
