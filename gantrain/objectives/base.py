"""What an objective is: pure mathematics on logits, with the name of what its number means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Logits:
    """What D said in one step, before any sigmoid; positive means real. Each is float32.

    Attributes:
        real: On data with its own condition, shape [N].
        fake: On generated samples with the condition they were asked for, shape [M].
        mismatched: On data with a wrong condition, shape [N]; None when the game has no wrong pairs.
    """

    real: Tensor
    fake: Tensor
    mismatched: Tensor | None = None


class Objective:
    """The value function of a two-player game.

    Attributes:
        base: Plain name of the game in which D plays, for messages.
        meaning: What D estimates and what G descends, one sentence each.
        chance: ``d_loss`` of a D whose logits are all 0.
        mismatch_weight: Weight of the wrong pairs among the pairs D calls fake; 0 when there are none.
    """

    meaning: str
    chance: ClassVar[float]
    mismatch_weight: float = 0.0

    def d_loss(self, logits: Logits) -> Tensor:
        """Return what D minimises, 0-dim."""
        raise NotImplementedError

    def g_loss(self, fake: Tensor) -> Tensor:
        """Return what G minimises, 0-dim, from D's logits on its samples, shape [M]."""
        raise NotImplementedError

    def estimate(self, logits: Logits) -> dict[str, float]:
        """Return the divergence estimates these logits give, by tag without its ``divergence/`` prefix."""
        raise NotImplementedError


@dataclass
class Separable(Objective):
    """A game whose D loss is a sum of one term for each sample: E on_real(D(x)) + E on_fake(D(G(z))).

    The bound on the divergence is linear in the loss: ``offset - slope * d_loss``.

    Attributes:
        quantity: Tag of the divergence the bound is of.
        offset: See above, in the quantity's unit.
        slope: See above.
    """

    quantity: ClassVar[str]
    offset: ClassVar[float]
    slope: ClassVar[float]

    def on_real(self, logits: Tensor) -> Tensor:
        """Return the loss of each logit on data, shape [N] to [N]."""
        raise NotImplementedError

    def on_fake(self, logits: Tensor) -> Tensor:
        """Return the loss of each logit on samples D should call fake, shape [M] to [M]."""
        raise NotImplementedError

    def d_loss(self, logits: Logits) -> Tensor:
        """Return E on_real + (1 - w) E on_fake(fake) + w E on_fake(mismatched), w the mismatch weight."""
        loss = self.on_real(logits.real).mean()
        if logits.mismatched is None:
            return loss + self.on_fake(logits.fake).mean()
        w = self.mismatch_weight
        return loss + (1 - w) * self.on_fake(logits.fake).mean() + w * self.on_fake(logits.mismatched).mean()

    def bound(self, d_loss: Tensor) -> float:
        """Return the divergence bound that a loss gives, in the quantity's unit."""
        return self.offset - self.slope * float(d_loss)

    def estimate(self, logits: Logits) -> dict[str, float]:
        """Return the bound on right pairs and its standard error; never clipped at 0.

        The standard error treats the samples as independent, which is exact for a D they were not fitted to.
        """
        real, fake = self.on_real(logits.real), self.on_fake(logits.fake)
        variance = float(real.var()) / len(real) + float(fake.var()) / len(fake)
        return {
            self.quantity: self.bound(real.mean() + fake.mean()),
            f"{self.quantity}_se": self.slope * math.sqrt(variance),
        }
