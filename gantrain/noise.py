"""Noise on D's inputs, so that supports overlap, and on its labels, so that D stays uncertain."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.registry import option

MIN_PROBABILITY = 1e-6  # distance from 0 and 1 to which probabilities are clipped when smoothing is undone


@dataclass
class Noise:
    """Instance noise (Sonderby et al. 2017; Arjovsky and Bottou 2017) and label noise (Salimans et al. 2016)."""

    name: str = option("noise", "registered name")
    instance_std: float = option(
        0.0, "standard deviation of Gaussian noise on D's inputs, in the data's unit", minimum=0
    )
    instance_std_end: float | None = option(
        None, "its standard deviation in the end, reached by train.ramp; null keeps it", minimum=0
    )
    anneal_steps: int = option(
        0, "steps after which it is reached, by default at 0; 0 is optimizer.horizon", minimum=0
    )
    label_smoothing: float = option(
        0.0,
        "the target of real data is 1 minus this; that of fakes stays 0 (one-sided)",
        minimum=0,
        below=0.5,
    )
    label_flip: float = option(
        0.0, "probability that a sample gets the opposite target", minimum=0, below=0.5
    )

    def __post_init__(self) -> None:
        if self.anneal_steps and self.instance_std_end is None:
            self.instance_std_end = 0.0

    @property
    def on_inputs(self) -> bool:
        """Whether D's inputs are ever noisy."""
        return self.instance_std > 0 or (self.instance_std_end or 0) > 0

    @property
    def on_labels(self) -> bool:
        """Whether D's targets differ from 1 and 0."""
        return self.label_smoothing > 0 or self.label_flip > 0

    def instance_noise(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """Return the noise to add to D's inputs of this shape, on the CPU."""
        std = self.instance_std
        return std * torch.randn(shape, generator=generator) if std else torch.zeros(shape)

    def targets(self, real: bool, n: int, generator: torch.Generator) -> Tensor:
        """Return D's targets for ``n`` samples, shape [n]: 1 - smoothing for data and 0 for fakes, some exchanged."""
        # With smoothing s and flips f, E target = (1 - s)(1 - f) for data and (1 - s) f for fakes.
        flipped = torch.rand(n, generator=generator) < self.label_flip
        return (flipped.logical_not() if real else flipped) * (1 - self.label_smoothing)

    def undo(self, logits: Tensor) -> Tensor:
        """Return the logits of the D that targets 1 and 0 would give, shape [N] to [N].

        The optimum under targets alpha for data and beta for fakes is (alpha p + beta q) / (p + q), so
        (D - beta) / (alpha - beta) is p / (p + q) again.
        """
        if not self.on_labels:
            return logits
        smooth = 1 - self.label_smoothing
        alpha, beta = smooth * (1 - self.label_flip), smooth * self.label_flip
        # The affine map may leave (0, 1), where the logit is not finite.
        return torch.logit(
            ((torch.sigmoid(logits) - beta) / (alpha - beta)).clamp(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        )
