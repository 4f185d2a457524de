"""A dry run: everything is built, layers, memory and time are told, nothing is trained and nothing stays behind."""

from __future__ import annotations

import logging
import re
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from composed import composed
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.core.text import format_duration, format_size
from gantrain.training.dry_run.estimate import Chore, Estimate, estimate
from gantrain.training.dry_run.layers import layers, total_parameters
from gantrain.training.dry_run.report import summary_line
from gantrain.training.run import prepare
from gantrain.training.runtime import Runtime
from gantrain.training.state import build_networks

SMALL = [
    "device=cpu",
    "device.threads=1",
    "dataset=ring",
    "dataset.n=500",
    "dataset.n_holdout=100",
    "model.width=4",
    "metric=toy",
    "metric.n=50",
    "train.batch_size=16",
]


def config(*words: str):
    return resolve(composed(*SMALL, *words))


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def found() -> Estimate:
    resolved = config(
        "train.images=2000", "train.d_steps=2", "train.checkpoint_every=30", "train.log_every=50"
    )
    return estimate(resolved, prepare(resolved), Runtime(resolved.device), max_seconds=0.2)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["model.spectral_norm=true"],
        ["model.packing=2"],
        ["model.condition=projection", "model.minibatch_std=true"],
        ["model.condition=conditional_batch_norm"],
        ["model.source=dropout"],
        ["dataset=digits"],
        ["dataset=digits", "model.spectral_norm=true", "model.condition=projection"],
        ["dataset=dirac", "dataset.n=500"],
        ["dataset=gaussian_mixture", "dataset.n=500", "model=gaussian"],
        ["model=flow"],
    ],
    ids=" ".join,
)
def test_dry_run_layers_hold_every_parameter_once(words):
    # Digits have no n, and a model without layers has no width.
    absent = ("dataset",) if "dataset=digits" in words else ()
    absent += ("model.width",) if "dataset=dirac" in words or "model=gaussian" in words else ()
    resolved = resolve(composed(*(word for word in SMALL if not word.startswith(absent)), *words))
    G, D = build_networks(resolved, resolved.spec)
    z = G.latents(6, torch.Generator().manual_seed(0))
    y = (
        resolved.spec.conditions()[torch.zeros(6, dtype=torch.long)]
        if resolved.model.is_conditional
        else None
    )
    x: list[torch.Tensor] = []
    of_G = layers(G, lambda: x.append(G(z, y)))
    of_D = layers(D, lambda: D(x[0], y))
    for player, of in ((G, of_G), (D, of_D)):
        assert total_parameters(of) == sum(p.numel() for p in player.parameters())
        assert len({layer.name for layer in of}) == len(of)
        assert all(layer.parameters or layer.shape for layer in of)
        assert not player._forward_hooks
        assert not any(m._forward_hooks for m in player.modules())


def test_dry_run_layer_has_its_first_shape_or_none_when_idle():
    shared = nn.Linear(3, 3)
    network = nn.Sequential(
        spectral_norm(nn.Linear(2, 3)), nn.ReLU(), shared, shared, nn.Unflatten(1, (3, 1))
    )
    network.idle = nn.Parameter(torch.zeros(5))
    network.frozen = nn.Parameter(torch.zeros(7), requires_grad=False)
    of = layers(network, lambda: nn.Sequential.forward(network, torch.zeros(4, 2)))
    assert [(x.name, x.kind, x.shape, x.parameters) for x in of] == [
        ("0", "Linear", (4, 3), 9),
        ("2", "Linear", (4, 3), 12),
        ("4", "Unflatten", (4, 3, 1), 0),
        ("(itself)", "Sequential", None, 5),
    ]


def test_dry_run_estimate_counts_what_the_run_would_do(found):
    assert (found.steps, found.images) == (2000 // 32, 2000 // 32 * 32)
    assert {work.what: work.times for work in found.chores} == {
        "scalars": 2,  # after step 50 and the last, 62
        "metrics": 1,
        "pictures": 1,
        "checkpoints": 3,
    }
    assert min([found.step_seconds, found.start, *(work.seconds for work in found.chores)]) > 0
    assert found.seconds == found.start + 62 * found.step_seconds + sum(work.seconds for work in found.chores)
    assert found.memory > 20e6
    # Weights of both players and of the average, two moments of each player's, in float32; beside them the rest.
    least = 4 * (total_parameters(found.G) * 4 + total_parameters(found.D) * 3)
    assert least < found.checkpoint < least + 40_000


def test_dry_run_estimate_turns_seconds_into_steps():
    resolved = config("train.seconds=60")
    found = estimate(resolved, prepare(resolved), Runtime(resolved.device), max_seconds=0.1)
    assert found.training == pytest.approx(60, abs=found.step_seconds)
    assert found.images == found.steps * 16


def test_dry_run_weighs_a_lazy_penalty_by_its_frequency(monkeypatch):
    """On a clock that ticks 1 s for a step and 9 s more where the penalty is paid, 16 steps take 25 s."""
    resolved = config("penalty=r1", "penalty.every=16", "metric=none", "train.sample_every=0")
    now = [0.0]
    paid = type(resolved.penalty).__call__

    def cost(self, *arguments):
        now[0] += 9
        return paid(self, *arguments)

    def played(*arguments):
        now[0] += 1
        return stepped(*arguments)

    eager = sys.modules["gantrain.training.eager"]
    stepped = eager.step
    monkeypatch.setattr(type(resolved.penalty), "__call__", cost)
    monkeypatch.setattr(eager, "step", played)
    monkeypatch.setattr("gantrain.training.dry_run.estimate.time.perf_counter", lambda: now[0])
    found = estimate(resolved, prepare(resolved), Runtime(resolved.device), max_seconds=60)
    assert found.step_seconds == pytest.approx((1 + 15 * 1 + 9) / 16, rel=0.01)


@pytest.mark.parametrize("words", [[], ["train.seconds=30", "run.dir=exact"]], ids=str)
def test_dry_run_command_reports_and_leaves_nothing(words, run_cli, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("gantrain.training.dry_run.report.MAX_SECONDS", 0.2)
    code, out, error = run_cli(*SMALL, "train.dry_run=true", "train.steps=40", *words)
    assert (code, error) == (0, "")
    assert everything(tmp_path) == set()
    assert "D estimates JSD(p_data, p_G)" in out
    for word in ("data  ", "budget  ", "memory  ", "speed  ", "time  ", "writes  "):
        assert len(re.findall(f"^{word}", out, re.MULTILINE)) == 1
    assert re.search(r"^layers\.0 +Linear +\[16, 4\] +12$", out, re.MULTILINE)
    assert logging.root.manager.disable == 0


def test_dry_run_raises_the_errors_that_the_run_would(run_cli, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for words, said in (
        (["run.dir=full"], "is not empty"),
        (["train.batch_size=501"], "train.batch_size"),
        (["train.init_from=full"], "is not a run folder"),
        (["optimizer.g_lr=1000", "optimizer=sgd", "optimizer.d_lr=1000", "seed=1"], "is not finite"),
    ):
        code, _, error = run_cli(*SMALL, "train.dry_run=true", *words)
        assert code > 0
        assert said in error
        assert len(error.splitlines()) == 1
    assert everything(tmp_path) == {"full", "full/file"}


def test_dry_run_of_a_sweep_job_is_one_line(monkeypatch):
    monkeypatch.setattr("gantrain.training.dry_run.report.MAX_SECONDS", 0.2)
    resolved = config("train.steps=40", "objective=hinge", "name=it")
    text = summary_line(resolved)
    G, D = build_networks(resolved, Spec(shape=(2,), classes=8))
    sizes = [f"{sum(p.numel() for p in player.parameters()):,}" for player in (G, D)]
    assert re.fullmatch(
        rf"it: [\d.]+ (ms|s), 40 steps, 640 images, G {sizes[0]} and D {sizes[1]} parameters, [\d.]+ [MG]B",
        text,
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0123, "12 ms"),
        (0.97, "1.0 s"),
        (9.9, "9.9 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (7384, "2 h 03 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_times_are_said_in_words(seconds, words):
    assert format_duration(seconds) == words


def test_sizes_are_said_in_powers_of_a_thousand():
    assert [format_size(n) for n in (999, 1000, 999_600, 1.5e6, 2e9, 3e12)] == [
        "999 B",
        "1 kB",
        "1 MB",
        "1.5 MB",
        "2 GB",
        "3 TB",
    ]


def test_dry_run_estimate_is_the_sum_of_its_parts():
    parts = [Chore("a", 3, 1.5), Chore("b", 0, 0.0)]
    assert Estimate([], [], 10, 10, 0.2, 1.0, parts, 0, 0).seconds == pytest.approx(4.5)
