"""The contract of an augmentation: a random, differentiable transformation of what D sees."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from gantrain.core.spec import Spec


class Augmentation(ABC):
    """A transformation of D's inputs, applied alike to data and samples, in the updates of D and of G.

    Data and samples get independent draws of one distribution, and G's gradient passes through (Zhao et al. 2020;
    Karras et al. 2020). Metrics and sample grids are computed without it.

    Attributes:
        name: The registered name.
        active: Whether it transforms anything; one that does not is never called.
    """

    name: str
    active: ClassVar[bool] = True

    def why_unsupported(self, spec: Spec) -> str | None:
        """Return why data of this spec cannot be augmented so, or None when they can."""
        return None

    @abstractmethod
    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return ``x`` [N, ...] transformed: same shape and type, differentiable with respect to ``x``.

        All randomness comes from ``generator``, on the CPU.
        """
