"""Runs that are played at once on a GPU: the numbers of the runs alone, to rounding."""

from __future__ import annotations

import pytest
import torch
from composed import composed
from run_contents import lines

from gantrain.config.resolve import resolve
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.replicas.replica import Member
from gantrain.training.replicas.train import train_together
from gantrain.training.run import run
from gantrain.training.session import Session


@pytest.mark.gpu
@pytest.mark.parametrize("compile", ["false", "true"])
def test_replicas_on_a_gpu_equal_their_solo_runs(compile, tmp_path):
    words = ("dataset=ring", "device=cuda", "metric=none", "model.width=16", "name=test", "penalty=r1")
    own = ("train.steps=20", "train.log_every=5", "train.sample_every=0", "dataset.n=2000")
    plain = composed(*words, *own, f"device.compile={compile}")
    configs = [resolve(plain | {"seed": seed}) for seed in range(3)]
    train_together([Member(one, tmp_path / f"{one.seed}", Session(bar=False)) for one in configs])
    solo = composed(*words, *own, "device.compile=false")
    for one in configs:
        run(resolve(solo | {"seed": one.seed}), tmp_path / "solo" / f"{one.seed}", session=Session(bar=False))
        ours, theirs = (load_checkpoint(root / f"{one.seed}") for root in (tmp_path, tmp_path / "solo"))
        for name, tensor in ours.tensors.items():
            torch.testing.assert_close(tensor, theirs.tensors[name], rtol=1e-3, atol=1e-4, msg=name)
        assert lines(ours.run).keys() == lines(theirs.run).keys()
