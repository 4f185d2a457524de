"""Fully connected players, for points and for any image taken as a row of numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gantrain.core.spec import Spec
from gantrain.models.base import Generator, Model, Player
from gantrain.models.layers import Condition, ConditionalNorm, Head
from gantrain.registry import option, register

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "elu": nn.ELU,
}


def hidden(inputs: int, width: int, depth: int, activation: nn.Module) -> nn.Sequential:
    """Return ``depth`` linear layers of ``width``, each with an activation: [N, inputs] to [N, width]."""
    sizes = [inputs] + [width] * depth
    layers = [(nn.Linear(i, o), activation) for i, o in zip(sizes[:-1], sizes[1:], strict=True)]
    return nn.Sequential(*[module for pair in layers for module in pair])


class MLPGenerator(Generator):
    """``G(latents, y) -> x``: y [N, ...] or None, x [N, *shape]; tanh ends it for images."""

    def __init__(self, model: MLP, spec: Spec):
        super().__init__(model, [model.width] * model.depth)
        self.shape, self.is_image = spec.shape, spec.is_image
        self.condition = Condition(spec, model.is_conditional)
        joined = 0 if self.normalises else self.condition.width
        sizes = [self.z_dim + joined] + [model.width] * model.depth
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in zip(sizes[:-1], sizes[1:], strict=True))
        self.norms = nn.ModuleList(
            ConditionalNorm(model.width, self.condition.width) for _ in self.layers if self.normalises
        )
        self.out = nn.Linear(model.width, spec.numel)

    def forward(self, latents: Tensor, y: Tensor | None = None) -> Tensor:
        h, masks = self.parts(latents)
        e = self.condition(y, h)
        if not self.normalises:
            h = torch.cat([h, e], 1)
        for i, layer in enumerate(self.layers):
            h = layer(h)
            h = relu(self.norms[i](h, e) if self.normalises else h)
            if masks:
                h = h * masks[i]
        x = self.out(h).reshape(-1, *self.shape)
        return torch.tanh(x) if self.is_image else x


class MLPDiscriminator(Player):
    """``D(x, y) -> logits``: x [N, *shape], y [N, ...] or None, logits [N]."""

    def __init__(self, model: MLP, spec: Spec):
        super().__init__()
        self.condition = Condition(spec, model.is_conditional)
        self.concat = model.condition == "concat"
        joined = self.condition.width if self.concat else 0
        self.body = hidden(spec.numel + joined, model.width, model.depth, ACTIVATIONS[model.d_activation]())
        self.head = Head(model.width, self.condition.width - joined, model.minibatch_std)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x = x.flatten(1)
        e = self.condition(y, x)
        return self.head(self.body(torch.cat([x, e], 1) if self.concat else x), e)


@register("model")
@dataclass
class MLP(Model):
    """Multi-layer perceptrons without normalisation, ReLU in G and leaky ReLU in D unless told otherwise."""

    name: str = option("mlp", "registered name")
    width: int = option(128, "units of each hidden layer", minimum=1, maximum=65536)
    depth: int = option(3, "hidden layers of each player", minimum=1, maximum=100)
    d_activation: str = option("leaky_relu", "what bends D's layers", choices=tuple(ACTIVATIONS))

    def generator(self, spec: Spec) -> Generator:
        """Return a freshly initialised generator."""
        return MLPGenerator(self, spec)

    def discriminator(self, spec: Spec) -> Player:
        """Return a freshly initialised discriminator."""
        return MLPDiscriminator(self, spec)
