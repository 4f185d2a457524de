"""The layers that are written for speed are the plain ones to rounding, and so are their gradients."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gantrain.core.spec import Spec
from gantrain.models.dcgan import DCGAN
from gantrain.models.layers import LeakyReLU, weight_layout
from gantrain.models.resampling import DownsampleConv, UpsampleConv


def seeded(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def test_leaky_relu_is_torchs_bit_for_bit():
    x = torch.cat([seeded(50), torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan])]).requires_grad_(
        True
    )
    own, torchs = LeakyReLU(0.2)(x), nn.LeakyReLU(0.2)(x)
    torch.testing.assert_close(own, torchs, rtol=0, atol=0, equal_nan=True)
    slope = seeded(55)
    for a, b in zip(*(torch.autograd.grad(y, x, slope) for y in (own, torchs)), strict=True):
        assert torch.equal(a, b)


def test_leaky_relu_sends_no_zeros_back_through_the_input():
    x, scale = seeded(50).requires_grad_(True), torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(LeakyReLU(0.2)(scale * x).sum(), x, create_graph=True)
    by_scale, by_x = torch.autograd.grad(slope.square().sum(), (scale, x), allow_unused=True)
    torch.testing.assert_close(by_scale, 2 * slope.square().sum().detach() / 3)
    assert by_x is None


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (2, 9, 13), (1, 19, 24)], ids=str)
def test_padding_inside_the_convolution_is_padding_before_it(shape):
    """And the weights have the names of old checkpoints, in which each convolution followed a padding layer."""
    D = DCGAN(width=4).discriminator(Spec(shape)).double()
    layers = {name.rpartition(".")[0] for name in D.state_dict()}
    assert layers == {"body.0", *(f"body.{3 * i}" for i in range(1, len(layers) - 1)), "head.linear"}
    x = torch.rand(3, *shape, dtype=torch.float64)
    h = D.body[1](D.body[0](x))
    for i in range(3, len(D.body) - 1, 3):
        height, width = h.shape[2:]
        padded = pad(h, (1, 1 + width % 2, 1, 1 + height % 2))
        h = torch.nn.functional.leaky_relu(
            nn.functional.conv2d(padded, D.body[i].weight, D.body[i].bias, stride=2), 0.2
        )
    torch.testing.assert_close(D(x, None), D.head.linear(h.flatten(1)).squeeze(1))


@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (2, 3, 1, 1), (1, 1, 7, 2)], ids=str)
def test_upsample_conv_is_nearest_upsampling_and_a_convolution(shape):
    layer, conv = UpsampleConv(shape[1], 3).double(), nn.Conv2d(shape[1], 3, 3, padding=1).double()
    conv.load_state_dict(layer.state_dict())
    x, n = seeded(*shape), shape[0]
    slope = seeded(n, 3, 2 * shape[2], 2 * shape[3])
    own = derivatives(layer, layer.weight, x, slope)
    expected = derivatives(nn.Sequential(nn.Upsample(scale_factor=2), conv), conv.weight, x, slope)
    for a, b in zip(own, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def derivatives(layer: nn.Module, weight: Tensor, x: Tensor, slope: Tensor) -> list[Tensor]:
    """The output, its gradients by input and weight, and the gradients of those."""
    x, slope = x.clone().requires_grad_(True), slope.clone().requires_grad_(True)
    y = layer(x)
    first = torch.autograd.grad(y, (x, weight), slope, create_graph=True)
    return [y, *first, *torch.autograd.grad(sum(g.square().sum() for g in first), (x, weight, slope))]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13), (1, 28, 28)], ids=str)
def test_dcgan_upsamples_by_copied_pixels_and_a_convolution(shape):
    torch.manual_seed(0)
    G = DCGAN(width=4, upsample="nearest").generator(Spec(shape)).double()
    assert all(up.weight.shape[2:] == (3, 3) for up in G.up)
    latents = seeded(3, 64)
    x = G(latents, None)
    for i, up in enumerate(G.up):
        plain = nn.Conv2d(up.in_channels, up.out_channels, 3, padding=1).double()
        plain.load_state_dict(up.state_dict())
        G.up[i] = nn.Sequential(nn.Upsample(scale_factor=2), plain)
    torch.testing.assert_close(x, G(latents, None))
    assert x.shape == (3, *shape)


def test_weight_layout_is_a_rule_of_the_data_alone():
    assert weight_layout(Spec((1, 8, 8))) == weight_layout(Spec((3, 64, 64))) == torch.channels_last
    assert weight_layout(Spec((2,))) == torch.contiguous_format


@pytest.mark.parametrize("shape", [(3, 2, 4, 6), (2, 3, 2, 2), (1, 1, 7, 3)], ids=str)
def test_downsample_conv_is_a_convolution_and_means_of_pixels(shape):
    layer, conv = DownsampleConv(shape[1], 3).double(), nn.Conv2d(shape[1], 3, 3, padding=1).double()
    conv.load_state_dict(layer.state_dict())
    x, (height, width) = seeded(*shape), shape[2:]
    padded = nn.Sequential(nn.ZeroPad2d((0, width % 2, 0, height % 2)), conv, nn.AvgPool2d(2))
    slope = seeded(shape[0], 3, -(-height // 2), -(-width // 2))
    own, expected = derivatives(layer, layer.weight, x, slope), derivatives(padded, conv.weight, x, slope)
    for a, b in zip(own, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
