"""Samples are a function of the seed: the same seed, the same samples."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantrain.core.random import stream
from gantrain.core.spec import Spec
from gantrain.models.base import Generator
from gantrain.models.dcgan import DCGAN
from gantrain.models.mlp import MLP
from gantrain.sampling import generate
from gantrain.sampling.generate import draw

SPECS = {
    "images": (DCGAN(width=4, z_dim=5), Spec((1, 8, 8), classes=10)),
    "conditional images": (DCGAN(width=4, z_dim=5, condition="concat"), Spec((3, 9, 12), classes=4)),
    "points": (MLP(width=8), Spec((2,))),
    "conditional points": (MLP(width=8, condition="concat"), Spec((2,), classes=3)),
}


@pytest.mark.parametrize("case", SPECS)
def test_samples_are_a_function_of_the_seed(case, monkeypatch):
    model, spec = SPECS[case]
    torch.manual_seed(0)
    G, _ = model.build(spec)
    cpu, asked = torch.device("cpu"), spec.conditions() if model.is_conditional else None
    x, y = draw(G, 50, 7, asked, cpu)
    torch.rand(3)
    state = torch.get_rng_state()
    again, labels = draw(G, 50, 7, asked, cpu)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, again)
    assert x.shape == (50, *spec.shape)
    assert x.dtype == torch.float32
    assert (y is None) == (labels is None) == (not model.is_conditional)
    if y is not None:
        assert torch.equal(y, torch.arange(50) % spec.classes)
    other, _ = draw(G, 50, 8, asked, cpu)
    assert (other - x).flatten(1).abs().amax(1).min() > 0  # each sample is another one
    monkeypatch.setattr(generate, "CHUNK", 7)
    chunked, _ = draw(G, 50, 7, asked, cpu)
    torch.testing.assert_close(chunked, x, rtol=1e-5, atol=1e-6)


def test_the_classes_asked_for_are_repeated_in_turn_and_obeyed():
    model, spec = SPECS["conditional images"]
    torch.manual_seed(0)
    G, _ = model.build(spec)
    x, y = draw(G, 7, 0, torch.tensor([3, 1]), torch.device("cpu"))
    assert y.tolist() == [3, 1, 3, 1, 3, 1, 3]
    z = G.latents(7, stream(0, 0, "sample"))
    assert torch.equal(x, G(z, y).detach())
    flipped, _ = draw(G, 7, 0, torch.tensor([1, 3]), torch.device("cpu"))
    assert (flipped != x).flatten(1).any(1).all()


class Dropping(Generator):
    """A generator that shows whether it is in train mode."""

    def __init__(self):
        super().__init__(MLP(), [])
        self.drop = nn.Dropout(0.5)

    def forward(self, z, y=None):
        return self.drop(torch.ones(len(z), 2))


def test_samples_are_drawn_in_eval_mode_and_carry_no_graph():
    x, _ = draw(Dropping().train(), 100, 0, None, torch.device("cpu"))
    assert torch.equal(x, torch.ones(100, 2))
    assert not x.requires_grad
