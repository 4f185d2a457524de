"""Truncation has the law of resampling, and interpolation walks on arcs."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import nn

from gantrain.core.spec import Spec
from gantrain.errors import ConfigError
from gantrain.models.mlp import MLP
from gantrain.sampling.generate import draw
from gantrain.sampling.latents import interpolation_loop, latents, slerp, truncated

# Latents cut short ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [1e-3, 0.1, 0.7, 1.0, 2.0, 3.5])
def test_truncated_numbers_have_the_truncated_normal_law(threshold):
    z = truncated(torch.randn(200_000, generator=torch.Generator().manual_seed(0)), threshold).double()
    assert z.abs().max() <= threshold
    density = math.exp(-0.5 * threshold**2) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * threshold * density / math.erf(threshold / math.sqrt(2))
    if threshold > 0.05:  # below, the closed form loses its digits, and the law is uniform
        assert float(z.var()) == pytest.approx(variance, rel=0.02)
    else:
        assert float(z.var()) == pytest.approx(threshold**2 / 3, rel=0.02)
    assert abs(float(z.mean())) < 5 * float(z.std()) / math.sqrt(200_000)
    assert stats.kstest(z.numpy(), stats.truncnorm(-threshold, threshold).cdf).pvalue > 1e-3


def test_truncated_has_the_law_of_resampling():
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(1))
    assert stats.ks_2samp(truncated(z[:100_000], 0.7).numpy(), z[z.abs() <= 0.7].numpy()).pvalue > 1e-3
    assert stats.ks_2samp(z[:100_000].numpy(), z[z.abs() <= 0.7].numpy()).pvalue < 1e-6  # which would show


def test_truncated_keeps_the_order_and_far_values():
    z = torch.cat([torch.linspace(-9, 9, 2001), torch.tensor([0.0, -0.0, 40.0, -40.0])])
    for threshold in (0.01, 0.7, 3.0, 10.0):
        cut = truncated(z, threshold)
        assert (cut[:2001].diff() >= 0).all()
        assert torch.equal(cut, -truncated(-z, threshold))
        assert (cut.abs() <= z.abs()).all()
        assert cut.abs().max() <= threshold
    torch.testing.assert_close(truncated(z[:-2], 1e9), z[:-2], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("source", ["z", "both"])
def test_truncation_reaches_z_and_leaves_masks_alone(source):
    G = MLP(width=8, z_dim=6, source=source).generator(Spec((2,)))
    plain, cut = latents(G, 500, 3), latents(G, 500, 3, truncation=0.5)
    assert plain[:, :6].abs().max() > 2
    assert torch.equal(cut[:, :6], truncated(plain[:, :6], 0.5))
    assert torch.equal(cut[:, 6:], plain[:, 6:])
    assert plain.shape[1] == (6 if source == "z" else 30)
    drawn, _ = draw(G, 500, 3, None, torch.device("cpu"), truncation=0.5)
    assert torch.equal(drawn, G(cut).detach())


def test_latents_of_dropout_alone_are_not_truncated():
    G = MLP(width=8, source="dropout").generator(Spec((2,)))
    with pytest.raises(ConfigError, match=r"^truncation: .*dropout"):
        latents(G, 5, 0, truncation=0.5)
    with pytest.raises(ConfigError, match=r"^interpolate: .*dropout"):
        interpolation_loop(G, 5, 0, 3, 30)


@pytest.mark.parametrize("truncation", [None, 0.7])
def test_the_first_samples_of_many_are_those_of_few(truncation):
    G = MLP(width=8, z_dim=16).generator(Spec((2,)))
    many = latents(G, 100, 0, truncation)
    for k in (1, 7, 99):
        assert torch.equal(latents(G, k, 0, truncation), many[:k])


# From one latent to the next -----------------------------------------------------------------------------------


def angle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.acos(nn.functional.cosine_similarity(a.double(), b.double()).clamp(-1, 1))


@pytest.mark.parametrize("d", [2, 3, 64])
def test_an_arc_is_walked_at_one_pace_and_keeps_the_norm(d):
    draws = torch.Generator().manual_seed(d)
    a, b = (nn.functional.normalize(torch.randn(50, d, generator=draws)) * 3 for _ in range(2))
    assert torch.equal(slerp(a, b, 0.0), a)
    torch.testing.assert_close(slerp(a, b, 1.0), b)
    for t in (0.1, 0.5, 0.83):
        at = slerp(a, b, t)
        torch.testing.assert_close(at.norm(dim=1), torch.full((50,), 3.0), rtol=1e-4, atol=0)
        torch.testing.assert_close(angle(a, at), t * angle(a, b), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(angle(at, b), (1 - t) * angle(a, b), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(at, slerp(b, a, 1 - t), rtol=1e-5, atol=1e-5)


def test_the_way_between_normal_draws_stays_among_normal_draws():
    """Half-way on a straight line the variance would be 1/2."""
    a, b = torch.randn(2, 500, 64, generator=torch.Generator().manual_seed(0))
    for t in (0.25, 0.5, 0.75):
        assert float(slerp(a, b, t).var()) == pytest.approx(1, abs=0.03)


def test_rows_on_one_line_are_joined_by_a_straight_line():
    a = torch.tensor([[1.0], [1.0], [2.0], [0.0], [0.0]])
    b = torch.tensor([[3.0], [-3.0], [2.0], [1.0], [0.0]])
    assert torch.equal(slerp(a, b, 0.25), torch.lerp(a, b, 0.25))
    row = torch.randn(1, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(slerp(row, 2 * row, 0.5), 1.5 * row)
    torch.testing.assert_close(slerp(row, -row, 0.25), 0.5 * row, rtol=1e-5, atol=1e-6)


def test_a_loop_goes_through_every_set_on_arcs_and_closes():
    G = MLP(width=8, z_dim=16, source="both").generator(Spec((2,)))
    at = list(interpolation_loop(G, 5, 9, count=3, frames=12))
    assert len(at) == 12
    for turn in range(3):
        assert torch.equal(at[4 * turn][:, :16], latents(G, 5, 9, index=turn)[:, :16])
    assert torch.equal(at[0], latents(G, 5, 9))  # where the stills of the seed are
    assert all(torch.equal(z[:, 16:], at[0][:, 16:]) for z in at)
    z = torch.stack(at)[:, :, :16]
    for i in range(12):
        first, last = z[i // 4 * 4], z[(i // 4 * 4 + 4) % 12]
        assert torch.equal(z[i], slerp(first, last, i % 4 / 4))
    uneven = list(interpolation_loop(G, 5, 9, count=3, frames=7))
    assert len(uneven) == 7
    torch.testing.assert_close(uneven[1][:, :16], slerp(z[0], z[4], 3 / 7))
