"""The networks of published experiments: their sizes as printed, their layers, and how their weights start."""

import math

import pytest
import torch
from composed import composed
from torch import nn

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.models.layers import Maxout
from gantrain.models.norms import BatchNorm
from gantrain.registry import build

POINTS, STACKED = Spec((2,)), Spec((3, 28, 28))


def size(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def networks(spec: Spec, *words: str):
    model = resolve(composed("dataset=digits" if spec.is_image else "dataset=ring", *words)).model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return model.build(spec)


@pytest.mark.parametrize(
    ("spec", "words", "sizes"),
    [
        (POINTS, ["model=pacgan_points"], (484_802, 405_201)),
        # A layer before batch norm has no bias: 1,080 numbers of G and 28 or 14 of D less than with one.
        (STACKED, ["model=metz_tiny", "model.z_dim=256"], (287_875 - 1_080, 1_889 - 28)),
        (STACKED, ["model=metz_tiny", "model.z_dim=256", "model.d_width=2"], (287_875 - 1_080, 585 - 14)),
    ],
)
def test_published_networks_have_their_sizes(spec, words, sizes):
    assert tuple(map(size, networks(spec, *words))) == sizes


def test_strided_networks_are_those_of_radford_et_al():
    """Batch norm everywhere but at the pixels and at D's input; sides of 28, 14, 7 and 4."""
    G, D = networks(Spec((1, 28, 28)), "model=strided", "model.width=4")
    kinds = nn.ConvTranspose2d | nn.Conv2d | nn.Linear | BatchNorm
    of_g, of_d = ([type(m).__name__ for m in network.modules() if isinstance(m, kinds)] for network in (G, D))
    assert of_g == ["Linear", *["ConvTranspose2d"] * 2, *["BatchNorm"] * 3, "ConvTranspose2d"]
    assert of_d == ["Conv2d", "Conv2d", "BatchNorm", "Conv2d", "BatchNorm", "Linear"]
    assert [m.out_channels for m in D.modules() if isinstance(m, nn.Conv2d)] == [4, 8, 16]
    assert D.head.linear.in_features == 16 * 4 * 4
    assert G(torch.randn(3, 100), None).shape == (3, 1, 28, 28)


def test_uniform_z_is_uniform_and_of_the_same_latents():
    G = build("model", {"name": "mlp", "prior": "uniform", "z_dim": 3}).generator(POINTS)
    latents = G.latents(20_000, torch.Generator().manual_seed(0))
    z, _ = G.parts(latents)
    torch.testing.assert_close(z, 2 * torch.special.ndtr(latents) - 1, rtol=0, atol=1e-6)
    assert z.abs().max() < 1
    assert abs(z.std().item() - 1 / math.sqrt(3)) < 0.01
    normal = build("model", {"name": "mlp", "z_dim": 3}).generator(POINTS)
    assert torch.equal(normal.parts(latents)[0], latents)


def test_maxout_units_are_the_largest_of_their_pieces():
    x = torch.tensor([[1.0, 5, 2, -3, -4, -1]])
    assert Maxout(3)(x).tolist() == [[5, -1]]
    D = build("model", {"name": "mlp", "width": 4, "d_activation": "maxout", "pieces": 3}).discriminator(
        POINTS
    )
    x = torch.randn(5, 2)
    first = D.body[0]
    pieces = first.weight.reshape(4, 3, 2) @ x.T + first.bias.reshape(4, 3, 1)
    torch.testing.assert_close(D.body[1](first(x)), pieces.amax(1).T)


def weights(initial: str, **keys) -> list[torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        players = build("model", {"name": "mlp", "width": 100, "initial": initial, **keys}).build(POINTS)
    return [
        layer.weight.detach()
        for player in players
        for layer in player.modules()
        if isinstance(layer, nn.Linear)
    ]


def test_initial_weights_have_their_distribution():
    normal = torch.cat([weight.flatten() for weight in weights("normal", initial_scale=0.02)])
    assert normal.std().item() == pytest.approx(0.02, rel=0.02)
    assert normal.abs().max() > 0.06
    *of_g, _, of_d, _, _ = weights("uniform", initial_scale=0.05, d_initial_scale=0.005)
    assert of_g[0].abs().max().item() == pytest.approx(0.05, rel=0.01)
    assert of_d.abs().max().item() <= 0.005
    square = weights("orthogonal", initial_scale=1.4)[1]
    torch.testing.assert_close(square @ square.T, 1.4**2 * torch.eye(100), rtol=0, atol=1e-4)
