"""Fully connected G and D, for points and for images flattened to vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from gantrain.core.judgement import Judgement
from gantrain.core.spec import Spec
from gantrain.models.base import Discriminator, Fit, Generator, Model
from gantrain.models.layers import (
    G_INPUTS,
    ConditionEmbedding,
    DCondition,
    Head,
    LeakyReLU,
    Maxout,
)
from gantrain.models.norms import D_NORMS, d_norm, g_norm
from gantrain.models.plain import PlainLayers
from gantrain.registry import option, register

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": lambda: LeakyReLU(0.2),
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
}
MAXOUT = "maxout"


class MLPGenerator(Generator):
    """``G(latents, y) -> x``: y [N, ...] or None, x [N, *shape]; tanh ends it for images."""

    def __init__(self, model: MLP, spec: Spec):
        super().__init__(model, [model.width] * model.depth)
        self.shape, self.is_image = spec.shape, spec.is_image
        self.has_uniform_z = model.prior == "uniform"
        self.condition = ConditionEmbedding(spec, model.condition, G_INPUTS)
        sizes = [self.z_dim + self.condition.joined_width] + [model.width] * model.depth
        kind = model.g_norm_kind(model.g_norm)
        # Batch norm subtracts any bias before it.
        self.layers = nn.ModuleList(nn.Linear(i, o, bias=kind != "batch") for i, o in pairwise(sizes))
        e_width = self.condition.separate_width
        self.norms = nn.ModuleList(g_norm(kind, model.width, e_width) for _ in range(model.depth))
        self.activation = ACTIVATIONS[model.g_activation]()
        self.out = nn.Linear(model.width, spec.numel)

    def forward(self, latents: Tensor, y: Tensor | None = None) -> Tensor:
        h, masks = self.parts(latents)  # z [N, z_dim]
        h, e = self.condition.join(h, y)
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            h = self.activation(norm(layer(h), e))
            if masks:
                h = h * masks[i]  # both [N, width]
        # [N, width] to [N, d] or [N, C, H, W]; images lie in [-1, 1]
        x = self.out(h).reshape(-1, *self.shape)
        return torch.tanh(x) if self.is_image else x


class MLPDiscriminator(Discriminator):
    """``D(x, y) -> logits``: x [N, *shape], y [N, ...] or None, logits [N].

    Args:
        model: Its shared keys.
        spec: Of the data.
        width: Units of each hidden layer.
        depth: Hidden layers.
        norm: One of ``D_NORMS``.
        dropout: Fractions of the numbers of a sample, and of the units of each hidden layer, that dropout zeroes.
    """

    mask: Tensor | None  # [N, numbers of a sample + depth width] while D is trained with dropout

    def __init__(
        self,
        model: FullyConnected,
        spec: Spec,
        width: int,
        depth: int,
        norm: str = "none",
        dropout: tuple[float, float] = (0.0, 0.0),
    ):
        super().__init__()
        self.register_buffer("mask", None, persistent=False)
        self.units, self.rates = [spec.numel, *[width] * depth], [dropout[0], *[dropout[1]] * depth]
        self.condition = DCondition(spec, model.condition)
        is_maxout = model.d_activation == MAXOUT
        pieces = model.pieces if is_maxout else 1
        activation = Maxout(pieces) if is_maxout else ACTIVATIONS[model.d_activation]()
        sizes = [spec.numel + self.condition.joined_width] + [width] * depth
        body: list[nn.Module] = []
        for number, (i, o) in enumerate(pairwise(sizes)):
            # The first layer sees the data as they are (Radford et al. 2016, sec. 3).
            norms = [d_norm(norm, pieces * o)] if number and norm != "none" else []
            body += [nn.Linear(i, pieces * o, bias=not norms or norm != "batch"), *norms, activation]
        self.body = nn.Sequential(*body)
        self.head = Head(width, self.condition.separate_width, model.minibatch_std, self.condition.classes)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.judge(x, y).logit

    def judge(self, x: Tensor, y: Tensor | None = None) -> Judgement:
        x = x.flatten(1)
        if self.mask is None:
            h, e = self.condition.join(x, y)  # [N, C H W + condition]
            phi = self.body(h)
        else:
            # Data and samples, when they pass at once, share the masks.
            first, *masks = self.mask.repeat(len(x) // len(self.mask), 1).split(self.units, 1)
            phi, e = self.condition.join(x * first, y)
            size = len(self.body) // len(masks)
            for number, layer in enumerate(self.body):
                phi = layer(phi)
                if (number + 1) % size == 0:
                    phi = phi * masks[number // size]
        return self.head.judge(phi, e)  # features [N, width]

    def dropout_masks(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        if not any(self.rates):
            return {}
        keep = 1 - torch.tensor(self.rates).repeat_interleave(torch.tensor(self.units))
        # Inverted dropout, as in G
        return {"mask": (torch.rand(n, len(keep), generator=generator) < keep) / keep}


@dataclass
class FullyConnected(Model):
    """Keys of models whose D is fully connected."""

    d_says: ClassVar[frozenset[str]] = frozenset({"features", "classes"})
    width: int = option(128, "units of each hidden layer", minimum=1, maximum=65536)
    depth: int = option(3, "hidden layers of each network", minimum=1, maximum=100)
    d_activation: str = option("leaky_relu", "activation function of D", choices=(*ACTIVATIONS, MAXOUT))
    pieces: int = option(
        5, "linear pieces of a unit of d_activation=maxout (Goodfellow et al. 2013)", minimum=2, maximum=100
    )

    def discriminator(self, spec: Spec) -> Discriminator:
        return MLPDiscriminator(self, spec, self.width, self.depth)


@register("model")
@dataclass
class MLP(FullyConnected, PlainLayers):
    """Multi-layer perceptrons, by default without normalisation, ReLU in G and leaky ReLU in D."""

    name: str = option("mlp", "registered name")
    d_width: int | None = option(None, "width of D; null is model.width", minimum=1, maximum=65536)
    d_depth: int | None = option(None, "hidden layers of D; null is model.depth", minimum=1, maximum=100)
    g_norm: str = option("none", "normalisation of G's hidden layers", choices=("none", "batch"))
    d_norm: str = option("none", "normalisation of D's hidden layers but the first", choices=D_NORMS)
    d_dropout: float = option(
        0.0,
        "fraction of D's hidden units that dropout zeroes in training (Goodfellow et al. 2014)",
        minimum=0,
        below=1,
    )
    d_input_dropout: float = option(
        0.0, "fraction of the numbers of a sample that dropout hides from D in training", minimum=0, below=1
    )
    g_activation: str = option("relu", "activation function of G", choices=tuple(ACTIVATIONS))

    def generator(self, spec: Spec) -> Generator:
        return self.initialise(MLPGenerator(self, spec))

    def discriminator(self, spec: Spec) -> Discriminator:
        width, depth = self.d_width or self.width, self.d_depth or self.depth
        dropout = self.d_input_dropout, self.d_dropout
        D = MLPDiscriminator(self, spec, width, depth, self.d_norm, dropout)
        return self.initialise(D, self.d_initial_scale)


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
