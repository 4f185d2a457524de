"""The Frechet distance within classes sees what the distance of all samples does not."""

import pytest
import torch
from labelled_points import heaps, labelled_scene

from gantrain.metrics.frechet import Frechet
from gantrain.metrics.intra_frechet import IntraFrechet
from gantrain.metrics.tools.frechet_distance import frechet


def reading(real, fake):
    with torch.inference_mode():
        return IntraFrechet()(labelled_scene(real, fake))["divergence/intra_frechet"]


def test_intra_frechet_is_the_mean_of_the_distances_of_classes():
    real, fake = heaps(40, 3, 0), heaps(40, 3, 1, spread=1.5)
    expected = [frechet(*(side[0][side[1] == kind].double() for side in (real, fake))) for kind in range(3)]
    found = reading(real, fake)
    assert found == pytest.approx(sum(expected) / 3, rel=1e-12)
    assert found.n == 40
    scene = labelled_scene(real, fake)
    assert IntraFrechet().protocol(scene)["of_classes"] == pytest.approx(expected, rel=1e-12)


def test_intra_frechet_sees_classes_that_are_exchanged_or_alike():
    real, fake = heaps(300, 2, 0), heaps(300, 2, 1)
    exchanged = fake[0], 1 - fake[1]
    scene = labelled_scene(real, exchanged)
    with torch.inference_mode():
        assert Frechet()(scene)["divergence/frechet"] < 0.3
    assert reading(real, fake) < 0.1
    assert reading(real, exchanged) == pytest.approx(36, rel=0.1)  # the squared distance of their places
    collapsed = torch.where(fake[1][:, None] == 0, fake[0].new_tensor([0.0, 0.0]), fake[0]), fake[1]
    assert reading(real, collapsed) == pytest.approx(1, rel=0.15)  # the variance of one of two classes, 2 / 2


def test_intra_frechet_of_equal_samples_is_0():
    real = heaps(40, 2, 0)
    assert abs(reading(real, real)) < 1e-10
