"""The relativistic pairing game: D must rank a real above a fake."""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from gantrain.core.estimate import Estimate
from gantrain.core.sampling_error import estimate_from_means
from gantrain.objectives.base import Logits, Objective, Targets
from gantrain.registry import key_property, option, register


@register("objective")
@dataclass
class Relativistic(Objective):
    """RpGAN (Jolicoeur-Martineau 2019): D minimises -E log sigmoid(D(x) - D(G(z))) over pairs.

    log 2 - d_loss is a lower bound of JSD(p x q, q x p), the divergence of ordered pairs, which is larger than
    JSD(p, q) and log 2 too on disjoint supports. The default generator is the one of R3GAN's released code
    (Huang et al. 2024), E softplus(D(x) - D(G(z))); their paper writes the saturating one.
    """

    name: str = option("relativistic", "registered name")
    generator: str = option("non_saturating", "what G descends", choices=("saturating", "non_saturating"))
    chance = math.log(2)
    has_free_offset = True
    g_sees_real = True

    @key_property
    def meaning(self) -> str:
        game = "the negative of D's loss" if self.generator == "saturating" else "E softplus(D(x) - D(G(z)))"
        return (
            "divergence/game estimates JSD(p x q, q x p) of ordered pairs from below, in nats, which is larger than "
            f"JSD(p_data, p_G); G descends {game}"
        )

    def d_loss(self, logits: Logits, targets: Targets | None = None) -> Tensor:
        return softplus(logits.fake - logits.real).mean()  # -E log sigmoid(D(x_i) - D(G(z_i)))

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        if real is None:
            raise ValueError("the relativistic generator loss needs D's logits on data")
        return (
            -softplus(fake - real).mean() if self.generator == "saturating" else softplus(real - fake).mean()
        )

    def estimate(self, logits: Logits) -> dict[str, Estimate]:
        losses = softplus(logits.fake - logits.real)  # of independent pairs, shape [N]
        value = math.log(2) - float(losses.mean())
        return {"game": estimate_from_means(value, losses, group=logits.group, is_lower_bound=True)}
