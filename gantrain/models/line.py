"""A generator with one parameter, the position of its segment. For dataset=lines."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.models.base import Generator
from gantrain.models.mlp import FormulaModel
from gantrain.registry import option, register


class LineGenerator(Generator):
    """``G(z, y) -> x``: z [N, 1], x [N, 2] = (theta, u) with u = Phi(z) uniform on [0, 1]."""

    def __init__(self, model: Line):
        super().__init__(model, [])
        self.theta = nn.Parameter(torch.tensor(float(model.theta)))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        # Phi(z) is uniform on [0, 1].
        u = torch.special.ndtr(z[:, :1])
        return torch.cat([self.theta.expand_as(u), u], 1)

    def scalars(self) -> dict[str, Tensor]:
        # |theta| is the Wasserstein distance from the data.
        return {"theta": self.theta.detach()}


@register("model")
@dataclass
class Line(FormulaModel):
    """The segment (theta, u) of Arjovsky, Chintala and Bottou 2017, example 1, with a fully connected D."""

    name: str = option("line", "registered name")
    theta: float = option(1.0, "initial theta, the position of G's segment", minimum=-1e6, maximum=1e6)

    def why_unsupported(self, spec: Spec) -> str | None:
        return super().why_unsupported(spec) if spec.shape == (2,) else "line makes points of two numbers"

    def generator(self, spec: Spec) -> Generator:
        return LineGenerator(self)
