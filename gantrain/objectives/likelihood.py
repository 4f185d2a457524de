"""Maximum likelihood, which minimises KL(p_data, p_G), for a generator that knows its density."""

from dataclasses import dataclass

from torch import Tensor, nn

from gantrain.objectives.base import Baseline
from gantrain.registry import option, register


@register("objective")
@dataclass
class Likelihood(Baseline):
    """G minimises -E log p_G(x) over data, which is KL(p_data, p_G) but for the entropy of the data, a constant."""

    name: str = option("likelihood", "registered name")
    needs_density = True
    meaning = (
        "there is no D; G maximises the likelihood of the data, which is to minimise KL(p_data, p_G); "
        "loss/g is -E log p_G(x) in nats, the entropy of the data above that KL"
    )

    def loss(self, G: nn.Module, real: Tensor, y: Tensor | None, latents: Tensor) -> Tensor:
        return -G.log_prob(real).mean()  # type: ignore[operator]
