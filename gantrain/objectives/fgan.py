"""The f-GAN: one game for each f-divergence, all with the same formula."""

from dataclasses import dataclass
from operator import attrgetter

from torch import Tensor

from gantrain.objectives.base import Separable
from gantrain.objectives.divergences import NAMES, Divergence, divergence
from gantrain.registry import key_property, option, register


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

    quantity, offset, slope = (
        key_property(attrgetter(f"row.{field}")) for field in ("quantity", "offset", "slope")
    )
    # Where the best logit is the log ratio log p/q, it is that of smoothed labels too.
    classifies = key_property(attrgetter("row.is_log_ratio"))

    @property
    def row(self) -> Divergence:
        """The chosen row of the table of divergences."""
        return divergence(self.divergence, self.pi, self.alpha)

    @key_property
    def meaning(self) -> str:
        row = self.row
        if self.generator == "saturating":
            game = "that bound" if row.slope == 1 else "twice that bound"
        else:
            same = "the same" if row.other == row.words else f"{row.other}, not of that divergence"
            game = f"-E T(G(z)), at the optimal D the gradient of {same}"
        return f"D estimates {row.words} from below, {row.unit}; G descends {game}"

    @key_property
    def chance(self) -> float:
        return self.offset / self.slope  # logits of 0 are T = f'(1), where the bound is 0

    def on_real(self, logits: Tensor) -> Tensor:
        return self.row.on_real(logits)  # -T

    def on_fake(self, logits: Tensor) -> Tensor:
        return self.row.on_fake(logits)  # f*(T)

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        # Saturating: -E f*(T). Non-saturating: -E T.
        return -self.on_fake(fake).mean() if self.generator == "saturating" else self.on_real(fake).mean()
