"""Samples of a side have the same numbers whether they are in memory as a whole or not."""

import pytest
import torch
from labelled_points import heaps

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.metrics import side as module
from gantrain.metrics.evaluation import Evaluation
from gantrain.metrics.side import Side, is_large, to_bytes
from gantrain.metrics.suite import Suite
from gantrain.registry import build
from gantrain.training.evaluate import compute

METRICS = ["frechet", "kernel", "prdc", "nearest", "sharpness", "per_condition", "ms_ssim", "intra_frechet"]


def pictures(n: int, seed: int) -> Split:
    """Return pictures of two classes as bytes."""
    points, y = heaps(n // 2, 2, seed, gap=1.0)
    noise = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return Split(
        to_bytes(torch.tanh(points[:, 1, None, None, None] + noise - 0.5 + y[:, None, None, None])), y
    )


def scene() -> Evaluation:
    data = Data(Spec((3, 8, 8), classes=2), pictures(240, 0), pictures(120, 1))
    fake = pictures(100, 2)
    return Evaluation(
        data,
        Suite(n=100),
        torch.device("cpu"),
        0,
        conditional=True,
        substitute=Side.of_split(fake, torch.arange(100), torch.device("cpu"), data.spec),
        feature_source=build("features", {"name": "random"}),
    )


def readings() -> tuple[dict[str, float], dict[str, float], bool]:
    evaluation = scene()
    result = compute([build("metric", {"name": name}) for name in METRICS], evaluation, final=True)
    return (
        result.metrics,
        {tag: float(floor) for tag, floor in result.floors.items()},
        evaluation.fakes.is_lazy,
    )


def test_lazy_sides_read_as_sides_in_memory(monkeypatch):
    values, floors, is_lazy = readings()
    assert not is_lazy
    monkeypatch.setattr(module, "WHOLE_BYTES", 1000)
    lazy_values, lazy_floors, is_lazy = readings()
    assert is_lazy
    assert lazy_values == pytest.approx(values, rel=1e-6)
    assert lazy_floors == pytest.approx(floors, rel=1e-6)
    assert len(values) > len(METRICS)


def test_large_images_are_lazy_and_points_are_not():
    assert is_large(1000, Spec((3, 256, 256)))
    assert not is_large(300, Spec((3, 256, 256)))
    assert not is_large(2000, Spec((1, 28, 28)))
    assert not is_large(10_000_000, Spec((2 * 10**4,)))


def test_bytes_are_rounded_and_clipped():
    x = torch.tensor([-1.5, -1.0, -1 + 0.6 / 127.5, 0.0, 1.0, 3.0])
    assert to_bytes(x).tolist() == [0, 0, 1, 128, 255, 255]
    side = Side.of(to_bytes(x)[:, None], None)
    assert side.is_lazy
    assert (side.x[:, 0] - x.clamp(-1, 1)).abs().max() <= 0.5 / 127.5 + 1e-6
    assert torch.cat([*side.parts(4)]).equal(side.x)


def test_reordered_sides_keep_samples_with_their_labels():
    x, y, order = torch.arange(6.0)[:, None], torch.arange(6), torch.tensor([4, 0, 3])
    for samples in (x, x.byte()):
        side = Side.of(samples, y).in_order(order)
        assert side.y is not None
        assert side.y.tolist() == order.tolist()
        assert side.x.equal(Side.of(samples, y).x[order])
        assert side.take(torch.tensor([2, 1])).equal(side.x[[2, 1]])
