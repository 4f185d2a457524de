"""What a model is: a recipe that builds the two players for a data spec."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gantrain.datasets.base import Spec
from gantrain.registry import option


@dataclass
class Model:
    """Keys that every model shares."""

    z_dim: int = option(64, "dimension of the standard normal latent z", minimum=1, maximum=65536)
    condition: str = option("none", "how both players see the class label", choices=("none", "concat"))

    def fits(self, spec: Spec) -> str | None:
        """Return why the model cannot be built for this data, or None when it can."""
        raise NotImplementedError

    def build(self, spec: Spec) -> tuple[nn.Module, nn.Module]:
        """Return freshly initialised players ``G(z, y) -> x`` and ``D(x, y) -> logits [N]``.

        Weights are drawn from torch's global generator; the caller seeds it.
        """
        raise NotImplementedError

    def classes(self, spec: Spec) -> int:
        """Return how many classes the players see: 0 when the model is unconditional."""
        return 0 if self.condition == "none" else spec.classes

    def latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` latents z ~ N(0, I), shape [n, z_dim], on the CPU."""
        return torch.randn(n, self.z_dim, generator=generator)


def one_hot(y: Tensor | None, classes: int, like: Tensor) -> Tensor:
    """Return labels [N] as rows of 0 and 1, shape [N, classes] with ``like``'s type; [N, 0] for no classes."""
    if not classes or y is None:
        return like.new_zeros(len(like), 0)
    return nn.functional.one_hot(y, classes).to(like)
