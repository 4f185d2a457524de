"""Weight clipping: a crude bound on a critic's slope."""

from dataclasses import dataclass

import torch
from torch import nn

from gantrain.penalties.base import Constraint
from gantrain.registry import option, register


@register("penalty")
@dataclass
class WeightClip(Constraint):
    """Clip every weight of D to [-clip, clip] after each update (Arjovsky et al. 2017, alg. 1)."""

    name: str = option("weight_clip", "registered name")
    clip: float = option(0.01, "largest absolute weight", above=0)

    @torch.no_grad()
    def project(self, D: nn.Module) -> None:
        # w <- clip(w, -c, c), biases included
        for weight in D.parameters():
            weight.clamp_(-self.clip, self.clip)
