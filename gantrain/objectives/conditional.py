"""The conditional game with three kinds of pairs: real and right, generated, real and WRONG."""

import math
from dataclasses import dataclass

from gantrain.core.estimate import Estimate
from gantrain.objectives.base import Extended, Logits
from gantrain.registry import key_property, option, register


@register("objective")
@dataclass
class Conditional(Extended):
    """D must tell real pairs from fakes and from real samples with a wrong condition (Reed et al. 2016, alg. 1).

    With weight w on wrong pairs D estimates JSD(p, w p_mis + (1 - w) p_G), p_mis pairing data with wrong conditions.
    The best G is (p - w p_mis) / (1 - w) where that is non-negative, and the value stays above 0, see ``floor``.
    """

    name: str = option("conditional", "registered name")
    mismatch_weight: float = option(
        0.5, "weight of the wrong pairs among those D calls fake", minimum=0, below=1
    )
    quantity = "game"  # the weights of fakes and wrong pairs sum to 1: the base's bound and chance level hold

    @key_property
    def meaning(self) -> str:
        w = self.mismatch_weight
        if not w:
            return self._base.meaning
        floor = f"; its floor is {self.floor:.3f} for classes that do not overlap" if self.classifies else ""
        return (
            f"divergence/game is the same divergence of p from {w:g} p_mis + {1 - w:g} p_G, p_mis being data with "
            f"wrong conditions{floor}; other estimates use right pairs only: valid lower bounds that this D "
            f"is not trained to tighten; {self._base.meaning}"
        )

    @property
    def floor(self) -> float:
        """The cross-entropy game's value in nats at p_G = p when no two conditions share a sample: 0.216 at w = 1/2."""
        w = self.mismatch_weight
        # p_mis has no mass where p has: JSD(p, w p_mis + (1 - w) p) splits into the two supports.
        overlap = (1 - w) * math.log(2 * (1 - w) / (2 - w))
        return 0.5 * math.log(2 / (2 - w)) + 0.5 * (overlap + w * math.log(2))

    def estimate(self, logits: Logits) -> dict[str, Estimate]:
        estimates = super().estimate(logits)
        if logits.mismatched is not None:
            w = self.mismatch_weight
            rejected = (1 - w) * self.on_fake(logits.fake) + w * self.on_fake(logits.mismatched)
            estimates[self.quantity] = self.bound_on(self.on_real(logits.real), rejected, logits.group)
        return estimates
