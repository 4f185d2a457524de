"""LeCam: D's outputs are held near where the other kind's outputs have been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gantrain.penalties.base import Weighted
from gantrain.registry import option, register


@register("penalty")
@dataclass
class LeCam(Weighted):
    """gamma (E (D(x) - a_fake)^2 + E (D(G(z)) - a_real)^2), a being running means of D (Tseng et al. 2021, eq. 5)."""

    name: str = option("lecam", "registered name")
    gamma: float = option(0.1, "weight, the paper's lambda", minimum=0)
    decay: float = option(0.99, "decay of the running means", minimum=0, below=1)

    def __post_init__(self) -> None:
        self._means: dict[str, Tensor] = {}

    def __call__(
        self,
        D: nn.Module,
        real: Tensor,
        fake: Tensor,
        y: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Return the cost against the means, which move first; a first call starts them where D is."""
        logits = {"real": D(real, y), "fake": D(fake, y)}
        for kind, values in logits.items():
            mean = values.detach().mean()
            self._means[kind] = torch.lerp(mean, self._means.get(kind, mean).to(mean), self.decay)
        distance = (logits["real"] - self._means["fake"]).square().mean()
        return self.gamma * (distance + (logits["fake"] - self._means["real"]).square().mean())

    def memory(self) -> dict[str, Tensor]:
        """Return both running means, 0-dim; none before the first update."""
        return dict(self._means)

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Take over both running means."""
        self._means.update({kind: memory[kind] for kind in ("real", "fake") if memory})
