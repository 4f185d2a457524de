"""The hinge game: D is a large-margin classifier."""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu

from gantrain.core.estimate import Estimate
from gantrain.objectives.base import Logits, Separable
from gantrain.registry import option, register


@register("objective")
@dataclass
class Hinge(Separable):
    """Geometric GAN (Lim and Ye 2017, eqs. 15-16): its optimal D loss is 2 - 2 TV(p_data, p_G)."""

    name: str = option("hinge", "registered name")
    quantity = "total_variation"
    offset = 1.0
    slope = 0.5
    chance = 2.0
    meaning = (
        "D estimates the total variation distance in [0, 1] from below, and through it JSD(p_data, p_G) in nats; "
        "G descends -E D(G(z))"
    )

    def on_real(self, logits: Tensor) -> Tensor:
        return relu(1 - logits)

    def on_fake(self, logits: Tensor) -> Tensor:
        return relu(1 + logits)

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -fake.mean()

    def estimate(self, logits: Logits) -> dict[str, Estimate]:
        distance = super().estimate(logits)[self.quantity]
        return {"js": distance.transform(least_js), self.quantity: distance}


def least_js(total_variation: float) -> float:
    """Return the least JSD in nats of two distributions T = TV apart.

    JSD >= ((1 + T) log(1 + T) + (1 - T) log(1 - T)) / 2, by data processing: no two distributions T apart are closer
    than two coins of heads (1 + T) / 2 and (1 - T) / 2. A negative estimate of T is a D worse than chance and gives
    a negative number of the same size, so that it shows.
    """
    t = min(abs(total_variation), 1.0)
    # JSD of the coins; 0 log 0 = 0
    below = (1 - t) * math.log1p(-t) if t < 1 else 0.0
    return math.copysign(0.5 * ((1 + t) * math.log1p(t) + below), total_variation)
