"""The live divergence/js against the truth: two Gaussians of known JSD, G frozen at one of them, D trained."""

import math

import pytest
import torch
from composed import composed
from small_game import state_of
from torch import Tensor, nn

from gantrain.config.resolve import Config, resolve
from gantrain.core.random import stream
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.metrics.js import JS
from gantrain.models.base import Generator
from gantrain.models.mlp import MLP
from gantrain.training.batches import Batches
from gantrain.training.evaluate import compute, view
from gantrain.training.loop import train
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState, build_networks

N = 20_000


class Shift(Generator):
    """G(z) = z + d, so that q = N(d, 1)."""

    def __init__(self, d: float):
        super().__init__(MLP(z_dim=1), [])
        self.d = nn.Parameter(torch.tensor([d]))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return z + self.d


def truth(d: float) -> float:
    """JSD(N(0, 1), N(d, 1)) in nats by the trapezoid rule."""
    x = torch.linspace(-20, 20, 40_001, dtype=torch.float64)
    log_p, log_q = (-0.5 * (x - mean) ** 2 - 0.5 * math.log(2 * math.pi) for mean in (0, d))
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return 0.5 * torch.trapezoid(log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m), x).item()


def setting(d: float, objective: str, steps: int) -> tuple[Config, Data, TrainState, Runtime]:
    spec = Spec((1,))
    plain = composed("dataset=ring", "device=cpu", "name=gaussians")  # spec and data below replace the ring
    plain |= {
        "model": {"name": "mlp", "z_dim": 1, "width": 32, "depth": 2},
        "objective": {"name": objective},
        "optimizer": {"name": "adam", "g_lr": 0, "d_lr": 5e-3, "schedule": "cosine"},
        "metric": {"names": ["js"], "n": N},
        "train": {"steps": steps, "batch_size": 256},
    }
    config = resolve(plain, spec)
    x = torch.randn(2 * N, 1, generator=stream(7, 0, "gaussian"))
    runtime = Runtime(config.device)
    G, D = Shift(d), build_networks(config, spec)[1]
    state = state_of(G, D, config.optimizer)
    return config, Data(spec, Split(x[:N]), Split(x[N:])), state, runtime


# A near and a far G, and both games, whose D descend the same loss.
SOON = [(1.0, "minimax"), (1.0, "non_saturating"), (4.0, "non_saturating")]


@pytest.mark.parametrize(
    ("d", "objective"),
    [
        pytest.param(d, objective, marks=[] if (d, objective) in SOON else pytest.mark.slow)
        for d in (0.5, 1.0, 2.0, 4.0)
        for objective in ("minimax", "non_saturating")
    ],
)
def test_live_js_of_a_trained_d_is_the_truth_from_below(d, objective):
    config, data, state, runtime = setting(d, objective, steps=250)
    batches = Batches(data.train, config.train.batch_size, config.seed, runtime.device)
    train(state, batches, config, runtime, lambda _: None, lambda _: None)
    found = compute([JS()], view(config, data, state, runtime)).metrics
    js, error = found["divergence/js"], found["divergence/js_se"]
    assert state.G.d.item() == d
    assert truth(d) - 0.02 <= js <= truth(d) + 3 * error
    assert 0.0005 < error < 0.006


@pytest.mark.parametrize("d", [0.5, 1.0, 2.0, 4.0])
def test_live_js_of_the_optimal_d_is_the_truth_within_its_error(d):
    class Optimal(nn.Module):
        def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
            return (d * d / 2 - d * x).squeeze(1)

    config, data, state, runtime = setting(d, "non_saturating", steps=1)
    state.D = Optimal()
    errors = []
    for state.step in range(20):  # fresh fakes each time; the held-out reals stay
        found = compute([JS()], view(config, data, state, runtime)).metrics
        errors.append((found["divergence/js"] - truth(d)) / found["divergence/js_se"])
    assert max(abs(error) for error in errors) < 4
    assert abs(sum(errors) / len(errors)) < 3 / math.sqrt(
        2
    )  # half of each error is the reals', which they share
    assert max(errors) - min(errors) > 0.5


def test_live_js_is_of_held_out_data_not_of_training_data():
    """A D that knows the training points by heart says nothing of the held-out ones."""
    config, data, state, runtime = setting(0.0, "non_saturating", steps=1)
    known = data.train.x.flatten().sort().values

    class ByHeart(nn.Module):
        def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
            at = torch.searchsorted(known, x.flatten()).clamp(max=len(known) - 1)
            return torch.where(known[at] == x.flatten(), 20.0, -0.5)

    state.D = ByHeart()
    found = compute([JS()], view(config, data, state, runtime)).metrics["divergence/js"]
    truth_of_a_constant = math.log(2) - (math.log1p(math.exp(0.5)) + math.log1p(math.exp(-0.5))) / 2
    assert found == pytest.approx(truth_of_a_constant, abs=0.01)


def test_evaluation_leaves_networks_and_their_modes_as_they_were():
    config, data, state, runtime = setting(1.0, "non_saturating", steps=1)
    before = {name: value.clone() for name, value in state.tensors().items()}
    state.D.train()
    state.G.eval()
    first = compute([JS()], view(config, data, state, runtime)).metrics
    assert compute([JS()], view(config, data, state, runtime)).metrics == first
    assert all(torch.equal(before[name], value) for name, value in state.tensors().items())
    assert (state.D.training, state.G.training) == (True, False)
