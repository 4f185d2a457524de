"""The f-GAN: one game for each f-divergence, all with the same formula."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gantrain.objectives.base import Separable
from gantrain.objectives.divergences import NAMES, Divergence, divergence
from gantrain.registry import option, register


@register("objective")
@dataclass
class FGAN(Separable):
    """D maximises E_p T - E_q f*(T), a lower bound of D_f(p_data, p_G) (Nowozin, Cseke and Tomioka 2016, eq. 4).

    T = g(D(x)), see ``divergences.py`` for the rows. The saturating G descends the bound, -E f*(T) on its samples;
    the non-saturating G descends -E T (their sec. 3.2), which is another divergence's gradient.
    """

    name: str = option("fgan", "registered name")
    divergence: str = option("js", "what D estimates", choices=NAMES)
    generator: str = option("saturating", "what G descends", choices=("saturating", "non_saturating"))
    pi: float = option(
        0.25, "weight of the data, for divergence=js_weighted; JSD at 0.5", minimum=0.01, maximum=0.99
    )
    alpha: float = option(
        0.5, "order, for divergence=alpha; reverse KL at 0, KL at 1", minimum=-1.0, maximum=2.0
    )

    @property
    def row(self) -> Divergence:
        """The chosen row of the table."""
        return divergence(self.divergence, self.pi, self.alpha)

    @property
    def meaning(self) -> str:
        """What D estimates and what G descends."""
        row = self.row
        if self.generator == "saturating":
            game = "that bound" if row.slope == 1 else "twice that bound"
        else:
            same = "the same" if row.other == row.words else f"{row.other}, not of that divergence"
            game = f"-E T(G(z)), at the optimal D the gradient of {same}"
        return f"D estimates {row.words} from below, {row.unit}; G descends {game}"

    @property
    def quantity(self) -> str:
        """Tag of the row's divergence."""
        return self.row.quantity

    @property
    def offset(self) -> float:
        """The quantity's bound is ``offset - slope * d_loss``."""
        return self.row.offset

    @property
    def slope(self) -> float:
        """See ``offset``."""
        return self.row.slope

    @property
    def chance(self) -> float:
        """``d_loss`` of a D whose logits are all 0, and so T = f'(1): the loss at which the bound is 0."""
        return self.offset / self.slope

    @property
    def classifies(self) -> bool:
        """Whether the best logit is log p/q; it then is the log ratio of smoothed labels, too, as cross-entropy's."""
        return self.row.is_log_ratio

    def on_real(self, logits: Tensor) -> Tensor:
        """Return -T, shape [N] to [N]."""
        return self.row.on_real(logits)

    def on_fake(self, logits: Tensor) -> Tensor:
        """Return f*(T), shape [M] to [M]."""
        return self.row.on_fake(logits)

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -E f*(T) or, non-saturating, -E T over samples."""
        return -self.on_fake(fake).mean() if self.generator == "saturating" else self.on_real(fake).mean()
