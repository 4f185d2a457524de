"""The residual networks of SNGAN for 32x32 pixels (Miyato et al. 2018, table 4), 64 channels wide to suit a CPU."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from gantrain.core.spec import Spec
from gantrain.models.base import Discriminator, Generator, Model
from gantrain.registry import option, register


class UpBlock(nn.Module):
    """[N, C, H, W] to [N, C, 2 H, 2 W]."""

    def __init__(self, width: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.skip = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.convs[0](interpolate(relu(self.norms[0](x)), scale_factor=2.0))
        h = self.convs[1](relu(self.norms[1](h)))
        return h + self.skip(interpolate(x, scale_factor=2.0))


class DownBlock(nn.Module):
    """[N, C, H, W] to [N, width, H / 2, W / 2], or to the same side with ``halves=False``."""

    def __init__(self, inputs: int, width: int, halves: bool, is_first: bool = False):
        super().__init__()
        self.halves, self.is_first = halves, is_first
        self.convs = nn.ModuleList(nn.Conv2d(i, width, 3, padding=1) for i in (inputs, width))
        self.skip = nn.Conv2d(inputs, width, 1) if halves else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.convs[0](x if self.is_first else relu(x))
        h = self.convs[1](relu(h))
        if not self.halves:
            return h + x
        # A 1x1 convolution and a mean commute; on the image itself the mean is taken first, as it is cheaper there.
        skip = self.skip(avg_pool2d(x, 2)) if self.is_first else avg_pool2d(self.skip(x), 2)
        return avg_pool2d(h, 2) + skip


class G(Generator):
    """z [N, 128] to images [N, C, 32, 32] in [-1, 1]."""

    def __init__(self, model: Residual, spec: Spec):
        super().__init__(model, [])
        self.width = model.width
        self.stem = nn.Linear(self.z_dim, 16 * model.width)
        self.blocks = nn.Sequential(*(UpBlock(model.width) for _ in range(3)))
        last = nn.Conv2d(model.width, spec.shape[0], 3, padding=1)
        self.out = nn.Sequential(nn.BatchNorm2d(model.width), nn.ReLU(), last, nn.Tanh())

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.out(self.blocks(self.stem(z).view(-1, self.width, 4, 4)))


class D(Discriminator):
    """Images [N, C, 32, 32] to logits [N]; ``model.spectral_norm=true`` normalises its weights."""

    def __init__(self, model: Residual, spec: Spec):
        super().__init__()
        width = model.width
        first = DownBlock(spec.shape[0], width, halves=True, is_first=True)
        rest = (DownBlock(width, width, halves=halves) for halves in (True, False, False))
        self.blocks = nn.Sequential(first, *rest, nn.ReLU())
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.out(self.blocks(x).sum((2, 3))).squeeze(1)


@register("model")
@dataclass
class Residual(Model):
    """Three enlargements in G, two halvings in D."""

    name: str = option("benchmark_residual", "registered name")
    z_dim: int = option(128, "dimension of z", minimum=1)
    width: int = option(64, "channels of every layer", minimum=1)

    def generator(self, spec: Spec) -> Generator:
        return G(self, spec)

    def discriminator(self, spec: Spec) -> Discriminator:
        return D(self, spec)
