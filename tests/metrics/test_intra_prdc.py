"""Density and coverage within classes, and a class that collapsed."""

import pytest
import torch
from labelled_points import heaps, labelled_scene

from gantrain.metrics.intra_prdc import IntraPRDC
from gantrain.metrics.prdc import PRDC, prdc


def test_intra_prdc_is_the_mean_over_classes():
    real, fake = heaps(40, 3, 0), heaps(40, 3, 1, spread=1.5)
    expected = [prdc(*(side[0][side[1] == kind] for side in (real, fake)), 5) for kind in range(3)]
    scene = labelled_scene(real, fake)
    with torch.inference_mode():
        found, protocol = IntraPRDC()(scene), IntraPRDC().protocol(scene)
    assert found["diversity/intra_coverage"] == pytest.approx(sum(e["coverage"] for e in expected) / 3)
    assert found["fidelity/intra_density"] == pytest.approx(sum(e["density"] for e in expected) / 3)
    assert protocol["coverage_of_classes"] == [e["coverage"] for e in expected]
    assert protocol["density_of_classes"] == [e["density"] for e in expected]


def test_intra_prdc_names_the_class_whose_samples_are_of_another():
    real, fake = heaps(60, 3, 0), heaps(60, 3, 1)
    x = fake[0].clone()
    x[fake[1] == 2] -= torch.tensor([6.0, 0.0])  # samples of class 2 that are of class 1
    scene = labelled_scene(real, (x, fake[1]))
    with torch.inference_mode():
        of_classes = IntraPRDC().protocol(scene)["coverage_of_classes"]
        precision = PRDC()(scene)["fidelity/precision"]
    assert min(of_classes[:2]) > 0.9
    assert of_classes[2] < 0.1
    assert precision > 0.9  # each sample is near some real one
