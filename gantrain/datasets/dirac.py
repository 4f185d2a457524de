"""A point mass at 0: with model=dirac, the smallest game, whose every step can be done by hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Dataset, Split
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Dirac(Dataset):
    """The number 0, again and again (Mescheder, Geiger and Nowozin 2018, sec. 2). It has no density."""

    name: str = option("dirac", "registered name")
    n: int = option(1000, "training points, all of them 0", minimum=2, maximum=10_000_000)
    n_holdout: int = option(1000, "held-out points, all of them 0", minimum=2, maximum=10_000_000)

    def spec(self) -> Spec:
        """Return points of one number, without labels."""
        return Spec(shape=(1,))

    def load(self, seed: int) -> Data:
        """Return the points; there is nothing to draw."""
        train, held = (Split(torch.zeros(n, 1)) for n in (self.n, self.n_holdout))
        return Data(self.spec(), train, held)
