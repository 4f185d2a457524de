"""The experiments with residual networks have the networks of their papers, and their CPU-size runs are built."""

import re
from pathlib import Path

import pytest
import torch
from composed import composed, placed
from torch import nn

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


def millions(network: nn.Module) -> float:
    return round(sum(weight.numel() for weight in network.parameters()) / 1e6, 2)


@pytest.mark.parametrize("name", PUBLISHED)
def test_experiment_has_the_networks_of_its_paper(name):
    spec, *expected = PUBLISHED[name]
    model = resolve(composed(f"experiment={name}"), spec).model
    with torch.device("meta"):
        networks = model.generator(spec), model.discriminator(spec)
    assert [millions(network) for network in networks] == expected


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
