"""The contract of an augmentation: a random, differentiable transformation of what D sees."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
from torch import Tensor

from gantrain.core.memory import Memory, Remembers
from gantrain.core.spec import Spec


class Augmentation(Remembers, ABC):
    """A transformation of D's inputs, applied alike to data and samples, in the updates of D and of G.

    Data and samples get independent draws of one distribution, and G's gradient passes through (Zhao et al. 2020;
    Karras et al. 2020). Metrics and sample grids are computed without it.

    Attributes:
        name: The registered name.
        active: Whether it transforms anything; one that does not is never called.
        reads_signs: Whether what it keeps depends on the signs of D's logits, which 0 must divide.
    """

    name: str
    active: ClassVar[bool] = True
    reads_signs: bool = False

    def why_unsupported(self, spec: Spec) -> str | None:
        """Return why data of this spec cannot be augmented so, or None when they can."""
        return None

    def for_classifier(self) -> Self:
        """Return the augmentation at a fixed strength at which a classifier learns to know it: it is often visible."""
        return self

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return the random numbers of ``n`` samples, shape [n, ...], drawn on the CPU."""

    @abstractmethod
    def __call__(self, x: Tensor, draw: Tensor, memory: Memory | None = None) -> Tensor:
        """Return ``x`` [N, ...] transformed: same shape and type, differentiable with respect to ``x``.

        Args:
            x: Data or samples.
            draw: All its randomness, what ``draw`` returned for as many samples, on the device of ``x``.
            memory: What it keeps, on the same device; None for what it keeps before the first step.
        """
