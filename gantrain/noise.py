"""Noise on what D sees: on its inputs, so that supports overlap, and on its labels, so that it is never sure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.registry import option

SURE = 1e-6  # probabilities are kept this far from 0 and 1 when smoothing is undone


@dataclass
class Noise:
    """Instance noise (Sonderby et al. 2017; Arjovsky and Bottou 2017) and label noise (Salimans et al. 2016)."""

    name: str = option("noise", "registered name")
    instance_std: float = option(
        0.0, "standard deviation of Gaussian noise on D's inputs, data's unit", minimum=0
    )
    anneal_steps: int = option(0, "steps over which that falls linearly to 0; 0 keeps it", minimum=0)
    label_smoothing: float = option(
        0.0, "data's target is 1 minus this; fakes keep 0 (one-sided)", minimum=0, below=0.5
    )
    label_flip: float = option(
        0.0, "probability that a sample gets the other kind's target", minimum=0, below=0.5
    )

    @property
    def on_labels(self) -> bool:
        """Whether D's targets are not plainly 1 and 0."""
        return self.label_smoothing > 0 or self.label_flip > 0

    def std(self, step: int) -> float:
        """Return the instance noise's standard deviation in the update after ``step`` finished ones."""
        left = max(0.0, 1 - step / self.anneal_steps) if self.anneal_steps else 1.0
        return self.instance_std * left

    def scheduled(self, step: int) -> dict[str, float]:
        """Return what is worth logging of an update: the noise that is there, by key."""
        levels = {
            "instance_std": self.std(step),
            "label_smoothing": self.label_smoothing,
            "label_flip": self.label_flip,
        }
        return {key: level for key, level in levels.items() if getattr(self, key)}

    def perturb(self, x: Tensor, step: int, draw: Callable[[], torch.Generator]) -> Tensor:
        """Return ``x`` [N, ...] with this step's instance noise; ``x`` itself, with nothing drawn, without."""
        std = self.std(step)
        if not std:
            return x
        return x + std * torch.randn(x.shape, generator=draw()).to(x.device)

    def targets(self, real: bool, n: int, generator: torch.Generator) -> Tensor:
        """Return D's targets for ``n`` samples, shape [n]: 1 - smoothing for data and 0 for fakes, some exchanged."""
        flipped = torch.rand(n, generator=generator) < self.label_flip
        called_real = flipped.logical_not() if real else flipped
        return called_real * (1 - self.label_smoothing)

    def undo(self, logits: Tensor) -> Tensor:
        """Return the logits of the D that plain targets would have given, shape [N] to [N].

        The optimum under targets alpha for data and beta for fakes is (alpha p + beta q) / (p + q), so
        (D - beta) / (alpha - beta) is p / (p + q) again.
        """
        if not self.on_labels:
            return logits
        smooth = 1 - self.label_smoothing
        alpha, beta = smooth * (1 - self.label_flip), smooth * self.label_flip
        return torch.logit(((torch.sigmoid(logits) - beta) / (alpha - beta)).clamp(SURE, 1 - SURE))
