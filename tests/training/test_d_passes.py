"""What passes of D leave alone, and what they share: running statistics, and masks of dropout."""

import pytest
import torch
from small_game import game, move_d, move_g, state_of
from torch import Tensor, nn

from gantrain.models.base import Discriminator
from gantrain.models.norms import BatchNorm
from gantrain.training.compiled import live_tensors, pure_step
from gantrain.training.draws import Draw, Inputs, Rates
from gantrain.training.eager import EagerStep
from gantrain.training.play import Play


class Tracking(Discriminator):
    """A discriminator of a plug-in, with running statistics of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.out = BatchNorm(2), nn.Linear(2, 1)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.out(self.norm(x).tanh()).squeeze(1)


def statistics_after_a_step(is_pure: bool, **keys) -> tuple[Tensor, Tensor, Tensor]:
    """Play a step with such a D; return its mean and variance, and the mean of the samples that D learns from."""
    run = game(**keys)
    torch.manual_seed(0)
    state, play = (
        state_of(run.state.G, Tracking(), run.config.optimizer),
        Play.create(run.config, run.runtime),
    )
    real, y = run.batches(0)
    rates = Rates.at(0, play)
    draw = Draw(play, state.G, state.D, 0)
    of_d, of_g = draw.for_d(real, y, 0, rates.due), draw.for_g(real, y, 0, rates.due)
    mean = torch.cat([real, state.G(of_d["z"], None).detach()]).mean(0)
    inputs = [Inputs(real, y, of_d)], [Inputs(real, y, of_g)]
    if not is_pure:
        EagerStep(state, play)(*inputs, rates)
        return state.D.norm.mean, state.D.norm.var, mean
    rates = Rates.of([torch.tensor(number) for number in rates.numbers], rates.names)
    buffers = pure_step(state, play, live_tensors(state), *inputs, rates)[0]["D buffers"]
    return buffers["norm.mean"], buffers["norm.var"], mean


@pytest.mark.parametrize("is_pure", [False, True], ids=["eager", "pure"])
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"penalty": "wgan_gp"},
        {"objective": "relativistic"},
        {"unroll": 2},
        {"unroll": 1, "unroll_rule": "optimizer"},
    ],
    ids=str,
)
def test_statistics_of_d_move_by_the_passes_of_its_loss_alone(keys, is_pure):
    mean, var, expected = statistics_after_a_step(is_pure, **keys)
    torch.testing.assert_close(mean, 0.1 * expected)
    plain = statistics_after_a_step(is_pure)
    assert torch.equal(mean, plain[0])
    assert torch.equal(var, plain[1])


DROPOUT = {"name": "mlp", "width": 40, "depth": 2, "d_dropout": 0.5, "d_input_dropout": 0.2}


def test_dropout_of_d_hides_inputs_and_units_by_its_masks():
    D = game(model=DROPOUT).state.D
    masks = D.dropout_masks(6, torch.Generator().manual_seed(0))
    x = torch.randn(12, 2)  # data and samples, which share the masks
    first, *hidden = masks["mask"].repeat(2, 1).split([2, 40, 40], 1)
    h = x * first
    for layer, mask in zip((D.body[0], D.body[2]), hidden, strict=True):
        h = D.body[1](layer(h)) * mask
    logits = torch.func.functional_call(D, masks, (x, None))
    torch.testing.assert_close(logits, D.head(h, x.new_zeros(12, 0)))
    assert torch.equal(D.eval()(x, None), D.train()(x, None))
    assert not torch.equal(D(x, None), logits)
    assert not [name for name in D.state_dict() if "mask" in name]


def test_masks_of_dropout_have_their_rates_and_keep_means():
    D = game(model=DROPOUT | {"width": 200}).state.D
    mask = D.dropout_masks(500, torch.Generator().manual_seed(0))["mask"]
    for part, rate in zip(mask.split([2, 400], 1), (0.2, 0.5), strict=True):
        assert sorted(set(part.flatten().tolist())) == pytest.approx([0, 1 / (1 - rate)])
        spread = (rate / (1 - rate) / part.numel()) ** 0.5
        assert part.mean().item() == pytest.approx(1, abs=5 * spread)


@pytest.mark.parametrize("packing", [1, 2])
def test_masks_of_dropout_are_drawn_for_each_update(packing):
    run = game(model=DROPOUT, packing=packing, unroll=1)
    play, (real, y) = Play.create(run.config, run.runtime), run.batches(0)

    def masks(step: int) -> list[Tensor]:
        draw = Draw(play, run.state.G, run.state.D, step)
        draws = draw.for_d(real, y, 0, ()), draw.for_g(real, y, 0, ())
        name = "dropout mask" if packing == 1 else "dropout D.mask"
        return [draws[0][name], draws[1][name], draws[1][f"unroll {name}"]]

    first, again, other = masks(3), masks(3), masks(4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape == (8 // packing, 2 * packing + 80)
    assert len({mask.numpy().tobytes() for mask in [*first, *other]}) == 6


def test_dropout_changes_what_is_learnt_not_what_is_evaluated():
    with_dropout, without = game(model=DROPOUT), game(model=DROPOUT | {"d_dropout": 0, "d_input_dropout": 0})
    x = torch.randn(8, 2)
    assert torch.equal(with_dropout.state.D(x, None), without.state.D(x, None))
    for move in (move_d, move_g):
        losses = []
        for run in (with_dropout, without):
            play = Play.create(run.config, run.runtime)
            losses.append(move(run.state, *run.batches(0), 0, play)[f"gradient/{move.__name__[-1]}"])
        assert losses[0] != losses[1]
