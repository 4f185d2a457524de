"""A DCGAN that enlarges by nearest neighbours and a 3x3 convolution, as many tutorials for 32x32 pixels have it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.models.base import Discriminator, Generator, Model
from gantrain.models.resampling import UpsampleConv
from gantrain.registry import option, register

D_WIDTHS = (16, 32, 64, 128)


class G(Generator):
    """z [N, 100] to images [N, C, H, W] in [-1, 1], from a quarter of the side in two enlargements."""

    def __init__(self, model: Upsampling, spec: Spec):
        super().__init__(model, [])
        self.side = spec.shape[1] // 4
        self.stem = nn.Linear(self.z_dim, 128 * self.side**2)
        layers: list[nn.Module] = [nn.BatchNorm2d(128)]
        for i, o in pairwise((128, 128, 64)):
            if model.folded:
                layers += [UpsampleConv(i, o)]
            else:
                layers += [nn.Upsample(scale_factor=2), nn.Conv2d(i, o, 3, padding=1)]
            layers += [nn.BatchNorm2d(o), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(64, spec.shape[0], 3, padding=1), nn.Tanh())

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(self.stem(z).view(-1, 128, self.side, self.side))


class D(Discriminator):
    """Images [N, C, H, W] to logits [N]; the tutorials' dropout is left out on both sides."""

    def __init__(self, spec: Spec):
        super().__init__()
        layers: list[nn.Module] = []
        for number, (i, o) in enumerate(pairwise((spec.shape[0], *D_WIDTHS))):
            norm = [nn.BatchNorm2d(o)] if number else []
            layers += [nn.Conv2d(i, o, 3, 2, 1), nn.LeakyReLU(0.2), *norm]
        side = spec.shape[1] // 16
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(D_WIDTHS[-1] * side**2, 1), nn.Flatten(0)
        )

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(x)


@register("model")
@dataclass
class Upsampling(Model):
    """Sides are multiples of 16; batch norm in D couples the samples of a batch."""

    name: str = option("benchmark_upsampling", "registered name")
    z_dim: int = option(100, "dimension of z", minimum=1)
    folded: bool = option(False, "compute an enlargement and its convolution as one, equal to rounding")

    @property
    def couples_samples(self) -> bool:
        return True

    def generator(self, spec: Spec) -> Generator:
        return G(self, spec)

    def discriminator(self, spec: Spec) -> Discriminator:
        return D(spec)
