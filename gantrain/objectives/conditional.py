"""The conditional game with three kinds of pairs: real and right, generated, real and WRONG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gantrain.errors import ConfigError, suggest
from gantrain.objectives.base import Logits, Separable
from gantrain.registry import REGISTERED, option, register


@register("objective")
@dataclass
class Conditional(Separable):
    """D must tell real pairs from fakes and from real samples beside a wrong condition (Reed et al. 2016, alg. 1).

    With weight w on wrong pairs D estimates JSD(p, w p_mis + (1 - w) p_G), where p_mis pairs data with wrong
    conditions, so the game's best generator is (p - w p_mis) / (1 - w) where that is non-negative, and its value
    does not reach 0: ``floor`` for classes that do not overlap.
    """

    name: str = option("conditional", "registered name")
    base: str = option("non_saturating", "the separable objective that both players play")
    mismatch_weight: float = option(
        0.5, "weight of the wrong pairs among those D calls fake", minimum=0, below=1
    )
    quantity: ClassVar[str] = "game"

    def __post_init__(self) -> None:
        known = {
            n: c
            for n, c in REGISTERED["objective"].items()
            if issubclass(c, Separable) and c is not Conditional
        }
        if self.base not in known:
            raise ConfigError(
                "objective.base", f"{self.base!r} cannot be played here", suggest(self.base, known)
            )
        self._base: Separable = known[self.base]()

    @property
    def meaning(self) -> str:
        """The base's sentence, with what wrong pairs change."""
        w = self.mismatch_weight
        if not w:
            return self._base.meaning
        stays = (
            f"; it stays near {self.floor:.3f} for a perfect G and classes apart" if self.classifies else ""
        )
        return (
            f"divergence/game is the same divergence of p from {w:g} p_mis + {1 - w:g} p_G, p_mis being data with "
            f"wrong conditions{stays}; other estimates are read from right pairs only: valid lower bounds that this D "
            f"is not trained to tighten; {self._base.meaning}"
        )

    @property
    def floor(self) -> float:
        """The cross-entropy game's value in nats at p_G = p when no two conditions share a sample: 0.216 at w = 1/2."""
        w = self.mismatch_weight
        kept = (1 - w) * math.log(2 * (1 - w) / (2 - w))
        return 0.5 * math.log(2 / (2 - w)) + 0.5 * (kept + w * math.log(2))

    @property
    def chance(self) -> float:
        """``d_loss`` of a D whose logits are all 0: that of the base, since the weights of a kind sum to 1."""
        return self._base.chance

    @property
    def classifies(self) -> bool:
        """As the base."""
        return self._base.classifies

    @property
    def needs_penalty(self) -> bool:
        """As the base."""
        return self._base.needs_penalty

    def on_real(self, logits: Tensor) -> Tensor:
        """Return the base's loss on data, shape [N]."""
        return self._base.on_real(logits)

    def on_fake(self, logits: Tensor) -> Tensor:
        """Return the base's loss on what D should call fake, shape [M]."""
        return self._base.on_fake(logits)

    def bound(self, d_loss: Tensor) -> float:
        """Return the base's bound for a loss."""
        return self._base.bound(d_loss)

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return the base's generator loss."""
        return self._base.g_loss(fake)

    def estimate(self, logits: Logits) -> dict[str, float]:
        """Return the base's estimate on right pairs, and ``game``: the bound of the game that is played."""
        estimates = self._base.estimate(logits)
        if logits.mismatched is not None:
            estimates[self.quantity] = self.bound(self.d_loss(logits))
        return estimates
