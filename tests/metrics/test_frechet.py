"""The Frechet distance is that of the fitted Gaussians, and is read on no more dimensions than samples can carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.metrics.base import Evaluation, RunSpec
from gantrain.metrics.frechet import Frechet, frechet, principal_axes
from gantrain.metrics.suite import Suite


def draw(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def evaluation(data: Data, fake: Tensor, n: int) -> Evaluation:
    cpu = torch.device("cpu")
    return Evaluation(data=data, suite=Suite(n=n), device=cpu, seed=0, substitute=(fake, None))


@pytest.fixture(scope="module")
def digits() -> Data:
    return Digits().load(0)


def without_labels(data: Data) -> Data:
    return Data(Spec(data.spec.shape), Split(data.train.x), Split(data.holdout.x))


@pytest.mark.parametrize(
    ("n", "d", "dims"), [(90, 30, 7), (30, 90, 7), (30, 90, 29), (40, 40, 40), (30, 90, 30)]
)
def test_components_are_orthonormal_and_hold_the_most_variance(n, d, dims):
    x = draw(n, d, 0) * torch.linspace(1, 5, d, dtype=torch.float64) + 10
    axes = principal_axes(x, dims)
    assert axes.shape == (d, dims)
    torch.testing.assert_close(axes.T @ axes, torch.eye(dims, dtype=torch.float64), atol=1e-9, rtol=0)
    held = float((x @ axes).var(0, correction=0).sum())
    spectrum = np.linalg.svd((x - x.mean(0)).numpy(), compute_uv=False) ** 2 / n
    assert held == pytest.approx(spectrum[:dims].sum(), rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(50, 20), (20, 50)])
def test_components_of_data_without_spread_are_orthonormal_too(n, d):
    axes = principal_axes(torch.ones(n, d, dtype=torch.float64), 5)
    torch.testing.assert_close(axes.T @ axes, torch.eye(5, dtype=torch.float64), atol=1e-9, rtol=0)


def test_leaving_dimensions_out_never_adds_distance():
    a, b = draw(400, 30, 0) * torch.linspace(1, 3, 30), 0.5 + draw(400, 30, 1)
    values = [frechet(a @ principal_axes(a, dims), b @ principal_axes(a, dims)) for dims in (1, 5, 20, 30)]
    assert values == sorted(values)
    assert values[0] < values[2] < values[3]
    assert values[3] == pytest.approx(frechet(a, b), rel=1e-9)


def test_dimensions_follow_the_rule_and_the_protocol_tells_them(digits):
    plain = without_labels(digits)
    points = Split(draw(400, 2, 0).float())
    rows = [(digits, 300, 128, 60), (digits, 359, 128, 64), (digits, 40, 128, 8), (plain, 300, 64, 60)]
    rows += [(plain, 359, 64, 64), (Data(Spec((2,), 3), points, points), 300, 2, 2)]
    rows += [(Data(Spec((2,)), points, points), 3, 2, 1)]
    names = []
    for data, n, features_d, dims in rows:
        with torch.inference_mode():
            protocol = Frechet().protocol(evaluation(data, data.train.take(torch.arange(n))[0], n))
        assert (protocol["features_dimension"], protocol["dims"], protocol["n"]) == (features_d, dims, n)
        assert protocol["split"] == "holdout"
        names.append(protocol["features"])
    assert names == ["classifier"] * 3 + ["pixels"] * 2 + ["coordinates"] * 2


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("n", [2, 3, 60, 300])
def test_frechet_of_data_is_0_and_of_noise_more(digits, labelled, n):
    data = digits if labelled else without_labels(digits)
    with torch.inference_mode():
        held = evaluation(data, torch.empty(0), n).real[0]
        same, new, noise = (
            Frechet()(evaluation(data, x, n))["divergence/frechet"]
            for x in (held, data.train.take(torch.arange(n))[0], draw(n, 64, 0).reshape(n, 1, 8, 8).float())
        )
        scale = float(evaluation(data, held, n).features(held).var(0).sum())
    assert abs(same) < 1e-6 * scale
    if n >= 60:
        assert 0 < new < noise / 2


def test_few_samples_in_many_dimensions_read_a_finite_number():
    x = draw(70, 300, 0).float().reshape(70, 3, 10, 10)
    data = Data(Spec((3, 10, 10)), Split(x), Split(x[:40]))
    with torch.inference_mode():
        value = Frechet()(replace(evaluation(data, x[30:], 40), seed=3))["divergence/frechet"]
    assert 0 < value < 300


def test_too_few_samples_without_projection_are_refused():
    runs = {n: RunSpec(Spec((2, 3, 4)), n=n) for n in (24, 25)}
    assert Frechet().why_unsupported(runs[24]) is None
    reason = Frechet(dims=None).why_unsupported(runs[24])
    assert reason == (
        "24 features take more than 24 samples a side, and there are 24: give more as metric.n, "
        "or metric.frechet.dims=64 for a projection"
    )
    assert Frechet(dims=None).why_unsupported(runs[25]) is None


def test_dims_are_those_of_the_key(digits):
    plain = without_labels(digits)
    scene = evaluation(plain, draw(100, 64, 0).view(100, 1, 8, 8), 100)
    for dims, expected in ((None, 64), (3, 3), (64, 20)):
        metric = Frechet(dims=dims)
        assert metric.protocol(scene)["dims"] == expected
        assert metric.projections(scene)[0].shape == (100, expected)


@pytest.mark.parametrize(("dims", "n", "has_infinite"), [(64, 40, True), (None, 40, True), (None, 39, False)])
def test_value_at_infinite_n_takes_five_samples_a_dimension(dims, n, has_infinite):
    data = Data(Spec((8,)), Split(draw(300, 8, 0).float()), Split(draw(n, 8, 1).float()))
    metric, scene = Frechet(dims=dims), evaluation(data, draw(n, 8, 2).float(), n)
    assert ("divergence/frechet_infinite" in metric(scene)) == has_infinite
    assert len(metric.expected_tags(RunSpec(data.spec, n=n))) == 1 + has_infinite
    assert set(metric.errors(scene)) == set(metric(scene))
