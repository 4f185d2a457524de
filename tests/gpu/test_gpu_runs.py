"""Whole runs on a GPU: they go on bit for bit, give their memory back, and train in each precision."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.run import run

RING = (
    "dataset=ring",
    "dataset.n=512",
    "dataset.n_holdout=64",
    "train.batch_size=32",
    "metric.n=64",
    "seed=3",
)
DIGITS = ("dataset=digits", "model=dcgan", "model.width=8", "train.batch_size=32", "metric.n=64", "seed=3")
QUIET = ("train.sample_every=0", "train.checkpoint_every=0", "train.log_every=2", "metric=none")
SMALL = ("dataset=digits", "train.batch_size=16", "metric.n=64", "seed=3")
NARROW = ("model.width=4", "model.max_width=8", "model.z_dim=8", "model.mapping_depth=2")
AUGMENTED = ("augment=ada", "augment.target=null", "augment.p_end=0.5")
GAMES = {
    "ring_r1": (*RING, "penalty=r1"),
    "ring_wgan_gp": (*RING, "objective=wasserstein", "noise.instance_std=0.1"),
    "digits": (*DIGITS, "model.condition=concat", "model.spectral_norm=true", "augment=flip"),
    "r3gan_ada": (
        *SMALL,
        "model=r3gan",
        "model.width=8",
        "objective=relativistic",
        "penalty=r1r2",
        *AUGMENTED,
    ),
    "stylegan2": (*SMALL, "model=stylegan2", *NARROW, "penalty=r1+path_length", "augment=ada_fast"),
    "resnet": (*SMALL, "model=resnet_small", "model.width=8", "model.g_norm=batch", "augment=diffaugment"),
}
MIB = 2**20


def train_in(folder: Path, *words: str) -> dict:
    """Train in this process, and return the run's result."""
    return run(resolve(composed(*words)), folder)


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder).tensors


def memory(kind: str) -> tuple[int, int]:
    return (torch.cuda.memory_allocated(), torch.cuda.memory_reserved()) if kind == "cuda" else (0, 0)


@pytest.mark.parametrize("words", GAMES.values(), ids=GAMES)
def test_run_on_a_gpu_goes_on_bit_for_bit(kind, run_cli, tmp_path, words):
    words = (*words, *QUIET, f"device={kind}", "device.deterministic=true", "optimizer.horizon=9")
    for folder, steps in (("whole", 9), ("again", 9), ("part", 4)):
        code, _, err = run_cli(*words, f"train.steps={steps}", f"run.dir={folder}")
        assert code == 0, err
    assert run_cli("resume", "part", "train.steps=9")[0] == 0
    whole = tensors_of(tmp_path / "whole")
    for other in ("again", "part"):
        found = tensors_of(tmp_path / other)
        assert found.keys() == whole.keys()
        assert [name for name in whole if not torch.equal(found[name], whole[name])] == []
    assert "bit for bit" not in (tmp_path / "part" / "gantrain.log").read_text()


def test_run_goes_on_with_other_algorithms_after_a_warning(kind, run_cli, tmp_path):
    words = (*RING, *QUIET, f"device={kind}", "optimizer.horizon=4")
    assert run_cli(*words, "train.steps=2", "run.dir=run")[0] == 0
    assert run_cli("resume", "run", "train.steps=4", "device.deterministic=true")[0] == 0
    assert (
        "not continue bit for bit: deterministic False -> True"
        in (tmp_path / "run" / "gantrain.log").read_text()
    )
    assert not torch.are_deterministic_algorithms_enabled()


def test_run_in_this_process_gives_its_memory_back(kind, tmp_path):
    words = (*DIGITS, *QUIET, f"device={kind}", "train.steps=3")
    train_in(tmp_path / "first", *words)  # the libraries keep their workspaces
    before = memory(kind)
    for turn in range(2):
        train_in(tmp_path / f"later{turn}", *words)
        allocated, reserved = memory(kind)
        assert allocated <= before[0]
        assert reserved <= before[1] + 2 * MIB


def test_run_beyond_its_share_of_memory_fails_in_one_line(kind, run_cli, tmp_path):
    # Each hidden layer: 32,768 x 32,768 weights of 4 bytes, 4 GiB
    words = (*RING, *QUIET, f"device={kind}", "train.steps=2", "run.dir=run", "device.memory_fraction=0.01")
    before = memory(kind)
    if kind == "cpu":
        pytest.skip("the CPU's memory is not bounded by gantrain")
    code, _, err = run_cli(*words, "model=mlp", "model.width=32768")
    assert (code, err.count("error:")) == (1, 1)
    assert "memory of the GPU: there is not enough; lower train.batch_size" in err
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "failed"
    assert memory(kind)[1] <= before[1] + 2 * MIB
    assert torch.cuda.get_per_process_memory_fraction() == 1.0


@pytest.mark.parametrize("precision", ["tf32", "bfloat16", "float16"])
@pytest.mark.parametrize("words", [*GAMES.values()], ids=[*GAMES])
def test_precision_trains_near_float32(kind, tmp_path, precision, words):
    if kind == "cpu" and precision != "bfloat16":
        pytest.skip("for CUDA alone")
    words = (*words, *QUIET, f"device={kind}", "train.steps=6", "optimizer.schedule=constant")
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    for name, more in (("exact", ()), ("own", (f"device.precision={precision}",))):
        train_in(tmp_path / name, *words, *more)
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before
    exact, own = (tensors_of(tmp_path / name) for name in ("exact", "own"))
    start = tensors_of_start(words)
    for part in ("G/", "D/"):
        moved, apart = (
            math.sqrt(
                sum(
                    float((a[n].double() - b[n].double()).square().sum()) for n in exact if n.startswith(part)
                )
            )
            for a, b in ((exact, start), (own, exact))
        )
        assert 0 < apart < 0.5 * moved, part  # Adam's first updates have the sign of a gradient
    assert all(torch.isfinite(x).all() for x in own.values() if x.is_floating_point())


def tensors_of_start(words: tuple[str, ...]) -> dict[str, torch.Tensor]:
    from gantrain.training.state import build_networks

    config = resolve(composed(*words))
    networks = zip("GD", build_networks(config, config.spec), strict=True)
    return {f"{part}/{name}": x for part, network in networks for name, x in network.state_dict().items()}


@pytest.mark.parametrize("words", [GAMES["ring_r1"], GAMES["digits"]], ids=["ring", "digits"])
def test_metrics_on_a_gpu_are_those_of_the_cpu(kind, run_cli, tmp_path, words):
    # On the CPU both sides are the same, and few metrics are enough to try this.
    suite = ("metric=full", "metric.refit_steps=20") if kind == "cuda" else ("metric.names=[js,prdc]",)
    words = (*words, *suite, "train.steps=5", "train.sample_every=0", "run.dir=run")
    assert run_cli(*words, f"device={kind}")[0] == 0
    found = []
    for place in (kind, "cpu"):
        assert run_cli("evaluate", "run", f"device={place}", f"out={place}.json")[0] == 0
        found.append(json.loads((tmp_path / f"{place}.json").read_text())["metrics"])
    own, known = found
    assert own.keys() == known.keys()
    assert {tag: own[tag] for tag in known if own[tag] != pytest.approx(known[tag], rel=2e-2, abs=2e-3)} == {}
