"""The cost of transport: G moves each latent no farther than it must."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from gantrain.core.memory import Memory
from gantrain.core.spec import Spec
from gantrain.models.base import MAX_Z_DIM, Model
from gantrain.penalties.base import GeneratorCost, GeneratorPass, Weighted
from gantrain.registry import option, register


@register("penalty")
@dataclass
class Transport(Weighted, GeneratorCost):
    """gamma E |G(z) - z|^2, of all maps from z to the data the nearest (Adversarial Flow Models, Lin et al. 2026).

    arXiv 2511.22475. It needs a z as wide as the data. The weight falls, because the cost also pulls samples away from
    the data, towards z; the map that it chose stays.
    """

    name: str = option("transport", "registered name")
    gamma: float = option(0.1, "weight of the cost", minimum=0)
    gamma_end: float | None = option(
        0.0, "weight at optimizer.horizon, reached linearly; null keeps gamma", minimum=0
    )

    def misfits(self, model: Model, spec: Spec) -> Iterator[tuple[str, str, str]]:
        if model.source == "dropout":
            yield "model.source", "is dropout, and penalty=transport moves a z", "set model.source=z"
        if model.z_dim != spec.numel:
            what = f"is {model.z_dim}, and penalty=transport moves each z to a sample of {spec.numel} numbers"
            remedy = f"set model.z_dim={spec.numel}" if spec.numel <= MAX_Z_DIM else "leave the penalty out"
            yield "model.z_dim", what, remedy

    def cost(self, seen: GeneratorPass) -> tuple[Tensor, Memory]:
        x = seen.fake.flatten(1)  # [N, d]
        return (x - seen.latents[:, : x.shape[1]]).square().sum(1).mean(), {}
