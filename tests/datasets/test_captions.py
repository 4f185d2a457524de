"""Pictures with words: the pixels say what the words say, and every caption is one that can be asked for."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from gantrain.datasets.captions import (
    COLOURS,
    FACTS,
    MAX_DARKENING,
    MAX_SHIFT,
    NAMES,
    PLACES,
    SHAPES,
    SIZES,
    VOCABULARY,
    Captions,
    caption,
    encode_flags,
    encode_words,
    parse_facts,
    render,
)
from gantrain.errors import ConfigError
from gantrain.registry import build

KINDS = torch.tensor(list(itertools.product(*(range(len(kind)) for kind in FACTS))))
STILL = torch.zeros(len(KINDS), 4)
SEVERAL = 5  # pictures of each kind
SIDES = ("upper", "lower", "left", "right")


def jittered(n: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(n, 4, generator=torch.Generator().manual_seed(seed)) - 1


@pytest.fixture(scope="module", params=[16, 24, 33])
def painted(request) -> tuple[Tensor, Tensor]:
    """Several pictures of every kind: facts [N, 4] and pixels [N, 3, side, side] in [0, 1]."""
    facts = KINDS.repeat(SEVERAL, 1)
    x = render(facts, jittered(len(facts)), request.param)
    assert x.dtype == torch.uint8
    assert x.shape == (len(facts), 3, request.param, request.param)
    return facts, x.float() / 255


def light(x: Tensor) -> Tensor:
    """How much of each pixel is covered, were the shape as bright as its brightest pixel, [N, H, W]."""
    bright = x.amax(1)
    return bright / bright.amax((1, 2), keepdim=True)


def middle(x: Tensor) -> Tensor:
    """The centroid of the light as x and y in picture sides from the upper left corner, [N, 2]."""
    covered, side = light(x), x.shape[-1]
    at = (torch.arange(side) + 0.5) / side
    total = covered.sum((1, 2))
    return torch.stack([(covered.sum(1) * at).sum(1) / total, (covered.sum(2) * at).sum(1) / total], 1)


def test_the_colour_of_the_light_is_the_colour_that_is_said(painted):
    facts, x = painted
    mean = torch.nn.functional.normalize(x.sum((2, 3)), dim=1)
    named = torch.nn.functional.normalize(torch.tensor(list(COLOURS.values())), dim=1)
    assert ((mean @ named.T).argmax(1) == facts[:, 1]).all()
    assert ((mean * named[facts[:, 1]]).sum(1) > 0.999).all()  # and no other hue: only brightness varies


def test_the_shape_lies_where_it_is_said(painted):
    facts, x = painted
    found = middle(x)
    wanted = torch.tensor(list(PLACES.values()))[facts[:, 3]]
    pixel = 1 / x.shape[-1]
    assert (found - wanted).abs().max() < MAX_SHIFT + pixel
    for number, place in enumerate(PLACES):
        off = found[facts[:, 3] == number] - 0.5
        for word in place.split():
            if word == "centre":
                assert off.abs().max() < 0.1
            else:
                sign = {"left": -off[:, 0], "right": off[:, 0], "upper": -off[:, 1], "lower": off[:, 1]}[word]
                assert (sign > 0.14).all()


def test_caption_sizes_do_not_overlap(painted):
    facts, x = painted
    area = light(x).mean((1, 2))
    for shape in range(len(SHAPES)):
        small, large = (area[(facts[:, 2] == shape) & (facts[:, 0] == size)] for size in (0, 1))
        assert small.min() > 0
        assert small.max() < 0.75 * large.min()


def test_no_shape_is_cut_by_the_edge():
    worst = torch.tensor(list(itertools.product([-1.0, 1.0], [-1.0, 1.0], [1.0], [1.0])))
    facts, jitter = KINDS.repeat_interleave(len(worst), 0), worst.repeat(len(KINDS), 1)
    x = render(facts, jitter, 100)
    edge = torch.cat([x[..., 0, :], x[..., -1, :], x[..., 0], x[..., -1]], -1)
    assert edge.max() == 0


def test_areas_are_those_of_the_shapes():
    """At a fine grid the light is the area: pi r^2, a square, an equilateral triangle, a cross of two bars."""
    x = render(KINDS, STILL, 128).float() / 255
    area = light(x).mean((1, 2)).double()
    r = torch.tensor(list(SIZES.values()), dtype=torch.float64)[KINDS[:, 0]]
    bars = 2 * (2.2 * 0.66) - 0.66**2
    unit = torch.tensor([math.pi, 1.8**2, 3 * math.sqrt(3) * 0.62**2, bars], dtype=torch.float64)
    expected = unit[KINDS[:, 2]] * r**2
    assert (area / expected - 1).abs().max() < 0.03


def test_shapes_are_told_apart_by_their_symmetries():
    """A quarter turn leaves all but the triangle as it was; the cross leaves its corners dark, the square does not."""
    facts = torch.tensor([parse_facts(f"large white {shape} centre") for shape in SHAPES])
    x = render(facts, torch.zeros(4, 4), 64)[:, 0].int()
    turned = (x - x.rot90(1, (1, 2))).abs().amax((1, 2))
    assert dict(zip(SHAPES, (turned < 8).tolist(), strict=True)) == {
        "circle": True, "square": True, "triangle": False, "cross": True,
    }  # fmt: skip
    assert (x == x.flip(2)).all()
    rows = (x[2] > 127).sum(1)
    lit = rows[rows > 0]
    assert (lit.diff() >= 0).all()  # a triangle stands on its side
    diagonal = round(64 * (0.5 + 0.2 * 0.8))
    assert [int(v) > 127 for v in x[:, diagonal, diagonal]] == [False, True, False, False]


def test_edges_are_soft_and_a_pixel_wide():
    x = render(KINDS, jittered(len(KINDS)), 32).float().amax(1)
    share = ((x > 0) & (x < 0.95 * x.amax((1, 2), keepdim=True))).float().mean((1, 2))
    assert (share > 0).all()
    assert (share < 0.12).all()


def test_a_picture_is_a_function_of_its_facts_and_jitter_alone():
    jitter = jittered(len(KINDS))
    whole = render(KINDS, jitter, 16)
    assert torch.equal(
        whole, torch.cat([render(KINDS[i : i + 1], jitter[i : i + 1], 16) for i in range(len(KINDS))])
    )
    for axis, jolt in enumerate(torch.eye(4)):
        moved = render(KINDS, STILL + jolt, 16)
        assert all(not torch.equal(a, b) for a, b in zip(moved, render(KINDS, STILL, 16), strict=True)), axis
    dimmest, brightest = (
        render(KINDS, STILL + torch.tensor([0, 0, 0, b]), 16).amax((1, 2, 3)) for b in (-1.0, 1.0)
    )
    assert (dimmest.float() / brightest.float() - (1 - MAX_DARKENING)).abs().max() < 0.01


# Words -----------------------------------------------------------------------------------------------------------


def test_facts_are_read_from_what_captions_say():
    assert parse_facts("small red circle upper left") == [0, 0, 0, 1]
    for facts in KINDS.tolist():
        plain = caption(facts, 3)  # without "a" and "in the"
        assert parse_facts(plain) == facts


@pytest.mark.parametrize("less", range(8))
def test_a_caption_says_its_facts_whatever_it_leaves_out(less):
    given = Captions().spec().condition
    rows = encode_words(KINDS, torch.full((len(KINDS),), less))
    assert rows.dtype == torch.int64
    for facts, row in zip(KINDS.tolist(), rows, strict=True):
        said = given.write(row).split()
        assert " ".join(said) == caption(facts, less)
        assert (said[0] == "a") != bool(less & 1)
        places = [word for word in said if word in {w for place in PLACES for w in place.split()}]
        assert " ".join(places) == list(PLACES)[facts[3]] or (not places and facts[3] == 0 and less & 4)
        assert ("in" in said) == ("the" in said) == (not less & 2 and bool(places))
        assert [w for w in said if w not in ("a", "in", "the", *places)] == [
            list(kind)[number] for kind, number in zip(FACTS[:3], facts[:3], strict=True)
        ]
        assert given.tensor([given.read(given.write(row))]).tolist() == [row.tolist()]


def test_no_two_kinds_share_a_caption_or_a_vector():
    rows = torch.stack([encode_words(KINDS, torch.full((len(KINDS),), less)) for less in range(8)], 1)
    meant: dict[tuple[int, ...], int] = {}
    for kind, captions in enumerate(rows.tolist()):
        for row in captions:
            assert meant.setdefault(tuple(row), kind) == kind
    assert len(torch.unique(encode_flags(KINDS), dim=0)) == len(KINDS) == 240


def test_a_vector_has_a_one_for_each_fact():
    for facts, row in zip(KINDS.tolist(), encode_flags(KINDS).tolist(), strict=True):
        ones = {name for name, number in zip(NAMES, row, strict=True) if number == 1}
        assert ones == set(caption(facts, 3).split())
        assert set(row) == {0.0, 1.0}


# The dataset -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("describe", ["words", "attributes"])
def test_data_are_drawn_by_the_seed_and_are_as_the_spec_says(describe):
    dataset = Captions(describe=describe, n=600, n_holdout=50, resolution=12)
    data, again, other = (dataset.load(seed) for seed in (0, 0, 1))
    assert data.spec == again.spec == dataset.spec()
    given = data.spec.condition
    assert data.spec.shape == (3, 12, 12)
    assert data.spec.classes == 0
    assert given.words == (describe == "words")
    assert given.names == (VOCABULARY if given.words else NAMES)
    for part, n in ((data.train, 600), (data.holdout, 50)):
        assert part.x.shape == (n, 3, 12, 12)
        assert part.x.dtype == torch.uint8
        assert part.y.shape == (n, given.width)
        assert torch.equal(given.tensor(part.y.tolist()), part.y)
    for name in ("x", "y"):
        assert torch.equal(getattr(data.train, name), getattr(again.train, name))
        assert not torch.equal(getattr(data.train, name), getattr(other.train, name))
    assert not torch.equal(data.train.x[:50], data.holdout.x)


def test_words_and_attributes_describe_the_same_pictures():
    words, flags = (Captions(describe=d, n=300, n_holdout=2).load(4) for d in ("words", "attributes"))
    assert torch.equal(words.train.x, flags.train.x)
    for row, flag in zip(words.train.y, flags.train.y, strict=True):
        said = set(words.spec.condition.write(row).split()) - {"a", "in", "the"}
        assert said | ({"centre"} if flag[NAMES.index("centre")] else set()) == {
            name for name, number in zip(NAMES, flag, strict=True) if number
        }


def test_a_picture_shows_what_its_own_caption_says():
    """Rows of x and y belong together: each picture is nearest to the still one of the facts in its caption."""
    data = Captions(n=400, n_holdout=2, resolution=24).load(0)
    still = render(KINDS, STILL, 24).float().flatten(1)
    still = still / still.norm(dim=1, keepdim=True)
    x = data.train.x.float().flatten(1)
    kind_of = {tuple(sorted(caption(k, 3).split())): i for i, k in enumerate(KINDS.tolist())}
    right = []
    for pixels, row in zip(x, data.train.y, strict=True):
        said = [w for w in data.spec.condition.write(row).split() if w not in ("a", "in", "the")]
        said += ["centre"] if len(said) == 3 else []
        right.append(int((still @ pixels).argmax()) == kind_of[tuple(sorted(said))])
    assert sum(right) / len(right) > 0.95  # a still picture is no perfect judge of a moved one


def test_caption_facts_and_lengths_are_drawn_equally_often():
    data = Captions(n=24_000, n_holdout=2, resolution=8).load(0)
    counts = torch.stack([(data.train.y == 1 + i).any(1).sum() for i in range(len(VOCABULARY))]) / 24_000
    share = dict(zip(VOCABULARY, counts.tolist(), strict=True))
    for kind in FACTS[:3]:
        for word in kind:
            assert share[word] == pytest.approx(1 / len(kind), abs=0.02)
    assert share["a"] == pytest.approx(0.5, abs=0.02)
    assert share["centre"] == pytest.approx(0.1, abs=0.02)  # said by half of a fifth
    assert share["in"] == share["the"] == pytest.approx(0.45, abs=0.02)
    assert all(share[word] == pytest.approx(0.4, abs=0.02) for word in SIDES)
    assert set((data.train.y > 0).sum(1).tolist()) == {3, 4, 5, 6, 7, 8}


@pytest.mark.parametrize("describe", ["words", "attributes"])
def test_what_is_shown_differs_and_covers_every_word(describe):
    spec = Captions(describe=describe).spec()
    rows = spec.conditions()
    assert 8 <= len(rows) <= 10
    assert len(torch.unique(rows, dim=0)) == len(rows)
    if spec.condition.words:
        assert set(" ".join(spec.condition.write(row) for row in rows).split()) == set(VOCABULARY)
    else:
        assert (rows.sum(0) > 0).all()


def test_it_is_registered_and_refuses_what_it_cannot_describe():
    assert build("dataset", {"name": "captions"}) == Captions()
    with pytest.raises(ConfigError, match=r"^dataset\.describe: 'prose'"):
        build("dataset", {"name": "captions", "describe": "prose"})


@pytest.mark.parametrize(
    "words",
    [
        ["objective=conditional"],
        ["model.condition=none"],
        ["dataset.describe=attributes", "objective=conditional"],
    ],
)
def test_it_trains_and_is_sampled_by_caption(words, run_cli, tmp_path):
    small = [
        "dataset.n=40",
        "dataset.n_holdout=20",
        "dataset.resolution=8",
        "model.width=4",
        "metric=none",
    ]
    code, _, err = run_cli("dataset=captions", *words, *small, "debug=tiny", "train.steps=2", "run.dir=run")
    assert code == 0, err
    text = "large red circle" if "dataset.describe=attributes" not in words else ",".join(["1"] * len(NAMES))
    code, _, err = run_cli("sample", "run", f"condition={text}", "n=4", "out=four.npz")
    if "model.condition=none" in words:
        assert code == 2
        assert "not conditional" in err
    else:
        assert code == 0, err
        assert (tmp_path / "four.npz").is_file()
