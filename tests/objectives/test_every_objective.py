"""Laws that hold for every game that has a YAML, so that a new file is tested by being there."""

import math
import re
from typing import Any

import pytest
import torch
from composed import composed
from torch import Tensor

from gantrain.core.groups import choices, yaml_dir
from gantrain.core.judgement import Judgement
from gantrain.objectives.base import Logits, Objective
from gantrain.registry import REGISTERED, build


def is_game(preset: str) -> bool:
    text = (yaml_dir() / "objective" / f"{preset}.yaml").read_text()
    return REGISTERED["objective"][re.search(r"/schema/objective/(\w+)@", text)[1]].has_game


PRESETS = [name for name in sorted(choices("objective")) if is_game(name)]


def plain(preset: str) -> dict[str, Any]:
    return composed(f"objective={preset}")["objective"]


@pytest.fixture(params=PRESETS)
def game(request) -> Objective:
    return build("objective", plain(request.param))


def some_logits(game: Objective, n: int = 64, scale: float = 1.0, seed: int = 0) -> Logits:
    """Logits of as many kinds as the game is played with, each requiring a gradient."""
    rows = scale * torch.randn(3, n, generator=torch.Generator().manual_seed(seed))
    real, fake, wrong = (row.clone().requires_grad_(True) for row in rows)
    return Logits(real, fake, wrong if game.mismatch_weight > 0 else None)


def kinds(logits: Logits) -> list[Tensor]:
    return [row for row in (logits.real, logits.fake, logits.mismatched) if row is not None]


def g_loss(game: Objective, fake: Tensor, real: Tensor) -> Tensor:
    """What G minimises against a D whose only feature is its logit."""
    return game.g_loss_of(*(Judgement(row, features=row[:, None]) for row in (fake, real)))


def read(game: Objective, logits: Logits) -> dict[str, float]:
    """Return the estimates by tag, and their errors as ``<tag>_se``."""
    with torch.no_grad():
        found = game.estimate(Logits(*(row.detach() for row in kinds(logits))))
    errors = {f"{tag}_se": value.error for tag, value in found.items() if value.error is not None}
    return {tag: float(value) for tag, value in found.items()} | errors


def test_name_is_the_one_it_is_registered_under(game):
    assert REGISTERED["objective"][game.name] is type(game)


def test_offset_of_the_logits_is_free_where_it_says_so(game):
    logits = some_logits(game)
    moved = Logits(*(row + 0.7 for row in kinds(logits)))
    losses = game.d_loss(logits), game.d_loss(moved)
    assert torch.isclose(*losses, rtol=1e-5, atol=1e-6) == game.has_free_offset


def test_meaning_says_what_d_estimates_and_what_g_descends(game):
    assert re.search("D estimates|divergence/[a-z_]+ (estimates|is) ", game.meaning)
    assert "G descends" in game.meaning
    assert "\n" not in game.meaning


def test_chance_is_the_loss_of_a_d_that_says_0_to_everything(game):
    zeros = Logits(*(torch.zeros_like(row) for row in kinds(some_logits(game))))
    assert game.d_loss(zeros).item() == pytest.approx(game.chance, rel=1e-6, abs=1e-6)


def test_losses_are_0_dim_and_differentiable(game):
    logits = some_logits(game)
    for loss in (game.d_loss(logits), g_loss(game, logits.fake, logits.real)):
        assert loss.shape == ()
        assert loss.dtype == torch.float32
        assert loss.requires_grad


def test_losses_average_those_of_parts_where_it_says_so(game):
    logits = some_logits(game)
    found = []
    for rows in (slice(0, 64), slice(0, 32), slice(32, 64)):
        part = Logits(*(row[rows] for row in kinds(logits)))
        found.append(torch.stack([game.d_loss(part), g_loss(game, part.fake, part.real)]))
    whole, *parts = found
    assert torch.allclose(whole, sum(parts) / 2, rtol=1e-5, atol=1e-6) == game.averages_samples


@pytest.mark.parametrize("size", [0.0, 1e-3, 20.0, 40.0, 100.0])
def test_losses_and_gradients_in_float32_equal_float64(game, size):
    for signs in [(1, 1, 1), (-1, -1, -1), (1, -1, -1), (-1, 1, 1)]:
        found = []
        for dtype in (torch.float32, torch.float64):
            rows = [torch.full((3,), sign * size, dtype=dtype, requires_grad=True) for sign in signs]
            logits = Logits(rows[0], rows[1], rows[2] if game.mismatch_weight > 0 else None)
            losses = [game.d_loss(logits), g_loss(game, logits.fake, logits.real)]
            gradients = torch.autograd.grad(losses[0], kinds(logits)) + torch.autograd.grad(
                losses[1], [logits.fake]
            )
            found.append([value.detach().float() for value in [*losses, *gradients]])
        torch.testing.assert_close(*found, rtol=2e-5, atol=1e-6)  # refuses what is not a number
        assert size > 40 or all(torch.isfinite(value).all() for value in found[0])


def test_gradients_raise_real_logits_and_g_raises_fake_ones(game):
    logits = some_logits(game, scale=0.1)  # within every margin and between the labels of a regression
    real, *others = torch.autograd.grad(game.d_loss(logits), kinds(logits))
    # Data above samples: that is where a G that matches means is to go too.
    (fake,) = torch.autograd.grad(g_loss(game, logits.fake, logits.real + 1), [logits.fake])
    assert (real < 0).all()
    assert all((row > 0).all() for row in others)
    assert (fake < 0).all()


def test_the_order_of_samples_does_not_matter(game):
    logits = some_logits(game)
    turned = Logits(*(row.flip(0) for row in kinds(logits)))
    torch.testing.assert_close(game.d_loss(turned), game.d_loss(logits))
    torch.testing.assert_close(g_loss(game, turned.fake, turned.real), g_loss(game, logits.fake, logits.real))
    assert read(game, turned) == pytest.approx(read(game, logits), rel=1e-4, abs=1e-6)


def test_estimate_error_shrinks_as_root_n(game):
    logits = some_logits(game)
    more = Logits(*(row.repeat(100) for row in kinds(logits)))
    once, often = read(game, logits), read(game, more)
    assert once
    for tag, value in once.items():
        assert type(value) is float
        assert math.isfinite(value)
        shrinks = 10 * math.sqrt((64 - 1 / 100) / (64 - 1)) if tag.endswith("_se") else 1
        # The error of a curved function of a bound is that of a whole interval, which shrinks with curvature.
        is_curved = game.name == "hinge" and tag == "js_se"
        assert often[tag] * shrinks == pytest.approx(value, rel=0.5 if is_curved else 1e-4, abs=1e-6)


def test_a_d_at_chance_estimates_no_divergence(game):
    zeros = Logits(*(torch.zeros_like(row) for row in kinds(some_logits(game))))
    assert read(game, zeros) == pytest.approx(dict.fromkeys(read(game, zeros), 0.0), abs=1e-6)


def test_estimate_rises_with_d_and_is_negative_below_chance(game):
    def at(gap: float) -> dict[str, float]:
        rows = torch.full((8,), gap), torch.full((8,), -gap), torch.full((8,), -gap)
        return read(game, Logits(*rows[: 2 + (game.mismatch_weight > 0)]))

    worse, chance, better, best = (at(gap) for gap in (-0.4, 0.0, 0.2, 0.4))
    quantities = [tag for tag in chance if not tag.endswith("_se")]
    for tag in quantities:
        assert worse[tag] <= chance[tag] < better[tag] < best[tag]
    assert min(worse[tag] for tag in quantities) < 0
