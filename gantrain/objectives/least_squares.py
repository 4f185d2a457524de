"""Least squares: D regresses labels instead of classifying them."""

from dataclasses import dataclass

from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.objectives.base import Logits, Separable
from gantrain.registry import option, register


@register("objective")
@dataclass
class LeastSquares(Separable):
    """LSGAN with labels 1 for real and 0 for fake (Mao et al. 2017, eqs. 2 and 9), the label being logit + 1/2.

    The optimal label is p / (p + q) and its loss 1/2 - Delta / 4, with the triangular divergence
    Delta = int (p - q)^2 / (p + q) in [0, 2]; the paper's Pearson chi-squared needs other labels (b - c = 1,
    b - a = 2). Delta / 4 is a lower bound of the JSD in nats (Topsoe 2000, thm. 2 gives Delta / 4 <= JSD).
    """

    name: str = option("least_squares", "registered name")
    quantity = "triangular"
    offset = 2.0
    slope = 4.0
    chance = 0.5
    meaning = (
        "D estimates the triangular divergence int (p - q)^2 / (p + q) in [0, 2] from below, and a quarter of it "
        "bounds JSD(p_data, p_G) in nats; G descends E (D(G(z)) - 1)^2"
    )

    def on_real(self, logits: Tensor) -> Tensor:
        return (logits - 0.5).square()  # (label - 1)^2

    def on_fake(self, logits: Tensor) -> Tensor:
        return (logits + 0.5).square()  # label^2

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return (fake - 0.5).square().mean()

    def estimate(self, logits: Logits) -> dict[str, Estimate]:
        divergence = super().estimate(logits)[self.quantity]
        return {"js": divergence.transform(lambda triangular: triangular / 4), self.quantity: divergence}
