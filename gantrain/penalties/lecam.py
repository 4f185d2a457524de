"""LeCam regularisation: D's outputs on each kind are pulled towards the running mean of the other."""

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
        self, D: nn.Module, real: Tensor, fake: Tensor, y: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        # The means move first; at the first call they start at D's current outputs.
        logits = {"real": D(real, y), "fake": D(fake, y)}
        for kind, values in logits.items():
            mean = values.detach().mean()
            self._means[kind] = torch.lerp(mean, self._means.get(kind, mean).to(mean), self.decay)
        # Each kind against the mean of the other (eq. 5).
        distance = (logits["real"] - self._means["fake"]).square().mean()
        return self.gamma * (distance + (logits["fake"] - self._means["real"]).square().mean())

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self._means)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        # Empty before the first update.
        self._means.update({kind: state[kind] for kind in ("real", "fake") if state})
