"""The contract of an objective: losses of D's logits, and what divergence they estimate."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from operator import attrgetter

from torch import Tensor, nn

from gantrain.core.estimate import Estimate
from gantrain.core.judgement import Judgement
from gantrain.core.sampling_error import estimate_from_means
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError
from gantrain.registry import REGISTERED, key_property, option


@dataclass(frozen=True)
class Logits:
    """D's outputs in one step, before any sigmoid; positive means real. Each is float32.

    Attributes:
        real: On data with its own condition, shape [N].
        fake: On generated samples with the condition they were generated for, shape [M].
        mismatched: On data with a wrong condition, shape [N]; None when the game has no wrong pairs.
        group: Consecutive logits that depend on each other, those of one batch for a D that looks across it.
    """

    real: Tensor
    fake: Tensor
    mismatched: Tensor | None = None
    group: int = 1


@dataclass(frozen=True)
class Targets:
    """D's labels, smoothed or flipped.

    Attributes:
        real: Target of each sample of data, shape [N], in [0, 1].
        fake: Target of each generated sample, shape [M], in [0, 1].
    """

    real: Tensor
    fake: Tensor


class Objective(ABC):
    """The value function of a two-player game.

    An attribute without a value here must be given one by each game, as a class attribute without an annotation
    (an annotation would make it a config key) or, where keys decide it, as a ``key_property``.

    Attributes:
        name: The registered name.
        meaning: What D estimates and what G descends, one sentence each.
        chance: ``d_loss`` of a D whose logits are all 0.
        mismatch_weight: Weight of the wrong pairs among the pairs D calls fake; 0 when there are none.
        classifies: Whether sigmoid(logit) is D's probability of real, so that labels can be smoothed and undone.
        has_free_offset: Whether a number added to all logits changes no loss, so that only their differences count.
        needs_penalty: Whether the game means nothing for a D whose slope is free.
        needs_density: Whether G must know its own density.
        needs_condition: Whether the model must be conditional.
        g_sees_real: Whether ``g_loss`` needs D's logits on data too.
        needs: What D must say beside its logit: ``features`` or ``classes``.
        averages_samples: Whether both losses of a batch are the mean of those of its parts, as ``train.accumulate`` and
            ``device.shards`` need.
        has_game: Whether there is a D to play against; a ``Baseline`` has none.
    """

    name: str
    meaning: str
    chance: float
    mismatch_weight: float = 0.0
    classifies: bool = False
    has_free_offset: bool = False
    needs_penalty: bool = False
    needs_density: bool = False
    needs_condition: bool = False
    g_sees_real: bool = False
    needs: frozenset[str] = frozenset()
    averages_samples: bool = True
    has_game: bool = True

    @abstractmethod
    def d_loss(self, logits: Logits, targets: Targets | None = None) -> Tensor:
        """Return what D minimises, 0-dim; ``targets`` only for a game that ``classifies``."""

    @abstractmethod
    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return what G minimises, 0-dim, from D's logits [M] on its samples and, if ``g_sees_real``, on data."""

    def g_loss_of(self, fake: Judgement, real: Judgement | None = None) -> Tensor:
        """Return the same from all that D says; a game whose G looks at more than logits ``needs`` it."""
        return self.g_loss(fake.logit, None if real is None else real.logit)

    def d_costs(self, real: Judgement, fake: Judgement, y: Tensor | None) -> dict[str, Tensor]:
        """Return what D minimises beside ``d_loss``, 0-dim by name: NAME is added to it and logged as ``loss/d_NAME``.

        ``y`` holds the conditions of both kinds, [N, ...], or is None.
        """
        return {}

    def g_costs(self, fake: Judgement, y: Tensor | None) -> dict[str, Tensor]:
        """Return what G minimises beside its loss, as ``d_costs``."""
        return {}

    @abstractmethod
    def estimate(self, logits: Logits) -> dict[str, Estimate]:
        """Return the divergence estimates these logits give, by tag without its ``divergence/`` prefix."""


class Baseline(Objective):
    """A loss of G alone, without a D, to compare the games with."""

    has_game = False
    chance = math.nan

    @abstractmethod
    def loss(self, G: nn.Module, real: Tensor, y: Tensor | None, latents: Tensor) -> Tensor:
        """Return what G minimises, 0-dim.

        Args:
            G: The generator, ``G(latents, y) -> x``, with its ``log_prob`` where it has one.
            real: Data, shape [N, ...].
            y: Its conditions [N, ...], or None.
            latents: As many fresh latents.
        """

    def d_loss(self, logits: Logits, targets: Targets | None = None) -> Tensor:
        raise TypeError("a baseline has no D")

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        raise TypeError("a baseline has no D")

    def estimate(self, logits: Logits) -> dict[str, Estimate]:
        return {}


class Separable(Objective):
    """A game whose D loss is a sum of one term for each sample: E on_real(D(x)) + E on_fake(D(G(z))).

    The bound on the divergence is linear in the loss: ``offset - slope * d_loss``.

    Attributes:
        quantity: Tag of the divergence the bound is of.
        offset: The bound at a loss of 0, in the quantity's unit.
        slope: How much the bound falls per unit of loss, positive.
    """

    quantity: str
    offset: float
    slope: float

    @abstractmethod
    def on_real(self, logits: Tensor) -> Tensor:
        """Return the loss of each logit on data, shape [N] to [N]."""

    @abstractmethod
    def on_fake(self, logits: Tensor) -> Tensor:
        """Return the loss of each logit on samples D should call fake, shape [M] to [M]."""

    def d_loss(self, logits: Logits, targets: Targets | None = None) -> Tensor:
        """Return E on_real + (1 - w) E on_fake(fake) + w E on_fake(mismatched), w the mismatch weight.

        With targets t, every term becomes t on_real + (1 - t) on_fake; wrong pairs keep the target 0.
        """
        if targets is None:
            real, fake = self.on_real(logits.real).mean(), self.on_fake(logits.fake).mean()
        else:
            # The expected loss of a sample that is labelled real with probability t.
            real, fake = (
                (t * self.on_real(x) + (1 - t) * self.on_fake(x)).mean()
                for t, x in ((targets.real, logits.real), (targets.fake, logits.fake))
            )
        if logits.mismatched is None:
            return real + fake
        w = self.mismatch_weight  # 1/2 in Reed et al. 2016, alg. 1
        return real + (1 - w) * fake + w * self.on_fake(logits.mismatched).mean()

    def bound(self, d_loss: Tensor) -> float:
        """Return the divergence bound that a loss gives, in the quantity's unit."""
        return self.offset - self.slope * float(d_loss)

    def estimate(self, logits: Logits) -> dict[str, Estimate]:
        """Return the bound on right pairs and its standard error for a D not fitted to them; never clipped at 0."""
        return {
            self.quantity: self.bound_on(self.on_real(logits.real), self.on_fake(logits.fake), logits.group)
        }

    def bound_on(self, real: Tensor, fake: Tensor, group: int) -> Estimate:
        """Return the bound from the losses on data [N] and on samples [M], of which ``group`` are one unit."""
        value = self.bound(real.mean() + fake.mean())
        return estimate_from_means(value, real, fake, slope=self.slope, group=group, is_lower_bound=True)


@dataclass
class Extended(Separable):
    """A separable game with more to it than its losses of right pairs."""

    name: str = option("", "registered name")
    base: str = option("non_saturating", "the separable objective of both networks")
    offset, slope, chance, classifies, has_free_offset, needs_penalty = (
        key_property(attrgetter(f"_base.{attribute}"))
        for attribute in ("offset", "slope", "chance", "classifies", "has_free_offset", "needs_penalty")
    )

    def __post_init__(self) -> None:
        games = REGISTERED["objective"].items()
        known = {
            name: cls for name, cls in games if issubclass(cls, Separable) and not issubclass(cls, Extended)
        }
        if self.base not in known:
            raise ConfigError(
                "objective.base",
                f"{self.base!r} cannot be played here",
                suggest(self.base, known, "objective"),
            )
        self._base: Separable = known[self.base]()

    def on_real(self, logits: Tensor) -> Tensor:
        return self._base.on_real(logits)

    def on_fake(self, logits: Tensor) -> Tensor:
        return self._base.on_fake(logits)

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return self._base.g_loss(fake)

    def estimate(self, logits: Logits) -> dict[str, Estimate]:
        return self._base.estimate(logits)
