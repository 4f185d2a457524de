"""Fully connected G and D, for points and for images flattened to vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gantrain.core.spec import Spec
from gantrain.models.base import Fit, Generator, Model, Player
from gantrain.models.layers import ConditionalBatchNorm, ConditionEmbedding, Head, LeakyReLU
from gantrain.registry import option, register

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": lambda: LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "elu": nn.ELU,
}


def hidden_layers(inputs: int, width: int, depth: int, activation: nn.Module) -> nn.Sequential:
    """Return ``depth`` linear layers of ``width``, each with an activation: [N, inputs] to [N, width]."""
    sizes = [inputs] + [width] * depth
    return nn.Sequential(*(layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), activation)))


class MLPGenerator(Generator):
    """``G(latents, y) -> x``: y [N, ...] or None, x [N, *shape]; tanh ends it for images."""

    def __init__(self, model: MLP, spec: Spec):
        super().__init__(model, [model.width] * model.depth)
        self.shape, self.is_image = spec.shape, spec.is_image
        self.condition = ConditionEmbedding(spec, model.condition, ("concat", "projection"))
        sizes = [self.z_dim + self.condition.joined_width] + [model.width] * model.depth
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
        norms, e_width = model.depth if self.has_batch_stats else 0, self.condition.separate_width
        self.norms = nn.ModuleList(ConditionalBatchNorm(model.width, e_width) for _ in range(norms))
        self.out = nn.Linear(model.width, spec.numel)

    def forward(self, latents: Tensor, y: Tensor | None = None) -> Tensor:
        h, masks = self.parts(latents)  # z [N, z_dim]
        h, e = self.condition.join(h, y)
        for i, layer in enumerate(self.layers):
            h = layer(h)
            h = relu(self.norms[i](h, e) if self.has_batch_stats else h)
            if masks:
                h = h * masks[i]  # both [N, width]
        # [N, width] to [N, d] or [N, C, H, W]; images lie in [-1, 1]
        x = self.out(h).reshape(-1, *self.shape)
        return torch.tanh(x) if self.is_image else x


class MLPDiscriminator(Player):
    """``D(x, y) -> logits``: x [N, *shape], y [N, ...] or None, logits [N]."""

    def __init__(self, model: FullyConnected, spec: Spec, width: int):
        super().__init__()
        self.condition = ConditionEmbedding(spec, model.condition)
        inputs, activation = spec.numel + self.condition.joined_width, ACTIVATIONS[model.d_activation]()
        self.body = hidden_layers(inputs, width, model.depth, activation)
        self.head = Head(width, self.condition.separate_width, model.minibatch_std)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x, e = self.condition.join(x.flatten(1), y)  # [N, C H W + condition]
        return self.head(self.body(x), e)


@dataclass
class FullyConnected(Model):
    """Keys of models whose D is fully connected."""

    width: int = option(128, "units of each hidden layer", minimum=1, maximum=65536)
    depth: int = option(3, "hidden layers of each network", minimum=1, maximum=100)
    d_activation: str = option("leaky_relu", "activation function of D", choices=tuple(ACTIVATIONS))

    def discriminator(self, spec: Spec) -> Player:
        return MLPDiscriminator(self, spec, self.width)


@register("model")
@dataclass
class MLP(FullyConnected):
    """Multi-layer perceptrons without normalisation, ReLU in G and leaky ReLU in D by default."""

    name: str = option("mlp", "registered name")
    d_width: int | None = option(None, "width of D; null is model.width", minimum=1, maximum=65536)

    def generator(self, spec: Spec) -> Generator:
        return MLPGenerator(self, spec)

    def discriminator(self, spec: Spec) -> Player:
        return MLPDiscriminator(self, spec, self.d_width or self.width)


@dataclass
class FormulaModel(FullyConnected):
    """A model whose G makes points by a formula, without conditions or dropout, against a fully connected D."""

    fits: ClassVar[dict[str, Fit]] = {
        "source": Fit(("z",), "has no layer for dropout"),
        "condition": Fit(("none",), "takes no labels"),
        "g_spectral_norm": Fit((False,), "has a G that is a formula"),
    }
    z_dim: int = option(1, "dimension of the latent z, raised to what G uses", minimum=1, maximum=65536)

    def why_unsupported(self, spec: Spec) -> str | None:
        if spec.is_image:
            return f"{self.name} makes points, not images"
        return super().why_unsupported(spec)
