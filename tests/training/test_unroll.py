"""Unrolled GAN: G's gradient through D's next steps, by hand for the Dirac-GAN, by differences for networks."""

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from composed import composed
from small_game import move_g, state_of
from torch import Tensor, nn
from torch.func import functional_call

from gantrain.config.resolve import Config, resolve
from gantrain.core.gradients import Autograd, Derivatives, Functional
from gantrain.core.spec import Spec
from gantrain.datasets.base import Split
from gantrain.errors import ConfigError
from gantrain.models.base import Discriminator, Generator
from gantrain.models.mlp import MLP
from gantrain.objectives.base import Baseline, Logits
from gantrain.registry import REGISTERED, build
from gantrain.training.batches import Batches
from gantrain.training.loop import train
from gantrain.training.play import Play
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.unroll import unroll

N = 2
GAMES = sorted(name for name, cls in REGISTERED["objective"].items() if not issubclass(cls, Baseline))


class Theta(Generator):
    """G(z) = theta, whatever z."""

    def __init__(self, theta: float):
        super().__init__(MLP(), [])
        self.theta = nn.Parameter(torch.tensor([theta]))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.theta.expand(len(z), 1)


class Psi(Discriminator):
    """D(x) = psi x; positive means real."""

    def __init__(self, psi: float):
        super().__init__()
        self.psi = nn.Parameter(torch.tensor([psi]))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return (self.psi * x).squeeze(1)


CHOSEN = ("dataset=ring", "model=mlp", "device=cpu", "metric=none", "name=unroll")


def dirac(
    theta: float, psi: float, objective: str, rate: float, **options: Any
) -> tuple[Config, TrainState, Batches, Runtime]:
    """Of the dataset only the spec is used, of the model nothing; data are at 0."""
    config = resolve(
        composed(*CHOSEN)
        | {
            "objective": {"name": objective},
            "optimizer": {"name": "sgd", "g_lr": rate, "d_lr": rate, "schedule": "constant"},
            "train": {"batch_size": N, "ema": 0.0} | options,
        }
    )
    G, D = Theta(theta), Psi(psi)
    runtime = Runtime(config.device)
    state = state_of(G, D, config.optimizer)
    return config, state, Batches(Split(torch.zeros(N, 1)), N, 0, runtime.device), runtime


def sigmoid(t: float) -> float:
    return 1 / (1 + math.exp(-t))


def by_hand(theta: float, psi: float, objective: str, rate: float, k: int) -> float:
    """The derivative of G's loss at psi_k by theta: psi_k depends on theta too."""
    seen, bent = psi, 0.0  # psi_k, and its derivative by theta
    for _ in range(k):  # D's loss is softplus(0) + softplus(psi theta)
        said = seen * theta
        slope = sigmoid(said) * (1 - sigmoid(said)) * (seen + theta * bent)
        seen, bent = seen - rate * theta * sigmoid(said), bent - rate * (sigmoid(said) + theta * slope)
    outer = -sigmoid(seen * theta) if objective == "minimax" else -sigmoid(-seen * theta)
    return outer * (seen + theta * bent)


@pytest.mark.parametrize("k", [0, 1, 2, 5])
@pytest.mark.parametrize("objective", ["minimax", "non_saturating"])
@pytest.mark.parametrize(("theta", "psi", "rate"), [(1.0, -1.0, 0.2), (0.5, 2.0, 1.0), (-1.5, 0.3, 3.0)])
def test_unroll_gradient_of_the_dirac_gan_is_that_by_hand(theta, psi, rate, objective, k):
    config, state, batches, runtime = dirac(theta, psi, objective, rate, unroll=k)
    tags = move_g(state, *batches(0), 0, Play.create(config, runtime))
    expected = by_hand(theta, psi, objective, rate, k)
    assert state.G.theta.grad.item() == pytest.approx(expected, rel=1e-5)
    assert tags["gradient/g"].item() == pytest.approx(abs(expected), rel=1e-5)
    if k:  # the part by which G bends D is there, and is not small
        seen = psi
        for _ in range(k):
            seen -= rate * theta * sigmoid(seen * theta)
        outer = -sigmoid(seen * theta) if objective == "minimax" else -sigmoid(-seen * theta)
        assert abs(expected - outer * seen) > 0.001


@pytest.mark.parametrize("theta", [1.0, -0.7])
def test_unroll_lr_is_the_rate_of_the_unrolled_steps_alone(theta):
    gradients = []
    for options in ({"unroll_lr": 0.9}, {"unroll_lr": None}):
        config, state, batches, runtime = dirac(theta, 0.4, "minimax", 0.3, unroll=2, **options)
        move_g(state, *batches(0), 0, Play.create(config, runtime))
        gradients.append(state.G.theta.grad.item())
    expected = [by_hand(theta, 0.4, "minimax", rate, 2) for rate in (0.9, 0.3)]
    assert gradients == pytest.approx(expected, rel=1e-5)
    assert abs(expected[0] - expected[1]) > 0.01


@pytest.mark.parametrize("foresight", [0.0, 0.5, 1.0])
def test_unroll_makes_the_minimax_dirac_gan_converge_by_its_law(foresight):
    """Near 0 one unrolled step of rate e damps theta: an alternating step of h multiplies areas by 1 - h e / 2."""
    h, steps = 0.2, 60
    starts = [(1e-3, 0.0), (0.0, 1e-3)]
    ends = []
    for theta, psi in starts:
        options = {"unroll": 1, "unroll_lr": foresight} if foresight else {}
        config, state, batches, runtime = dirac(theta, psi, "minimax", h, steps=steps, **options)
        train(state, batches, config, runtime, lambda _: None, lambda _: None)
        ends.append([state.G.theta.item(), state.D.psi.item()])
    area = torch.tensor(ends, dtype=torch.float64).det().item() / 1e-6
    assert area == pytest.approx((1 - h * foresight / 2) ** steps, rel=1e-3)


def small(**keys: Any) -> Discriminator:
    torch.manual_seed(0)
    return MLP(width=5, depth=2, d_activation="tanh", **keys).build(Spec(shape=(2,)))[1]


def loss_of(game: Any, real: Tensor, fake: Tensor):
    return lambda D: game.d_loss(Logits(real=D(real, None), fake=D(fake, None)))


def unrolled(
    D: nn.Module, game: Any, real: Tensor, fake: Tensor, k: int, lr: float, derivatives: type[Derivatives]
):
    """Return D after ``k`` steps on one batch."""

    def after(weights: dict[str, Tensor]):
        return lambda x, y: functional_call(D, weights, (x, y))

    weights = dict(D.named_parameters())
    return after(unroll(weights, lambda w: loss_of(game, real, fake)(after(w)), k, lr, derivatives))


BOTH_PLAYS = pytest.mark.parametrize("derivatives", [Autograd, Functional])


@pytest.mark.parametrize(
    "keys", [{}, {"packing": 2}, {"minibatch_std": True}, {"spectral_norm": True}], ids=str
)
@pytest.mark.parametrize("k", [0, 1, 4])
@BOTH_PLAYS
def test_unroll_returns_d_after_as_many_real_steps(keys, k, derivatives):
    D, game = small(**keys), build("objective", {"name": "non_saturating"})
    real, fake, x = (torch.randn(6, 2, generator=torch.Generator().manual_seed(i)) for i in range(3))
    before = {name: value.clone() for name, value in D.state_dict().items()}
    found = unrolled(D, game, real, fake, k, 0.5, derivatives)(x, None)
    moved = copy.deepcopy(D)
    sgd = torch.optim.SGD(moved.parameters(), lr=0.5)
    for _ in range(k):
        sgd.zero_grad()
        loss_of(game, real, fake)(moved).backward()
        sgd.step()
    assert torch.allclose(found, moved(x, None), rtol=1e-5, atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in D.state_dict().items())
    assert all(p.grad is None for p in D.parameters())
    if k:
        assert not torch.allclose(found, D(x, None), atol=1e-3)


@pytest.mark.parametrize("keys", [{}, {"packing": 2}, {"spectral_norm": True}], ids=str)
@pytest.mark.parametrize("name", ["non_saturating", "relativistic", "wasserstein"])
@BOTH_PLAYS
def test_unroll_gradient_by_samples_is_that_of_differences(name, keys, derivatives):
    D, game = small(**keys).double(), build("objective", {"name": name})
    generator = torch.Generator().manual_seed(1)
    real, fake = (torch.randn(4, 2, generator=generator).double() for _ in range(2))

    def surrogate(fake: Tensor) -> Tensor:
        opponent = unrolled(D, game, real, fake, 2, 0.7, derivatives)
        return game.g_loss(opponent(fake, None), opponent(real, None))

    assert torch.autograd.gradcheck(surrogate, fake.requires_grad_(True))
    whole, still = (
        torch.autograd.grad(loss, fake)[0] for loss in (surrogate(fake), still_d(D, game, real, fake))
    )
    assert not torch.allclose(whole, still, rtol=0.01)


def still_d(D: nn.Module, game: Any, real: Tensor, fake: Tensor) -> Tensor:
    """G's loss with the same unrolled D, taken as fixed."""
    opponent = unrolled(D, game, real, fake.detach(), 2, 0.7, Autograd)
    return game.g_loss(opponent(fake, None), opponent(real, None))


@pytest.mark.parametrize("name", GAMES)
def test_unroll_is_twice_differentiable_for_every_game(name):
    """What D minimises must have a second derivative, or G's gradient would lack its second part in silence."""
    game = build("objective", {"name": name})
    logits = torch.tensor([0.3, -0.6, 1.4], dtype=torch.float64)

    def slope(real: Tensor, fake: Tensor) -> Tensor:
        found = Autograd.by_weights(lambda w: game.d_loss(Logits(**w)), {"real": real, "fake": fake})
        return torch.cat(list(found.values()))

    inputs = [t.clone().requires_grad_(True) for t in (logits, logits.flip(0) + 0.25)]
    if slope(*inputs).requires_grad:
        assert torch.autograd.gradcheck(slope, inputs)
    else:
        assert name == "wasserstein"  # linear in its logits


def ring(unroll: int, seed: int = 0, **keys: Any) -> tuple[Config, TrainState, Batches, Runtime]:
    options = {"steps": 3, "batch_size": 8, "unroll": unroll, "unroll_lr": 0.3 if unroll else None}
    config = resolve(
        composed(*CHOSEN)
        | {"seed": seed, "dataset": {"name": "ring", "n": 50, "n_holdout": 10}}
        | {"model": {"name": "mlp", "width": 8, "z_dim": 2} | keys.pop("model", {})}
        | {"train": options | keys.pop("train", {})}
        | keys
    )
    runtime = Runtime(config.device)
    data = config.dataset.load(0)
    return (
        config,
        TrainState.create(config, data.spec, runtime),
        Batches(data.train, 8, seed, runtime.device),
        runtime,
    )


@pytest.mark.parametrize("unroll", [0, 3])
@pytest.mark.parametrize("model", [{}, {"spectral_norm": True}, {"packing": 2}], ids=str)
def test_unroll_leaves_d_bit_for_bit_as_it_is(model, unroll):
    config, state, batches, runtime = ring(unroll, model=model)
    for value in state.D.parameters():
        value.grad = torch.ones_like(value)
    before = copy.deepcopy(state.D.state_dict())
    tags = move_g(state, *batches(0), 0, Play.create(config, runtime))
    assert tags["gradient/g"] > 0
    assert before.keys() == state.D.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in state.D.state_dict().items())
    assert all(torch.equal(p.grad, torch.ones_like(p)) and p.requires_grad for p in state.D.parameters())
    assert not any(moment.any() for moments in state.opt_D.values() for moment in moments)


def test_unroll_at_rate_0_is_no_unrolling_and_else_another_game():
    ends = []
    for options in ({"unroll": 0}, {"unroll": 4, "unroll_lr": 0.0}, {"unroll": 4}):
        config, state, batches, runtime = ring(4, train=options)
        train(state, batches, config, runtime, lambda _: None, lambda _: None)
        ends.append(torch.cat([p.flatten() for p in state.G.parameters()]))
    assert torch.equal(ends[0], ends[1])
    assert not torch.allclose(ends[0], ends[2])


@pytest.mark.parametrize(
    "keys",
    [
        {"noise": {"name": "noise", "instance_std": 0.1, "label_smoothing": 0.1, "label_flip": 0.1}},
        {"objective": {"name": "conditional"}, "model": {"condition": "concat"}},
        {"objective": {"name": "relativistic"}},
        {"device": {"kind": "cpu", "precision": "bfloat16"}},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_unroll_is_a_function_of_seed_and_step_for_every_game(keys):
    ends = []
    for seed in (0, 0, 1):
        config, state, batches, runtime = ring(2, seed, **copy.deepcopy(keys))
        train(state, batches, config, runtime, lambda _: None, lambda _: None)
        ends.append(torch.cat([p.flatten() for p in (*state.G.parameters(), *state.D.parameters())]))
    assert torch.isfinite(ends[0]).all()
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"objective": {"name": "regression"}}, "no discriminator"),
        ({"train": {"update": "simultaneous"}}, "simultaneous"),
        ({"penalty": {"name": "r1"}}, "penalty"),
        ({"penalty": {"name": "weight_clip"}}, "penalty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unroll_is_refused_in_one_line_where_unsupported(keys, reason):
    if "objective" in keys:
        keys = keys | {"model": {"condition": "concat"}}
    with pytest.raises(ConfigError, match=rf"^train\.unroll: .*{reason}.*; .*train\.unroll=0"):
        ring(1, **copy.deepcopy(keys))
    ring(0, **copy.deepcopy(keys))


def test_unroll_refusals_cover_every_pair_of_keys():
    """Steps and their rate are both felt, in any combination."""
    gradients = []
    for k, rate in itertools.product((1, 2), (0.2, 0.4)):
        config, state, batches, runtime = dirac(1.0, 0.5, "minimax", 0.1, unroll=k, unroll_lr=rate)
        move_g(state, *batches(0), 0, Play.create(config, runtime))
        gradients.append(round(state.G.theta.grad.item(), 5))
    assert len(set(gradients)) == 4


def quadratic(weights: dict[str, Tensor], fake: Tensor) -> Tensor:
    """A loss of D that depends on samples; ``dead`` has no effect, as a unit that is never active."""
    return ((weights["w"] * fake).sum() - 1).square() + 0 * weights["dead"].sum()


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
def test_unrolled_updates_by_ds_own_rule_are_its_updates(name):
    rule = build("optimizer", {"name": name})
    start = {"w": torch.tensor([0.3, -0.2], dtype=torch.float64), "dead": torch.zeros(2, dtype=torch.float64)}
    fake = torch.tensor([0.7, 1.1], dtype=torch.float64, requires_grad=True)
    moments = rule.init(list(start.values()))
    weights, kept = [w.clone().requires_grad_() for w in start.values()], copy.deepcopy(moments)
    for _ in range(3):
        slopes = torch.autograd.grad(quadratic(dict(zip(start, weights, strict=True)), fake), weights)
        rule.update_in_place([w.detach() for w in weights], list(slopes), kept, 0.05, None)

    def after(fake: Tensor) -> Tensor:
        leaves = {key: w.clone().requires_grad_() for key, w in start.items()}
        found = unroll(leaves, lambda w: quadratic(w, fake), 3, 0.05, Autograd, rule, moments)
        return found["w"]

    torch.testing.assert_close(after(fake), weights[0], rtol=1e-5, atol=1e-9)
    assert all(not moment.any() for moment in moments.get("exp_avg", []))
    slope = torch.autograd.grad(after(fake).sum(), fake)[0]
    assert slope.isfinite().all()
    for i in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[i] = 1e-6
        difference = (after(fake + step).sum() - after(fake - step).sum()).item() / 2e-6
        assert slope[i].item() == pytest.approx(difference, rel=1e-4, abs=1e-7)
