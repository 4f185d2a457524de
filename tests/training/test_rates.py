"""All that moves follows one kind of ramp, reaches every kind of play, and is logged by one loop."""

from __future__ import annotations

import json
import math

import pytest
import torch
from composed import composed
from small_game import game

from gantrain.config.cautions import cautions
from gantrain.config.moving import schedule_tags
from gantrain.config.resolve import resolve
from gantrain.errors import ConfigError
from gantrain.training.draws import Draw
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.runtime import Runtime

# Of R3GAN's CIFAR-10 configuration (Huang et al. 2024, app. D), whose ramps are cosines over 20 million images.
R3GAN = [
    "dataset=digits objective=relativistic penalty=r1r2 penalty.gamma=0.05 penalty.gamma_end=0.005",
    "optimizer.horizon=39062",
    "optimizer.g_lr=2e-4 optimizer.d_lr=2e-4 optimizer.g_lr_end=5e-5 optimizer.d_lr_end=5e-5 optimizer.beta1=0",
    "optimizer.beta2=0.9 optimizer.beta2_end=0.99 train.ema_half_life=0 train.ema_half_life_end=5e6",
    "train.ramp=cosine",
    "train.batch_size=512 train.images=250000000 device=cpu",
]


def rates_of(*words: str, step: int) -> Rates:
    config = resolve(composed(*words))
    return Rates.at(step, Play.create(config, Runtime(config.device)))


@pytest.mark.parametrize("step", [0, 1, 9_765, 19_531, 39_062, 488_281])
def test_the_schedule_of_r3gan_can_be_written(step):
    words = " ".join(R3GAN).split()
    left = 0.5 * (1 + math.cos(math.pi * min(step / 39_062, 1)))
    rates, half_life = rates_of(*words, step=step), 5e6 * (1 - left)
    expected = {
        "g_lr": 5e-5 + 1.5e-4 * left,
        "d_lr": 5e-5 + 1.5e-4 * left,
        "ema": 1 - (0.5 ** (512 / half_life) if half_life else 0),
        "rule.beta2": 0.99 - 0.09 * left,
        "cost.r1r2": 0.005 + 0.045 * left,
    }
    assert rates.by_name == pytest.approx(expected, rel=1e-9)
    assert Rates.of(rates.numbers, rates.names) == rates


def test_a_half_life_that_stays_forgets_the_start_too():
    words = [
        "dataset=ring",
        "train.batch_size=64",
        "train.d_steps=2",
        "train.ema_half_life=1280",
        "device=cpu",
    ]
    # Two batches of 64 a step: ten steps are a half-life.
    assert rates_of(*words, step=10**6).ema == pytest.approx(1 - 0.5**0.1)
    assert rates_of(*words, step=0).ema == pytest.approx(1 - 1 / 10)


def test_a_beta2_that_moves_is_that_of_torch_at_each_step():
    """The reference sets the group's betas before each update, as R3GAN's code does."""
    g = game(optimizer={"beta2": 0.5, "beta2_end": 0.9, "horizon": 4, "g_lr": 0.02}, steps=6)
    network = g.state.G
    copies = [weight.detach().clone() for weight in network.parameters()]
    reference = torch.optim.Adam(copies, lr=0.02, betas=(0.5, 0.5))
    for step in range(6):
        g.config.train.steps = step + 1
        g.play()
        reference.param_groups[0]["betas"] = (0.5, 0.5 + 0.1 * min(step, 4))
        for copy, weight in zip(copies, network.parameters(), strict=True):
            copy.grad = weight.grad
        reference.step()
    for copy, weight in zip(copies, network.parameters(), strict=True):
        torch.testing.assert_close(copy, weight.detach(), rtol=1e-6, atol=1e-7)


def test_what_moves_is_logged_and_nothing_else(run_cli, tmp_path):
    words = ["dataset=ring", "dataset.n=500", "dataset.n_holdout=99", "metric=none", "train.sample_every=0"]
    words += ["device=cpu", "train.steps=5", "train.log_every=1", "train.batch_size=16", "model.width=4"]
    moving = ["penalty=[r1,lecam]", "penalty.r1.gamma_end=0", "noise=instance", "optimizer.schedule=constant"]
    moving += ["noise.instance_std=0.4", "noise.anneal_steps=2", "train.ema_half_life=0"]
    moving += ["train.ema_half_life_end=40", "optimizer.beta2_end=0.9"]
    found = {}
    for name, more in {"default": [], "moving": moving}.items():
        code, _, error = run_cli(*words, *more, f"run.dir={tmp_path / name}")
        assert code == 0, error
        lines = map(json.loads, (tmp_path / name / "metrics.jsonl").read_text().splitlines())
        rows = [line for line in lines if line["step"] >= 1]
        tags = sorted({tag for row in rows for tag in row if tag.startswith("schedule/")})
        found[name] = {tag.removeprefix("schedule/"): [row[tag] for row in rows] for tag in tags}
    assert found["default"].keys() == {"d_lr", "g_lr"}
    assert found["moving"] == {
        "beta2": pytest.approx([0.99, 0.972, 0.954, 0.936, 0.918]),
        "ema_half_life": pytest.approx([0, 8, 16, 24, 32]),
        "instance_std": pytest.approx([0.4, 0.2, 0, 0, 0]),
        "r1_gamma": pytest.approx([1, 0.8, 0.6, 0.4, 0.2]),
    }


def test_a_probability_of_augmentation_moves_by_its_draws():
    words = ["dataset=digits", "device=cpu", "train.batch_size=4000", "optimizer.horizon=10"]
    ada = ["augment=ada", "augment.target=null", "augment.p=0", "augment.p_end=0.55"]
    config = resolve(composed(*words, *ada))
    play = Play.create(config, Runtime(config.device))
    G, D = config.model.build(config.spec)
    batch = torch.zeros(()).expand(4000, *config.spec.shape)
    for step, p in ((0, 0.0), (4, 0.22), (10, 0.55), (99, 0.55)):
        (draws,) = Draw(play, G, D, step).of_step(batch, ())["d"]
        share = (draws["augment real"][:, :3, 0] < 0).float().mean().item()
        assert share == pytest.approx(p, abs=4 * math.sqrt(0.25 / 12_000))
    assert schedule_tags(config)["schedule/augment_p"].at(4) == pytest.approx(0.22)
    with pytest.raises(ConfigError, match=r"augment\.target=null"):
        resolve(composed(*words, "augment=ada", "augment.p_end=0.55"))


def test_an_end_without_a_start_is_refused():
    with pytest.raises(ConfigError, match=r"train\.ema_half_life=0"):
        resolve(composed("dataset=ring", "train.ema_half_life_end=1000"))


def test_a_run_whose_length_is_unknown_says_what_does_not_move():
    words = ["dataset=ring", "train.minutes=1", "penalty=r1", "penalty.gamma_end=0"]
    (line,) = cautions(resolve(composed(*words)))
    assert "steps in train.minutes is unknown" in line
    assert "these stay at their start: the learning rates, penalty.gamma;" in line
    assert cautions(resolve(composed(*words, "optimizer.horizon=100"))) != [line]
    (line,) = cautions(resolve(composed(*words, "optimizer.schedule=constant")))
    assert "at their start: penalty.gamma;" in line


def test_old_noise_still_ends_at_0():
    config = resolve(
        composed("dataset=ring", "noise=instance", "noise.instance_std_end=null", "noise.anneal_steps=50")
    )
    assert config.noise.instance_std_end == 0
    plain = config.plain()
    del plain["noise"]["instance_std_end"]  # of a run from before it was a key
    assert resolve(plain).plain() == config.plain()
