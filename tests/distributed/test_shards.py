"""A batch in parts: the same bits however processes share them, and the numbers of the whole batch."""

from threading import Lock

import pytest
import torch
from small_game import EVERYTHING, Game, game, same
from thread_group import in_threads

from gantrain.distributed.shards import Parts, tree_sum
from gantrain.errors import ConfigError

MAKING = Lock()  # weights are drawn from torch's global generator
WHOLE_NORM = {"condition": "conditional_batch_norm", "device": {"batch_norm": "batch"}}
IMAGES = {"dataset": {"name": "digits"}, "model": {"name": "dcgan", "width": 2, "upsample": "nearest"}}
CELLS = {
    "js": ("non_saturating", "none", {}),
    "r1": ("non_saturating", "r1", {}),
    "r1, k = 2": ("hinge", "r1r2", {"d_steps": 2, "g_steps": 2}),
    "accumulated": ("non_saturating", "r1", {"accumulate": 2}),
    "wgan_gp": ("wasserstein", "wgan_gp", {}),
    "clipped": ("wasserstein", "weight_clip", {}),
    "lazy": ("minimax", {"name": "r1", "every": 2}, {}),
    "relativistic": ("relativistic", "r1", {}),
    "least squares": ("least_squares", "none", {"update": "simultaneous"}),
    "unrolled": ("non_saturating", "none", {"unroll": 2}),
    "spectral norm": ("hinge", "none", {"model": {"spectral_norm": True}}),
    "minibatch_std": ("non_saturating", "none", {"model": {"minibatch_std": True}}),
    "packed": ("non_saturating", "none", {"packing": 2}),
    "wrong pairs": ("conditional", "none", {"condition": "concat"}),
    "batch norm": ("non_saturating", "none", {"condition": "conditional_batch_norm"}),
    "whole batch norm": ("regression", "none", WHOLE_NORM),
    "whole batch norm, images": ("hinge", "r1", WHOLE_NORM | IMAGES | {"g_steps": 2}),
    "whole batch norm, unrolled": ("non_saturating", "none", WHOLE_NORM | {"unroll": 2}),
    "ada": ("hinge", "none", IMAGES | {"augment": {"name": "ada", "p": 0.5, "images": 999}, "d_steps": 4}),
    "regression": ("regression", "none", {"condition": "concat"}),
}


def played(cell: str, group=None, shards: int = 4, reduce: str = "exact") -> Game:
    """Return a game of two steps in which a process of a group took part."""
    objective, penalty, options = CELLS[cell]
    options = {"steps": 2, "batch_size": 16, "device": {}} | options
    device = {"shards": shards, "processes": group.size if group else 1, "reduce": reduce} | options["device"]
    del options["device"]
    with MAKING:
        own = game(objective, penalty, device=device, group=group, **options)
    return own.play()


@pytest.mark.parametrize("cell", CELLS)
def test_any_number_of_processes_plays_the_same_bits(cell):
    alone = played(cell)
    for size in (2, 4):
        for one in in_threads(size, lambda group: played(cell, group)):
            assert same(one.tensors(*EVERYTHING, "memory"), alone.tensors(*EVERYTHING, "memory"))
            assert all(same(own, tags) for own, tags in zip(one.reports, alone.reports, strict=True))


@pytest.mark.parametrize(
    "cell", [cell for cell in CELLS if cell not in ("minibatch_std", "batch norm") and "unrolled" not in cell]
)
def test_shards_play_the_game_of_the_whole_batch(cell):
    objective, penalty, options = CELLS[cell]
    # Adam divides a gradient by its own size, which makes a full step of what is 0 but for rounding.
    options = options | {"optimizer": {"name": "sgd"}, "steps": 1, "batch_size": 16}
    device = options.pop("device", {})
    whole, cut = (game(objective, penalty, device=device | {"shards": n}, **options).play() for n in (1, 4))
    for name, value in whole.tensors("G", "D", "G_ema").items():
        torch.testing.assert_close(cut.state.tensors()[name], value, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(cut.reports, whole.reports, strict=True):
        for tag, value in theirs.items():
            torch.testing.assert_close(ours[tag], value, rtol=1e-4, atol=1e-6)


def test_accumulation_is_shards_in_time():
    parts = {
        name: {"accumulate": 4} if name == "time" else {"device": {"shards": 4}} for name in ("time", "space")
    }
    by_time, by_space = (game("hinge", "r1", batch_size=16, **options).play() for options in parts.values())
    assert same(by_time.tensors(*EVERYTHING), by_space.tensors(*EVERYTHING))


def test_fast_reduction_is_the_exact_one_but_for_rounding():
    fast, other = in_threads(2, lambda group: played("r1", group, reduce="fast"))
    assert same(fast.tensors(*EVERYTHING), other.tensors(*EVERYTHING))
    for name, value in played("r1").tensors("G", "D").items():
        torch.testing.assert_close(fast.state.tensors()[name], value, rtol=1e-4, atol=1e-6)


def by_levels(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Add neighbours, then neighbouring sums, and so on; what has no neighbour goes on to the next level."""
    while len(tensors) > 1:
        pairs = [tensors[i : i + 2] for i in range(0, len(tensors), 2)]
        tensors = [pair[0] + pair[1] if len(pair) == 2 else pair[0] for pair in pairs]
    return tensors[0]


@pytest.mark.parametrize("count", range(1, 14))
def test_tree_sum_adds_neighbours_level_by_level(count):
    tensors = [torch.randn(50, generator=torch.Generator().manual_seed(i)) * 10**i for i in range(count)]
    assert torch.equal(tree_sum(tensors), by_levels(tensors))


@pytest.mark.parametrize(("count", "sizes"), [(12, (2, 3, 4, 6, 12)), (10, (2, 5)), (6, (1, 3))])
def test_means_have_the_same_bits_for_every_division(count, sizes):
    rows = (
        torch.randn(count, 7, generator=torch.Generator().manual_seed(0))
        * torch.logspace(-5, 5, count)[:, None]
    )

    def mean(group) -> list[torch.Tensor]:
        parts = Parts(count, group)
        own = rows[group.rank * parts.own : (group.rank + 1) * parts.own]
        return parts.mean([row[:4].reshape(2, 2).T, row[4:]] for row in own)

    (alone,) = in_threads(1, mean)
    torch.testing.assert_close(torch.cat([alone[0].T.flatten(), alone[1]]), rows.double().mean(0).float())
    assert alone[0].stride() == (1, 2)  # laid out as it came
    for size in sizes:
        for means in in_threads(size, mean):
            assert all(map(torch.equal, means, alone))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (
            {"device": {"shards": 4, "processes": 3}},
            "device.processes: is 3, and so many cannot share device.shards=4 equally; set device.processes=2",
        ),
        ({"device": {"shards": 3}}, "train.batch_size: is 16, which has no 3 equal shards"),
        ({"device": {"shards": 16}}, "train.batch_size: .*several samples"),
        ({"device": {"shards": 8}, "packing": 2}, "train.batch_size: .*several samples"),
        ({"device": {"shards": 2}, "penalty": "lecam"}, "penalty: uses a whole batch at once"),
        ({"device": {"processes": 2}, "d_gain": 0.1}, "train.d_gain: uses a whole batch"),
        ({"device": {"shards": 2}, "compare_gradients": True}, "train.compare_gradients: uses a whole"),
    ],
)
def test_shards_that_cannot_be_played_are_refused(options, what):
    with pytest.raises(ConfigError, match=what):
        game(batch_size=16, **options)
