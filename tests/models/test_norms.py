"""Normalisation in G and D: batch norm as torch's, a D that judges batches, and layer norm, which couples nothing."""

import pytest
import torch
from composed import composed
from small_game import game
from torch import nn

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.errors import ConfigError
from gantrain.models.norms import BatchNorm, batch_statistics, has_batch_norm
from gantrain.registry import build
from gantrain.training.evaluate import run_spec, view

MODELS = [("mlp", (2,)), ("dcgan", (1, 16, 17)), ("strided", (3, 16, 17))]


def players(name: str, shape: tuple[int, ...], **keys):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build("model", {"name": name, "width": 4, **keys}).build(Spec(shape))


def batch(shape: tuple[int, ...], seed: int = 0, n: int = 6) -> torch.Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(5,), (5, 3, 4)], ids=["points", "images"])
def test_batch_norm_is_that_of_torch_in_both_modes(shape):
    own, torchs = BatchNorm(5), (nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d)(5)
    with torch.no_grad():
        for norm in (own, torchs):
            norm.weight.copy_(torch.linspace(1, 2, 5))
            norm.bias.copy_(torch.linspace(-1, 1, 5))
    for training in (True, True, False):
        own.train(training)
        torchs.train(training)
        x = 2 + 3 * batch(shape)
        assert torch.equal(own(x), torchs(x))
    assert torch.equal(own.mean, torchs.running_mean)
    assert torch.equal(own.var, torchs.running_var)


@pytest.mark.parametrize(("name", "shape"), MODELS)
def test_d_with_batch_norm_judges_each_batch_by_itself(name, shape):
    """Also in eval mode: there are no running statistics which a pass could move."""
    _, D = players(name, shape, d_norm="batch")
    assert has_batch_norm(D)
    assert not batch_statistics(D)
    assert not [key for key in D.state_dict() if key not in dict(D.named_parameters())]
    x = batch(shape)
    logits = D(x, None)
    assert torch.equal(D.eval()(x, None), logits)
    changed = x.clone()
    changed[1] += 1
    assert (D(changed, None) != logits).all()


@pytest.mark.parametrize(("name", "shape"), MODELS)
def test_layer_norm_in_d_couples_no_samples(name, shape):
    model = build("model", {"name": name, "d_norm": "layer"})
    assert not model.couples_samples
    _, D = players(name, shape, d_norm="layer")
    x = batch(shape)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(D(x, None)[2], x)
    assert slope.flatten(1).abs().sum(1).gt(0).tolist() == [i == 2 for i in range(6)]


def test_what_of_d_is_of_batches_has_their_tags_and_size():
    run = game(model={"name": "mlp", "d_norm": "batch"})
    assert run_spec(run.config).couples_samples
    evaluation = view(run.config, run.data, run.state, run.runtime)
    assert evaluation.game.couples_samples
    assert evaluation.game.batch == run.config.train.batch_size
    plain = game(model={"name": "mlp", "d_norm": "layer", "g_norm": "batch"})
    assert not view(plain.config, plain.data, plain.state, plain.runtime).game.couples_samples


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["model.d_norm=batch", "penalty=wgan_gp"],
            "penalty: wgan_gp needs per-sample gradients, and this D couples samples; set penalty=r1 or "
            "model.d_norm=layer",
        ),
        (
            ["model.d_norm=batch", "train.accumulate=2"],
            "train.accumulate: is 2, and model.d_norm uses a whole batch at once; set train.accumulate=1 or "
            "model.d_norm=layer",
        ),
        (
            ["model.g_norm=batch", "train.accumulate=2"],
            "train.accumulate: is 2, and model.g_norm uses a whole batch at once; set train.accumulate=1 or "
            "model.g_norm=none",
        ),
    ],
)
def test_what_batch_norm_excludes_is_refused_with_a_remedy(words, line):
    with pytest.raises(ConfigError) as refused:
        resolve(composed("dataset=ring", "model=mlp", *words))
    assert str(refused.value) == line
