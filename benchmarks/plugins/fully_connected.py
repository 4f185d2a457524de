"""The fully connected GAN of the tutorials: G 128-256-512-1024 with batch norm, D 512-256."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.models.base import Discriminator, Generator, Model
from gantrain.registry import option, register

G_WIDTHS, D_WIDTHS = (128, 256, 512, 1024), (512, 256)


class G(Generator):
    """z [N, 100] to images [N, C, H, W] in [-1, 1]; every hidden layer but the first is normalised."""

    def __init__(self, model: FullyConnected, spec: Spec):
        super().__init__(model, [])
        self.shape = spec.shape
        layers: list[nn.Module] = [nn.Linear(self.z_dim, G_WIDTHS[0]), nn.LeakyReLU(0.2)]
        for i, o in pairwise(G_WIDTHS):
            layers += [nn.Linear(i, o), nn.BatchNorm1d(o), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear(G_WIDTHS[-1], spec.numel), nn.Tanh())

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(z).view(-1, *self.shape)


class D(Discriminator):
    """Images [N, C, H, W] to logits [N]."""

    def __init__(self, spec: Spec):
        super().__init__()
        sizes = [spec.numel, *D_WIDTHS]
        layers = [layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), nn.LeakyReLU(0.2))]
        self.layers = nn.Sequential(nn.Flatten(), *layers, nn.Linear(D_WIDTHS[-1], 1), nn.Flatten(0))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(x)


@register("model")
@dataclass
class FullyConnected(Model):
    """Goodfellow's game as most people first type it."""

    name: str = option("benchmark_fully_connected", "registered name")
    z_dim: int = option(100, "dimension of z", minimum=1)

    def generator(self, spec: Spec) -> Generator:
        return G(self, spec)

    def discriminator(self, spec: Spec) -> Discriminator:
        return D(spec)
