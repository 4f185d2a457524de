"""A segment in the plane: with model=line the smallest example of disjoint supports."""

from dataclasses import dataclass

import torch

from gantrain.core.spec import Spec
from gantrain.datasets.base import Split, Synthetic
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Lines(Synthetic):
    """Points (0, u), u uniform on [0, 1] (Arjovsky, Chintala and Bottou 2017, example 1).

    The generator of model=line draws (theta, u): JSD is log 2 for every theta but 0, KL infinite, W1 = |theta|.
    """

    name: str = option("lines", "registered name")
    n: int = option(20_000, "training points drawn once", minimum=2, maximum=10_000_000)
    n_holdout: int = option(5_000, "held-out points", minimum=2, maximum=10_000_000)

    def spec(self) -> Spec:
        return Spec(shape=(2,))

    def sample(self, n: int, generator: torch.Generator) -> Split:
        u = torch.rand(n, 1, generator=generator)
        return Split(torch.cat([torch.zeros_like(u), u], 1))  # [n, 2]
