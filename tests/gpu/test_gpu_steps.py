"""Steps on a GPU: the numbers of the CPU to rounding, in every game, and nothing that the host waits for."""

from __future__ import annotations

import math
from contextlib import ExitStack

import pytest
import torch
from composed import STEMS, composed
from small_game import Game
from torch import Tensor

from gantrain.datasets import base
from gantrain.tracking.tracker import Means
from gantrain.training.draw_blocks import DrawBlocks
from gantrain.training.loop import train
from gantrain.training.state import TrainState
from gantrain.training.transfer import Sender

PLAIN = ("optimizer=sgd", "optimizer.d_lr=0.02", "optimizer.g_lr=0.02", "optimizer.schedule=constant")
ADAM = ("optimizer=adam", "optimizer.schedule=constant")
FEW = ("dataset.n=64", "dataset.n_holdout=16")
NARROW = ("model.width=4", "model.max_width=8", "model.z_dim=8", "model.mapping_depth=2")
# Settings of a step that draw, look across samples, or go through other layers.
SETTINGS = {
    "default": (),
    "r1": ("penalty=r1",),
    "r1_lazy": ("penalty=r1_lazy",),
    "wgan_gp": ("objective=wasserstein",),
    "dragan": ("penalty=dragan",),
    "lecam": ("penalty=lecam",),
    "spectral_norm": ("model.spectral_norm=true",),
    "noise": ("noise=both", "noise.instance_std=0.1"),
    "wrong_pairs": ("objective=conditional",),
    "batch_norm": ("model.condition=conditional_batch_norm",),
    "dropout": ("model.source=both",),
    "minibatch_std": ("model.minibatch_std=true",),
    "packing": ("model.packing=2",),
    "unrolled": ("train.unroll=2",),
    "simultaneous": ("train.update=simultaneous",),
    "images": ("dataset=digits", "model=dcgan", "model.width=4"),
    "resnet": ("dataset=digits", "model=resnet_small", "model.width=8", "model.g_spectral_norm=true"),
    "attention": ("dataset=captions", *FEW, "model=resnet_small", "model.width=8", "model.attention=8"),
    "r3gan": ("dataset=digits", "model=r3gan", "model.width=8", "objective=relativistic", "penalty=r1r2"),
    "stylegan2": ("dataset=digits", "model=stylegan2", *NARROW, "penalty=r1+path_length"),
    "ada": ("dataset=digits", "model=dcgan", "model.width=4", "augment=ada", "augment.p=0.5"),
    "diffaugment": ("dataset=digits", "model=dcgan", "model.width=4", "augment=diffaugment"),
    "named_classes": ("objective=ac_gan",),
    "flip": ("dataset=digits", "model=dcgan", "model.width=4", "augment=flip"),
    "baseline": ("objective=regression", "model.condition=concat"),
}


def moves(game: Game, steps: int) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """Train, and return by how much each weight moved, on the CPU, and the tags of each update."""
    parts = ("G", "D", "G_ema")
    game.config.train.steps = steps
    before = game.tensors(*parts)
    game.play()
    after = game.tensors(*parts)
    read = [{tag: float(value.detach()) for tag, value in tags.items()} for tags in game.reports]
    return {name: (after[name] - before[name]).double().cpu() for name in before}, read


def assert_moves_agree(game: Game, reference: Game, tolerance: float, where: str, steps: int = 2) -> None:
    (moved, tags), (expected, expected_tags) = moves(game, steps), moves(reference, steps)
    for part in ("G/", "D/", "G_ema/"):
        own, other = (
            torch.cat(
                [torch.zeros(1).double(), *(x.flatten() for n, x in found.items() if n.startswith(part))]
            )
            for found in (moved, expected)
        )
        assert float((own - other).norm()) <= tolerance * float(other.norm()), f"{where}: {part}"
    assert any(float(x.norm()) > 0 for x in expected.values()), where
    for found, known in zip(tags, expected_tags, strict=True):
        assert found == pytest.approx(known, rel=tolerance, abs=tolerance), where


@pytest.mark.parametrize("objective", STEMS["objective"])
def test_steps_on_a_gpu_are_those_of_the_cpu_for_each_penalty(kind, play_on, objective):
    played = 0
    for choice in STEMS["penalty"]:
        words, penalty = (f"objective={objective}", *PLAIN), composed(f"penalty={choice}")["penalty"]
        games = [play_on(place, *words, penalty=penalty) for place in (kind, "cpu")]
        if games[0] and games[1]:
            assert_moves_agree(games[0], games[1], 2e-3, choice)
            played += 1
    assert played > 0


@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
def test_steps_on_a_gpu_are_those_of_the_cpu_in_each_setting(kind, play_on, words):
    games = [play_on(place, *words, *PLAIN) for place in (kind, "cpu")]
    assert_moves_agree(*games, 2e-3, str(words))


@pytest.mark.parametrize("name", ["r1", "noise", "r3gan", "stylegan2", "ada"])
def test_compiled_steps_are_those_of_the_cpu(kind, play_on, name):
    if kind == "cpu" and name in ("r3gan", "stylegan2", "ada"):
        pytest.skip("takes minutes, and tests/training/test_compiled.py traces it")
    games = [play_on(place, *SETTINGS[name], *PLAIN) for place in (kind, "cpu")]
    games[0].runtime.is_compiled = True  # on CUDA the third step is the first that replays a graph
    assert_moves_agree(*games, 5e-3, name, steps=6)
    assert games[0].runtime.compile_failure == ""


@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
def test_host_waits_for_nothing_in_a_step(kind, play_on, unwaited, words):
    game, means, steps = play_on(kind, *words, *ADAM), Means(), 12
    game.config.train.steps = steps

    def begin_to_refuse(state: TrainState) -> None:
        if state.step == 4:  # the first steps allocate, and choose kernels
            block.enter_context(unwaited())

    with ExitStack() as block:
        train(game.state, game.batches, game.config, game.runtime, means.add, begin_to_refuse)
    assert game.state.step == steps
    assert all(math.isfinite(value) for value in means.flush().values())


@pytest.mark.parametrize("share", [0.5, 0.0], ids=["resident", "ahead"])
def test_batches_on_a_gpu_are_those_of_the_cpu(kind, play_on, unwaited, monkeypatch, share):
    monkeypatch.setattr(base, "DEVICE_SHARE", share)
    words = ("dataset=digits", "model.condition=concat")
    batches, reference = (play_on(place, *words).batches for place in (kind, "cpu"))
    batches(0)  # whose pinned buffers are new
    with unwaited():
        taken = [batches(number) for number in [1, 2, 3, 40, 41, 250, 251]]
    for (x, y), number in zip(taken, [1, 2, 3, 40, 41, 250, 251], strict=True):
        known, labels = reference(number)
        assert x.device.type == kind
        torch.testing.assert_close(x.cpu(), known, rtol=0, atol=2e-7)  # CUDA divides by a reciprocal
        assert torch.equal(y.cpu(), labels)


def test_draws_on_a_gpu_are_those_of_the_cpu(kind, unwaited):
    def draws_of(step: int) -> dict:
        generator = torch.Generator().manual_seed(step)
        return {
            "z": torch.randn(7, 3, generator=generator),
            "d0": {"wrong": torch.randint(9, (5,), generator=generator)},
        }

    draws = DrawBlocks(draws_of, Sender(torch.device(kind)))
    draws(0)
    with unwaited():
        taken = [(step, draws(step)) for step in [*range(1, 40), 100, 101]]
    for step, found in taken:
        known = draws_of(step)
        assert torch.equal(found["z"].cpu(), known["z"])
        assert torch.equal(found["d0"]["wrong"].cpu(), known["d0"]["wrong"])
