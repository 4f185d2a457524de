"""StyleGAN2: published sizes, the definition of modulation, and a sample as a function of its latent."""

from dataclasses import replace

import pytest
import torch
from composed import composed
from small_game import game
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d, interpolate, linear

from gantrain.config.resolve import resolve
from gantrain.core.random import stream
from gantrain.core.spec import Spec
from gantrain.datasets.base import Split
from gantrain.errors import ConfigError
from gantrain.models.resampling import Upsample
from gantrain.models.style_layers import (
    EPSILON,
    MAPPING_RATE,
    EqualConv,
    EqualLinear,
    Mapping,
    ModulatedConv,
)
from gantrain.models.stylegan2 import W_DECAY, StyleGAN2
from gantrain.sampling.generate import draw
from gantrain.sampling.latents import latents
from gantrain.training.batches import Batches
from gantrain.training.loop import train
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

RECTANGLE = Spec((3, 17, 18))
CPU = torch.device("cpu")
TINY = {"width": 4, "max_width": 8, "z_dim": 6}
PUBLISHED = {"z_dim": 512, "mapping_depth": 8, "pixel_noise": True, "minibatch_std": True}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def generator(spec=RECTANGLE, seed=0, **keys):
    torch.manual_seed(seed)
    return StyleGAN2(**TINY | keys).generator(spec)


def test_configuration_f_has_the_published_numbers_of_weights():
    """Those that the authors' code prints for 1024 x 1024 pixels."""
    G, D = StyleGAN2(width=32, **PUBLISHED).build(Spec((3, 1024, 1024)))
    assert (count(G), count(D)) == (30_370_060, 29_012_513)


@pytest.mark.parametrize("kind", ["plain", "doubled", "to an image"])
def test_modulated_convolution_is_a_grouped_one_with_own_weights(kind):
    keys = {"plain": {}, "doubled": {"doubles": True}, "to an image": {"size": 1, "demodulates": False}}[kind]
    layer = ModulatedConv(5, 7, 6, **keys).double()
    nn.init.normal_(layer.bias)
    x, w = torch.randn(3, 5, 9, 8).double(), torch.randn(3, 6).double()
    # A weight for each sample, [3, 7, 5, k, k]
    styles = linear(w, layer.affine.weight / 6**0.5, layer.affine.bias)
    weights = layer.weight / (5 * layer.weight[0, 0].numel()) ** 0.5 * styles[:, None, :, None, None]
    if layer.demodulates:
        weights = weights * torch.rsqrt(weights.square().sum((2, 3, 4), keepdim=True) + EPSILON)
    if kind == "doubled":
        own = weights.transpose(1, 2).reshape(15, 7, 3, 3)
        expected = layer.blur(
            conv_transpose2d(x.reshape(1, 15, 9, 8), own, stride=2, groups=3).unflatten(1, (3, 7))[0]
        )
    else:
        padding = weights.shape[3] // 2
        expected = conv2d(x.reshape(1, 15, 9, 8), weights.flatten(0, 1), padding=padding, groups=3)
        expected = expected.unflatten(1, (3, 7))[0]
    torch.testing.assert_close(layer(x, w, 2.0), 2 * (expected + layer.bias[:, None, None]))


def test_doubling_is_bilinear_but_at_the_border():
    x = torch.randn(2, 3, 6, 5)
    found, expected = Upsample(3)(x), interpolate(x, scale_factor=2, mode="bilinear")
    assert found.shape == expected.shape
    torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])
    assert not torch.allclose(found[..., 0, :], expected[..., 0, :])  # beyond it pixels are 0


def test_equalised_layers_keep_the_mean_square_and_their_rate():
    torch.manual_seed(0)
    x = torch.randn(4000, 64)
    slow, fast = EqualLinear(64, 64, rate=MAPPING_RATE), EqualLinear(64, 64)
    for layer in (slow, fast):
        assert float(layer(x).detach().square().mean()) == pytest.approx(1, rel=0.1)
    image = torch.randn(60, 16, 12, 12)
    assert float(EqualConv(16, 64, 3)(image).detach()[..., 2:-2, 2:-2].square().mean()) == pytest.approx(
        1, rel=0.1
    )
    # A step of one size in each weight, as Adam's, changes the outputs by the rate.
    before = [layer(x) for layer in (slow, fast)]
    with torch.no_grad():
        for layer in (slow, fast):
            for parameter in layer.parameters():
                parameter.add_(0.1)
    moved = [(layer(x) - was).square().mean().sqrt() for layer, was in zip((slow, fast), before, strict=True)]
    assert float((moved[0] / moved[1]).detach()) == pytest.approx(MAPPING_RATE, rel=1e-3)
    # The mapping sees the direction of z alone.
    mapping, e = Mapping(5, 3, 8, 2), torch.eye(3)
    torch.testing.assert_close(mapping(x[:3, :5], e), mapping(9 * x[:3, :5], e))
    assert (mapping(x[:3, :5], e) - mapping(x[:3, :5], e.flip(0)))[0].abs().max() > 1e-4


@pytest.mark.parametrize("pixel_noise", [False, True])
def test_a_sample_is_its_styles_and_its_noise(pixel_noise):
    G = generator(pixel_noise=pixel_noise)
    z = G.latents(4, stream(0, 0, "sample"))
    assert z.shape == (4, 6 + (sum(G.noise_sizes) if pixel_noise else 0))
    assert G.conv_sides == [(5, 5), (9, 9), (9, 9), (17, 18), (17, 18)]
    x = G(z)
    assert torch.equal(G.synthesize(G.styles(z), z), x)
    assert G.styles(z).shape == (4, 6, 6)
    if not pixel_noise:
        return
    other = torch.cat([z[:, :6], torch.randn(4, G.noise_width)], 1)
    assert torch.equal(G(other), x)  # its strength starts at 0
    with torch.no_grad():
        for conv in G.convs:
            conv.strength.fill_(0.3)
    assert (G(other) - G(z)).abs().amax((1, 2, 3)).min() > 0.01


def test_mixed_styles_are_of_two_z_and_in_training_alone():
    G, plain = generator(style_mixing=0.75), generator(style_mixing=0.0)
    assert plain.training_latents(2, stream(0, 0, "d0")).shape == (2, 6)
    z = G.training_latents(4000, stream(0, 0, "d0"))
    assert torch.equal(z[:, :6], G.latents(4000, stream(0, 0, "d0")))
    crossover = z[:, -1]
    assert crossover.unique().tolist() == [1, 2, 3, 4, 5, 6]
    shares = (crossover[:, None] == torch.arange(1, 7)).float().mean(0)
    torch.testing.assert_close(shares, torch.tensor([0.15] * 5 + [0.25]), rtol=0, atol=0.03)
    first, second = G.styles(z[:50, :6]), G.styles(z[:50, 6:12])
    mixed = G.styles(z[:50])
    for row, layer in enumerate(crossover[:50].int().tolist()):
        assert torch.equal(mixed[row, :layer], first[row, :layer])
        assert torch.equal(mixed[row, layer:], second[row, layer:])


def test_truncation_moves_styles_towards_their_mean():
    G = generator(condition="projection", spec=Spec((1, 8, 8), 3))
    y = torch.arange(7) % 3
    with torch.no_grad():
        for k in range(3):  # the mean of w over batches, in training alone
            expected = G.w_average.mean.lerp(
                G.eval().styles(G.latents(7, stream(k, 0, "d0")), y)[:, 0].mean(0), 1 - W_DECAY
            )
            G.train()(G.latents(7, stream(k, 0, "d0")), y)
            torch.testing.assert_close(G.w_average.mean, expected)
    assert G.w_average.mean.abs().min() > 0
    samples = {psi: draw(G, 7, 0, torch.arange(3), CPU, psi)[0] for psi in (None, 1.0, 0.0, 0.5)}
    assert torch.equal(samples[None], samples[1.0])
    assert torch.equal(samples[0.0], samples[0.0][:1].expand(7, -1, -1, -1))
    w, half = (G.styles(latents(G, 7, 0, psi), y) for psi in (None, 0.5))
    torch.testing.assert_close(half, 0.5 * (w + G.w_average.mean))
    spread = [float(samples[psi].std(0).mean()) for psi in (0.0, 0.5, 1.0)]
    assert spread == sorted(spread)
    assert all(x.abs().max() <= 1 for x in samples.values())


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"source": "both"}, "model.source"),
        ({"source": "dropout"}, "model.source"),
        ({"condition": "conditional_batch_norm"}, "model.condition"),
        ({"spectral_norm": True}, "model.spectral_norm"),
        ({"g_spectral_norm": True}, "model.g_spectral_norm"),
    ],
    ids=str,
)
def test_what_stylegan2_cannot_do_is_refused_by_its_key(keys, key):
    plain = composed("dataset=digits", "model=stylegan2", "device=cpu", "metric=none")
    plain["model"] |= keys
    with pytest.raises(ConfigError, match=f"^{key}: stylegan2 .*; set {key}="):
        resolve(plain)
    assert StyleGAN2(**keys).why_unsupported(Spec((1, 8, 8), 3))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 17, 40), (4, 64, 64)], ids=str)
def test_two_steps_of_every_shape_and_condition(shape):
    condition = {1: "projection", 3: "concat", 4: "none"}[shape[0]]
    plain = composed("dataset=digits", "model=stylegan2", "device=cpu", "metric=none", "name=test")
    plain["model"] |= TINY | {"condition": condition}
    plain["train"] |= {"steps": 2, "batch_size": 4, "log_every": 1}
    plain["penalty"] = {"name": "r1"}
    spec = Spec(shape, 3)
    config, runtime = replace(resolve(plain), spec=spec), Runtime(resolve(plain).device)
    state = TrainState.create(config, spec, runtime)
    before, reports = {name: t.clone() for name, t in state.tensors().items()}, []
    batches = Batches(Split(torch.rand(8, *shape) * 2 - 1, torch.arange(8) % 3), 4, 0, runtime.device)
    train(state, batches, config, runtime, reports.append, lambda state: None)
    assert [next(iter(tags)) for tags in reports] == ["loss/d", "loss/g"] * 2
    for name, tensor in state.tensors().items():
        assert torch.isfinite(tensor).all(), name
        assert not torch.equal(tensor, before[name]), name
    assert torch.equal(state.G_ema.w_average.mean, state.G.w_average.mean)


def test_the_mean_style_is_that_of_all_parts_of_a_batch():
    model = {"name": "stylegan2", **TINY}
    keys = dict(dataset={"name": "digits"}, model=model, optimizer={"name": "sgd"}, steps=2, batch_size=8)
    whole, parts = game(**keys).play(), game(**keys, accumulate=4).play()
    means = [run.state.G.w_average.mean for run in (whole, parts)]
    assert means[0].abs().max() > 1e-4
    torch.testing.assert_close(*means, rtol=1e-4, atol=1e-7)
