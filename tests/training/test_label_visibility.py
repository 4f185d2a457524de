"""Labels reach the players where the model is conditional and nowhere else, whatever a player would make of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from composed import composed
from torch import nn

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.metrics.theory import overshoot
from gantrain.models.base import Discriminator, Generator
from gantrain.models.mlp import MLP
from gantrain.training.dry_run.estimate import estimate
from gantrain.training.run import prepare, run
from gantrain.training.runtime import Runtime

SMALL = [
    *"dataset=ring dataset.n=60 dataset.n_holdout=20 model.width=4 device=cpu device.threads=1".split(),
    *"train.steps=2 train.batch_size=8 train.d_steps=2 train.d_gain=0 train.sample_every=1".split(),
    "train.unroll=1",
    "metric.names=[js,refit,gradients,overshoot,mismatch,per_condition,prdc]",
    *"metric.n=20 metric.refit_steps=2".split(),
]
SEEN: set[tuple[str, bool]] = set()  # each player that was asked, and whether it was shown labels


def watched(network: nn.Module, who: str) -> None:
    def note(_: nn.Module, given: tuple[torch.Tensor | None, ...]) -> None:
        SEEN.add((who, len(given) > 1 and given[1] is not None))

    network.register_forward_pre_hook(note)  # copies of the network have it too


@dataclass
class Watched(MLP):
    """Players that write down whether they are shown labels, before anything could hide these."""

    def generator(self, spec: Spec) -> Generator:
        G = super().generator(spec)
        watched(G, "G")
        return G

    def discriminator(self, spec: Spec) -> Discriminator:
        D = super().discriminator(spec)
        watched(D, "D")
        return D


@pytest.fixture
def seen() -> set[tuple[str, bool]]:
    SEEN.clear()
    return SEEN


@pytest.mark.parametrize(("objective", "condition"), [("non_saturating", "none"), ("conditional", "concat")])
def test_networks_see_labels_exactly_where_conditional(objective, condition, seen, tmp_path, monkeypatch):
    monkeypatch.setattr(overshoot, "UPDATES", 2)
    config = resolve(composed(*SMALL, f"objective={objective}", f"model.condition={condition}"))
    config.model = Watched(width=4, condition=condition)
    assert prepare(config).train.y is not None
    conditional = condition != "none"
    result = run(config, tmp_path)
    assert seen == {("G", conditional), ("D", conditional)}
    of_one_kind = "logits/mismatched_auc" if conditional else "divergence/js_after_g"
    assert {"divergence/js", "divergence/js_refit", of_one_kind} <= set(result["metrics"])
    assert len(list((tmp_path / "samples").glob("*.png"))) == 3

    seen.clear()
    short = replace(config, metric=replace(config.metric, names=["js"]))
    estimate(short, prepare(short), Runtime(config.device), max_seconds=0.01)
    assert seen == {("G", conditional), ("D", conditional)}
