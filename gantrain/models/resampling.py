"""Layers that double or halve the sides of images, and the widths of the stages between them."""

import math
from typing import Any

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


class BilinearUpsample(nn.Module):
    """Doubles the sides by linear interpolation, zero beyond the edge: [N, C, H, W] to [N, C, 2H, 2W].

    As a filter it is [1, 3, 3, 1] along each axis (Karras et al. 2020, app. B; Huang et al. 2024).
    """

    def __init__(self, channels: int):
        super().__init__()
        self.kernel: Tensor
        self.register_buffer("kernel", bilinear_kernel(channels) * 4, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = ChannelFilter.apply(x, self.kernel, True)
        return y


class BilinearDownsample(nn.Module):
    """Halves the sides, rounded up, by the same filter: [N, C, H, W] to [N, C, H / 2, W / 2]."""

    def __init__(self, channels: int):
        super().__init__()
        self.kernel: Tensor
        self.register_buffer("kernel", bilinear_kernel(channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = ChannelFilter.apply(padded_to_even(x), self.kernel, False)
        return y


class ChannelFilter(torch.autograd.Function):
    """A fixed filter of each channel with stride 2, or its transpose, whose derivative is the other one.

    torch's own second derivative also computes that of the filter, channel by channel: here a step of R1 takes half as
    long in such a layer, and a compiled one has two operations where there were some for each channel.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, kernel: Tensor, is_transposed: bool) -> Tensor:
        filtered = conv_transpose2d if is_transposed else conv2d
        return filtered(x, kernel.to(x), stride=2, padding=1, groups=len(kernel))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:
        _, kernel, ctx.is_transposed = inputs
        ctx.save_for_backward(kernel)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        (kernel,) = ctx.saved_tensors
        return ChannelFilter.apply(slope, kernel, not ctx.is_transposed), None, None


def bilinear_kernel(channels: int) -> Tensor:
    """Return the filter of sum 1 for each channel, [C, 1, 4, 4]."""
    taps = torch.tensor([1.0, 3, 3, 1]) / 8
    return torch.outer(taps, taps).repeat(channels, 1, 1, 1)


def four_taps() -> Tensor:
    """Return the map from a 3x3 kernel to the sum of its four copies, shifted by 0 or 1 along each axis, [16, 9]."""
    # Tap k of the 4 meets taps k - 1 and k of the 3.
    taps = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]])
    return torch.kron(taps, taps)


def padded_to_even(x: Tensor) -> Tensor:
    """Return x [N, C, H, W] with a row or a column of zeros more where a side is odd."""
    height, width = x.shape[2:]
    return pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x
