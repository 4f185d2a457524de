"""The DCGAN of Radford et al. 2016 for 64x64 pixels: strided convolutions, batch norm in both networks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.models.base import Discriminator, Generator, Model
from gantrain.registry import option, register


def draw_weights(layer: nn.Module) -> None:
    """Draw the weights of a layer as the paper does, with standard deviation 0.02."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, std=0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


class G(Generator):
    """z [N, 100] to images [N, C, 64, 64] in [-1, 1], by sides 4, 8, 16, 32, 64."""

    def __init__(self, model: Strided, spec: Spec):
        super().__init__(model, [])
        wide = [model.width * factor for factor in (8, 4, 2, 1)]
        layers: list[nn.Module] = [nn.ConvTranspose2d(self.z_dim, wide[0], 4, bias=False)]
        for i, o in pairwise(wide):
            layers += [nn.BatchNorm2d(i), nn.ReLU(), nn.ConvTranspose2d(i, o, 4, 2, 1, bias=False)]
        last = nn.ConvTranspose2d(wide[-1], spec.shape[0], 4, 2, 1, bias=False)
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(wide[-1]), nn.ReLU(), last, nn.Tanh())
        self.apply(draw_weights)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(z[:, :, None, None])


class D(Discriminator):
    """Images [N, C, 64, 64] to logits [N]."""

    def __init__(self, model: Strided, spec: Spec):
        super().__init__()
        wide = [model.width * factor for factor in (1, 2, 4, 8)]
        layers: list[nn.Module] = [nn.Conv2d(spec.shape[0], wide[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for i, o in pairwise(wide):
            layers += [nn.Conv2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(wide[-1], 1, 4, bias=False), nn.Flatten(0))
        self.apply(draw_weights)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(x)


@register("model")
@dataclass
class Strided(Model):
    """Batch norm in D couples the samples of a batch, so real and fake pass D one after the other."""

    name: str = option("benchmark_strided", "registered name")
    z_dim: int = option(100, "dimension of z", minimum=1)
    width: int = option(64, "channels of the stage next to the image", minimum=1)

    @property
    def couples_samples(self) -> bool:
        return True

    def generator(self, spec: Spec) -> Generator:
        return G(self, spec)

    def discriminator(self, spec: Spec) -> Discriminator:
        return D(self, spec)
