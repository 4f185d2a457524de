"""Fully connected players, for points and for any image taken as a row of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gantrain.datasets.base import Spec
from gantrain.models.base import Head, Model, Player, one_hot
from gantrain.registry import option, register


def hidden(inputs: int, width: int, depth: int, activation: nn.Module) -> nn.Sequential:
    """Return ``depth`` linear layers of ``width``, each with an activation: [N, inputs] to [N, width]."""
    sizes = [inputs] + [width] * depth
    layers = [(nn.Linear(i, o), activation) for i, o in zip(sizes[:-1], sizes[1:], strict=True)]
    return nn.Sequential(*[module for pair in layers for module in pair])


class Generator(Player):
    """``G(z, y) -> x``: z [N, z_dim], y [N] or None, x [N, *shape]; tanh ends it for images."""

    def __init__(self, model: MLP, spec: Spec):
        super().__init__()
        self.classes, self.shape, self.is_image = model.classes(spec), spec.shape, spec.is_image
        self.body = hidden(model.z_dim + self.classes, model.width, model.depth, nn.ReLU())
        self.out = nn.Linear(model.width, spec.numel)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = self.out(self.body(torch.cat([z, one_hot(y, self.classes, z)], 1))).reshape(-1, *self.shape)
        return torch.tanh(x) if self.is_image else x


class Discriminator(Player):
    """``D(x, y) -> logits``: x [N, *shape], y [N] or None, logits [N]."""

    def __init__(self, model: MLP, spec: Spec):
        super().__init__()
        self.classes = spec.classes if model.condition == "concat" else 0
        self.body = hidden(spec.numel + self.classes, model.width, model.depth, nn.LeakyReLU(0.2))
        self.head = Head(
            model.width, spec.classes if model.condition == "projection" else 0, model.minibatch_std
        )

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x = x.flatten(1)
        return self.head(self.body(torch.cat([x, one_hot(y, self.classes, x)], 1)), y)


@register("model")
@dataclass
class MLP(Model):
    """Multi-layer perceptrons without normalisation, ReLU in G and leaky ReLU in D."""

    name: str = option("mlp", "registered name")
    width: int = option(128, "units of each hidden layer", minimum=1, maximum=65536)
    depth: int = option(3, "hidden layers of each player", minimum=1, maximum=100)

    def generator(self, spec: Spec) -> Player:
        """Return a freshly initialised generator."""
        return Generator(self, spec)

    def discriminator(self, spec: Spec) -> Player:
        """Return a freshly initialised discriminator."""
        return Discriminator(self, spec)
