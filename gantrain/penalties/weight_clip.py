"""Weight clipping: a crude bound on a critic's slope."""

from dataclasses import dataclass

from torch import Tensor

from gantrain.penalties.base import Constraint
from gantrain.registry import option, register


@register("penalty")
@dataclass
class WeightClip(Constraint):
    """Clip every weight of D to [-clip, clip] after each update (Arjovsky et al. 2017, alg. 1)."""

    name: str = option("weight_clip", "registered name")
    clip: float = option(0.01, "largest absolute weight", above=0)

    def project(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        # w <- clip(w, -c, c), biases included
        return {name: weight.clamp(-self.clip, self.clip) for name, weight in weights.items()}
