"""Stacked MNIST: three digits as the channels of one image, a thousand modes that can be counted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.mnist import MNIST
from gantrain.registry import option, register

CHANNELS, DIGITS = 3, 10


@dataclass(frozen=True, kw_only=True)
class Stacks(Split):
    """Images whose channels are other images, stacked when they are taken.

    Attributes:
        x: The other images, shape [M, 1, H, W]; ``y`` has one label a stack, shape [N].
        rows: Indices into ``x`` of each stack's channels, shape [N, C].
    """

    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: Tensor, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor | None]:
        x, _ = Split(self.x.squeeze(1)).take(self.rows[index], device)
        return x, None if self.y is None else self.y[index].to(device)


@register("dataset")
@dataclass
class StackedMNIST(MNIST):
    """Three MNIST digits drawn at random as the channels of a 28x28 image (Metz et al. 2017, sec. 3.3.1).

    The classes are the numbers 0 to 999, whose hundreds are the first channel's digit. Held-out images are made of
    test digits alone. Digits are as frequent as in MNIST, so the classes are not quite uniform: KL 0.004 nats.
    """

    name: str = option("stacked_mnist", "registered name")
    n: int = option(128_000, "training images, their digits drawn once", minimum=2, maximum=10_000_000)
    n_holdout: int = option(26_000, "held-out images, of test digits", minimum=2, maximum=10_000_000)

    def spec(self) -> Spec:
        return replace(
            super().spec(), shape=(CHANNELS, 28, 28), classes=DIGITS**CHANNELS, channel_classes=DIGITS
        )

    def load(self, seed: int) -> Data:
        digits, generator = super().load(seed), torch.Generator().manual_seed(seed)
        return replace(
            digits,
            train=stack_digits(digits.train, self.n, generator),
            holdout=stack_digits(digits.holdout, self.n_holdout, generator),
        )


def stack_digits(digits: Split, n: int, generator: torch.Generator) -> Stacks:
    """Draw ``n`` triples of digits with replacement; a triple's label is 100 a + 10 b + c."""
    rows = torch.randint(len(digits), (n, CHANNELS), generator=generator)
    # 100, 10, 1
    places = DIGITS ** torch.arange(CHANNELS - 1, -1, -1)
    return Stacks(x=digits.x, y=(digits.y[rows] * places).sum(1), rows=rows)  # type: ignore[index]
