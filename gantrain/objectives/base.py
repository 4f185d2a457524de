"""What an objective is: pure mathematics on logits, with the name of what its number means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn


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


@dataclass(frozen=True)
class Targets:
    """What D's labels are when they are not plainly 1 for data and 0 for the rest.

    Attributes:
        real: Target of each sample of data, shape [N], in [0, 1].
        fake: Target of each generated sample, shape [M], in [0, 1].
    """

    real: Tensor
    fake: Tensor


class Objective:
    """The value function of a two-player game.

    What is a property here is a class attribute in most games, and a property in those whose keys decide it.

    Attributes:
        name: The registered name.
        mismatch_weight: Weight of the wrong pairs among the pairs D calls fake; 0 when there are none.
        g_sees_real: Whether ``g_loss`` needs D's logits on data too.
        has_game: Whether there is a D to play against; a ``Baseline`` has none.
        needs_density: Whether G must know its own density.
        needs_condition: Whether the model must be conditional.
    """

    name: str
    mismatch_weight: float = 0.0
    g_sees_real: ClassVar[bool] = False
    has_game: ClassVar[bool] = True
    needs_density: ClassVar[bool] = False
    needs_condition: ClassVar[bool] = False

    @property
    def meaning(self) -> str:
        """What D estimates and what G descends, one sentence each."""
        raise NotImplementedError

    @property
    def chance(self) -> float:
        """``d_loss`` of a D whose logits are all 0."""
        raise NotImplementedError

    @property
    def needs_penalty(self) -> bool:
        """Whether the game means nothing for a D whose slope is free."""
        return False

    @property
    def classifies(self) -> bool:
        """Whether sigmoid(logit) is D's probability of real, so that labels can be smoothed and undone."""
        return False

    def d_loss(self, logits: Logits, targets: Targets | None = None) -> Tensor:
        """Return what D minimises, 0-dim; ``targets`` only for a game that ``classifies``."""
        raise NotImplementedError

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return what G minimises, 0-dim, from D's logits [M] on its samples and, if ``g_sees_real``, on data."""
        raise NotImplementedError

    def estimate(self, logits: Logits) -> dict[str, float]:
        """Return the divergence estimates these logits give, by tag without its ``divergence/`` prefix."""
        raise NotImplementedError


class Baseline(Objective):
    """What is minimised without a D: a yardstick for the games."""

    has_game: ClassVar[bool] = False
    chance: ClassVar[float] = math.nan

    def loss(self, G: nn.Module, real: Tensor, y: Tensor | None, latents: Tensor) -> Tensor:
        """Return what G minimises, 0-dim.

        Args:
            G: The generator, ``G(latents, y) -> x``, with its ``log_prob`` where it has one.
            real: Data, shape [N, ...].
            y: Its conditions [N, ...], or None.
            latents: As many fresh latents.
        """
        raise NotImplementedError

    def estimate(self, logits: Logits) -> dict[str, float]:
        """Return nothing: there is no D to estimate a divergence."""
        return {}


@dataclass
class Separable(Objective):
    """A game whose D loss is a sum of one term for each sample: E on_real(D(x)) + E on_fake(D(G(z))).

    The bound on the divergence is linear in the loss: ``offset - slope * d_loss``.
    """

    @property
    def quantity(self) -> str:
        """Tag of the divergence the bound is of."""
        raise NotImplementedError

    @property
    def offset(self) -> float:
        """See above, in the quantity's unit."""
        raise NotImplementedError

    @property
    def slope(self) -> float:
        """See above."""
        raise NotImplementedError

    def on_real(self, logits: Tensor) -> Tensor:
        """Return the loss of each logit on data, shape [N] to [N]."""
        raise NotImplementedError

    def on_fake(self, logits: Tensor) -> Tensor:
        """Return the loss of each logit on samples D should call fake, shape [M] to [M]."""
        raise NotImplementedError

    def d_loss(self, logits: Logits, targets: Targets | None = None) -> Tensor:
        """Return E on_real + (1 - w) E on_fake(fake) + w E on_fake(mismatched), w the mismatch weight.

        With targets t, every term becomes t on_real + (1 - t) on_fake; wrong pairs keep the target 0.
        """
        if targets is None:
            real, fake = self.on_real(logits.real).mean(), self.on_fake(logits.fake).mean()
        else:
            real, fake = self._towards(targets.real, logits.real), self._towards(targets.fake, logits.fake)
        if logits.mismatched is None:
            return real + fake
        w = self.mismatch_weight
        return real + (1 - w) * fake + w * self.on_fake(logits.mismatched).mean()

    def _towards(self, target: Tensor, logits: Tensor) -> Tensor:
        return (target * self.on_real(logits) + (1 - target) * self.on_fake(logits)).mean()

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
