"""Advice is given when a fault lasts, once, with its number and a key that exists; a healthy run hears nothing."""

import dataclasses
import json
import os
import re
import signal

import pytest
import torch
from composed import composed

from gantrain.cli.main import main
from gantrain.config.resolve import resolve
from gantrain.core.groups import GROUPS, choices
from gantrain.errors import Interrupted
from gantrain.metrics.js import best_accuracy
from gantrain.objectives.cross_entropy import NonSaturating
from gantrain.objectives.wasserstein import Wasserstein
from gantrain.tracking.health import PATIENCE, RULES, Health
from gantrain.training.run import run
from gantrain.training.session import Session

HEALTHY = {
    "loss/d": 1.30,
    "gradient/g": 0.3,
    "logits/real": 0.4,
    "logits/holdout": 0.2,
    "logits/accuracy": 0.61,
    "diversity/modes": 8.0,
    "diversity/coverage": 0.9,
    "fidelity/precision": 0.9,
    "fidelity/nearest_distance": 1.2,
}
FAULTS = {
    "D at chance": {"loss/d": 1.386, "fidelity/precision": 0.1},
    "D perfect": {"logits/accuracy": 0.995},
    "generator gradient vanished": {"gradient/g": 2e-5, "logits/accuracy": 0.97},
    "modes lost": {"diversity/modes": 6.0},
    "D overfits": {"logits/real": 4.0},
    "G copies training data": {"fidelity/nearest_distance": 0.1},
}


def health(objective=None) -> Health:
    return Health(objective or NonSaturating(), modes=8, steps=1000)


def test_health_rules_have_a_fault_each_and_none_when_healthy():
    assert FAULTS.keys() == RULES.keys()
    doctor = health()
    assert [doctor.check(step, HEALTHY) for step in range(0, 1001, 100)] == [[]] * 11
    assert doctor.standing == {}


@pytest.mark.parametrize("name", FAULTS)
def test_health_reports_a_lasting_fault_once(name):
    doctor = health()
    doctor.check(500, HEALTHY)
    said = [doctor.check(600 + i, HEALTHY | FAULTS[name]) for i in range(5)]
    assert [len(lines) for lines in said] == [0] * (PATIENCE - 1) + [1] + [0] * (5 - PATIENCE)
    assert list(doctor.standing) == [name]
    assert re.search(r"\d", doctor.standing[name])
    doctor.check(700, HEALTHY)
    assert doctor.standing == {}
    assert [len(doctor.check(800 + i, HEALTHY | FAULTS[name])) for i in range(PATIENCE)] == [0] * (
        PATIENCE - 1
    ) + [1]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_one_reading_is_not_said(name):
    doctor = health()
    said = [doctor.check(600 + i, HEALTHY | (FAULTS[name] if i % 2 else {})) for i in range(10)]
    assert said == [[]] * 10


@pytest.mark.parametrize("name", FAULTS)
def test_the_keys_to_turn_exist(name):
    plain = composed()
    doctor = health()
    for step in (600, 700):
        doctor.check(step, HEALTHY | FAULTS[name])
    words = re.findall(r"\b([a-z]+)([.=])([a-z_0-9]+)", doctor.standing[name].partition(": ")[2])
    assert words
    for group, sign, word in words:
        if sign == "=" and group in GROUPS:
            assert word in choices(group)
        elif sign == "." and group in plain:
            keys = (
                plain[group]
                if group != "model"
                else {f.name for f in dataclasses.fields(resolve(plain).model)}
            )
            assert word in keys


def test_health_of_modes_not_found_yet_and_lost():
    early = health()
    assert [early.check(step, HEALTHY | {"diversity/modes": 3.0}) for step in (100, 200, 300)] == [[], [], []]
    said = [len(early.check(400, HEALTHY | {"diversity/modes": modes})) for modes in (7.0, 6.0, 6.0)]
    assert said == [0, 0, 1]
    assert list(early.standing) == ["modes lost"]


def test_a_critic_has_no_chance_level_to_stand_at():
    doctor = health(Wasserstein())
    for step in (600, 700, 800):
        assert doctor.check(step, HEALTHY | {"loss/d": 0.0, "fidelity/precision": 0.0}) == []


def test_best_accuracy_is_that_of_the_best_threshold():
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(300, generator=generator) + 1, torch.randn(200, generator=generator)
    thresholds = torch.cat([real, fake, torch.tensor([-9.0, 9.0])])
    right = [0.5 * ((real > t).double().mean() + (fake <= t).double().mean()) for t in thresholds]
    assert best_accuracy(real, fake) == pytest.approx(float(max(right)), abs=1e-12)
    for shift in (-40.0, 3.0):  # an offset that a critic is free to choose
        assert best_accuracy(real + shift, fake + shift) == pytest.approx(float(max(right)), abs=1e-12)
    assert best_accuracy(torch.ones(5), torch.zeros(3)) == 1.0
    assert best_accuracy(torch.zeros(5), torch.zeros(3)) == 0.5
    assert best_accuracy(torch.zeros(5), torch.ones(3)) == 0.5
    assert best_accuracy(torch.tensor([1.0, 1.0, 0.0]), torch.tensor([0.0])) == pytest.approx(5 / 6)


def test_a_perfect_d_is_told_of_in_the_log_and_in_the_result(run_cli, tmp_path):
    code, _, error = run_cli(
        "dataset=lines", "objective=minimax", "device=cpu", "run.dir=r", "metric=js", "optimizer.g_lr=0",
        "train.steps=120", "train.evaluate_every=20", "train.log_every=20", "train.sample_every=0",
    )  # fmt: skip
    assert code == 0, error
    lines = json.loads((tmp_path / "r" / "result.json").read_text())["health"]
    assert any("D is perfect" in line for line in lines)
    assert any("gradient has vanished" in line for line in lines)
    assert (tmp_path / "r" / "gantrain.log").read_text().count("D is perfect") == 1


def test_advice_does_not_depend_on_when_a_run_was_stopped(tmp_path):
    words = "dataset=lines objective=minimax device=cpu metric=js optimizer.g_lr=0 train.log_every=20"
    words += " train.steps=120 train.evaluate_every=20 train.sample_every=0 train.checkpoint_every=60"
    config = resolve(composed(*words.split()))
    whole = run(config, tmp_path / "whole")["health"]
    assert any("D is perfect" in line for line in whole)
    for share in (0.5, 1.0):
        folder = tmp_path / str(share)

        def stop(step, metrics, over, share=share):
            if over == share:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Interrupted):
            run(config, folder, session=Session(watch=stop))
        assert main(["resume", str(folder)]) == 0
        assert json.loads((folder / "result.json").read_text())["health"] == whole
        assert (folder / "gantrain.log").read_text().count("D is perfect") == 1
