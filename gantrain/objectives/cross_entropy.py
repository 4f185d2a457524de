"""The original game: D is a classifier trained by cross-entropy; two choices of what G minimises."""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from gantrain.objectives.base import Separable
from gantrain.registry import option, register


class CrossEntropy(Separable):
    """D's side of Goodfellow et al. 2014, eq. 1: d_loss is -V(G, D) in nats, the binary cross-entropy of D.

    max_D V = 2 JSD(p_data, p_G) - 2 log 2 (their Theorem 1), so log 2 - d_loss / 2 is a lower bound of the JSD.
    """

    quantity = "js"
    offset = math.log(2)
    slope = 0.5
    chance = 2 * math.log(2)
    classifies = True

    def on_real(self, logits: Tensor) -> Tensor:
        return softplus(-logits)  # -log D(x), D = sigmoid(logit)

    def on_fake(self, logits: Tensor) -> Tensor:
        return softplus(logits)  # -log(1 - D(x))


@register("objective")
@dataclass
class Minimax(CrossEntropy):
    """The saturating game min_G max_D V: G descends E log(1 - D(G(z))) (Goodfellow et al. 2014, eq. 1)."""

    name: str = option("minimax", "registered name")
    meaning = (
        "D estimates JSD(p_data, p_G) from below, in nats; G descends that bound (2 JSD where D is optimal), "
        "whose gradient vanishes where D is sure"
    )

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -softplus(fake).mean()  # E log(1 - D(G(z))), whose gradient is that of V


@register("objective")
@dataclass
class NonSaturating(CrossEntropy):
    """The same D; G descends -E log D(G(z)), cross-entropy of fakes labelled real (Goodfellow et al. 2014, sec. 3)."""

    name: str = option("non_saturating", "registered name")
    meaning = (
        "D estimates JSD(p_data, p_G) from below, in nats; G descends -E log D(G(z)), at the optimal D the gradient of "
        "KL(p_G, p_data) - 2 JSD, not of JSD (Arjovsky and Bottou 2017, thm. 2.5)"
    )

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return softplus(-fake).mean()  # -E log D(G(z))
