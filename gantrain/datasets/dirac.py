"""A point mass at 0: with model=dirac the smallest game, whose every step has a closed form."""

from dataclasses import dataclass

import torch

from gantrain.core.spec import Spec
from gantrain.datasets.base import Split, Synthetic
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Dirac(Synthetic):
    """Points that are all 0 (Mescheder, Geiger and Nowozin 2018, sec. 2). It has no density."""

    name: str = option("dirac", "registered name")
    n: int = option(1000, "training points, all of them 0", minimum=2, maximum=10_000_000)
    n_holdout: int = option(1000, "held-out points, all of them 0", minimum=2, maximum=10_000_000)

    def spec(self) -> Spec:
        return Spec(shape=(1,))

    def sample(self, n: int, generator: torch.Generator) -> Split:
        return Split(torch.zeros(n, 1))
