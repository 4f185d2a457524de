"""The residual networks are the published ones, and attention is its formula."""

import pytest
import torch
from composed import composed
from torch import nn

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.errors import ConfigError
from gantrain.models.resnet import ResNet, SelfAttention


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_resnet_yaml_has_the_sizes_of_table_4():
    """Miyato et al. 2018 at 32x32: 4.28 and 1.05 million weights, from the widths of each layer."""
    keys = composed("model=resnet", "model.g_norm=batch")["model"]
    with torch.device("meta"):
        G, D = (
            build(Spec((3, 32, 32))) for build in (ResNet(**keys).generator, ResNet(**keys).discriminator)
        )
    block = 2 * (9 * 256 * 256 + 256) + (256 * 256 + 256) + 2 * 2 * 256  # two 3x3, one 1x1, two batch norms
    assert count(G) == (128 + 1) * 4 * 4 * 256 + 3 * block + 2 * 256 + (9 * 256 + 1) * 3
    assert round(count(G) / 1e6, 2) == 4.28
    plain = 2 * (9 * 128 * 128 + 128)
    first = (9 * 3 * 128 + 128) + (9 * 128 * 128 + 128) + (3 * 128 + 128)
    assert count(D) == first + (plain + 128 * 128 + 128) + 2 * plain + 129
    assert round(count(D) / 1e6, 2) == 1.05


@pytest.mark.parametrize("shape", [(6, 4), (5, 3)], ids=str)
def test_attention_adds_a_weighted_mean_of_pooled_values(shape):
    torch.manual_seed(0)
    layer, x = SelfAttention(16).double(), torch.randn(2, 16, *shape, dtype=torch.float64)
    assert torch.equal(layer(x), x)  # gamma starts at 0
    with torch.no_grad():
        layer.gamma += 0.7
    height, width = shape
    expected = torch.empty_like(x)
    for n in range(2):
        keys, values = (
            nn.functional.max_pool2d(one(x[n : n + 1]), 2)[0].flatten(1).T for one in (layer.key, layer.value)
        )
        for i in range(height):
            for j in range(width):
                query = layer.query.weight[:, :, 0, 0] @ x[n, :, i, j]
                weights = (keys @ query).exp()
                mean = (weights / weights.sum()) @ values
                expected[n, :, i, j] = x[n, :, i, j] + 0.7 * layer.out.weight[:, :, 0, 0] @ mean
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 17, 40), (1, 28, 28)], ids=str)
def test_attention_is_at_the_side_that_is_named_in_both(shape):
    side = {17: 9, 28: 14}.get(shape[1], 16)
    model, spec = ResNet(width=8, attention=side), Spec(shape)
    assert model.why_unsupported(spec) is None
    seen = []
    for network in (model.generator(spec), model.discriminator(spec)):
        layers = [layer for layer in network.attention if isinstance(layer, SelfAttention)]
        assert len(layers) == 1
        layers[0].register_forward_hook(lambda _, inputs, __: seen.append(min(inputs[0].shape[2:])))
        network(
            torch.randn(2, 64) if network.__class__.__name__.endswith("Generator") else torch.randn(2, *shape)
        )
    assert seen == [side, side]


def test_attention_at_another_side_is_refused_by_its_key():
    with pytest.raises(ConfigError, match=r"^model.attention: is 12, .*; set model.attention=14$"):
        resolve(composed("dataset=mnist", "model=resnet", "model.attention=12"), Spec((1, 28, 28), 10))
    with pytest.raises(
        ConfigError, match=r"^model.source: resnet has no layer for dropout; set model.source=z"
    ):
        resolve(composed("dataset=mnist", "model=resnet", "model.source=both"), Spec((1, 28, 28), 10))
