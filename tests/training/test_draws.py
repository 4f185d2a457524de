"""All randomness of a step is drawn before it, from streams keyed by seed, step and purpose."""

import copy

import pytest
import torch
from small_game import EVERYTHING, Game, game, same

from gantrain.augment.flip import Flip
from gantrain.noise import Noise
from gantrain.training.draws import Draw, Inputs, StepInputs
from gantrain.training.eager import eager_players
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.step import step

GAMES = {
    "relativistic": {"objective": "relativistic", "penalty": "r1"},
    "wgan_gp": {"penalty": "wgan_gp", "d_steps": 2, "g_steps": 2},
    "dragan": {"penalty": "dragan"},
    "mismatch": {"objective": "conditional", "condition": "concat"},
    "unroll": {"unroll": 2},
    "dropout": {"model": {"source": "both"}},
}


def noisy(name: str, seed: int = 0) -> Game:
    """Return a game with every kind of noise that it allows."""
    g = game(seed=seed, dataset={"name": "digits"}, **GAMES[name])
    g.config.augment = Flip()
    # A relativistic D has no labels.
    g.config.noise = Noise(instance_std=0.1, label_flip=0.0 if name == "relativistic" else 0.2)
    return g


def draws_of(name: str, seed: int, number: int, i: int) -> dict[str, torch.Tensor]:
    g = noisy(name, seed)
    real, y = g.batches(0)
    draw = Draw(Play.create(g.config, g.runtime), g.state.G, g.state.D, number)
    due = tuple(g.config.penalty.members())
    of_d, of_g = draw.for_d(real, y, i, due), draw.for_g(real, y, i, due)
    return {f"d {key}": t for key, t in of_d.items()} | {f"g {key}": t for key, t in of_g.items()}


@pytest.mark.parametrize("name", GAMES)
def test_draws_are_functions_of_seed_step_and_update(name):
    first = draws_of(name, 1, 5, 0)
    assert same(first, draws_of(name, 1, 5, 0))
    for other in (draws_of(name, 2, 5, 0), draws_of(name, 1, 6, 0), draws_of(name, 1, 5, 1)):
        assert other.keys() == first.keys()
        # Eight labels or flips may well agree: all that is drawn for more than that differs.
        wide = [key for key, t in first.items() if t.numel() > 8]
        assert wide
        assert not [key for key in wide if torch.equal(first[key], other[key])]


def test_draws_of_one_purpose_do_not_depend_on_the_others():
    plain, noise = game(), game(penalty="wgan_gp")
    noise.config.noise = Noise(instance_std=0.1, label_flip=0.1)
    real, y = plain.batches(0)
    plays = [Play.create(g.config, g.runtime) for g in (plain, noise)]
    z, others = (
        Draw(play, g.state.G, g.state.D, 3).for_d(real, y, 0, tuple(play.costs))
        for play, g in zip(plays, (plain, noise), strict=True)
    )
    assert {"noise real", "noise fake", "label real", "label fake", "penalty wgan_gp"} <= others.keys()
    assert torch.equal(z["z"], others["z"])


@pytest.mark.parametrize("name", GAMES)
def test_step_draws_nothing_and_is_a_function_of_its_inputs(name, monkeypatch):
    g = noisy(name)
    play, rates = Play.create(g.config, g.runtime), Rates.at(0, Play.create(g.config, g.runtime))
    inputs = StepInputs(g.state, g.batches, play, rates)
    of_d, of_g = list(inputs.of_d()), list(inputs.of_g())
    assert len(of_d) == play.d_steps
    assert len(of_g) == play.g_steps

    def refuse(*_: object) -> None:
        raise AssertionError("a step draws")

    twin = copy.deepcopy(g.state)
    monkeypatch.setattr("gantrain.training.draws.stream", refuse)
    monkeypatch.setattr("gantrain.core.random.stream", refuse)
    monkeypatch.setattr(torch, "Generator", refuse)
    before = torch.random.get_rng_state()
    for state in (g.state, twin):
        step(eager_players(state, play), of_d, of_g, rates, play)
    assert torch.equal(torch.random.get_rng_state(), before)
    ends = [
        {k: t for k, t in state.tensors().items() if k.split("/")[0] in EVERYTHING}
        for state in (g.state, twin)
    ]
    assert same(*ends)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_parts_of_inputs_are_the_whole_in_order(count):
    real, y = torch.arange(16.0).view(8, 2), torch.arange(8)
    whole = Inputs(real, y, {"z": real + 1, "label real": torch.arange(4), "penalty": torch.empty(0)})
    parts = whole.parts(count)
    assert len(parts) == count
    assert torch.equal(torch.cat([part.real for part in parts]), real)
    assert torch.equal(torch.cat([part.y for part in parts]), y)
    for key, drawn in whole.draws.items():
        assert torch.equal(torch.cat([part.draws[key] for part in parts]), drawn)
    assert all(part.y is None for part in Inputs(real, None).parts(count))


# A batch in parts

SEPARABLE = [
    ("non_saturating", "none"),
    ("hinge", "r1"),
    ("wasserstein", "wgan_gp"),
    ("least_squares", "r1r2"),
]


@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize(("objective", "penalty"), SEPARABLE)
def test_accumulated_gradients_are_those_of_the_whole_batch(objective, penalty, parts):
    whole, cut = (game(objective, penalty, accumulate=count) for count in (1, parts))
    for g in (whole, cut):
        g.reports += [g.move_d(), g.move_g()]
    for networks in ((whole.state.D, cut.state.D), (whole.state.G, cut.state.G)):
        for a, b in zip(*(network.parameters() for network in networks), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-7)
    for a, b in zip(whole.reports, cut.reports, strict=True):
        assert a.keys() == b.keys()
        assert [float(t) for t in b.values()] == pytest.approx([float(t) for t in a.values()], rel=1e-5)
