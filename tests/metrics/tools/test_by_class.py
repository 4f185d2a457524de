"""Numbers of single classes: which rows are whose, and what becomes of classes that are too small."""

import math
from dataclasses import replace

import pytest
import torch
from labelled_points import heaps, labelled_scene
from run_of import run_of

from gantrain.core.estimate import Estimate
from gantrain.metrics.intra_frechet import IntraFrechet
from gantrain.metrics.intra_prdc import IntraPRDC
from gantrain.metrics.tools.by_class import mean_over_classes, rows_of_classes


def test_rows_are_those_of_the_class_on_both_sides():
    y, other = torch.arange(100) % 4, torch.arange(100).flip(0) // 25
    rows = rows_of_classes(y, other)
    assert len(rows) == 4
    for kind, (a, b) in enumerate(rows):
        assert set(y[a].tolist()) == set(other[b].tolist()) == {kind}
        assert len(a) == len(b) == 25
    assert rows_of_classes(torch.arange(100) % 10, torch.arange(100) % 10) == []  # of 10 samples each


def test_mean_over_classes_has_the_error_of_a_mean():
    mean = mean_over_classes([Estimate(1.0, 3.0, 30), Estimate(3.0, 4.0, 25, caveat="why")])
    assert (mean, mean.error, mean.n, mean.caveat) == (2.0, math.hypot(3, 4) / 2, 25, "why")


@pytest.mark.parametrize("metric", [IntraFrechet(), IntraPRDC()], ids=lambda metric: metric.name)
def test_small_classes_are_refused_or_left_out_by_name(metric):
    (x, y), fake = heaps(30, 3, 0), heaps(30, 3, 1)
    few = y != 2
    few[(y == 2).nonzero()[:19, 0]] = True
    scene = labelled_scene((x[few], y[few]), (fake[0][few], fake[1][few]))
    why = "class 2 has 19 held-out samples, of which 100% are compared, and its numbers need 20"
    assert metric.why_unsupported(run_of(scene.data, True)) == why
    spare = replace(run_of(scene.data, True), n=59)
    assert (
        metric.why_unsupported(spare)
        == "metric.n=59 is fewer than 20 samples of each class, as metric.n=60 is"
    )
    assert "not conditional" in metric.why_unsupported(run_of(scene.data, False))
    protocol = metric.protocol(scene)
    assert (protocol["classes"], protocol["n_per_class"]) == (2, 30)
    assert protocol["warning"].startswith("1 of 3 classes have fewer than 20 samples")
    whole = labelled_scene((x, y), fake)
    assert metric.why_unsupported(run_of(whole.data, True)) is None
    assert "warning" not in metric.protocol(whole)
    tiny = labelled_scene((x[:30], y[:30]), (fake[0][:30], fake[1][:30]))
    assert (metric(tiny), metric.errors(tiny)) == ({}, {})
