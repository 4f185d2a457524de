"""Algorithm 1: which network is updated when, on which data, and what stops it."""

import copy
import math
from dataclasses import dataclass

import pytest
import torch
from small_game import EVERYTHING, Spy, digest, game, same
from torch import Tensor

from gantrain.datasets.base import Split
from gantrain.errors import Diverged
from gantrain.objectives.base import Logits, Targets
from gantrain.objectives.cross_entropy import NonSaturating
from gantrain.optimizers.adam import Adam
from gantrain.penalties.base import Penalty
from gantrain.training.batches import Batches

# The order of updates


@dataclass
class Recorder(NonSaturating):
    """Plays the game and writes down whose loss is asked for."""

    asked: str = ""

    def d_loss(self, logits: Logits, targets: Targets | None = None) -> Tensor:
        self.asked += "d"
        return super().d_loss(logits, targets)

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        self.asked += "g"
        return super().g_loss(fake, real)


@pytest.mark.parametrize(
    ("k", "g_steps", "update"),
    [
        (1, 1, "alternating"),
        (2, 1, "alternating"),
        (5, 1, "simultaneous"),
        (1, 3, "alternating"),
        (2, 2, "alternating"),
    ],
)
def test_loop_step_is_k_of_d_then_g_then_housekeeping(k, g_steps, update):
    g = game(d_steps=k, g_steps=g_steps, steps=3, update=update)
    g.config.objective = Recorder()
    g.play()
    assert g.config.objective.asked == ("d" * k + "g" * g_steps) * 3
    assert g.kept == [1, 2, 3]
    assert g.state.step == 3
    told = [report.keys() & {"loss/d", "loss/g"} for report in g.reports]
    assert told == ([{"loss/d"}] * k + [{"loss/g"}] * g_steps) * 3


@pytest.mark.parametrize(("k", "g_steps"), [(1, 1), (3, 1), (2, 2)])
def test_updates_have_fresh_latents_and_those_of_d_fresh_batches(k, g_steps):
    g = game(d_steps=k, g_steps=g_steps, steps=4)
    g.state.G = Spy(g.state.G)
    numbers, seen = [], []

    def batches(number):
        numbers.append(number)
        real, y = g.batches(number)
        seen.append(digest(real))
        return real, y

    g.play(batches)
    latents = [digest(z) for z, _ in g.state.G.calls]
    assert numbers == list(range(4 * k))
    assert len(set(seen)) == 4 * k
    assert len(latents) == len(set(latents)) == 4 * (k + g_steps)
    assert all(z.shape == (8, g.config.model.z_dim) for z, _ in g.state.G.calls)


def test_update_simultaneous_shows_g_the_d_before_its_update():
    for update in ("alternating", "simultaneous"):
        g = game(update=update, steps=1, optimizer={"d_lr": 0.1, "g_lr": 0})
        old = copy.deepcopy(g.state.D)
        g.state.G = Spy(g.state.G)
        g.play()
        z, _ = g.state.G.calls[-1]
        fake = g.state.G.network(z, None)
        losses = {
            name: g.config.objective.g_loss(D(fake, None)).item()
            for name, D in (("old", old), ("new", g.state.D))
        }
        assert abs(losses["new"] - losses["old"]) > 1e-3
        seen = "new" if update == "alternating" else "old"
        assert g.reports[-1]["loss/g"].item() == pytest.approx(losses[seen], rel=1e-6)


def test_learning_rates_of_both_networks_follow_the_schedule():
    rates = []

    class Noting(Adam):
        def update_in_place(self, weights, gradients, moments, lr, refused=None):
            rates.append(lr)

    g = game(steps=6)
    g.config.optimizer = Noting(schedule="linear", horizon=4, g_lr=0.02, d_lr=0.01)
    g.play()
    expected = [rate * f for f in (1, 0.75, 0.5, 0.25, 0, 0) for rate in (0.01, 0.02)]  # D's, then G's
    assert rates == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize(("frozen", "free"), [("G", "D"), ("D", "G")])
def test_learning_rate_0_leaves_a_network_bit_for_bit_as_it_was(frozen, free, update):
    g = game(optimizer={f"{frozen.lower()}_lr": 0}, update=update, penalty="r1")
    still, moving = g.tensors(frozen), g.tensors(free)
    g.play()
    assert same(still, g.tensors(frozen))
    assert not same(moving, g.tensors(free))


def test_run_is_a_function_of_its_seed_and_leaves_torch_rng():
    torch_state = torch.random.get_rng_state()
    first = game(penalty="r1").play().tensors(*EVERYTHING)
    torch.random.manual_seed(12345)
    again = game(penalty="r1").play().tensors(*EVERYTHING)
    other = game(penalty="r1", seed=1).play().tensors(*EVERYTHING)
    torch.random.set_rng_state(torch_state)
    assert same(first, again)
    assert not same(first, other)
    game().play()
    assert torch.equal(torch.random.get_rng_state(), torch_state)


# What stops a run


@dataclass
class Breaks(NonSaturating):
    """Plays until the chosen player's loss breaks at the chosen step, in the loss or in its gradient only."""

    player: str = "d"
    how: str = "loss"
    at: int = 2
    calls: int = 0

    def _broken(self, logits: Tensor) -> Tensor:
        return logits.sum() * math.nan if self.how == "loss" else (logits * 0).sqrt().sum()

    def d_loss(self, logits: Logits, targets: Targets | None = None) -> Tensor:
        self.calls += 1
        good = super().d_loss(logits, targets)
        return good + self._broken(logits.fake) if self.player == "d" and self.calls > self.at else good

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        good = super().g_loss(fake, real)
        return good + self._broken(fake) if self.player == "g" and self.calls > self.at else good


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize("how", ["loss", "gradient"])
@pytest.mark.parametrize("player", ["d", "g"])
def test_non_finite_value_stops_before_its_update(player, how, update):
    reference = game(update=update, steps=2).play()
    g = game(update=update)
    g.config.objective = Breaks(player=player, how=how)
    with pytest.raises(Diverged, match=f"loss/{player}: the {how} is not finite") as fault:
        g.play()
    assert fault.value.exit_code == 6
    assert g.state.step == 2
    assert g.kept == [1, 2]
    # Alternating, D's good update of the third step is made before G's loss is seen to be bad.
    untouched = [
        part for part in EVERYTHING if (player, update) != ("g", "alternating") or not part.endswith("D")
    ]
    assert same(reference.tensors(*untouched), g.tensors(*untouched))
    assert all(torch.isfinite(value).all() for value in g.tensors(*EVERYTHING).values())


def test_non_finite_sample_stops_before_it_reaches_the_networks():
    g = game()
    before = g.tensors(*EVERYTHING)
    x = g.data.train.x.clone()
    x[(x == g.batches(0)[0][3]).all(1)] = math.nan
    with pytest.raises(Diverged, match="loss/d: the loss is not finite"):
        g.play(Batches(Split(x, g.data.train.y), 8, 0, g.runtime.device))
    assert same(before, g.tensors(*EVERYTHING))


def test_non_finite_penalty_stops_the_run_too():
    @dataclass
    class Endless(Penalty):
        name = "endless"

        def __call__(self, seen):
            return seen.real_logits.sum() * math.inf

    g = game()
    g.config.penalty = Endless()
    before = g.tensors(*EVERYTHING)
    with pytest.raises(Diverged, match="loss/d"):
        g.play()
    assert same(before, g.tensors(*EVERYTHING))
