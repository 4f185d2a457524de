"""The Dirac-GAN (Mescheder, Geiger and Nowozin 2018): data at 0, G says theta, D(x) = psi x, solved exactly.

The radius after 500 steps tells saturating from non-saturating, simultaneous from alternating, D first from G
first, and R1 from none, so it catches a sign, an order or a factor of 2 anywhere in the loop.
"""

import math

import pytest
import torch
from composed import composed
from small_game import move_d, move_g, state_of
from torch import Tensor, nn

from gantrain.config.resolve import Config, resolve
from gantrain.datasets.base import Split
from gantrain.models.base import Discriminator, Generator
from gantrain.models.mlp import MLP
from gantrain.training.batches import Batches
from gantrain.training.eager import eager_players
from gantrain.training.loop import train
from gantrain.training.play import Play
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

RATE, STEPS, N = 0.2, 500, 2
ORDERS = ("simultaneous", "d first", "g first")
# Radii of the same recurrence in float64, by (objective, gamma of R1) and in the order of ORDERS.
RADII = {
    ("minimax", 0.0): (3.097, 1.413, 1.421),
    ("non_saturating", 0.0): (0.6402, 0.2706, 0.2839),
    ("minimax", 0.3): (2.643e-6, 2.383e-7, 2.301e-7),
    ("non_saturating", 0.3): (2.212e-6, 1.639e-7, 1.499e-7),
}


class Theta(Generator):
    """G(z) = theta, whatever z."""

    def __init__(self):
        super().__init__(MLP(), [])
        self.theta = nn.Parameter(torch.tensor([1.0]))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.theta.expand(len(z), 1)


class Psi(Discriminator):
    """D(x) = psi x; positive means real, so psi starts below 0 for a G above 0."""

    def __init__(self):
        super().__init__()
        self.psi = nn.Parameter(torch.tensor([-1.0]))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return (self.psi * x).squeeze(1)


def game(
    objective: str, gamma: float, update: str, d_steps: int = 1
) -> tuple[Config, TrainState, Batches, Runtime]:
    """Of the dataset only the spec is used, of the model nothing."""
    config = resolve(
        composed("dataset=ring", "model=mlp", "device=cpu", "metric=none", "name=dirac")
        | {
            "penalty": {"name": "r1", "gamma": gamma} if gamma else {"name": "none"},
            "objective": {"name": objective},
            "optimizer": {"name": "sgd", "g_lr": RATE, "d_lr": RATE, "schedule": "constant"},
            "train": {"steps": STEPS, "batch_size": N, "update": update, "d_steps": d_steps, "ema": 0.0},
        }
    )
    G, D = Theta(), Psi()
    runtime = Runtime(config.device)
    state = state_of(G, D, config.optimizer)
    return config, state, Batches(Split(torch.zeros(N, 1)), N, 0, runtime.device), runtime


def where(state: TrainState) -> tuple[float, float]:
    return state.G.theta.item(), state.D.psi.item()


# Every objective, order and gamma is in one of these six; a slip in the loop, the game or the penalty shows in each.
SOON = [("minimax", 0.0), ("non_saturating", 0.3)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("objective", "gamma"),
    [game if game in SOON else pytest.param(*game, marks=pytest.mark.slow) for game in RADII],
)
def test_dirac_gan_radius_after_500_steps(objective, gamma, order):
    config, state, batches, runtime = game(
        objective, gamma, "alternating" if order == "d first" else "simultaneous"
    )
    if order == "g first":
        play = Play.create(config, runtime)
        players = eager_players(state, play)
        for step in range(STEPS):
            real, y = batches(step)
            move_g(state, real, y, 0, play)
            players.G.update(RATE, {})
            move_d(state, real, y, 0, play)
            players.D.update(RATE, {}, play.penalty)
            state.step += 1
    else:
        train(state, batches, config, runtime, lambda _: None, lambda _: None)
    assert state.step == STEPS
    assert math.hypot(*where(state)) == pytest.approx(RADII[objective, gamma][ORDERS.index(order)], rel=4e-4)


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize("d_steps", [1, 3])
def test_dirac_gan_step_by_hand(update, d_steps):
    """k updates of psi against the old theta; then theta, against the new psi or the psi before its last update."""
    config, state, batches, runtime = game("non_saturating", 0.3, update, d_steps)
    config.train.steps = 1
    train(state, batches, config, runtime, lambda _: None, lambda _: None)
    theta, psi, before = 1.0, -1.0, -1.0
    for _ in range(d_steps):
        before = psi
        psi -= RATE * (theta / (1 + math.exp(-psi * theta)) + 0.3 * psi)
    seen = psi if update == "alternating" else before
    theta -= RATE * -seen / (1 + math.exp(seen * theta))
    assert where(state) == pytest.approx((theta, psi), rel=1e-6)
