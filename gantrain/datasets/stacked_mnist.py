"""Stacked MNIST: three digits as the channels of one image, a thousand modes that can be counted."""

from dataclasses import dataclass, replace

import torch

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.mnist import MNIST
from gantrain.registry import option, register

CHANNELS, DIGITS = 3, 10


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
        spec = super().spec()
        return Spec((CHANNELS, *spec.shape[1:]), classes=DIGITS**CHANNELS, channel_classes=DIGITS)

    def load(self, seed: int) -> Data:
        digits, generator = super().load(seed), torch.Generator().manual_seed(seed)
        train = stack_digits(digits.train, self.n, generator)
        return replace(digits, train=train, holdout=stack_digits(digits.holdout, self.n_holdout, generator))


def stack_digits(digits: Split, n: int, generator: torch.Generator) -> Split:
    """Draw ``n`` triples of digits with replacement; the label of a, b, c is 100 a + 10 b + c."""
    assert digits.y is not None
    rows = torch.randint(len(digits), (n, CHANNELS), generator=generator)
    places = DIGITS ** torch.arange(CHANNELS - 1, -1, -1)  # 100, 10, 1
    # Images [M, 28, 28] that the rows [n, 3] stack when they are taken: memory for M digits, not for n stacks
    return Split(digits.x.squeeze(1), (digits.y[rows] * places).sum(1), rows)
