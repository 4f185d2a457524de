"""The experiments with residual networks have the networks of their papers, and their CPU-size runs are built."""

import re
from pathlib import Path

import pytest
import torch
from composed import composed, placed
from torch import nn

from gantrain.config.moving import moving
from gantrain.config.resolve import resolve
from gantrain.core.groups import yaml_dir
from gantrain.core.spec import Spec

CIFAR = Spec((3, 32, 32), 10)
# Millions of weights of G and D; of tables and texts, but for those of 64x64 and 28x28 pixels, which the layers give.
PUBLISHED = {
    "sngan_cifar10": (CIFAR, 4.28, 1.05),
    "projection_cifar10": (CIFAR, 4.31, 1.06),
    "r3gan_cifar10": (CIFAR, 20.78, 21.28),
    "r3gan_ffhq64": (Spec((3, 64, 64)), 22.43, 22.38),
    "r3gan_stacked_mnist": (Spec((3, 28, 28), 1000, channel_classes=10), 15.59, 15.54),
}


# Of table 9 of Huang et al. 2024, in millions of images: duration, burn-in and EMA's half-life; gamma; augmentation.
SCHEDULES = {
    "r3gan_cifar10": ((250, 20, 5.0), (0.05, 0.005), 0.55),
    "r3gan_ffhq64": ((100, 20, 0.5), (2.0, 0.2), 0.3),
    "r3gan_stacked_mnist": ((10, 2, 0.5), (1.0, 0.1), None),
}


def millions(network: nn.Module) -> float:
    return round(sum(weight.numel() for weight in network.parameters()) / 1e6, 2)


@pytest.mark.parametrize("name", PUBLISHED)
def test_experiment_has_the_networks_of_its_paper(name):
    spec, *expected = PUBLISHED[name]
    model = resolve(composed(f"experiment={name}"), spec).model
    with torch.device("meta"):
        networks = model.generator(spec), model.discriminator(spec)
    assert [millions(network) for network in networks] == expected


@pytest.mark.parametrize("name", SCHEDULES)
def test_r3gan_has_the_schedules_of_its_table(name):
    images, gamma, probability = SCHEDULES[name]
    config = resolve(composed(f"experiment={name}"), PUBLISHED[name][0])
    train, numbers = config.train, moving(config)
    found = (
        train.steps * train.batch_size,
        config.optimizer.horizon * train.batch_size,
        train.ema_half_life_end,
    )
    assert [round(number / 1e6, 1) for number in found] == list(images)
    ends = {key.rpartition(".")[2]: (ramp.start, ramp.end) for key, ramp in numbers.items()}
    assert ends["gamma"] == gamma
    assert ends["ema_half_life"] == (0, images[2] * 1e6)
    assert ends["beta2"] == (0.9, 0.99)
    assert ends.get("p") == (None if probability is None else (0, probability))
    assert {ramp.kind for ramp in numbers.values()} == {"cosine"}


def cpu_size(name: str) -> list[str]:
    """Return the words of the CPU-size run in the comments of an experiment."""
    text = (yaml_dir() / "experiment" / f"{name}.yaml").read_text()
    (words,) = re.findall(r"^# CPU-size, [^:]*: (.*)$", text, re.MULTILINE)
    return words.split()


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_cpu_size_of_an_experiment_dry_runs(name, files, run_cli, tmp_path):
    words = [f"experiment={name}", *cpu_size(name)]
    plain = placed(words, files)
    assert resolve(plain).model.width <= 96
    tiny = [
        "model.width=8",
        "model.d_width=8",
        "train.batch_size=4",
        "metric=none",
        "features=auto",
        "device=cpu",
    ]
    root = plain["dataset"]["root"]
    code, out, err = run_cli(*words, *tiny, f"dataset.root={root}", "train.dry_run=true", "run.dir=run")
    assert code == 0, err
    assert "parameters" in out
    assert not Path(tmp_path / "run").exists()
