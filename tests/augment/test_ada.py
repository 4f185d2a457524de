"""Adaptive augmentation: which images change, and how."""

import json
import math

import pytest
import torch
from composed import composed
from safetensors.torch import load_file

from gantrain.augment.ada import ADA, COLOUR, STEPS
from gantrain.augment.tools.affine import product, resample, rotation, scaling, translation
from gantrain.augment.tools.colour import brightening, contrasting, hue_rotation, recolour, saturating
from gantrain.config.resolve import resolve
from gantrain.core.memory import Memory
from gantrain.core.spec import Spec
from gantrain.errors import ConfigError

ONE = torch.ones(1, dtype=torch.float64)
GREY = torch.full((1, 3), 0.25, dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(*shape, generator=seeded(1), dtype=dtype) * 2 - 1


def draw_of(n: int, **numbers: tuple[float, float]) -> torch.Tensor:
    """A draw in which the steps that are named are due, with these numbers, and no others."""
    draw = torch.ones(n, len(STEPS), 3)
    for step, values in numbers.items():
        draw[:, STEPS.index(step)] = torch.tensor([-1.0, *values])
    return draw


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("groups", ["b", "g", "c", "bgc"])
def test_ada_of_probability_0_changes_no_bit(channels, groups):
    x = images(64, channels, 9, 14)
    ada = ADA(groups=groups, p=0, target=None)
    assert torch.equal(ada(x, ada.draw(64, seeded())), x)
    busy = ADA(groups=groups, p=1, target=None)
    assert not torch.equal(busy(x, busy.draw(64, seeded())), x)


@pytest.mark.parametrize("p", [0.1, 0.6, 1.0])
def test_ada_changes_the_share_of_images_that_p_says(p):
    n = 4000
    x, ada = images(1, 3, 8, 8).expand(n, -1, -1, -1), ADA(groups="c", p=p, target=None)
    changed = (ada(x, ada.draw(n, seeded())) - x).abs().flatten(1).amax(1) > 1e-6
    # A flip of luma is due, and then happens to half.
    expected = 1 - (1 - p / 2) * (1 - p) ** (len(COLOUR) - 1)
    assert changed.double().mean().item() == pytest.approx(
        expected, abs=4 * math.sqrt(expected * (1 - expected) / n) + 2 / n
    )


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 14), (4, 17, 8)])
def test_ada_shift_by_pixels_is_a_roll_of_what_stays(shape):
    _, height, width = shape
    x = images(2, *shape)
    down, across = round(0.125 * height), -round(0.125 * width)
    found = ADA(groups="b", p=1, target=None)(x, draw_of(2, shift=(0.0, 1 - 2**-24)))
    assert torch.equal(found[:, :, down:, :across], x.roll((down, across), (2, 3))[:, :, down:, :across])
    # What comes in is a mirror image at the centre of the outer pixel.
    assert torch.equal(found[:, :, 0, :across], x[:, :, down, -across:])


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [8, 9])
def test_ada_quarter_turn_is_rot90_on_a_square(quarters, size):
    x = images(2, 3, size, size)
    found = ADA(groups="b", p=1, target=None)(x, draw_of(2, quarter_turn=(quarters / 4, 0.0)))
    assert torch.equal(found, x.rot90(quarters, (2, 3)))


def test_ada_turns_an_oblong_image_by_half_and_flips_it():
    x = images(2, 1, 8, 13)
    assert torch.equal(ADA(p=1, target=None)(x, draw_of(2, quarter_turn=(0.6, 0.0))), x.flip(2, 3))
    assert torch.equal(ADA(p=1, target=None)(x, draw_of(2, quarter_turn=(0.4, 0.0))), x)
    assert torch.equal(ADA(p=1, target=None)(x, draw_of(2, flip=(0.4, 0.0))), x.flip(3))
    assert torch.equal(ADA(p=1, target=None)(x, draw_of(2, flip=(0.6, 0.0))), x)


def test_ada_enlarges_by_a_power_of_two():
    x = images(1, 1, 9, 9)
    twice = ADA(groups="g", p=1, target=None)(x, draw_of(1, scale=(5.0, 0.0)))  # 2^(5 * 0.2)
    assert torch.allclose(twice[:, :, ::2, ::2], x[:, :, 2:7, 2:7], atol=1e-6)
    wide = ADA(groups="g", p=1, target=None)(x, draw_of(1, stretch=(5.0, 0.0)))  # twice as wide, half as high
    assert torch.allclose(wide[:, :, 3:6, ::2], x[:, :, 2:7:2, 2:7], atol=1e-6)


def test_ada_transforms_each_row_alone():
    x, ada = images(10, 3, 8, 11), ADA(p=0.7, target=None)
    draw = ada.draw(10, seeded(3))
    whole = ada(x, draw)
    for rows in (slice(0, 1), slice(3, 8), slice(9, None)):
        assert torch.allclose(ada(x[rows], draw[rows]), whole[rows], atol=1e-6)


@pytest.mark.parametrize("channels", [1, 4])
def test_ada_gradient_is_that_of_finite_differences(channels):
    ada = ADA(p=0.8, target=None)
    draw = ada.draw(2, seeded(2))
    x, change, weight = images(6, channels, 8, 9, dtype=torch.float64).split(2)

    def value(x: torch.Tensor) -> torch.Tensor:
        return (weight * ada(x, draw)).sum()

    slope = torch.func.grad(value)(x)
    # Affine in x, so a difference of any size has no error.
    assert (slope * change).sum().item() == pytest.approx((value(x + change) - value(x)).item(), abs=1e-9)
    (by_autograd,) = torch.autograd.grad(value(x.requires_grad_(True)), x, create_graph=True)
    assert torch.equal(by_autograd, slope)


def test_resampled_reflects_positions_far_outside():
    x = images(1, 2, 8, 10, dtype=torch.float64)
    period = 2 * (10 - 1)
    moved = resample(x, translation(3 * period * ONE, 0 * ONE))
    assert torch.allclose(moved, x, atol=1e-12)
    mirrored = resample(x, translation((10 - 1) * ONE, 0 * ONE))
    assert torch.allclose(mirrored, x.flip(3), atol=1e-12)


def test_resampled_agrees_with_grid_sample():
    x = images(5, 3, 9, 12, dtype=torch.float64)
    angle, size = torch.rand(5, generator=seeded(), dtype=torch.float64), torch.tensor([12.0, 9.0])
    source = product(rotation(angle), product(scaling(1 + angle, 2 - angle), translation(3 * angle, -angle)))
    span = (size - 1) / 2
    theta = source[:, :2] * torch.tensor([*span, 1.0]) / span[:, None]
    grid = torch.nn.functional.affine_grid(theta, list(x.shape), align_corners=True)
    expected = torch.nn.functional.grid_sample(x, grid, padding_mode="reflection", align_corners=True)
    assert torch.allclose(resample(x, source), expected, atol=1e-9)


@pytest.mark.parametrize(
    "colour, determinant",
    [
        (brightening(0.3 * ONE), 1),
        (contrasting(1.7 * ONE), 1.7**3),
        (saturating(ONE, grey=-ONE), -1),  # a reflection
        (hue_rotation(2 * ONE), 1),
        (saturating(1.7 * ONE), 1.7**2),
    ],
)
def test_colour_map_has_its_determinant(colour, determinant):
    assert torch.linalg.det(colour[0]).item() == pytest.approx(determinant)


def test_colour_maps_act_on_grey_and_on_hue_as_their_names_say():
    red = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)

    def of(colour: torch.Tensor, rgb: torch.Tensor) -> torch.Tensor:
        return recolour(rgb[:, :, None, None], colour)[:, :, 0, 0]

    third = 2 * math.pi / 3 * ONE
    assert torch.allclose(of(hue_rotation(third), red), torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64))
    assert torch.allclose(of(hue_rotation(third), GREY), GREY)
    assert torch.allclose(of(saturating(0 * ONE), red), torch.full_like(red, 1 / 3))
    assert torch.allclose(of(saturating(3 * ONE), GREY), GREY)
    flip = saturating(ONE, grey=-ONE)
    assert torch.allclose(of(flip, GREY), -GREY)
    assert torch.allclose(of(flip, of(flip, red)), red)


def test_ada_treats_a_grey_image_as_three_equal_channels():
    ada, grey = ADA(groups="c", p=1, target=None), images(20, 1, 8, 8)
    draw = ada.draw(20, seeded(4))
    expected = ada(grey.expand(-1, 3, -1, -1), draw).mean(1, keepdim=True)
    assert torch.allclose(ada(grey, draw), expected, atol=1e-5)
    x = images(20, 4, 8, 8)
    assert torch.equal(ada(x, draw)[:, 3], x[:, 3])  # transparency
    assert torch.equal(ada(x, draw)[:, :3], ada(x[:, :3], draw))


def test_ada_draws_the_published_laws():
    n = 20_000
    draw = ADA().draw(n, seeded())
    normal = draw[:, STEPS.index("contrast"), 1]
    assert normal.mean().item() == pytest.approx(0, abs=4 / math.sqrt(n))
    assert normal.std().item() == pytest.approx(1, abs=4 / math.sqrt(2 * n))
    even = draw[:, STEPS.index("hue")]
    assert (even >= 0).all()
    assert (even < 1).all()
    assert even.mean().item() == pytest.approx(0.5, abs=4 / math.sqrt(12 * 3 * n))
    rotated = (draw[:, [STEPS.index("rotation"), STEPS.index("second_rotation")], 0] < 0.3).any(1)
    assert rotated.double().mean().item() == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / n))


def test_ada_is_refused_for_points():
    assert "not images" in ADA().why_unsupported(Spec((2,)))


def advanced(ada: ADA, memory: Memory, logits: torch.Tensor, updates: int) -> Memory:
    """What it keeps after updates on data with these logits."""
    for _ in range(updates):
        memory = ada.advance(ada.observe(memory, logits, -logits), images=len(logits))
    return memory


@pytest.mark.parametrize("share, direction", [(1.0, 1), (0.85, 1), (0.75, -1), (0.0, -1)])
def test_ada_moves_p_towards_its_target(share, direction):
    """A share of positive logits gives r = 2 share - 1, against a target of 0.6."""
    logits = torch.where(torch.arange(20) < round(20 * share), 0.1, -7.0)
    ada = ADA(p=0.5, images=8000)
    start = ada.initial_memory()
    assert advanced(ada, start, logits, 3)["p"] == 0.5  # moves after four updates
    step = 20 * 4 / 8000
    for moves in (1, 2, 5):
        assert advanced(ada, start, logits, 4 * moves)["p"].item() == pytest.approx(
            0.5 + direction * moves * step
        )
    assert advanced(ada, start, logits, 8000 // 20)["p"] == (1 if direction > 0 else 0)  # and goes no farther


def test_ada_keeps_p_at_its_target_and_without_one():
    logits = torch.where(torch.arange(20) < 16, 1.0, -1.0)
    assert advanced(ADA(p=0.25), ADA(p=0.25).initial_memory(), logits, 8)["p"] == 0.25
    fixed = ADA(p=0.25, target=None)
    assert advanced(fixed, fixed.initial_memory(), logits, 8) == {} == fixed.scalars({})


def test_ada_observes_parts_as_it_does_their_whole():
    ada, logits = ADA(p=0.5), torch.randn(24, generator=seeded())
    start = ada.initial_memory() | {"signs": torch.tensor(1.25)}
    whole = ada.observe(start, logits, logits)
    parts = [ada.observe(start, part, part) for part in logits.chunk(4)]
    for name, tensor in whole.items():
        assert torch.stack([part[name] for part in parts]).mean().item() == pytest.approx(tensor.item())


def test_ada_transforms_by_the_p_that_it_keeps():
    x, ada = images(16, 3, 8, 8), ADA()
    draw, kept = ada.draw(16, seeded()), ada.initial_memory()
    assert torch.equal(ada(x, draw, kept), x)
    found = ada(x, draw, kept | {"p": torch.tensor(0.4)})
    fixed = ADA(p=0.4, target=None)
    assert torch.equal(found, fixed(x, fixed.draw(16, seeded())))


@pytest.mark.parametrize("objective", ["wasserstein", "relativistic"])
def test_ada_is_refused_where_signs_of_logits_mean_nothing(objective):
    words = ["dataset=digits", f"objective={objective}", "penalty=r1", "augment=ada"]
    with pytest.raises(
        ConfigError, match=f"augment: reads the signs .*objective={objective}.*augment.target=null"
    ):
        resolve(composed(*words))
    resolve(composed(*words, "augment.target=null", "augment.p=0.2"))


@pytest.mark.parametrize("objective", ["hinge", "least_squares"])
def test_ada_reads_logits_whose_zero_is_undecided(objective):
    resolve(composed("dataset=digits", f"objective={objective}", "augment=ada"))


def test_ada_p_survives_resume_bit_for_bit(run_cli, tmp_path):
    words = ["dataset=digits", "device=cpu", "model.width=4", "metric=none", "train.batch_size=16", "seed=3"]
    words += [
        "augment=ada",
        "augment.p=0.4",
        "augment.images=500",
        "train.sample_every=0",
        "train.log_every=1",
    ]
    words += ["optimizer.horizon=11", "train.checkpoint_every=0"]
    for name, first in (("whole", 11), ("halves", 6)):
        assert run_cli(*words, f"train.steps={first}", f"run.dir={tmp_path / name}")[0] == 0
    assert run_cli("resume", tmp_path / "halves", "train.steps=11")[0] == 0
    whole, halves = (
        load_file(tmp_path / name / "checkpoints/000011/tensors.safetensors") for name in ("whole", "halves")
    )
    assert whole.keys() == halves.keys()
    assert all(torch.equal(tensor, halves[name]) for name, tensor in whole.items())
    kept = whole["memory/augment/p"].item()
    rows = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    logged = [row["schedule/augment_p"] for row in rows if "schedule/augment_p" in row]
    assert logged[-1] == kept
    assert len(set(logged)) == 3  # two moves in eleven updates
