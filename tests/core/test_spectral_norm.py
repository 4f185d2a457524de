"""Spectral norm is torch's, except that its power iteration is made by D's updates and by nothing else."""

import pytest
import torch
from small_game import game
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gantrain.core.spectral_norm import add_spectral_norm, iterate
from gantrain.training.state import all_tensors

LAYERS = [lambda: nn.Linear(6, 4), lambda: nn.Conv2d(3, 5, 4)]
every_layer = pytest.mark.parametrize("layer", LAYERS, ids=["linear", "convolution"])


def normalised(layer) -> tuple[nn.Module, nn.Module]:
    """Return a layer of ours and one of torch's with the same tensors, taken over through a state dict."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ours, of_torch = layer(), spectral_norm(layer())
        add_spectral_norm(ours)
    assert list(ours.state_dict()) == list(of_torch.state_dict())
    ours.load_state_dict(of_torch.state_dict())
    return ours, of_torch


def power_iteration(network: nn.Module) -> None:
    for name, vector in iterate(network, all_tensors(network)).items():
        network.get_buffer(name).copy_(vector)


@every_layer
def test_spectral_norm_is_torchs_at_each_power_iteration(layer):
    ours, of_torch = normalised(layer)
    of_torch.eval()
    torch.testing.assert_close(ours.weight, of_torch.weight)
    of_torch.train()
    for _ in range(3):
        power_iteration(ours)
        expected = of_torch.weight  # whose reading in training mode is one power iteration
        torch.testing.assert_close(ours.weight, expected)


@every_layer
def test_spectral_norm_estimate_is_the_top_singular_value(layer):
    ours, _ = normalised(layer)
    original = ours.parametrizations.weight.original
    with torch.no_grad():
        original *= 3
    for _ in range(200):
        power_iteration(ours)
    estimate = (original / ours.weight).mean()
    assert estimate.item() == pytest.approx(torch.linalg.matrix_norm(original.flatten(1), 2).item(), rel=1e-4)


@pytest.mark.parametrize("penalty", ["none", "r1", "wgan_gp"])
def test_update_of_d_is_one_power_iteration_and_of_g_none(penalty):
    g = game(penalty=penalty, model={"spectral_norm": True})
    D = g.state.D
    with torch.no_grad():
        for weight in D.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    expected = {name: vector.clone() for name, vector in iterate(D, all_tensors(D)).items()}
    assert all(not torch.equal(vector, D.get_buffer(name)) for name, vector in expected.items())
    g.move_d()
    g.move_g()
    D(g.batches(1)[0], None)  # neither does a pass, in training mode as it is
    assert D.training
    assert all(torch.equal(vector, D.get_buffer(name)) for name, vector in expected.items())


def test_update_of_g_is_one_iteration_which_the_average_copies():
    g = game(model={"g_spectral_norm": True})
    G = g.state.G
    assert not iterate(g.state.D, all_tensors(g.state.D))
    with torch.no_grad():
        for weight in G.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    expected = {name: vector.clone() for name, vector in iterate(G, all_tensors(G)).items()}
    assert all(not torch.equal(vector, G.get_buffer(name)) for name, vector in expected.items())
    g.move_d()
    g.move_g()
    assert all(torch.equal(vector, G.get_buffer(name)) for name, vector in expected.items())
    g.play()
    assert all(torch.equal(G.get_buffer(name), g.state.G_ema.get_buffer(name)) for name in expected)
