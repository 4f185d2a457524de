"""Algorithm 1 as it is played: who moves when, on which data, and what never moves."""

import copy
import math
from dataclasses import dataclass, field

import pytest
import torch
from composed import composed
from torch import Tensor, nn

from gantrain.config.resolve import Config, resolve
from gantrain.core.random import stream
from gantrain.datasets.base import Data, Split
from gantrain.errors import Diverged
from gantrain.models.base import Player
from gantrain.noise import Noise
from gantrain.objectives.base import Logits, Targets
from gantrain.objectives.cross_entropy import NonSaturating
from gantrain.penalties.base import Penalty
from gantrain.training.batches import Batches
from gantrain.training.device import Runtime
from gantrain.training.loop import train
from gantrain.training.play import Play
from gantrain.training.state import TrainState
from gantrain.training.updates import d_step, g_step


@dataclass
class Game:
    """A small real run, and what was reported of it."""

    config: Config
    data: Data
    state: TrainState
    batches: Batches
    runtime: Runtime
    reports: list[dict[str, Tensor]] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)

    def play(self, batches=None) -> "Game":
        train(
            self.state,
            batches or self.batches,
            self.config,
            self.runtime,
            self.reports.append,
            lambda state: self.kept.append(state.step),
        )
        return self

    def move_d(self, number: int = 0, i: int = 0) -> dict[str, Tensor]:
        return d_step(self.state, *self.batches(number), i, Play.create(self.config, self.runtime))

    def move_g(self, number: int = 0) -> dict[str, Tensor]:
        return g_step(self.state, *self.batches(number), 0, Play.create(self.config, self.runtime))

    def tensors(self, *parts: str) -> dict[str, Tensor]:
        return {k: v.clone() for k, v in self.state.tensors().items() if k.split("/")[0] in parts}


CHOSEN = ("dataset=ring", "device=cpu", "metric=none", "model=mlp", "name=test")


def game(
    objective="non_saturating",
    penalty="none",
    condition="none",
    dataset=None,
    optimizer=None,
    seed=0,
    **options,
):
    config = resolve(
        composed(*CHOSEN)
        | {
            "seed": seed,
            "dataset": dataset or {"name": "ring", "modes": 4, "n": 50, "n_holdout": 10},
            "model": {"name": "auto", "width": 8, "condition": condition},
            "penalty": {"name": penalty},
            "objective": {"name": objective},
            "optimizer": {"name": "adam", "schedule": "constant"} | (optimizer or {}),
            "train": {"steps": 6, "batch_size": 8} | options,
        }
    )
    runtime, data = Runtime(config.device), config.dataset.load(config.seed)
    state = TrainState.create(config, data.spec, runtime)
    return Game(
        config, data, state, Batches(data.train, config.train.batch_size, seed, runtime.device), runtime
    )


def same(before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
    return before.keys() == after.keys() and all(
        torch.equal(value, after[name]) for name, value in before.items()
    )


def digest(batch: Tensor) -> bytes:
    return batch.numpy().tobytes()


def gradients(network: nn.Module) -> list[Tensor | None]:
    return [p.grad for p in network.parameters()]


class Spy(nn.Module):
    """Remembers what a player was given, and plays on."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.calls = network, []
        self.has_batch_stats = False
        self.latents = getattr(network, "latents", None)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        self.calls.append((x.detach().clone(), None if y is None else y.clone()))
        return self.network(x, y)


ALL_GAMES = pytest.mark.parametrize(
    "options",
    [
        {},
        {"objective": "minimax"},
        {"penalty": "r1"},
        {"objective": "conditional", "condition": "concat"},
        {"dataset": {"name": "digits"}, "penalty": "r1"},
    ],
    ids=lambda options: "-".join(str(value) for value in options.values()) or "default",
)


def test_g_step_adds_the_same_noise_to_relativistic_real_data():
    g = game(objective="relativistic")
    g.config.noise = Noise(instance_std=0.1)
    g.state.D = spy = Spy(g.state.D)
    real, y = g.batches(0)
    g_step(g.state, real, y, 0, Play.create(g.config, g.runtime))
    (fake, _), (beside, _) = spy.calls
    clean = g.state.G(g.state.G.latents(len(real), stream(0, 0, "g0")), y)
    for shown, was in ((fake, clean), (beside, real)):
        assert float((shown - was).detach().std()) == pytest.approx(g.config.noise.instance_std, rel=0.5)
    assert not torch.allclose(fake - clean, beside - real)  # noise of its own


# Who is touched


@ALL_GAMES
def test_d_step_differentiates_d_and_touches_nothing_else(options):
    g = game(**options)
    before = g.tensors("G", "D", "G_ema", "opt_G", "opt_D")
    g.move_d()
    assert same(before, g.tensors("G", "D", "G_ema", "opt_G", "opt_D"))
    assert gradients(g.state.G) == [None] * len(list(g.state.G.parameters()))
    assert all(grad is not None for grad in gradients(g.state.D))


@ALL_GAMES
def test_g_step_differentiates_g_and_touches_nothing_else(options):
    g = game(**options)
    before = g.tensors("G", "D", "G_ema", "opt_G", "opt_D")
    g.move_g()
    assert same(before, g.tensors("G", "D", "G_ema", "opt_G", "opt_D"))
    assert gradients(g.state.D) == [None] * len(list(g.state.D.parameters()))
    assert all(grad is not None and grad.abs().sum() > 0 for grad in gradients(g.state.G))
    assert all(p.requires_grad for p in g.state.D.parameters())


@ALL_GAMES
def test_g_step_keeps_the_gradient_that_waits_for_ds_update(options):
    g = game(**options)
    g.move_d()
    waiting = [grad.clone() for grad in gradients(g.state.D)]
    g.move_g()
    assert all(torch.equal(was, grad) for was, grad in zip(waiting, gradients(g.state.D), strict=True))


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize(("frozen", "free"), [("G", "D"), ("D", "G")])
def test_learning_rate_0_leaves_a_network_bit_for_bit_as_it_was(frozen, free, update):
    g = game(optimizer={f"{frozen.lower()}_lr": 0}, update=update, penalty="r1")
    still, moving = g.tensors(frozen), g.tensors(free)
    g.play()
    assert same(still, g.tensors(frozen))
    assert not same(moving, g.tensors(free))


# The order of play


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
    g = game(optimizer={"schedule": "linear", "horizon": 4, "g_lr": 0.02, "d_lr": 0.01}, steps=6)
    rates = []

    def note(state):
        rates.append((state.opt_G.param_groups[0]["lr"], state.opt_D.param_groups[0]["lr"]))

    train(g.state, g.batches, g.config, g.runtime, g.reports.append, note)
    expected = [(0.02 * f, 0.01 * f) for f in (1, 0.75, 0.5, 0.25, 0, 0)]
    assert rates == [pytest.approx(pair, rel=1e-12) for pair in expected]


# The sum that D descends


def test_mismatched_pairs_are_the_data_with_a_wrong_condition():
    g = game("conditional", condition="concat")
    g.state.D, g.state.G = Spy(g.state.D), Spy(g.state.G)
    offsets = []
    for number in range(10):
        g.state.step, i = divmod(number, 2)
        real, y = g.batches(number)
        g.state.D.calls.clear()
        g.state.G.calls.clear()
        g.move_d(number, i)
        assert [asked.tolist() for _, asked in g.state.G.calls] == [y.tolist()]
        x, labels = (torch.cat(column) for column in zip(*g.state.D.calls, strict=True))
        of_data = (x[:, None] == real).all(2)  # [rows shown, N]
        assert len(x) == 3 * len(real)
        assert of_data.sum(0).tolist() == [2] * len(real)
        assert labels[~of_data.any(1)].tolist() == y.tolist()
        for sample, right in zip(of_data.T, y.tolist(), strict=True):
            shown = labels[sample].tolist()
            assert shown.count(right) == 1
            assert all(0 <= label < 4 for label in shown)
            offsets.append((sum(shown) - 2 * right) % 4)
    assert set(offsets) == {1, 2, 3}


def test_mismatch_weight_0_shows_d_no_wrong_pairs():
    g = game("conditional", condition="concat", steps=1)
    g.config.objective.mismatch_weight = 0.0
    g.state.D = Spy(g.state.D)
    report = g.move_d()
    assert sum(len(x) for x, _ in g.state.D.calls) == 2 * 8
    assert "logits/mismatched" not in report


def test_d_step_reports_the_logits_of_each_kind_and_the_loss():
    g = game("conditional", condition="concat")
    real, y = g.batches(0)
    g.state.D = Spy(g.state.D)
    report = g.move_d()
    x, labels = (torch.cat(column) for column in zip(*g.state.D.calls, strict=True))
    logits = g.state.D.network(x, labels)
    of_data = (x[:, None] == real).all(2)
    right = (of_data & (labels[:, None] == y)).any(1)
    wrong, fake = of_data.any(1) & ~right, ~of_data.any(1)
    for tag, rows in [("logits/real", right), ("logits/fake", fake), ("logits/mismatched", wrong)]:
        assert report[tag].item() == pytest.approx(logits[rows].mean().item(), rel=1e-5)
    called_fake = (
        0.5 * nn.functional.softplus(logits[fake]).mean() + 0.5 * nn.functional.softplus(logits[wrong]).mean()
    )
    loss = nn.functional.softplus(-logits[right]).mean() + called_fake
    assert report["loss/d"].item() == pytest.approx(loss.item(), rel=1e-6)


def test_penalty_is_added_to_d_loss_once_and_reported_apart():
    alone, penalised = game(), game(penalty="r1")
    penalised.config.penalty.gamma = 30.0
    reports = [g.move_d() for g in (alone, penalised)]
    assert torch.equal(reports[0]["loss/d"], reports[1]["loss/d"])
    assert "loss/penalty" not in reports[0]
    real, y = penalised.batches(0)
    D = copy.deepcopy(penalised.state.D)
    D.zero_grad()
    cost = penalised.config.penalty(D, real, real, y, stream(0, 0, "penalty0"))
    cost.backward()
    assert torch.equal(reports[1]["loss/penalty"], cost)
    for with_it, without, extra in zip(
        gradients(penalised.state.D), gradients(alone.state.D), gradients(D), strict=True
    ):
        torch.testing.assert_close(with_it - without, torch.zeros_like(without) if extra is None else extra)


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


EVERYTHING = ("G", "D", "G_ema", "opt_G", "opt_D")


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
    class Endless(Penalty):
        def __call__(self, D, real, fake, y, generator=None):
            return D(real, y).sum() * math.inf

    g = game()
    g.config.penalty = Endless()
    before = g.tensors(*EVERYTHING)
    with pytest.raises(Diverged, match="loss/d"):
        g.play()
    assert same(before, g.tensors(*EVERYTHING))


# The data


@pytest.mark.parametrize("size", [1, 7, 10, 33, 100])
def test_batches_of_an_epoch_have_each_sample_once_reordered(size):
    n = 100
    batches = Batches(Split(torch.arange(n).float()[:, None], torch.arange(n)), size, 3, torch.device("cpu"))
    passes = 7
    shown = torch.cat([batches(i)[0] for i in range(passes * n // size)]).flatten().long()
    orders = [shown[start : start + n] for start in range(0, len(shown) - n + 1, n)]
    assert len(orders) >= passes - 1
    for order in orders:
        assert torch.equal(order.sort().values, torch.arange(n))
    assert len({tuple(order.tolist()) for order in orders}) == len(orders)


def test_batches_do_not_depend_on_the_order_of_access():
    split = Split(torch.arange(23).float()[:, None], torch.arange(23))
    forward = Batches(split, 5, 1, torch.device("cpu"))
    inorder = [forward(i) for i in range(40)]
    jumping = Batches(split, 5, 1, torch.device("cpu"))
    for i in [39, 0, 17, 4, 5, 4, 38, 3, 20]:
        x, y = jumping(i)
        assert torch.equal(x, inorder[i][0])
        assert torch.equal(y, inorder[i][1])
        assert torch.equal(x.flatten().long(), y)
    other = Batches(split, 5, 2, torch.device("cpu"))
    assert not torch.equal(other(0)[0], inorder[0][0])


# The average of G


class WithBuffer(Player):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -3.0]))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("mean", torch.zeros(2))


def averaged() -> TrainState:
    G, D = WithBuffer(), nn.Linear(1, 1)
    opt_G, opt_D = (torch.optim.SGD(network.parameters(), lr=1.0) for network in (G, D))
    return TrainState(G=G, D=D, G_ema=copy.deepcopy(G).requires_grad_(False), opt_G=opt_G, opt_D=opt_D)


def test_ema_of_decay_0_is_g_itself():
    g = game(ema=0.0, dataset={"name": "digits"}).play()
    assert [name.replace("G_ema", "G") for name in g.tensors("G_ema")] == list(g.tensors("G"))
    assert all(
        torch.equal(value, g.tensors("G")[f"G/{name[6:]}"]) for name, value in g.tensors("G_ema").items()
    )


def test_ema_is_ramped_and_gets_no_gradient():
    state, expected = averaged(), torch.tensor([1.0, -3.0], dtype=torch.float64)
    for step in range(30):
        state.step = step
        with torch.no_grad():
            state.G.weight += torch.tensor([0.5, step])
        state.update_ema(0.6)
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * state.G.weight.detach().double()
    torch.testing.assert_close(state.G_ema.weight.double(), expected)
    assert not state.G_ema.weight.requires_grad
    assert state.G.weight.requires_grad


def test_ema_buffers_are_copies_of_those_of_g():
    state = averaged()
    state.G.count += 7
    state.G.mean += 0.25
    state.update_ema(0.999)
    assert state.G_ema.count.item() == 7
    assert state.G_ema.mean.tolist() == [0.25, 0.25]
    state.G.count += 1
    assert state.G_ema.count.item() == 7


def test_ema_tracks_batch_statistics_of_its_own_weights():
    """As if its weights had been frozen at each step and one batch shown to it."""
    g = game(condition="conditional_batch_norm")
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


# Randomness


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


def test_stream_is_a_function_of_seed_step_and_purpose():
    keys = [
        (0, 0, "g"),
        (1, 0, "g"),
        (0, 1, "g"),
        (0, 0, "d0"),
        (0, 0, "d1"),
        (0, 11, "g"),
        (1, 1, "g"),
        (0, 0, ""),
    ]
    draws = {key: tuple(torch.randn(4, generator=stream(*key)).tolist()) for key in keys}
    assert len(set(draws.values())) == len(keys)
    assert all(tuple(torch.randn(4, generator=stream(*key)).tolist()) == draw for key, draw in draws.items())
