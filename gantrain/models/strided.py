"""The layers of DCGAN as published: each of D halves the sides, and each of G doubles them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import nn

from gantrain.core.spec import Spec
from gantrain.models.base import Discriminator, Fit, Generator, Model
from gantrain.models.dcgan import ConvDiscriminator, ConvGenerator
from gantrain.models.layers import MIN_SIDE, LeakyReLU, why_not_halved
from gantrain.models.norms import D_NORMS, d_norm
from gantrain.models.plain import PlainLayers
from gantrain.registry import option, register


@register("model")
@dataclass
class Strided(Model, PlainLayers):
    """The layers of Radford et al. 2016, and keys for the variants that others published; no batch norm by default.

    Channels double at each halving of the sides. Sides are rounded up when they are halved, as padding "same" does.
    """

    d_says: ClassVar[frozenset[str]] = frozenset({"features", "classes"})
    fits: ClassVar[dict[str, Fit]] = {
        "kernel": Fit((5, 3, 7), "has kernels of an odd side"),
        "g_spectral_norm": Fit((False,), "has transposed convolutions in G"),
    }

    name: str = option("strided", "registered name")
    width: int = option(64, "channels of G's last layer before the pixels", minimum=1, maximum=4096)
    d_width: int | None = option(
        None, "channels of D's first layer; null is model.width", minimum=1, maximum=4096
    )
    halvings: int | None = option(
        None,
        "how often sides are halved; null until the shorter one has at most 4 pixels",
        minimum=1,
        maximum=10,
    )
    kernel: int = option(5, "side of the kernels in pixels, an odd number", minimum=3, maximum=7)
    ends_full: bool = option(
        False, "end G in a convolution at full resolution, rather than in one that doubles the sides"
    )
    g_norm: str = option("pixel", "normalisation of G's layers", choices=("pixel", "batch", "none"))
    d_norm: str = option("none", "normalisation of D's layers", choices=D_NORMS)
    norms_first: bool = option(False, "normalise D's first layer too")
    slope: float = option(0.2, "slope of D's leaky ReLU below 0", minimum=0, maximum=1)

    def why_unsupported(self, spec: Spec) -> str | None:
        return why_not_halved(self.name, spec) or super().why_unsupported(spec)

    def _stages(self, spec: Spec) -> list[tuple[int, int]]:
        """Return height and width of each stage, smallest first, the last at full resolution."""
        height, width = spec.shape[1:]
        halvings = self.halvings or math.ceil(math.log2(min(height, width) / MIN_SIDE))
        return [(-(-height // 2**s), -(-width // 2**s)) for s in range(halvings, -1, -1)]

    def generator(self, spec: Spec) -> Generator:
        stages = self._stages(spec)
        up = partial(
            nn.ConvTranspose2d,
            kernel_size=self.kernel,
            stride=2,
            padding=self.kernel // 2,
            output_padding=1,
        )
        flat = partial(nn.Conv2d, kernel_size=self.kernel, padding=self.kernel // 2)
        stages = stages if self.ends_full else stages[:-1]
        channels = [self.width * 2**s for s in range(len(stages) - 1, -1, -1)]
        out = flat if self.ends_full else up
        return self.initialise(ConvGenerator(self, spec, stages, channels, self.g_norm, self.prior, up, out))

    def discriminator(self, spec: Spec) -> Discriminator:
        stages = self._stages(spec)
        channels = [(self.d_width or self.width) * 2**s for s in range(len(stages) - 1)]

        def layers(inputs: int) -> list[nn.Module]:
            body: list[nn.Module] = []
            for number, (i, o) in enumerate(zip([inputs, *channels], channels, strict=False)):
                kind = self.d_norm if number or self.norms_first else "none"
                half = self.kernel // 2
                conv = nn.Conv2d(i, o, self.kernel, stride=2, padding=half, bias=kind != "batch")
                body += [conv, d_norm(kind, o), LeakyReLU(self.slope)]
            return body

        D = ConvDiscriminator(self, spec, layers, channels[-1] * math.prod(stages[0]))
        return self.initialise(D, self.d_initial_scale)
