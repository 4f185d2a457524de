"""train.d_gain: D's updates of a step end when one gains too little on held-out data, and a resume ends them alike."""

import json

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.training.batches import Batches
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.early_stop import held_out_batch, held_out_loss
from gantrain.training.loop import train
from gantrain.training.play import Play
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

BASE = [
    "dataset=ring",
    "device=cpu",
    "metric=none",
    "model=mlp",
    "model.width=8",
    "dataset.n=400",
    "name=test",
]


def played(*words: str) -> tuple[list[float], list[float], TrainState]:
    """Return D's updates in each step, D's held-out loss after each step, and the state."""
    config = resolve(composed(*BASE, "train.batch_size=32", "train.steps=8", *words))
    runtime, data = Runtime(config.device), config.dataset.load(0)
    state = TrainState.create(config, data.spec, runtime)
    batches = Batches(data.train, 32, 0, runtime.device)
    held = held_out_batch(data, config, runtime)
    play = Play.create(config, runtime)
    counts: list[float] = []
    losses: list[float] = []

    def report(tags: dict[str, torch.Tensor]) -> None:
        if "schedule/d_steps" in tags:
            counts.append(float(tags["schedule/d_steps"]))

    train(
        state,
        batches,
        config,
        runtime,
        report,
        lambda s: losses.append(held_out_loss(s, held, play)),
        held,
    )
    return counts, losses, state


def test_without_d_gain_every_step_has_d_steps_updates():
    counts, _, state = played("train.d_steps=3")
    assert counts == []
    assert state.d_updates == 24


@pytest.mark.parametrize(("gain", "each"), [(1e6, 1), (0.0, None)])
def test_d_gain_out_of_reach_leaves_one_update_and_d_steps_caps(gain, each):
    counts, _, state = played("train.d_steps=5", f"train.d_gain={gain}")
    assert len(counts) == 8
    assert sum(counts) == state.d_updates
    assert all(1 <= count <= 5 for count in counts)
    if each:
        assert counts == [each] * 8


def test_d_gain_smaller_means_more_updates():
    totals = [
        sum(played("train.d_steps=20", f"train.d_gain={gain}", "optimizer.d_lr=2e-3")[0])
        for gain in (1e-2, 1e-3, 1e-5)
    ]
    assert totals[0] < totals[1] < totals[2]


def test_d_gain_run_resumes_bit_for_bit(run_cli, tmp_path):
    words = [
        *BASE,
        "train.d_steps=8",
        "train.d_gain=5e-4",
        "train.batch_size=32",
        "optimizer.schedule=constant",
        "train.log_every=1",
    ]
    assert run_cli(*words, "train.steps=12", "run.dir=whole")[0] == 0
    assert run_cli(*words, "train.steps=5", "run.dir=half")[0] == 0
    code, _, error = run_cli("resume", "half", "train.steps=12", "optimizer.horizon=12")
    assert code == 0, error
    whole, half = load_checkpoint("whole").tensors, load_checkpoint("half").tensors
    assert all(torch.equal(whole[name], half[name]) for name in whole | half)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    counts = [line["schedule/d_steps"] for line in lines if "schedule/d_steps" in line]
    assert len(set(counts)) > 1
    assert sum(counts) == whole["loop/d_updates"]


def test_held_out_loss_is_repeatable_and_changes_nothing():
    _, _, state = played("train.d_steps=1")
    config = resolve(composed(*BASE, "train.batch_size=32", "model.packing=4"))
    plain = resolve(composed(*BASE, "train.batch_size=32"))
    runtime, data = Runtime(plain.device), plain.dataset.load(0)
    before = {name: tensor.clone() for name, tensor in state.tensors().items()}
    held, play = held_out_batch(data, plain, runtime), Play.create(plain, runtime)
    assert held_out_loss(state, held, play) == held_out_loss(state, held, play)
    assert all(torch.equal(tensor, state.tensors()[name]) for name, tensor in before.items())
    assert len(held_out_batch(data, config, runtime)[0]) % 4 == 0


def test_compare_gradients_is_of_the_step_and_changes_nothing():
    for objective, own in (("minimax", "g_minimax"), ("non_saturating", "g_non_saturating")):
        config = resolve(composed(*BASE, "train.steps=4", f"objective={objective}"))
        twin = resolve(
            composed(*BASE, "train.steps=4", f"objective={objective}", "train.compare_gradients=true")
        )
        states = []
        for each in (config, twin):
            runtime, data = Runtime(each.device), each.dataset.load(0)
            state, seen = TrainState.create(each, data.spec, runtime), []
            train(
                state, Batches(data.train, 16, 0, runtime.device), each, runtime, seen.append, lambda _: None
            )
            states.append(state)
        for tags in seen:
            if "gradient/g" in tags:
                assert torch.equal(tags["gradient/g"], tags[f"gradient/{own}"])
                assert tags["gradient/g_minimax"] != tags["gradient/g_non_saturating"]
        assert all(torch.equal(t, states[1].tensors()[n]) for n, t in states[0].tensors().items())
