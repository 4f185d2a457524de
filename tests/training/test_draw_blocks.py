"""Draws in blocks: those of single steps, whichever step comes first."""

import pytest
import torch
from small_game import EVERYTHING, game, same

from gantrain.core.random import stream
from gantrain.training import draw_blocks, draws
from gantrain.training.draw_blocks import DrawBlocks
from gantrain.training.transfer import Sender

CPU = torch.device("cpu")


def draws_of(step: int) -> dict:
    generator = stream(3, step, "test")
    penalty = {"weights": torch.rand(4, 1, generator=generator)} if step % 4 == 0 else {}
    masks = [torch.rand(n, generator=generator) > 0.5 for n in (2, 3)]
    return {
        "z": torch.randn(4, 2, generator=generator),
        "d0": {"masks": masks, "penalty": penalty, "y": None},
    }


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return all(map(equal, a, b)) if isinstance(a, list) else a == b


@pytest.mark.parametrize("most_bytes", [1, 700, 2**26])
def test_blocks_hold_the_draws_of_each_step(monkeypatch, most_bytes):
    monkeypatch.setattr(draw_blocks, "MAX_BYTES", most_bytes)
    blocks = DrawBlocks(draws_of, Sender(CPU))
    for step in [13, *range(14, 40), 3, 4, 40]:
        assert equal(blocks(step), draws_of(step))


def test_blocks_are_drawn_once_each_in_sequence():
    drawn: list[int] = []

    def counted(step: int) -> dict:
        drawn.append(step)
        return draws_of(step)

    blocks = DrawBlocks(counted, Sender(CPU))
    for step in range(48):
        blocks(step)
    blocks._ahead(3)  # which waits for the one that is being drawn
    assert {drawn.count(step) for step in range(1, 64)} == {1}


WORDS = {
    "penalty": {"penalty": "wgan_gp"},
    "updates": {"d_steps": 3, "g_steps": 2},
    "unrolled": {"unroll": 2},
    "relativistic": {"objective": "relativistic"},
    "wrong": {"objective": "conditional", "condition": "concat"},
    "baseline": {"objective": "regression", "condition": "concat"},
}


@pytest.mark.parametrize("options", WORDS.values(), ids=WORDS)
def test_run_with_draws_ahead_plays_the_same_bits(monkeypatch, options):
    known = game(**options).play()
    monkeypatch.setattr(draws, "is_drawn_ahead", lambda device: True)
    own = game(**options).play()
    assert same(known.tensors(*EVERYTHING), own.tensors(*EVERYTHING))
    assert own.state.step == 6
