"""Layers that double or halve the sides of images, and the widths of the stages between them."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, linear, pad


def stage_widths(width: int, sides: list[tuple[int, int]], full_side: int = 32) -> list[int]:
    """Return the channels of each stage: ``width`` up to a side of ``full_side`` pixels, half for each doubling."""
    return [max(1, width >> max(0, math.ceil(math.log2(min(side) / full_side)))) for side in sides]


class UpsampleConv(nn.Conv2d):
    """Nearest-neighbour upsampling by 2, then a 3x3 convolution (Odena et al. 2016): [N, i, H, W] to [N, o, 2H, 2W].

    Equal pixels share one product: the two are one transposed convolution with 16 products where 36 were.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True):
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)
        self.taps: Tensor
        self.register_buffer("taps", four_taps().flip(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        # [o, i, 3, 3] to [i, o, 4, 4]
        weight = linear(self.weight.flatten(2), self.taps).unflatten(2, (4, 4)).transpose(0, 1)
        return conv_transpose2d(x, weight, self.bias, stride=2, padding=1)


class DownsampleConv(nn.Conv2d):
    """A 3x3 convolution, then the mean of each 2x2 pixels: [N, i, H, W] to [N, o, H / 2, W / 2], rounded up.

    Sums of weights take the place of sums of pixels: the two are one convolution with 16 products where 36 were.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1)
        self.taps: Tensor
        self.register_buffer("taps", four_taps() / 4, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = linear(self.weight.flatten(2), self.taps).unflatten(2, (4, 4))
        return conv2d(padded_to_even(x), weight, self.bias, stride=2, padding=1)


class Blur(nn.Module):
    """The filter [1, 3, 3, 1] along both sides (Karras et al. 2020, app. B), which resizes without aliases.

    Args:
        channels: Of the input [N, channels, H, W]; each is filtered on its own.
        padding: Pixels of zeros around the input.
        stride: 2 to halve the sides.
        gain: Sum of the filter.
    """

    def __init__(self, channels: int, padding: int, stride: int = 1, gain: float = 1.0):
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.taps: Tensor
        self.register_buffer(
            "taps", (gain * torch.outer(taps, taps)).repeat(channels, 1, 1, 1), persistent=False
        )
        self.padding, self.stride = padding, stride

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.taps, None, self.stride, self.padding, groups=x.shape[1])


class Upsample(Blur):
    """The same filter between zeros, which doubles the sides: bilinear but at the border, where pixels are 0."""

    def __init__(self, channels: int):
        super().__init__(channels, padding=1, stride=2, gain=4.0)

    def forward(self, x: Tensor) -> Tensor:
        return conv_transpose2d(x, self.taps, None, self.stride, self.padding, groups=x.shape[1])


class Downsample(Blur):
    """The same filter at every other pixel, which halves the sides, rounded up."""

    def __init__(self, channels: int):
        super().__init__(channels, padding=1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(padded_to_even(x))


def four_taps() -> Tensor:
    """Return the map from a 3x3 kernel to the sum of its four copies, shifted by 0 or 1 along each axis, [16, 9]."""
    # Tap k of the 4 meets taps k - 1 and k of the 3.
    taps = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]])
    return torch.kron(taps, taps)


def padded_to_even(x: Tensor) -> Tensor:
    """Return x [N, C, H, W] with a row or a column of zeros more where a side is odd."""
    height, width = x.shape[2:]
    return pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x
