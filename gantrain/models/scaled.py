"""Layers of networks without normalisation: their initial weights keep the variance, or every unit has norm 1."""

import math

from torch import Tensor, nn
from torch.nn.functional import normalize


class Convolution(nn.Conv2d):
    """A convolution whose initial weights are N(0, gain^2 / inputs of a unit), or whose units have norm 1 throughout.

    Args:
        inputs: Channels.
        outputs: Channels.
        size: Of the kernel, odd.
        gain: Of the initial weights.
        groups: Of channels.
        bias: Whether it has one, 0 at first; never with ``is_unit``.
        is_unit: Whether each pass divides the weights of each unit by their norm, which preserves the magnitude of
            uncorrelated inputs (Karras et al. 2024, sec. 2.3).
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, gain: float, groups: int, bias: bool, is_unit: bool
    ):
        bias = bias and not is_unit
        super().__init__(inputs, outputs, size, padding=size // 2, groups=groups, bias=bias)
        self.is_unit = is_unit
        nn.init.normal_(self.weight, std=1.0 if is_unit else gain / math.sqrt(self.weight[0].numel()))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        weight = normalize(self.weight.flatten(1)).view_as(self.weight) if self.is_unit else self.weight
        return self._conv_forward(x, weight, self.bias)


def linear(inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    """Return a linear layer without bias, its initial weights N(0, gain^2 / inputs)."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(inputs))
    return layer
