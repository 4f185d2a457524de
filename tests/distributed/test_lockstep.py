"""Batch norm by the statistics of a batch that is in parts: that of torch on the whole of it, with equal bits."""

import copy

import pytest
import torch
from small_game import game
from thread_group import in_threads
from torch import nn

from gantrain.config.cautions import cautions
from gantrain.distributed.lockstep import Lockstep, in_lockstep
from gantrain.distributed.shards import Parts
from gantrain.errors import ConfigError
from gantrain.training.steps import choose_play

PARTS = 4


class Normalised(nn.Module):
    """Two batch norms of torch, between them what models do with a batch."""

    def __init__(self, *shape: int, **options):
        super().__init__()
        kind = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
        self.first, self.second = kind(shape[0], **options), kind(2 * shape[0], **options)
        self.gain = nn.Parameter(torch.linspace(0.5, 2, shape[0]))

    def forward(self, x, y=None):
        h = self.first(x) * self.gain.reshape(1, -1, *[1] * (x.dim() - 2)) + torch.ones(len(x), *x.shape[1:])
        left, right = torch.cat([h.tanh(), h.square()], 1).chunk(2, 1)
        return self.second(torch.cat([left, right], 1)).reshape(x.shape[0], -1)


def batch(*shape: int) -> torch.Tensor:
    """Return a batch whose channels have means far from 0, and whose parts differ."""
    x = torch.randn(24, *shape, generator=torch.Generator().manual_seed(0))
    place = torch.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    return x * (1 + place) + 30 * place + torch.arange(24).reshape(-1, *[1] * len(shape)) // 6


def results(network, x, group=None):
    """Return a network's outputs on the own parts, a loss's gradients by them and by the weights, and the buffers."""
    parts = Parts(PARTS, *([group] if group else []))
    own = list(x.chunk(PARTS)[parts.own * parts.group.rank :][: parts.own])
    own = [part.clone().requires_grad_() for part in own]
    copies = [{name: w.detach().requires_grad_() for name, w in network.named_parameters()} for _ in own]
    weights = {name: Lockstep.of([one[name] for one in copies], parts) for name in copies[0]}

    def call(x, y):
        return torch.func.functional_call(network, weights, (x, y))

    outputs = in_lockstep(call, [(part, None) for part in own], parts)
    torch.autograd.backward([(out**3).mean() for out in outputs])
    gradients = parts.mean([one[name].grad for name in copies[0]] for one in copies)
    return outputs, [part.grad / PARTS for part in own], gradients, list(network.buffers())


@pytest.mark.parametrize(
    ("shape", "options"),
    [((3,), {}), ((3, 2, 5), {}), ((3,), {"momentum": None}), ((3, 2, 2), {"affine": False, "eps": 0.1})],
)
def test_parts_in_lockstep_are_normalised_as_one_batch(shape, options):
    network = Normalised(*shape, **options)
    plain, x = copy.deepcopy(network), batch(*shape)
    y = x.clone().requires_grad_()
    expected = plain(y)
    (expected**3).mean().backward()
    outputs, by_input, by_weight, buffers = results(network, x)
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(torch.cat(outputs), expected, **close)
    torch.testing.assert_close(torch.cat(by_input), y.grad, **close)
    torch.testing.assert_close(by_weight, [w.grad for w in plain.parameters()], **close)
    torch.testing.assert_close(buffers, list(plain.buffers()), **close)


@pytest.mark.parametrize("size", [2, 4])
def test_lockstep_has_the_same_bits_in_any_processes(size):
    network, x = Normalised(3, 2, 2), batch(3, 2, 2)
    alone = results(copy.deepcopy(network), x)
    of_ranks = in_threads(size, lambda group: results(copy.deepcopy(network), x, group))
    for place in (0, 1):  # what belongs to parts
        joined = torch.cat([part for one in of_ranks for part in one[place]])
        assert torch.equal(joined, torch.cat(alone[place]))
    for one in of_ranks:
        for place in (2, 3):  # what all have
            assert all(map(torch.equal, one[place], alone[place]))


def test_an_evaluation_normalises_by_running_statistics():
    network, x = Normalised(3).eval(), batch(3)
    parts = Parts(PARTS)
    outputs = in_lockstep(network, [(part, None) for part in x.chunk(PARTS)], parts)
    assert torch.equal(torch.cat(outputs), torch.cat([network(part) for part in x.chunk(PARTS)]))


def test_a_second_derivative_is_refused():
    x = Lockstep.of([part.requires_grad_() for part in batch(3).chunk(PARTS)], Parts(PARTS))
    out = nn.functional.batch_norm(x, None, None, training=True).tensors[0].square().sum()
    (slope,) = torch.autograd.grad(out, x.tensors[0], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_a_d_with_batch_norm_is_refused_with_the_whole_batch():
    run = game(batch_size=16, device={"shards": 2, "batch_norm": "batch"})
    choose_play(run.config, run.data, run.state, run.runtime)
    run.state.D.norm = nn.BatchNorm1d(2)
    with pytest.raises(
        ConfigError, match=r"device\.batch_norm: is batch, and D of the model has batch norm too"
    ):
        choose_play(run.config, run.data, run.state, run.runtime)
    run.config.device.shards = 1
    choose_play(run.config, run.data, run.state, run.runtime)


def test_the_log_names_batch_norm_by_shards_alone():
    lines = [
        " ".join(cautions(game(condition="conditional_batch_norm", batch_size=16, device=device).config))
        for device in ({"shards": 2}, {"shards": 2, "batch_norm": "batch"})
    ]
    assert ["conditional_batch_norm looks across" in text for text in lines] == [True, False]
