"""The cost of transport is its definition, and is for a z as wide as the data."""

import pytest
import torch
from composed import composed
from small_game import game

from gantrain.config.resolve import resolve
from gantrain.core.gradients import Autograd
from gantrain.core.judgement import Judgement
from gantrain.errors import ConfigError
from gantrain.penalties.base import GeneratorPass
from gantrain.penalties.transport import Transport
from gantrain.training.play import Play
from gantrain.training.rates import Rates


def test_transport_is_the_loop_over_its_definition():
    latents, fake = torch.randn(5, 9), torch.randn(5, 1, 2, 3)  # z of 6 numbers, and masks
    seen = GeneratorPass(
        latents=latents,
        y=None,
        real=fake,
        fake=fake,
        judgement=Judgement(torch.zeros(5)),
        method=lambda name: lambda *args: fake,
        derivatives=Autograd,
        draw=torch.empty(0),
        memory={},
    )
    by_hand = sum(((x.flatten() - z[:6]) ** 2).sum().item() for x, z in zip(fake, latents, strict=True)) / 5
    assert Transport().cost(seen)[0].item() == pytest.approx(by_hand, rel=1e-6)


def test_transport_weight_falls_to_0_by_default():
    one = game(penalty="transport", model={"z_dim": 2}, steps=6)
    play = Play.create(one.config, one.runtime)
    weights = [Rates.at(step, play).costs["transport"] for step in (0, 3, 6, 9)]
    assert weights == pytest.approx([0.1, 0.05, 0, 0])


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("dataset=ring penalty=transport model.z_dim=64", r"model.z_dim: is 64, .*; set model.z_dim=2"),
        ("dataset=digits penalty=transport model.z_dim=63", "set model.z_dim=64"),
        ("dataset=ring penalty=transport model.z_dim=2 model.source=dropout", "model.source: is dropout"),
        ("dataset=ring penalty=[r1,transport] model.z_dim=3", "set model.z_dim=2"),
    ],
)
def test_transport_needs_a_z_as_wide_as_the_data(words, what):
    with pytest.raises(ConfigError, match=what):
        resolve(composed(*words.split()))
