"""LeCam regularisation: D's outputs on each kind are pulled towards the running mean of the other."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gantrain.core.memory import Memory
from gantrain.penalties.base import FAKE, REAL, Pass, Weighted
from gantrain.registry import option, register


@register("penalty")
@dataclass
class LeCam(Weighted):
    """gamma (E (D(x) - a_fake)^2 + E (D(G(z)) - a_real)^2), a being running means of D (Tseng et al. 2021, eq. 5)."""

    name: str = option("lecam", "registered name")
    gamma: float = option(0.1, "weight, the paper's lambda", minimum=0)
    decay: float = option(0.99, "decay of the running means", minimum=0, below=1)
    averages_samples: ClassVar[bool] = False

    def initial_memory(self) -> Memory:
        return {kind: torch.tensor(math.nan) for kind in (REAL, FAKE)}  # no mean yet

    def observe(self, memory: Memory, real_logits: Tensor, fake_logits: Tensor) -> Memory:
        means = {REAL: real_logits.detach().mean(), FAKE: fake_logits.detach().mean()}
        # At the first call they start at D's current outputs.
        earlier = {
            kind: torch.where(memory[kind].isnan(), mean, memory[kind]) for kind, mean in means.items()
        }
        return {kind: torch.lerp(mean, earlier[kind], self.decay) for kind, mean in means.items()}

    def __call__(self, seen: Pass) -> Tensor:
        # Each kind against the mean of the other (eq. 5), which this batch has moved already.
        distance = (seen.real_logits - seen.memory[FAKE]).square().mean()
        return distance + (seen.fake_logits - seen.memory[REAL]).square().mean()
