"""D's labels, one for each logit; and wrong conditions, never the right one and uniform over the others."""

import dataclasses
import math

import pytest
import torch
from small_game import game
from torch import Tensor, nn

from gantrain.core.gradients import Autograd, Functional
from gantrain.core.spec import Spec
from gantrain.models.auto import Auto
from gantrain.noise import Noise
from gantrain.objectives.base import Logits, Targets
from gantrain.penalties.base import FAKE, REAL
from gantrain.registry import REGISTERED, build
from gantrain.training.d_loss import WRONG, Pairs, d_losses, outputs, pairs_of
from gantrain.training.draws import Draw, Inputs
from gantrain.training.play import Play
from gantrain.training.wrong_conditions import wrong_conditions


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_wrong_conditions_are_labels_and_never_right(classes):
    y = torch.arange(20_000) % classes
    wrong = wrong_conditions(y, classes, torch.Generator().manual_seed(0))
    assert wrong.shape == y.shape
    assert wrong.dtype == torch.int64
    assert 0 <= wrong.min() <= wrong.max() < classes
    assert (wrong != y).all()


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_wrong_conditions_are_uniform_over_the_other_classes(classes):
    n = 20_000
    y = torch.arange(classes).repeat_interleave(n)
    wrong = wrong_conditions(y, classes, torch.Generator().manual_seed(1)).reshape(classes, n)
    counts = torch.stack([row.bincount(minlength=classes) for row in wrong]).double()
    share = 1 / (classes - 1)
    five_sigma = 5 * math.sqrt(share * (1 - share) / n) + 1e-12
    others = ~torch.eye(classes, dtype=torch.bool)
    assert (counts[others] / n - share).abs().max() < five_sigma
    assert counts.diagonal().eq(0).all()


def test_wrong_conditions_are_a_function_of_the_generator():
    y = torch.arange(100) % 7
    first, again, other = (wrong_conditions(y, 7, torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


ROWS = {
    "vectors": torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.5, -2.0], [1.0, 1.0]]),
    "captions": torch.tensor([[3, 1, 4], [3, 1, 0], [1, 3, 4], [2, 0, 0], [4, 4, 4]]),
    "one number": torch.tensor([[0.0], [1.0]]),
}


@pytest.mark.parametrize("name", ROWS)
def test_wrong_rows_are_rows_of_the_batch_and_never_right(name):
    kinds = ROWS[name]
    y = kinds[torch.randint(len(kinds), (5000,), generator=torch.Generator().manual_seed(0))]
    wrong = wrong_conditions(y, 0, torch.Generator().manual_seed(1))
    assert wrong.shape == y.shape
    assert wrong.dtype == y.dtype
    assert (wrong != y).any(1).all()
    assert (wrong[:, None] == kinds).all(2).any(1).all()


@pytest.mark.parametrize("name", ROWS)
def test_wrong_rows_are_uniform_over_other_distinct_rows(name):
    n, kinds = 20_000, ROWS[name]
    often = kinds[0].expand(5 * n, -1)  # one kind is most of the batch, and is drawn no more often for that
    y = torch.cat([*[row.expand(n, -1) for row in kinds], often])
    wrong = wrong_conditions(y, 0, torch.Generator().manual_seed(2))
    share = 1 / (len(kinds) - 1)
    for i, row in enumerate(kinds):
        drawn = wrong[(y == row).all(1)]
        counts = torch.stack([(drawn == other).all(1).double().mean() for other in kinds])
        five_sigma = 5 * math.sqrt(share * (1 - share) / len(drawn)) + 1e-12
        assert counts[i] == 0
        assert (torch.cat([counts[:i], counts[i + 1 :]]) - share).abs().max() < five_sigma


def test_wrong_rows_are_none_where_all_are_the_same():
    assert wrong_conditions(torch.ones(7, 3), 0, torch.Generator().manual_seed(0)) is None
    assert wrong_conditions(torch.ones(1, 3, dtype=torch.int64), 0, torch.Generator().manual_seed(0)) is None
    y = ROWS["captions"].repeat(20, 1)
    first, again, other = (wrong_conditions(y, 0, torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    two = torch.tensor([[1.0, 2.0]] * 5 + [[3.0, 4.0]])
    assert torch.equal(
        wrong_conditions(two, 0, torch.Generator()), torch.tensor([[3.0, 4.0]] * 5 + [[1.0, 2.0]])
    )


@pytest.mark.parametrize("packing", [1, 2, 4])
def test_label_noise_gives_each_pack_one_target(packing):
    played = game(packing=packing)
    play = dataclasses.replace(Play.create(played.config, played.runtime), noise=Noise(label_smoothing=0.2))
    real, y = played.batches(0)
    draws = Draw(play, played.state.G, played.state.D, 0).for_d(real, y, 0, due=())
    pairs = pairs_of(Inputs(real, y, draws), real + 1, draws, play, {})
    said, _ = outputs(played.state.D, pairs, (), Autograd, play)
    logits = Logits(said[REAL].logit, said[FAKE].logit)
    assert len(logits.real) == len(logits.fake) == 8 // packing
    targets = Targets(torch.full_like(logits.real, 0.8), torch.zeros_like(logits.fake))
    assert d_losses(said, y, draws, play) == {"loss/d": play.objective.d_loss(logits, targets)}


# One pass for all kinds

ALONE = [
    pytest.param(name, shape, condition, id=f"{name}-{'x'.join(map(str, shape))}-{condition}")
    for name in sorted(name for name, cls in REGISTERED["model"].items() if cls is not Auto)
    for shape in ((3, 8, 8), (2,), (1,))
    for condition in ("none", "concat", "projection")
    if build("model", {"name": name, "condition": condition}).why_unsupported(Spec(shape, 3)) is None
]


def pairs_for(name: str, shape: tuple[int, ...], condition: str) -> tuple[nn.Module, dict[str, Pairs]]:
    """Return a D and three kinds of pairs for it."""
    model = build("model", {"name": name, "condition": condition, "width": 8})
    assert not model.couples_samples
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        D = model.build(Spec(shape, 3))[1]
    real, fake = torch.randn(2, 6, *shape, generator=torch.Generator().manual_seed(1))
    y = torch.arange(6) % 3 if condition != "none" else None
    pairs = {REAL: Pairs(real, y), FAKE: Pairs(fake, y)}
    return D, pairs if y is None else pairs | {WRONG: Pairs(real, (y + 1) % 3)}


@pytest.mark.parametrize(("name", "shape", "condition"), ALONE)
@pytest.mark.parametrize("slopes_of", [(), (REAL,), (REAL, FAKE)], ids=["", "r1", "r1r2"])
def test_joint_pass_of_d_is_a_pass_for_each_kind(name, shape, condition, slopes_of):
    D, pairs = pairs_for(name, shape, condition)
    played = game()
    play = Play.create(played.config, played.runtime)
    for is_joint, derivatives in ((True, Autograd), (False, Autograd), (True, Functional)):
        said, slopes = outputs(D, pairs, slopes_of, derivatives, dataclasses.replace(play, is_joint=is_joint))
        assert set(slopes) == set(slopes_of)
        for kind, (x, y) in pairs.items():
            torch.testing.assert_close(said[kind].logit, D(x, y), rtol=1e-6, atol=1e-6)
        for kind, slope in slopes.items():
            torch.testing.assert_close(slope, slope_at(D, *pairs[kind]), rtol=1e-5, atol=1e-6)


def slope_at(D: nn.Module, x: Tensor, y: Tensor | None) -> Tensor:
    x = x.clone().requires_grad_(True)
    return torch.autograd.grad(D(x, y).sum(), x)[0].flatten(1)
