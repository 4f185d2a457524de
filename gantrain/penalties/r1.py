"""Zero-centred gradient penalties: R1 at the data, and with R2 at the samples too."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.penalties.base import FAKE, REAL, Pass, Weighted
from gantrain.registry import option, register

R3GAN_GAMMA = ((32, 0.05), (64, 2.0), (256, 150.0))  # by the side, for CIFAR-10 and FFHQ (Huang et al. 2024)


@register("penalty")
@dataclass
class R1(Weighted):
    """gamma / 2 E_p |grad_x D(x)|^2 (Mescheder, Geiger and Nowozin 2018, eq. 9); keeps D's bound valid but low.

    Of a D that couples samples it is the gradient of the sum of all logits of a batch, squared, summed over the batch
    and divided by its samples, as Karras et al. 2020 use it beside minibatch deviation: R1 of a D of whole batches.
    """

    name: str = option("r1", "registered name")
    gamma: float | None = option(  # type: ignore[assignment]
        1.0,
        "weight; the sum runs over all pixels, so larger images need more; null goes by pixels and batch",
        minimum=0,
    )
    slopes_of: ClassVar[tuple[str, ...]] = (REAL,)

    def resolve(self, spec: Spec, batch_size: int) -> dict[str, float]:
        if self.gamma is not None:
            return {}
        # Four digits, which can be typed.
        self.gamma = float(f"{self.suited_gamma(spec, batch_size):.4g}") if spec.is_image else 1.0
        return {"gamma": self.gamma}

    def suited_gamma(self, spec: Spec, batch_size: int) -> float:
        """Return a weight that suits images and a batch: 0.0002 H W / N (Karras et al. 2020, "auto" of ADA's code)."""
        return 2e-4 * math.prod(spec.shape[1:]) / batch_size

    def __call__(self, seen: Pass) -> Tensor:
        # Mean over the batch of each sample's squared L2 norm, not the norm of the batch's gradient.
        none = seen.real.new_zeros(())
        return 0.5 * sum((seen.slopes[kind].square().sum(1).mean() for kind in self.slopes_of), none)


@register("penalty")
@dataclass
class R1R2(R1):
    """R1 and the same at samples, gamma / 2 E_q |grad_x D(x)|^2 (their eq. 10), as in R3GAN (Huang et al. 2024)."""

    name: str = option("r1r2", "registered name")
    gamma: float | None = option(None, "weight; null is that of R3GAN by pixels, and 1 for points", minimum=0)
    slopes_of: ClassVar[tuple[str, ...]] = (REAL, FAKE)

    def suited_gamma(self, spec: Spec, batch_size: int) -> float:
        """Return a weight that suits images: R3GAN's, and between its sides the one on the line of logarithms."""
        side = math.sqrt(math.prod(spec.shape[1:]))
        sides, gammas = ([math.log(number) for number in column] for column in zip(*R3GAN_GAMMA, strict=True))
        return math.exp(float(np.interp(math.log(side), sides, gammas)))
