"""StyleGAN2: a mapping to styles, a generator of modulated convolutions, and a residual discriminator."""

from __future__ import annotations

import math
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
    LeakyReLU,
    in_float32,
    sides,
    std_over_batch,
    why_not_halved,
)
from gantrain.models.norms import RunningMean
from gantrain.models.resampling import Blur, Upsample, padded_to_even
from gantrain.models.style_layers import (
    GAIN,
    EqualConv,
    EqualLinear,
    Mapping,
    ModulatedConv,
    StyledConv,
)
from gantrain.registry import option, register

W_DECAY = 0.998  # of the running mean of w, a batch


class StyleGAN2Generator(Generator):
    """``G(latents, y) -> x``: y [N, ...] or None, x [N, C, H, W].

    A latent is z, then the noise of each pixel of each layer if there is any, both standard normal. In training a
    second z follows, and the first layer that has its style. A truncated latent ends in psi instead.
    """

    has_styles = True

    def __init__(self, model: StyleGAN2, spec: Spec):
        super().__init__(model, [])
        self.mixing, self.sides = model.style_mixing, sides(*spec.shape[1:])
        wide = model.channels(model.width, len(self.sides))[::-1]
        self.condition = ConditionEmbedding(spec, model.condition, joined=())
        self.mapping = Mapping(self.z_dim, self.condition.width, self.z_dim, model.mapping_depth)
        self.w_average = RunningMean(self.z_dim, W_DECAY)
        self.constant = nn.Parameter(torch.randn(wide[0], *self.sides[0]))
        # Channels into and out of each convolution; the first of two at a stage doubles the sides.
        pairs = [(wide[0], wide[0])] + [pair for i, o in pairwise(wide) for pair in ((i, o), (o, o))]
        self.convs = nn.ModuleList(
            StyledConv(i, o, self.z_dim, doubles=n % 2 == 1, has_noise=model.pixel_noise)
            for n, (i, o) in enumerate(pairs)
        )
        self.to_image = nn.ModuleList(
            ModulatedConv(width, spec.shape[0], self.z_dim, size=1, demodulates=False) for width in wide
        )
        self.upsample = Upsample(spec.shape[0])
        self.styles_count = len(pairs) + 1
        self.conv_sides = [self.sides[(n + 1) // 2] for n in range(len(pairs))]
        self.noise_sizes = [math.prod(side) for side in self.conv_sides] if model.pixel_noise else []
        self.noise_width = sum(self.noise_sizes)

    def latents(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, self.z_dim + self.noise_width, generator=generator)

    def training_latents(self, n: int, generator: torch.Generator) -> Tensor:
        latents = self.latents(n, generator)
        if not self.mixing:
            return latents
        second = torch.randn(n, self.z_dim, generator=generator)
        first = torch.randint(1, self.styles_count, (n, 1), generator=generator)
        is_mixed = torch.rand(n, 1, generator=generator) < self.mixing
        return torch.cat([latents, second, torch.where(is_mixed, first, self.styles_count)], 1)

    def styles(self, latents: Tensor, y: Tensor | None = None) -> Tensor:
        e = self.condition(y, latents)
        w = self.mapping(latents[:, : self.z_dim], e)
        self.w_average.observe(w)
        tail = latents[:, self.z_dim + self.noise_width :]
        if tail.shape[1] == 1:  # psi: w' = w_avg + psi (w - w_avg) (Karras et al. 2019, app. B)
            w = torch.lerp(self.w_average.mean.expand_as(w), w, tail)
        styles = w[:, None].expand(-1, self.styles_count, -1)
        if tail.shape[1] <= 1:
            return styles
        # [1, styles, 1] and [N, 1, 1]
        is_first = torch.arange(self.styles_count, device=w.device)[:, None] < tail[:, -1:, None]
        return torch.where(is_first, styles, self.mapping(tail[:, :-1], e)[:, None])

    def synthesize(self, styles: Tensor, latents: Tensor, y: Tensor | None = None) -> Tensor:
        noise = latents[:, self.z_dim : self.z_dim + self.noise_width].split(self.noise_sizes, 1)
        x = self.constant.expand(latents.shape[0], -1, -1, -1)
        image: Tensor | None = None
        for n, (conv, side) in enumerate(zip(self.convs, self.conv_sides, strict=True)):
            of_pixels = noise[n].unflatten(1, (1, *side)) if noise else None
            x = conv(x, styles[:, n], side, of_pixels)
            if n % 2 == 0:  # the last one at its resolution; its image is added to the smaller one, doubled
                own = self.to_image[n // 2](x, styles[:, n + 1])
                image = own if image is None else own + self.upsample(image)[:, :, : side[0], : side[1]]
        assert image is not None
        return image

    def forward(self, latents: Tensor, y: Tensor | None = None) -> Tensor:
        return self.synthesize(self.styles(latents, y), latents, y)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a linear path, both at half the sides: [N, i, H, W] to [N, o, H / 2, W / 2]."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.body = nn.Sequential(
            EqualConv(inputs, inputs, 3, GAIN),
            LeakyReLU(0.2),
            Blur(inputs, padding=2),
            # GAIN of the activation, over that of a sum of two
            EqualConv(inputs, outputs, 3, stride=2),
            LeakyReLU(0.2),
        )
        self.path = nn.Sequential(
            Blur(inputs, padding=1, stride=2), EqualConv(inputs, outputs, 1, 1 / GAIN, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = padded_to_even(x)
        out: Tensor = self.body(x) + self.path(x)
        return out


class StyleGAN2Discriminator(Discriminator):
    """``D(x, y) -> logits``: x [N, C, H, W], y [N, ...] or None, logits [N]; no normalisation."""

    def __init__(self, model: StyleGAN2, spec: Spec):
        super().__init__()
        self.condition, stages = DCondition(spec, model.condition), sides(*spec.shape[1:])
        wide = model.channels(model.d_width or model.width, len(stages))
        self.minibatch_std = model.minibatch_std
        last, e_width = wide[-1], self.condition.separate_width
        stem = EqualConv(spec.shape[0] + self.condition.joined_width, wide[0], 1, GAIN)
        self.body = nn.Sequential(stem, LeakyReLU(0.2), *(ResidualBlock(i, o) for i, o in pairwise(wide)))
        self.end = nn.Sequential(
            EqualConv(last + self.minibatch_std, last, 3, GAIN),
            LeakyReLU(0.2),
            nn.Flatten(),
            EqualLinear(last * math.prod(stages[0]), last, GAIN),
            LeakyReLU(0.2),
        )
        self.mapping = Mapping(0, e_width, last, model.mapping_depth) if e_width else None
        self.head = EqualLinear(last, last if e_width else 1)
        self.classify = EqualLinear(last, self.condition.classes) if self.condition.classes else None

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.judge(x, y).logit

    def judge(self, x: Tensor, y: Tensor | None = None) -> Judgement:
        x, e = self.condition.join(x, y)
        x = self.body(x)
        if self.minibatch_std:  # one more channel, equal everywhere
            std = std_over_batch(x.flatten(1)).mean()
            x = torch.cat([x, std.expand(x.shape[0], 1, *x.shape[2:])], 1)
        phi = self.end(x)
        classes = None if self.classify is None else self.classify(phi)
        return Judgement(in_float32(self.logits, phi, e), classes, phi)

    def logits(self, phi: Tensor, e: Tensor) -> Tensor:
        """Return the logits [N] of features phi [N, d] and the embedded condition e [N, width]."""
        out = self.head(phi)
        if self.mapping is None:
            return out.squeeze(1)
        # Projection on the mapped condition (Karras et al. 2020, StyleGAN2-ADA, app. D)
        return (out * self.mapping(e, e)).sum(1) / math.sqrt(out.shape[1])


@register("model")
@dataclass
class StyleGAN2(Model):
    """Karras et al. 2020, skip connections in G and residual ones in D, in plain operations of torch."""

    d_says: ClassVar[frozenset[str]] = frozenset({"features", "classes"})
    fits: ClassVar[dict[str, Fit]] = {
        "source": Fit(("z",), "has no dropout"),
        "condition": Fit(
            ("projection", "concat", "none", AUXILIARY),
            "carries the condition in its styles, without batch norm",
        ),
        "spectral_norm": Fit((False,), "scales weights of a fixed size, which a spectral norm would undo"),
        "g_spectral_norm": Fit((False,), "normalises the weights of G by styles"),
    }

    name: str = option("stylegan2", "registered name")
    width: int = option(32, "channels at full resolution, doubled at each halving", minimum=1, maximum=4096)
    d_width: int | None = option(None, "width of D; null is model.width", minimum=1, maximum=4096)
    max_width: int = option(512, "channels at most", minimum=1, maximum=4096)
    mapping_depth: int = option(
        2, "layers from z to w, which has as many numbers as z", minimum=1, maximum=64
    )
    style_mixing: float = option(
        0.9,
        "share of training samples whose later layers have the style of a second z",
        minimum=0,
        maximum=1,
    )
    pixel_noise: bool = option(False, "add noise of a learned strength to each layer of G, a number a pixel")

    def why_unsupported(self, spec: Spec) -> str | None:
        return why_not_halved(self.name, spec) or super().why_unsupported(spec)

    def learning_rate(self, spec: Spec) -> float:
        return 2.5e-3 if max(spec.shape) < 1024 else 2e-3  # of StyleGAN2-ADA's code

    def channels(self, width: int, stages: int) -> list[int]:
        """Return the channels of each stage, that of full resolution first."""
        return [min(width * 2**stage, self.max_width) for stage in range(stages)]

    def generator(self, spec: Spec) -> Generator:
        return StyleGAN2Generator(self, spec)

    def discriminator(self, spec: Spec) -> Discriminator:
        return StyleGAN2Discriminator(self, spec)
