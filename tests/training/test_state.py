"""The moving average of G in the state of a run."""

import copy

import pytest
import torch
from small_game import game
from torch import Tensor, nn

from gantrain.distributed.shards import Parts
from gantrain.models.base import Player
from gantrain.training.eager import EagerAverage
from gantrain.training.play import Play
from gantrain.training.rates import Rates


class WithBuffer(Player):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -3.0]))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("mean", torch.zeros(2))


def averaged() -> tuple[WithBuffer, EagerAverage]:
    G = WithBuffer()
    return G, EagerAverage(copy.deepcopy(G).requires_grad_(False), G, Parts())


def test_ema_of_decay_0_is_g_itself():
    g = game(ema=0.0, dataset={"name": "digits"}).play()
    assert [name.replace("G_ema", "G") for name in g.tensors("G_ema")] == list(g.tensors("G"))
    assert all(
        torch.equal(value, g.tensors("G")[f"G/{name[6:]}"]) for name, value in g.tensors("G_ema").items()
    )


def test_ema_is_ramped_and_gets_no_gradient():
    G, average = averaged()
    played, expected = game(ema=0.6), torch.tensor([1.0, -3.0], dtype=torch.float64)
    play = Play.create(played.config, played.runtime)
    for step in range(30):
        with torch.no_grad():
            G.weight += torch.tensor([0.5, step])
        average.update(G, Rates.at(step, play).ema)
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * G.weight.detach().double()
    torch.testing.assert_close(average.module.weight.double(), expected)
    assert not average.module.weight.requires_grad
    assert G.weight.requires_grad


def test_ema_buffers_are_copies_of_those_of_g():
    G, average = averaged()
    G.count += 7
    G.mean += 0.25
    average.update(G, 0.001)
    assert average.module.count.item() == 7
    assert average.module.mean.tolist() == [0.25, 0.25]
    G.count += 1
    assert average.module.count.item() == 7


@pytest.mark.parametrize(
    "keys", [{"condition": "conditional_batch_norm"}, {"model": {"name": "mlp", "g_norm": "batch"}}], ids=str
)
def test_ema_tracks_batch_statistics_of_its_own_weights(keys):
    """As if its weights had been frozen at each step and one batch shown to it."""
    g = game(**keys)
    means = []

    def watch(_: nn.Module, given: tuple[Tensor, ...], __: object) -> None:
        means.append(given[0].mean(0))

    g.state.G_ema.norms[0].register_forward_hook(watch)
    g.play()
    expected = torch.zeros_like(means[0])
    for mean in means:
        expected = 0.9 * expected + 0.1 * mean
    assert len(means) == g.config.train.steps
    torch.testing.assert_close(g.state.G_ema.norms[0].mean, expected)
    assert (g.state.G_ema.norms[0].mean - g.state.G.norms[0].mean).abs().max() > 1e-6
