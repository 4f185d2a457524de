"""Every backbone plays two steps with every condition, norm and pack that fits, at four sizes; the rest is refused."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.datasets.base import Split
from gantrain.errors import ConfigError
from gantrain.training.batches import Batches
from gantrain.training.loop import train
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

SHAPES = [(1, 28, 28), (3, 32, 32), (1, 17, 40), (4, 64, 64)]
BACKBONES = {
    "dcgan": {"width": 2},
    "resnet": {"width": 2},
    "r3gan": {"width": 2, "blocks": 1},
    "r3gan strided": {
        "name": "r3gan",
        "width": 4,
        "blocks": 1,
        "stride": 2,
        "full_side": 8,
        "group_width": 2,
    },
    "r3gan units": {"name": "r3gan", "width": 2, "blocks": 1, "magnitude_preserving": True},
}
CONDITIONS = ("none", "concat", "projection", "conditional_batch_norm")
SWITCHES: list[dict[str, Any]] = [
    {},
    {"spectral_norm": True},
    {"minibatch_std": True},
    {"packing": 2},
    {"source": "both"},
    {"upsample": "nearest", "g_spectral_norm": True},
]
CASES = list(itertools.product(BACKBONES, CONDITIONS, SWITCHES))


def refusal(backbone: str, condition: str, keys: dict[str, Any]) -> str:
    """Return the key by which a case is refused, or "" for one that fits."""
    name = BACKBONES[backbone].get("name", backbone)
    if name != "dcgan" and "source" in keys:
        return "model.source"
    if name == "r3gan" and condition == "conditional_batch_norm":
        return "model.condition"
    if name == "r3gan" and "spectral_norm" in keys:
        return "model.spectral_norm"
    if name == "r3gan" and "g_spectral_norm" in keys:
        return "model.g_spectral_norm"
    return "model.packing" if "packing" in keys and condition != "none" else ""


def play(backbone: str, condition: str, keys: dict[str, Any], shape: tuple[int, int, int]) -> None:
    """Train two steps at once, or be refused by the right key."""
    plain = composed(
        "dataset=mnist", "penalty=none", "device=cpu", "metric=none", "train.batch_size=4", "train.steps=2"
    )
    keys = {key: value for key, value in keys.items() if key != "upsample" or backbone == "dcgan"}
    spec = Spec(shape, 3)
    plain["model"] = {"name": backbone} | BACKBONES[backbone] | {"z_dim": 4, "condition": condition} | keys
    if expected := refusal(backbone, condition, keys):
        with pytest.raises(ConfigError, match=f"^{expected}: .*; "):
            resolve(plain, spec)
        return
    config = resolve(plain, spec)
    runtime = Runtime(config.device)
    state = TrainState.create(config, spec, runtime)
    before = {name: tensor.clone() for name, tensor in state.tensors().items()}
    x = torch.rand(8, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    batches = Batches(Split(x, torch.arange(8) % 3), 4, 0, runtime.device)
    train(state, batches, config, runtime, lambda _: None, lambda _: None)
    after = state.tensors()
    assert state.step == 2
    assert all(tensor.isfinite().all() for tensor in after.values() if tensor.is_floating_point())
    for player in ("G", "D"):
        weights = [f"{player}/{name}" for name, _ in getattr(state, player).named_parameters()]
        assert sum(not torch.equal(after[name], before[name]) for name in weights) > len(weights) // 2


@pytest.mark.parametrize(
    ("backbone", "condition", "keys"),
    [pytest.param(*case, id=f"{case[0]}-{case[1]}-{'-'.join(case[2])}") for case in CASES],
)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.slow
def test_backbone_plays_two_steps_or_is_refused(backbone, condition, keys, shape):
    play(backbone, condition, keys, shape)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_backbone_plays_one_case_of_each_kind(backbone):
    """Each condition with each switch and each shape once, in a square, as a part of the slow test."""
    i = list(BACKBONES).index(backbone)
    for k, condition in enumerate(CONDITIONS):
        play(backbone, condition, SWITCHES[(i + k) % len(SWITCHES)], SHAPES[(i + k) % len(SHAPES)])
