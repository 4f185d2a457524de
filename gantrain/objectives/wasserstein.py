"""The Wasserstein game: D is a critic whose slope must be bounded by a penalty."""

from dataclasses import dataclass

from torch import Tensor

from gantrain.objectives.base import Separable
from gantrain.registry import option, register


@register("objective")
@dataclass
class Wasserstein(Separable):
    """WGAN (Arjovsky, Chintala and Bottou 2017, eq. 3): d_loss is E D(G(z)) - E D(x).

    For a critic of Lipschitz constant K its negative is at most K W1(p_data, p_G). K is not known under clipping or
    a soft penalty, so the number is called ``game``, never ``wasserstein``.
    """

    name: str = option("wasserstein", "registered name")
    quantity = "game"
    offset = 0.0
    slope = 1.0
    chance = 0.0
    has_free_offset = True
    needs_penalty = True
    meaning = (
        "divergence/game is E D(x) - E D(G(z)), at most K W1(p_data, p_G) for a critic of Lipschitz constant K, which "
        "no soft constraint fixes: compare it within a run only; G descends -E D(G(z))"
    )

    def on_real(self, logits: Tensor) -> Tensor:
        return -logits  # d_loss = E D(G(z)) - E D(x)

    def on_fake(self, logits: Tensor) -> Tensor:
        return logits

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -fake.mean()
