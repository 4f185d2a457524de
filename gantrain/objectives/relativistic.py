"""Relativistic games: D must rank data above samples, in pairs or each against the mean of the other kind."""

import math
from dataclasses import dataclass
from functools import partial

from torch import Tensor
from torch.nn.functional import softplus

from gantrain.core.estimate import Estimate
from gantrain.core.sampling_error import estimate_from_means
from gantrain.objectives.base import Logits, Objective, Targets
from gantrain.registry import key_property, option, register

AVERAGE = "average"


def pair_loss(above: Tensor, below: Tensor) -> Tensor:
    """Return -E log sigmoid(a_i - b_i) over pairs of logits, [N] and [N] to 0-dim."""
    return softplus(below - above).mean()


def average_loss(above: Tensor, below: Tensor) -> Tensor:
    """Return -E log sigmoid(a - E b) - E log sigmoid(E a - b), [N] and [M] to 0-dim."""
    return softplus(below.mean() - above).mean() + softplus(below - above.mean()).mean()


@register("objective")
@dataclass
class Relativistic(Objective):
    """RpGAN, D minimises -E log sigmoid(D(x) - D(G(z))) over pairs, and RaGAN (Jolicoeur-Martineau 2019, sec. 4).

    Of pairs, log 2 - d_loss is a lower bound of JSD(p x q, q x p), the divergence of ordered pairs, which is larger
    than JSD(p, q) and log 2 too on disjoint supports. RaGAN compares each logit with the mean logit of the other kind
    in the batch; log 2 - d_loss / 2 then has no other name, and at the best D it is at least JSD(p, q).
    The default generator is D's loss with both kinds exchanged, as in R3GAN's released code (Huang et al. 2024), whose
    paper writes the saturating one.
    """

    name: str = option("relativistic", "registered name")
    pairing: str = option(
        "pairs", "what a logit must exceed: its pair's, or the other kind's mean", choices=("pairs", AVERAGE)
    )
    generator: str = option("non_saturating", "what G descends", choices=("saturating", "non_saturating"))
    has_free_offset = True
    g_sees_real = True

    @key_property
    def _terms(self) -> int:
        return 2 if self.pairing == AVERAGE else 1  # of the loss, each log 2 at chance

    @key_property
    def chance(self) -> float:
        return self._terms * math.log(2)

    @key_property
    def averages_samples(self) -> bool:
        return self.pairing != AVERAGE

    @key_property
    def meaning(self) -> str:
        exchanged = "E softplus(D(x) - D(G(z)))"
        estimated = "estimates JSD(p x q, q x p) of ordered pairs from below, in nats, above JSD(p_data, p_G)"
        if self.pairing == AVERAGE:
            exchanged = "D's loss with data and samples exchanged"
            estimated = (
                "is log 2 - d_loss / 2 of logits against the mean of the other kind: a bound of nothing else, at the "
                "best D at least JSD(p_data, p_G) and at most log 2"
            )
        game = "the negative of D's loss" if self.generator == "saturating" else exchanged
        return f"divergence/game {estimated}; G descends {game}"

    def loss(self, above: Tensor, below: Tensor) -> Tensor:
        """Return the cost of ranking logits ``above`` [N] over ``below`` [N], 0-dim."""
        return average_loss(above, below) if self.pairing == AVERAGE else pair_loss(above, below)

    def d_loss(self, logits: Logits, targets: Targets | None = None) -> Tensor:
        return self.loss(logits.real, logits.fake)

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        if real is None:
            raise ValueError("the relativistic generator loss needs D's logits on data")
        return -self.loss(real, fake) if self.generator == "saturating" else self.loss(fake, real)

    def estimate(self, logits: Logits) -> dict[str, Estimate]:
        value = math.log(2) - float(self.d_loss(logits)) / self._terms
        estimate = partial(estimate_from_means, value, group=logits.group)
        if self.pairing != AVERAGE:
            losses = softplus(logits.fake - logits.real)  # of independent pairs, shape [N]
            return {"game": estimate(losses, is_lower_bound=True)}
        # The loss to first order in each logit, which also moves a mean (the delta method).
        real, fake = logits.real.double(), logits.fake.double()
        gaps = fake.mean() - real, fake - real.mean()
        of_real = softplus(gaps[0]) - gaps[1].sigmoid().mean() * real
        of_fake = softplus(gaps[1]) + gaps[0].sigmoid().mean() * fake
        return {"game": estimate(of_real, of_fake, slope=0.5)}
