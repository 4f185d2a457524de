"""Zero-centred gradient penalties: R1 at the data, and with R2 at the samples too."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gantrain.penalties.base import FAKE, REAL, Pass, Weighted
from gantrain.registry import option, register


@register("penalty")
@dataclass
class R1(Weighted):
    """gamma / 2 E_p |grad_x D(x)|^2 (Mescheder, Geiger and Nowozin 2018, eq. 9); keeps D's bound valid but low."""

    name: str = option("r1", "registered name")
    gamma: float = option(1.0, "weight; the sum runs over all pixels, so larger images need more", minimum=0)
    slopes_of: ClassVar[tuple[str, ...]] = (REAL,)
    differentiates_input: ClassVar[bool] = True

    def __call__(self, seen: Pass) -> Tensor:
        # Mean over the batch of each sample's squared L2 norm, not the norm of the batch's gradient.
        none = seen.real.new_zeros(())
        return 0.5 * sum((seen.slopes[kind].square().sum(1).mean() for kind in self.slopes_of), none)


@register("penalty")
@dataclass
class R1R2(R1):
    """R1 and the same at samples, gamma / 2 E_q |grad_x D(x)|^2 (their eq. 10), as in R3GAN (Huang et al. 2024)."""

    name: str = option("r1r2", "registered name")
    slopes_of: ClassVar[tuple[str, ...]] = (REAL, FAKE)
