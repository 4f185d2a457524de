"""GAN-train and GAN-test tell a lack of variety from samples of a wrong class."""

import pytest
import torch
from labelled_points import heaps, labelled_scene

from gantrain.features.tools import classifier
from gantrain.metrics.gan_test import GanTest
from gantrain.metrics.gan_train import GanTrain


@pytest.fixture(autouse=True)
def short(monkeypatch, tmp_path):
    """Training that takes a moment, in a cache of its own."""
    monkeypatch.setattr(classifier, "STEPS", 200)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def two_heaps(n, seed):
    """Return n points of each of three classes, half of them in a second row, in another order of classes."""
    x, y = heaps(n, 3, seed, gap=4.0)
    is_second = torch.arange(len(y)) % 2 == 1
    x[:, 0] += torch.where(is_second, 4.0 * ((y + 1) % 3 - y), 0.0)
    x[:, 1] += 8.0 * is_second
    return x, y


def readings(fake, draw=lambda n, seed: heaps(n, 3, seed, gap=4.0)):
    scene = labelled_scene(draw(60, 0), fake, draw(200, 2))
    with torch.inference_mode():
        return GanTrain()(scene)["diversity/gan_train"], GanTest()(scene)["fidelity/gan_test"], scene


def test_gan_train_of_data_is_near_its_floor():
    train, test, scene = readings(heaps(60, 3, 1, gap=4.0))
    with torch.inference_mode():
        floor = GanTrain().known_floors(scene)["diversity/gan_train"]
        error = GanTrain().errors(scene)["diversity/gan_train"]
    assert min(train, test, floor) > 0.92
    assert abs(train - floor) < 2 * floor.error + 0.01
    assert 0.008 < error < 0.05  # binomial alone is 0.013
    assert train.n == 180


def test_gan_train_falls_with_variety_and_gan_test_does_not():
    train, test, _ = readings(two_heaps(60, 1), two_heaps)
    assert min(train, test) > 0.9
    x, y = two_heaps(120, 1)
    first = x[:, 1] < 4  # one of two heaps of each class is missing
    train, test, _ = readings((x[first], y[first]), two_heaps)
    assert test > 0.9
    assert train < 0.85


def test_labels_without_meaning_leave_both_at_chance():
    x, y = heaps(60, 3, 1, gap=4.0)
    train, test, _ = readings((x, y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))]))
    assert abs(test - 1 / 3) < 0.12
    assert train < 0.85
