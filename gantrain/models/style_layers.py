"""Layers of StyleGAN2: equalised learning rates and modulated convolutions."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, linear

from gantrain.models.layers import LeakyReLU
from gantrain.models.norms import PixelNorm
from gantrain.models.resampling import Blur

GAIN = math.sqrt(2)  # keeps the mean square of a leaky ReLU's input; each layer has it in its weight and bias
MAPPING_RATE = 0.01  # learning rate of the mapping over that of the rest
EPSILON = 1e-8


class EqualLinear(nn.Linear):
    """A linear layer with unit normal weights, scaled when they are used: [N, inputs] to [N, outputs].

    So all weights learn equally fast under an optimizer that ignores a gradient's scale (Karras et al. 2018, sec. 4.1).

    Args:
        inputs: Features of the input.
        outputs: Features of the output.
        gain: Of weight and bias, beside the scale.
        rate: Factor of the layer's learning rate.
        bias: The bias at the start; None for none.
    """

    def __init__(
        self, inputs: int, outputs: int, gain: float = 1.0, rate: float = 1.0, bias: float | None = 0.0
    ):
        super().__init__(inputs, outputs, bias is not None)
        nn.init.normal_(self.weight, std=1 / rate)
        self.scale, self.bias_scale = gain * rate / math.sqrt(inputs), gain * rate
        if bias is not None:
            nn.init.constant_(self.bias, bias / rate)

    def forward(self, x: Tensor) -> Tensor:
        bias: Tensor | None = self.bias
        return linear(x, self.weight * self.scale, None if bias is None else bias * self.bias_scale)


class EqualConv(nn.Conv2d):
    """The same for a convolution, with padding for equal sides, or by a stride of 2 without: [N, inputs, H, W]."""

    def __init__(
        self, inputs: int, outputs: int, size: int, gain: float = 1.0, stride: int = 1, bias: bool = True
    ):
        super().__init__(inputs, outputs, size, stride, padding=size // 2 if stride == 1 else 0, bias=bias)
        nn.init.normal_(self.weight)
        self.scale, self.gain = gain / math.sqrt(inputs * size * size), gain
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        bias: Tensor | None = self.bias
        bias = None if bias is None else bias * self.gain
        return conv2d(x, self.weight * self.scale, bias, self.stride, self.padding)


class Mapping(nn.Module):
    """Maps z and the embedded condition to w [N, outputs], each normalised to a mean square of 1 first.

    Args:
        z_dim: Numbers in z; 0 without.
        e_width: Numbers in the embedded condition; 0 without.
        outputs: Numbers in w.
        depth: Layers.
    """

    def __init__(self, z_dim: int, e_width: int, outputs: int, depth: int):
        super().__init__()
        self.normalise, self.has_z = PixelNorm(), z_dim > 0
        self.embed = EqualLinear(e_width, outputs) if e_width else None
        widths = [z_dim + (outputs if e_width else 0)] + [outputs] * (depth - 1)
        self.layers = nn.Sequential()
        for width in widths:
            self.layers.extend([EqualLinear(width, outputs, GAIN, MAPPING_RATE), LeakyReLU(0.2)])

    def forward(self, z: Tensor, e: Tensor) -> Tensor:
        inputs = [self.normalise(z)] if self.has_z else []
        if self.embed is not None:
            inputs.append(self.normalise(self.embed(e)))
        out: Tensor = self.layers(torch.cat(inputs, 1))
        return out


class ModulatedConv(nn.Module):
    """A convolution whose weights each sample scales by its style (Karras et al. 2020, eq. 1 and 3).

    Weight w_oi becomes s_i w_oi, over its L2 norm for each output o if it is demodulated. Scaling the inputs by s and
    the outputs by the inverse norm is the same, and all samples share one convolution.

    Args:
        inputs: Channels of x [N, inputs, H, W].
        outputs: Channels of the result.
        style: Numbers in a style w [N, style].
        size: Of the kernel.
        doubles: Whether the sides are doubled: by a transposed convolution, then the filter of ``Blur``.
        demodulates: Whether the scaled weights are normalised.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        style: int,
        size: int = 3,
        doubles: bool = False,
        demodulates: bool = True,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = EqualLinear(style, inputs, bias=1.0)
        self.scale, self.demodulates = 1 / math.sqrt(inputs * size * size), demodulates
        self.blur = Blur(outputs, padding=1, gain=4.0) if doubles else None

    def forward(self, x: Tensor, w: Tensor, gain: float = 1.0) -> Tensor:
        """Return the convolution plus bias, times ``gain``."""
        s = self.affine(w) * self.scale  # [N, inputs]
        factor = s.new_full((1, 1), gain)
        if self.demodulates:  # [N, inputs] and [outputs, inputs] to [N, outputs]
            norms = linear(s.square(), self.weight.square().sum((2, 3)))
            factor = gain * torch.rsqrt(norms + EPSILON)
        out = self.convolve(x * s[:, :, None, None])
        return torch.addcmul(gain * self.bias[:, None, None], out, factor[:, :, None, None])

    def convolve(self, x: Tensor) -> Tensor:
        """Return the plain convolution, [N, outputs, H, W], or [N, outputs, 2 H, 2 W]."""
        if self.blur is None:
            return conv2d(x, self.weight, padding=self.weight.shape[2] // 2)
        out: Tensor = self.blur(conv_transpose2d(x, self.weight.transpose(0, 1), stride=2))
        return out


class StyledConv(nn.Module):
    """A modulated 3x3 convolution, noise of a learned strength if there is any, and a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, style: int, doubles: bool, has_noise: bool):
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, style, doubles=doubles)
        self.strength = nn.Parameter(torch.zeros(())) if has_noise else None
        self.activation = LeakyReLU(0.2)

    def forward(self, x: Tensor, w: Tensor, side: tuple[int, int], noise: Tensor | None) -> Tensor:
        """Return [N, outputs, *side] of x, the style w [N, style], and noise [N, 1, *side] or None."""
        x = self.conv(x, w, GAIN)[:, :, : side[0], : side[1]]  # an odd side is one less than twice its half
        if self.strength is not None and noise is not None:
            x = x + noise * (GAIN * self.strength)
        out: Tensor = self.activation(x)
        return out
