"""What a model is: a recipe that builds the two players for a data spec."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gantrain.datasets.base import Spec
from gantrain.registry import option


class Player(nn.Module):
    """A network of the game.

    Attributes:
        couples_samples: Whether an output depends on the other samples of its batch.
        pack: Samples that share one logit.
    """

    couples_samples: bool = False
    pack: int = 1

    def readings(self) -> dict[str, Tensor]:
        """Return numbers of its own worth logging under ``generator/``, 0-dim; a network's weights have none."""
        return {}


@dataclass
class Model:
    """Keys that every model shares."""

    z_dim: int = option(64, "dimension of the standard normal latent z", minimum=1, maximum=65536)
    condition: str = option(
        "none",
        "how the players see the class: as an input of both, or of G and projected on D's features",
        choices=("none", "concat", "projection"),
    )
    spectral_norm: bool = option(
        False, "divide each weight of D by its largest singular value (Miyato et al. 2018)"
    )
    minibatch_std: bool = option(False, "show D how much a batch varies (Karras et al. 2018, sec. 3)")
    packing: int = option(
        1, "samples that D judges together (PacGAN, Lin et al. 2018)", minimum=1, maximum=64
    )

    def fits(self, spec: Spec) -> str | None:
        """Return why the model cannot be built for this data, or None when it can."""
        return None

    def generator(self, spec: Spec) -> Player:
        """Return a freshly initialised ``G(z, y) -> x``: z [N, z_dim], y [N] or None, x [N, *shape]."""
        raise NotImplementedError

    def discriminator(self, spec: Spec) -> Player:
        """Return a freshly initialised ``D(x, y) -> logits``: x [N, *shape], y [N] or None, logits [N]."""
        raise NotImplementedError

    def build(self, spec: Spec) -> tuple[Player, Player]:
        """Return both players; D with what the shared keys make of it.

        Weights are drawn from torch's global generator; the caller seeds it.
        """
        G = self.generator(spec)
        D = self.discriminator(replace(spec, shape=(spec.shape[0] * self.packing, *spec.shape[1:])))
        D.couples_samples = self.minibatch_std
        if self.spectral_norm:
            for layer in [m for m in D.modules() if isinstance(m, nn.Linear | nn.Conv2d)]:
                nn.utils.parametrizations.spectral_norm(layer)
        return G, D if self.packing == 1 else Packed(D, self.packing)

    def classes(self, spec: Spec) -> int:
        """Return how many classes the players see: 0 when the model is unconditional."""
        return 0 if self.condition == "none" else spec.classes

    @property
    def couples_samples(self) -> bool:
        """Whether D looks across the samples of a batch."""
        return self.minibatch_std or self.packing > 1

    def latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` latents z ~ N(0, I), shape [n, z_dim], on the CPU."""
        return torch.randn(n, self.z_dim, generator=generator)


class Packed(Player):
    """Lets D judge ``pack`` samples at once, side by side as features or channels: N samples, N / pack logits."""

    couples_samples = True

    def __init__(self, D: nn.Module, pack: int):
        super().__init__()
        self.D, self.pack = D, pack

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        packs = x.reshape(len(x) // self.pack, self.pack * x.shape[1], *x.shape[2:])
        return self.D(packs, None)


class Head(nn.Module):
    """From D's features phi [N, d] to logits [N]: linear, and for a condition the product with its class's vector.

    The projection is that of Miyato and Koyama 2018, eq. 3.

    Args:
        features: d.
        classes: Classes to project on; 0 for none.
        minibatch_std: Append the mean over features of their standard deviation in the batch.
    """

    def __init__(self, features: int, classes: int, minibatch_std: bool):
        super().__init__()
        self.minibatch_std = minibatch_std
        self.linear = nn.Linear(features + minibatch_std, 1)
        self.classes = nn.Embedding(classes, features) if classes else None

    def forward(self, phi: Tensor, y: Tensor | None) -> Tensor:
        spread = phi.std(0, unbiased=False).mean().expand(len(phi), 1) if self.minibatch_std else phi[:, :0]
        logits = self.linear(torch.cat([phi, spread], 1)).squeeze(1)
        if self.classes is None or y is None:
            return logits
        return logits + (self.classes(y) * phi).sum(1)


def one_hot(y: Tensor | None, classes: int, like: Tensor) -> Tensor:
    """Return labels [N] as rows of 0 and 1, shape [N, classes] with ``like``'s type; [N, 0] for no classes."""
    if not classes or y is None:
        return like.new_zeros(len(like), 0)
    return nn.functional.one_hot(y, classes).to(like)
