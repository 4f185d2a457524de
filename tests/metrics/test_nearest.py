"""Copies of training data are at 0, new data at 1, and no rounding hides the difference."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.datasets.gaussians import Ring
from gantrain.features.random import Random
from gantrain.metrics import nearest as module
from gantrain.metrics.base import Evaluation
from gantrain.metrics.nearest import Nearest, nearest
from gantrain.metrics.side import Side
from gantrain.metrics.suite import Suite
from gantrain.registry import build

TAG = "fidelity/nearest_distance"


def draw(n: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


def evaluation(data: Data, fake: Tensor, n: int, features: str = "auto") -> Evaluation:
    source = build("features", {"name": features})
    sides = {"substitute": (fake, None), "feature_source": source}
    return Evaluation(data=data, suite=Suite(n=n), device=torch.device("cpu"), seed=0, **sides)


def read(data: Data, fake: Tensor, n: int = 300, features: str = "auto") -> float:
    with torch.inference_mode():
        return Nearest()(evaluation(data, fake, n, features))[TAG]


@pytest.fixture(scope="module")
def digits() -> Data:
    return Digits().load(0)


@pytest.fixture(scope="module")
def ring() -> Data:
    return Ring(n=3000, n_holdout=400).load(0)


SPACES = [("digits", "auto"), ("digits", "pixels"), ("digits", "random"), ("ring", "auto")]


@pytest.mark.parametrize(("name", "features"), SPACES)
def test_copies_read_0_and_new_data_1(name, features, request):
    data = request.getfixturevalue(name)
    assert read(data, data.train.take(torch.arange(300))[0], features=features) == 0
    with torch.inference_mode():
        held = evaluation(data, torch.empty(0), 300).real[0]
    assert read(data, held, features=features) == 1
    others = data.holdout.take(torch.arange(len(data.holdout)))[0]
    assert 0.8 < read(data, others, features=features) < 1.25


def test_near_copies_read_as_near_as_they_are(digits):
    x, _ = digits.train.take(torch.arange(300))
    noise = draw(300, 1, 8, 8)
    noise /= noise.flatten(1).norm(dim=1)[:, None, None, None]
    with torch.inference_mode():
        known = Nearest().holdout_distance(evaluation(digits, x, 300, "pixels"))
    for size in (1e-3, 0.1):
        found = read(digits, x + size * noise, features="pixels")
        assert found == pytest.approx(size / known, rel=1e-3)


@pytest.mark.parametrize("features", ["classifier", "pixels", "random"])
def test_nearest_of_averages_is_below_1_and_of_noise_above(digits, features):
    train = digits.train.take(torch.arange(len(digits.train)))[0]
    with torch.inference_mode():
        held = evaluation(digits, torch.empty(0), 300).real[0]
    near = torch.cdist(held.flatten(1), train.flatten(1)).topk(3, largest=False).indices
    assert 0.3 < read(digits, (held + train[near[:, 0]]) / 2, features=features) < 0.75
    assert read(digits, train[near].mean(1), features=features) < 0.8
    assert read(digits, train[:300] + 0.1 * draw(300, 1, 8, 8), features=features) < 0.5
    assert read(digits, draw(300, 1, 8, 8), features=features) > 1.5


def test_nearest_keeps_the_features_of_as_many_samples_as_fit(digits, monkeypatch):
    monkeypatch.setattr(module, "FEATURE_BYTES", 4 * 128 * 700)
    metric, x = Nearest(), digits.train.take(torch.arange(300))[0]
    scene = evaluation(digits, x, 300)
    with torch.inference_mode():
        protocol, space = metric.protocol(scene), metric.space(scene)
        assert (protocol["train"], protocol["nearest_by"]) == (700, "features")
        copies = digits.train.take(space.index[:300])[0]
        assert float(space.distances(scene, Side.of(copies, None)).max()) == 0
        others = torch.cdist(scene.features(x), space.rows.x.double()).min(1).values
        torch.testing.assert_close(space.distances(scene, Side.of(x, None)), others, rtol=1e-5, atol=1e-5)


def test_nearest_by_a_published_network_is_found_by_pixels(digits, monkeypatch):
    """Its features of all training samples would take long; copies are at 0 and held-out data at 1 even so."""
    monkeypatch.setattr(Random, "is_published", True)
    x, _ = digits.train.take(torch.arange(300))
    scene = evaluation(digits, x, 300, "random")
    with torch.inference_mode():
        assert Nearest().protocol(scene)["nearest_by"] == "pixels"
    assert read(digits, x, features="random") == 0
    assert read(digits, draw(300, 1, 8, 8), features="random") > 1.5


@pytest.mark.parametrize("shape", [(1,), (2,), (30,), (3, 5, 4)])
@pytest.mark.parametrize("size", [1, 30_000, 10**9])
def test_it_is_the_least_of_all_distances_however_they_are_cut(shape, size, monkeypatch):
    monkeypatch.setattr(module, "BYTES", size)
    x, train = draw(50, *shape), draw(210, *shape, seed=1)
    every = (x.flatten(1)[:, None] - train.flatten(1)).double().norm(dim=2)
    torch.testing.assert_close(nearest(x, Split(train))[0], every.min(1).values, rtol=1e-6, atol=0)


@pytest.mark.parametrize("d", [1, 2, 8])
def test_nearest_by_tree_is_that_by_product(d):
    train, x = Split(torch.cat([draw(3000, d), torch.zeros(500, d)])), draw(400, d, seed=1).double()
    assert torch.equal(module.by_tree(x, train), module.by_product(x, train))
    x[7] = torch.nan
    assert nearest(x, train)[0].isnan().nonzero().flatten().tolist() == [7]


def test_nearest_far_from_the_origin_is_exact():
    train = 1000 + draw(500, 2)
    x = torch.cat([train[:20], train[20:40] + torch.tensor([2**-10, 0.0])])
    every = torch.cdist(x.double(), train.double(), compute_mode="donot_use_mm_for_euclid_dist")
    found = nearest(x, Split(train))[0]
    assert (found[:20] == 0).all()
    assert (found[20:] > 0).all()
    torch.testing.assert_close(found, every.min(1).values, rtol=1e-9, atol=0)


def test_bytes_are_read_as_the_networks_see_them():
    train = torch.arange(200, dtype=torch.uint8).reshape(50, 1, 2, 2)
    x, _ = Split(train).take(torch.arange(50))
    assert (nearest(x, Split(train))[0] == 0).all()
    off = x.clone()
    off[:, 0, 0, 0] += 1 / 127.5
    torch.testing.assert_close(
        nearest(off, Split(train))[0], torch.full((50,), 1 / 127.5).double(), rtol=1e-4, atol=0
    )


def test_the_unit_of_the_data_does_not_matter(ring):
    def times(s: float) -> Data:
        return Data(ring.spec, Split(s * ring.train.x), Split(s * ring.holdout.x))

    fake = draw(300, 2)
    assert read(times(8.0), 8 * fake) == pytest.approx(read(ring, fake), rel=1e-6)


def test_nearest_without_holdout_distance_has_no_value():
    x = draw(40, 2)
    data = Data(Spec((2,)), Split(x), Split(torch.cat([x[:15], draw(5, 2, seed=1)])))
    metric = Nearest()
    with torch.inference_mode():
        scene = evaluation(data, draw(20, 2, seed=2), 20)
        assert metric(scene) == {}
        assert metric.protocol(scene)["holdout_distance"] == 0


def test_the_holdout_distance_is_that_of_the_data_at_hand(digits, ring):
    """One object reads several data, n and seeds as fresh ones would."""
    metric = Nearest()
    with torch.inference_mode():
        for data, n in ((digits, 300), (ring, 300), (ring, 50), (digits, 50), (digits, 300)):
            scene = evaluation(data, data.holdout.take(torch.arange(n))[0], n)
            assert metric(scene) == Nearest()(scene)
            assert metric.protocol(scene) == Nearest().protocol(scene)
            assert metric.protocol(scene)["train"] == len(data.train)


def test_nearest_floor_is_1_with_the_spread_of_new_data(ring):
    floor = Nearest().known_floors(evaluation(ring, torch.empty(0), 200))[TAG]
    others = Ring(n=2, n_holdout=200 * 100).load(1).holdout.x
    distances = nearest(others, ring.train)[0].reshape(100, 200).median(1).values
    spread = float((distances[:50] / distances[50:]).std())
    assert floor == 1
    assert floor.n == 200
    assert floor.error == pytest.approx(spread, rel=0.35)


def test_nearest_takes_chunks_of_bytes_of_large_images(monkeypatch):
    train = Split(torch.randint(256, (60, 3, 64, 64), dtype=torch.uint8))
    sizes = []
    take = Split.take
    monkeypatch.setattr(
        Split, "take", lambda part, index, *a: sizes.append(len(index)) or take(part, index, *a)
    )
    monkeypatch.setattr(module, "BYTES", 10 * 8 * 3 * 64 * 64)
    distance, index = nearest(train.x[:2] / 127.5 - 1, train)
    assert distance.tolist() == [0, 0]
    assert index.tolist() == [0, 1]
    assert max(sizes) == 9  # and the images themselves: 10,000 of 256x256 took 15.7 GB


def test_data_that_hold_nothing_out_are_compared_with_the_others():
    x, within = draw(90, 1, 4, 4), torch.arange(0, 90, 2)
    data = Data(Spec((1, 4, 4)), Split(x), Split(x[within]), within=within)
    scene = evaluation(data, x[within], 45)
    gaps = torch.cdist(x.flatten(1).double(), x.flatten(1).double()).fill_diagonal_(torch.inf)
    expected = gaps[within].min(1).values.median()
    with torch.inference_mode():
        assert Nearest().holdout_distance(scene) == pytest.approx(float(expected), rel=1e-6)
        assert Nearest()(scene)[TAG] == 0  # copies


@pytest.mark.parametrize("share", [1, 0.5])
def test_no_picture_is_its_own_nearest_in_features(monkeypatch, share):
    """Also where fewer training samples are searched than there are."""
    x, within = draw(90, 1, 8, 8).clamp(-1, 1), torch.arange(0, 90, 2)
    data = Data(Spec((1, 8, 8)), Split(x), Split(x[within]), within=within)
    scene = evaluation(data, x[within], 45, "random")
    monkeypatch.setattr(module, "FEATURE_BYTES", int(share * 90 * 4 * scene.extractor.dimension))
    with torch.inference_mode():
        assert Nearest().holdout_distances(scene).min() > 0
        copies = Nearest()(scene)[TAG] if share == 1 else 0
    assert copies == pytest.approx(0, abs=1e-6)
