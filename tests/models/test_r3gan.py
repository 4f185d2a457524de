"""R3GAN's networks have the published sizes and start, and its filters are bilinear."""

import math

import pytest
import torch
from composed import composed
from torch import Tensor, nn

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.errors import ConfigError
from gantrain.models.r3gan import R3GAN, Block
from gantrain.models.resampling import Downsample, Upsample
from gantrain.models.scaled import Convolution


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("classes", "published"), [(10, (20.78, 21.28)), (0, (20.73, 20.68))], ids=["CIFAR-10", "StackedMNIST"]
)
def test_r3gan_yaml_has_the_published_sizes(classes, published):
    """Huang et al. 2024, tabs. 5 and 3: millions of weights of G and D at 32x32, with classes and without."""
    keys = composed("model=r3gan")["model"] | {"condition": "projection" if classes else "none"}
    model, spec = R3GAN(**keys), Spec((3, 32, 32), classes)
    with torch.device("meta"):
        found = tuple(round(count(network) / 1e6, 2) for network in model.build(spec))
    assert found == published


def test_r3gan_starts_as_scaled_branches_that_end_in_zeros():
    torch.manual_seed(0)
    G = R3GAN(width=64, z_dim=32).generator(Spec((3, 32, 32)))
    blocks = [module for module in G.modules() if isinstance(module, Block)]
    assert len(blocks) == 8
    std = (
        math.sqrt(2 / 1.04) * 8**-0.25
    )  # of weights times the root of their number, after L = 8 branches of 3 layers
    for block in blocks:
        assert not block.reduce.weight.any()
        for layer, inputs in ((block.expand, 64), (block.mix, 16 * 9)):
            found = float(layer.weight.detach().std()) * math.sqrt(inputs)
            assert abs(found / std - 1) < 4 / math.sqrt(2 * layer.weight.numel())
    assert blocks[0].mix.groups == 8
    x = torch.randn(2, 64, 4, 4)
    assert torch.equal(blocks[0](x), x)


@pytest.mark.parametrize("size", [4, 5, 7])
def test_bilinear_filters_are_torchs_and_transposes(size):
    x = torch.randn(2, 3, size, size + 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    up, down = Upsample(3).double(), Downsample(3).double()
    expected = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(up(x)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])
    # <U x, y> = 4 <x, D y>
    y = torch.randn_like(expected)
    torch.testing.assert_close((up(x) * y).sum(), 4 * (x * down(y)).sum())
    ones = down(torch.ones(1, 3, 2 * size, 2 * size, dtype=torch.float64))
    torch.testing.assert_close(ones[..., 1:-1, 1:-1], torch.ones_like(ones[..., 1:-1, 1:-1]))
    assert down(x).shape[2:] == ((size + 1) // 2, (size + 3) // 2)


@pytest.mark.parametrize("layer", [Upsample(2).double(), Downsample(2).double()])
def test_bilinear_filters_are_differentiable_twice(layer):
    x = torch.randn(1, 2, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(lambda x: layer(x).square(), x)


def test_magnitude_preserving_layers_keep_the_magnitude():
    torch.manual_seed(0)
    x = torch.randn(16, 64, 8, 8)

    def magnitude(x: Tensor) -> float:
        return float(x.detach().square().mean().sqrt())

    layer = Convolution(64, 256, 1, 1.0, 1, False, is_unit=True)
    with torch.no_grad():
        layer.weight.mul_(7)  # which training may do
    assert abs(magnitude(layer(x)) - 1) < 0.05
    block = Block(R3GAN(width=64, magnitude_preserving=True), 64, 8)
    assert abs(magnitude(block(x)) - 1) < 0.15


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (["model.width=24", "model.group_width=32"], "model.width: makes stages of 48 inner channels"),
        (["model.d_width=24", "model.group_width=32"], "model.d_width: makes stages of 48 inner channels"),
        (
            ["model.condition=conditional_batch_norm"],
            "model.condition: r3gan has no batch norm; ",
        ),
        (["model.spectral_norm=true"], "model.spectral_norm: r3gan starts its residual branches at 0"),
        (["model=r3gan_small", "model.magnitude_preserving=true"], "model.stride: is 2"),
    ],
)
def test_what_r3gan_does_not_fit_is_refused_by_its_key(words, start):
    with pytest.raises(ConfigError) as refused:
        resolve(composed("dataset=mnist", "model=r3gan", *words), Spec((1, 28, 28), 10))
    assert str(refused.value).startswith(start)
