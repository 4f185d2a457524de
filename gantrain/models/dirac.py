"""The Dirac-GAN, networks of one parameter: G(z) = theta, D(x) = psi x. For dataset=dirac."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.models.base import Discriminator, Fit, Generator, Model
from gantrain.registry import option, register


class DiracGenerator(Generator):
    """``G(z, y) -> x``: z [N, z_dim], x [N, 1] = theta, whatever z."""

    def __init__(self, model: Dirac):
        super().__init__(model, [])
        self.theta = nn.Parameter(torch.tensor(float(model.theta)))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.theta.expand(z.shape[0], 1)  # not len(), which torch.export takes for a constant

    def scalars(self) -> dict[str, Tensor]:
        return {"theta": self.theta.detach()}


class DiracDiscriminator(Discriminator):
    """``D(x, y) -> logits``: x [N, 1], logits [N] = psi x."""

    def __init__(self, model: Dirac):
        super().__init__()
        self.psi = nn.Parameter(torch.tensor(float(model.psi)))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.psi * x.squeeze(1)  # [N, 1] to [N]

    def scalars(self) -> dict[str, Tensor]:
        return {"psi": self.psi.detach()}


@register("model")
@dataclass
class Dirac(Model):
    """The Dirac-GAN (Mescheder, Geiger and Nowozin 2018, def. 2.1).

    A logit is positive for real, so psi starts below 0, where D is right about a theta above 0.
    """

    fits: ClassVar[dict[str, Fit]] = {
        "source": Fit(("z",), "has no layer for dropout"),
        "condition": Fit(("none",), "has no layer for conditions"),
        "spectral_norm": Fit((False,), "has a D of one number, without layers to normalise"),
        "g_spectral_norm": Fit((False,), "has a G of one number, without layers to normalise"),
        "minibatch_std": Fit((False,), "has a D of one number, without features to compare"),
        "packing": Fit((1,), "has a D of one number, which takes one sample"),
    }
    obsolete_keys: ClassVar[tuple[str, ...]] = ("width", "depth", "d_activation")

    name: str = option("dirac", "registered name")
    z_dim: int = option(1, "dimension of the latent z, which G ignores", minimum=1, maximum=65536)
    theta: float = option(1.0, "initial theta, the point that G generates", minimum=-1e6, maximum=1e6)
    psi: float = option(-1.0, "initial psi, the slope of D", minimum=-1e6, maximum=1e6)

    def why_unsupported(self, spec: Spec) -> str | None:
        if spec.shape != (1,) or spec.is_labelled:
            return "dirac makes points of one number, without labels"
        return super().why_unsupported(spec)

    def generator(self, spec: Spec) -> Generator:
        return DiracGenerator(self)

    def discriminator(self, spec: Spec) -> Discriminator:
        return DiracDiscriminator(self)
