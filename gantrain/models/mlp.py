"""Fully connected players, for points and for any image taken as a row of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gantrain.datasets.base import Spec
from gantrain.models.base import Model, one_hot
from gantrain.registry import option, register


def layers(inputs: int, width: int, depth: int, outputs: int, activation: nn.Module) -> nn.Sequential:
    """Return ``depth`` hidden linear layers of ``width`` with an activation each, and a linear output."""
    sizes = [inputs] + [width] * depth
    hidden: list[nn.Module] = []
    for i, o in zip(sizes[:-1], sizes[1:], strict=True):
        hidden += [nn.Linear(i, o), activation]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], outputs))


class Generator(nn.Module):
    """``G(z, y) -> x``: z [N, z_dim], y [N] or None, x [N, *shape]; tanh ends it for images."""

    def __init__(self, model: MLP, spec: Spec):
        super().__init__()
        self.classes, self.shape, self.is_image = model.classes(spec), spec.shape, spec.is_image
        self.net = layers(model.z_dim + self.classes, model.width, model.depth, spec.numel, nn.ReLU())

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = self.net(torch.cat([z, one_hot(y, self.classes, z)], 1)).reshape(-1, *self.shape)
        return torch.tanh(x) if self.is_image else x


class Discriminator(nn.Module):
    """``D(x, y) -> logits``: x [N, *shape], y [N] or None, logits [N]."""

    def __init__(self, model: MLP, spec: Spec):
        super().__init__()
        self.classes = model.classes(spec)
        self.net = layers(spec.numel + self.classes, model.width, model.depth, 1, nn.LeakyReLU(0.2))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x = x.flatten(1)
        return self.net(torch.cat([x, one_hot(y, self.classes, x)], 1)).squeeze(1)


@register("model")
@dataclass
class MLP(Model):
    """Multi-layer perceptrons without normalisation, ReLU in G and leaky ReLU in D."""

    name: str = option("mlp", "registered name")
    z_dim: int = option(2, "dimension of the standard normal latent z", minimum=1, maximum=65536)
    width: int = option(128, "units of each hidden layer", minimum=1, maximum=65536)
    depth: int = option(3, "hidden layers of each player", minimum=1, maximum=100)

    def fits(self, spec: Spec) -> str | None:
        """Return None: any data fits."""
        return None

    def build(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """Return freshly initialised players."""
        return Generator(self, spec), Discriminator(self, spec)
