"""Path length regularisation: a step in the styles moves a sample equally far, whichever way it points."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.memory import Memory
from gantrain.penalties.base import GeneratorCost, GeneratorPass, Weighted
from gantrain.registry import option, register

MEAN = "mean"


@register("penalty")
@dataclass
class PathLength(Weighted, GeneratorCost):
    """gamma E (|J^T u| - a)^2, a the running mean of lengths (Karras et al. 2020, eq. 4, and StyleGAN2-ADA's code).

    J is the Jacobian of a sample by its styles w, or by z where G has no styles, and u white noise of as many numbers
    as the sample, over the square root of its pixels. Of several layers' styles the mean square counts. The mean a is
    that of before the batch, and starts at 0.
    """

    name: str = option("path_length", "registered name")
    gamma: float = option(2.0, "weight of the cost", minimum=0)
    every: int = option(
        4, "apply it at every n-th step only, with n times the weight (lazy regularisation)", minimum=1
    )
    decay: float = option(0.99, "decay of the running mean of lengths, a call", minimum=0, below=1)

    def draw(self, real: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(real.shape, generator=generator) / math.sqrt(math.prod(real.shape[2:]))

    def initial_memory(self) -> Memory:
        return {MEAN: torch.zeros(())}

    def cost(self, seen: GeneratorPass) -> tuple[Tensor, Memory]:
        synthesize = seen.method("synthesize")

        def products(styles: Tensor) -> Tensor:
            return (synthesize(styles, seen.latents, seen.y) * seen.draw).flatten(1).sum(1)

        styles = seen.method("styles")(seen.latents, seen.y)
        slopes = seen.derivatives.by_input(products, styles)[1]  # J^T u, [N, layers, d] or [N, d]
        squares = slopes.square().sum(-1)
        lengths = squares.reshape(squares.shape[0], -1).mean(1)
        # The root of 0 has no derivative: a G that ignores its styles has none to learn from.
        lengths = torch.where(lengths > 0, lengths, 1.0).sqrt() * (lengths > 0)
        mean = seen.memory[MEAN]
        after = torch.lerp(lengths.detach().mean(), mean, self.decay)
        return (lengths - mean).square().mean(), {MEAN: after}

    def scalars(self, memory: Memory) -> dict[str, Tensor]:
        return {"generator/path_length_mean": memory[MEAN]}
