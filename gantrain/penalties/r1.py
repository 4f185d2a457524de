"""Zero-centred gradient penalties: R1 at the data, and with R2 at the samples too."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gantrain.penalties.base import Weighted, input_gradient
from gantrain.registry import option, register


@register("penalty")
@dataclass
class R1(Weighted):
    """gamma / 2 E_p |grad_x D(x)|^2 (Mescheder, Geiger and Nowozin 2018, eq. 9); keeps D's bound valid but low."""

    name: str = option("r1", "registered name")
    gamma: float = option(1.0, "weight; the sum runs over all pixels, so larger images need more", minimum=0)
    differentiates_input: ClassVar[bool] = True

    def __call__(
        self, D: nn.Module, real: Tensor, fake: Tensor, y: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        # Mean over the batch of each sample's squared L2 norm, not the norm of the batch's gradient.
        return 0.5 * self.gamma * input_gradient(D, real, y).square().sum(1).mean()


@register("penalty")
@dataclass
class R1R2(R1):
    """R1 and the same at samples, gamma / 2 E_q |grad_x D(x)|^2 (their eq. 10), as in R3GAN (Huang et al. 2024)."""

    name: str = option("r1r2", "registered name")

    def __call__(
        self, D: nn.Module, real: Tensor, fake: Tensor, y: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        # R1 with samples in place of the data is R2.
        return super().__call__(D, real, fake, y, generator) + super().__call__(D, fake, real, y, generator)
