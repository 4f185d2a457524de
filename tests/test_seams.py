"""Objectives and metrics are added from outside the package, a Python and a YAML file each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gantrain.cli.main import main
from gantrain.config.compose import compose
from gantrain.config.resolve import plain_data, resolve
from gantrain.config.resume import conflicting_keys
from gantrain.core import plugin_loading, plugin_trust, plugins
from gantrain.registry import REGISTERED
from gantrain.training.evaluate import supported_metrics

GAMES = '''
"""A separable game and one that is no sum over samples."""
import math
from dataclasses import dataclass

from torch.nn.functional import softplus

from gantrain.objectives.base import Objective, Separable
from gantrain.registry import key_property, option, register


@register("objective")
@dataclass
class Boost(Separable):
    """Boosting's loss, whose bound is of half the squared Hellinger distance."""

    name: str = option("boost", "registered name")
    quantity = "boost"
    offset = 1.0
    slope = 0.5
    chance = 2.0
    meaning = "D estimates half the squared Hellinger distance; G descends E exp(-l / 2)"

    def on_real(self, logits):
        return (-logits / 2).exp()

    def on_fake(self, logits):
        return (logits / 2).exp()

    def g_loss(self, fake, real=None):
        return self.on_real(fake).mean()


@register("objective")
@dataclass
class Average(Objective):
    """Each logit is compared with the mean of the other kind."""

    name: str = option("average", "registered name")
    scale: float = option(1.0, "factor of the logits", above=0)
    g_sees_real = True

    @key_property
    def chance(self):
        return 2 * math.log(2)

    @key_property
    def meaning(self):
        return f"divergence/game is relativistic, at scale {self.scale:g}; G descends its opposite"

    def d_loss(self, logits, targets=None):
        real, fake = self.scale * logits.real, self.scale * logits.fake
        return softplus(fake.mean() - real).mean() + softplus(fake - real.mean()).mean()

    def g_loss(self, fake, real=None):
        return softplus(self.scale * (real.mean() - fake)).mean()

    def estimate(self, logits):
        return {"game": self.chance - float(self.d_loss(logits))}
'''
ENERGY = '''
"""A metric with a key of its own."""
from dataclasses import dataclass

import torch

from gantrain.metrics.base import Metric
from gantrain.registry import option, register


@register("metric")
@dataclass
class Energy(Metric):
    """The energy distance on points (Szekely and Rizzo 2013)."""

    name: str = option("energy", "registered name")
    power: float = option(1.0, "exponent of the distances", above=0, below=2)
    halves: bool = option(False, "use half of the samples")
    tags = ("divergence/energy",)

    def why_unsupported(self, run):
        return "the data are images" if run.spec.is_image else None

    def protocol(self, evaluation):
        return super().protocol(evaluation) | {"power": self.power}

    def __call__(self, evaluation):
        x, y = evaluation.real[0].double(), evaluation.fake[0].double()

        def mean(a, b):
            return torch.cdist(a, b).pow(self.power).mean()

        return {"divergence/energy": float(2 * mean(x, y) - mean(x, x) - mean(y, y))}
'''
FILES = {
    "games.py": GAMES,
    "energy.py": ENERGY,
    "configs/objective/boost.yaml": "# Boosting\ndefaults: [/schema/objective/boost@_here_]\n",
    "configs/objective/average.yaml": "# Averages\ndefaults: [/schema/objective/average@_here_]\n",
    "configs/metric/energy.yaml": (
        "# Energy distance\ndefaults: [/schema/metric/suite@_here_, _self_]\nnames: [js, energy]\n"
    ),
}
SHORT = [
    "dataset=ring",
    "dataset.n=200",
    "dataset.n_holdout=100",
    "model.width=8",
    "device=cpu",
    "metric.n=50",
]
SHORT += ["train.steps=2", "train.batch_size=16", "train.sample_every=0", "train.checkpoint_every=2"]


@pytest.fixture
def mine(tmp_path, tmp_path_factory, monkeypatch) -> Path:
    """A folder of plug-ins outside the package, which no other test knows."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    for name, text in FILES.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    yield tmp_path / "mine"
    plugins.use([])
    plugin_trust._loaded_before.clear()
    for name in list(plugin_loading._loaded):
        plugin_loading._unload(name)


def result(folder: Path, name: str = "result.json") -> dict:
    return json.loads((folder / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("objective, tag", [("boost", "boost"), ("average", "game")])
def test_objective_from_outside_trains_and_resumes(objective, tag, mine, tmp_path):
    run = tmp_path / "run"
    words = [f"objective={objective}", "metric=js", f"run.dir={run}", *SHORT]
    assert main(["--plugins", str(mine), *words]) == 0
    assert f"divergence/{tag}" in result(run)["metrics"]
    assert result(run, "config.json")["objective"]["name"] == objective
    assert main(["--plugins", str(mine), "resume", str(run), "train.steps=3"]) == 0
    assert result(run)["step"] == 3


def test_metric_key_from_outside_is_stored_resumed_and_evaluated(mine, tmp_path, capsys):
    run = tmp_path / "run"
    flag = ["--plugins", str(mine)]
    assert main([*flag, "metric=energy", "metric.energy.power=1.5", f"run.dir={run}", *SHORT]) == 0
    stored = result(run, "config.json")["metric"]
    assert stored["energy"] == {"power": 1.5, "halves": False}
    assert result(run)["protocol"]["energy"] == {
        "n": 50,
        "split": "holdout",
        "G": "averaged weights",
        "power": 1.5,
        "tags": ["divergence/energy"],
    }
    first = result(run)["metrics"]["divergence/energy"]
    assert first > 0
    assert main([*flag, "resume", str(run), "train.steps=3"]) == 0
    assert result(run)["protocol"]["energy"]["power"] == 1.5
    for words, power in [([], 1.5), (["metric.energy.power=0.5"], 0.5)]:
        assert main([*flag, "evaluate", str(run), *words]) == 0
        assert result(run, "evaluation-000003.json")["protocol"]["energy"]["power"] == power
    capsys.readouterr()
    for word, message in [
        ("metric.energy.power=2", "metric.energy.power: 2.0 is out of range; give a number that is above 0"),
        ("metric.energy.power=x", "metric.energy.power: 'x' is not a number"),
        (
            "metric.energy.powr=1",
            "metric.energy.powr: there is no such key; did you mean 'metric.energy.power'?",
        ),
        ("metric.energi.power=1", "metric.energi"),
    ]:
        assert main([*flag, "metric=energy", word, f"run.dir={tmp_path / 'no'}", *SHORT]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "no").exists()


def test_metric_keys_of_an_older_run_have_their_defaults(mine):
    before = plain_data(compose(["metric=js", *SHORT]))
    assert "energy" not in before["metric"]
    plugins.use([mine])
    now = plain_data(compose(["metric=energy", *SHORT]))
    assert now["metric"]["energy"] == {"power": 1.0, "halves": False}
    assert resolve(before).metric.energy.power == 1
    assert resolve(resolve(now).plain()).plain() == resolve(now).plain()
    assert conflicting_keys(before, now) == ["metric.names"]
    # A run that does not use the metric does not need its plug-in either.
    unused = plain_data(compose(["metric=js", *SHORT]))
    plugins.use([])
    for name in list(plugin_loading._loaded):
        plugin_loading._unload(name)
    assert "energy" in unused["metric"]
    assert resolve(unused).plain() == resolve(before).plain()


def test_metric_full_is_every_metric_but_the_demonstrations(mine):
    shipped = plain_data(compose(["metric=full"]))["metric"]
    today = (
        "js refit exact optimal_discriminator parzen prdc modes class_modes gan_test mismatch per_condition "
        "frechet kernel wasserstein nearest sharpness gradients spread gan_train intra_frechet intra_prdc ms_ssim "
        "class_balance path_length torch_fidelity leak js_augmented transport"
    )
    assert sorted(shipped["names"]) == sorted(today.split())
    demonstrations = {"minimax_picture", "overshoot", "trajectory", "why_no_likelihood"}
    assert set(REGISTERED["metric"]) - set(shipped["names"]) == demonstrations
    plugins.use([mine])
    config = resolve(plain_data(compose(["metric=full", *SHORT])))
    assert sorted(config.metric.names) == sorted([*today.split(), "energy"])
    names = [metric.name for metric in supported_metrics(config, config.dataset.load(0))]
    assert "energy" in names
