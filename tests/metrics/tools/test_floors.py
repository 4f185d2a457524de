"""A floor is fresh real against fresh real, as many as the reading has, with the spread of one such reading."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.features.tools.classifier import predict, shared_classifier
from gantrain.features.tools.reserved import split_reserved_samples
from gantrain.metrics.base import Evaluation
from gantrain.metrics.frechet import Frechet, frechet
from gantrain.metrics.gan_test import GanTest
from gantrain.metrics.prdc import PRDC
from gantrain.metrics.suite import Suite
from gantrain.metrics.tools.errors import share_error
from gantrain.metrics.tools.floors import floors, real_against_real


@pytest.fixture(scope="module")
def digits() -> Data:
    return Digits().load(0)


def evaluation(data: Data, n: int, conditional: bool = False) -> Evaluation:
    cpu = torch.device("cpu")
    return Evaluation(data=data, suite=Suite(n=n), device=cpu, seed=0, conditional=conditional)


def points(train: int, held: int, d: int = 4, seed: int = 0) -> Data:
    draws = torch.Generator().manual_seed(seed)
    parts = (Split(torch.randn(n, d, generator=draws)) for n in (train, held))
    return Data(Spec((d,)), *parts)


def rows(x: Tensor) -> set[tuple[float, ...]]:
    return set(map(tuple, x.flatten(1).tolist()))


def test_reserved_samples_are_as_many_as_held_out_or_a_quarter(digits):
    for data, count in ((digits, 359), (points(100, 90), 25), (points(1000, 90), 90), (points(3, 2), 0)):
        fitted, reserved = split_reserved_samples(data)
        assert len(reserved) == count
        assert torch.equal(torch.cat([fitted, reserved]).sort().values, torch.arange(len(data.train)))
        assert torch.equal(split_reserved_samples(data)[1], reserved)


def test_stacked_images_share_channels_so_none_are_reserved(digits):
    stacks = replace(digits.train, rows=torch.randint(1000, (500, 3)))
    assert len(split_reserved_samples(replace(digits, train=stacks))[1]) == 0


@pytest.mark.parametrize("compares_real", [True, False])
def test_floor_sides_are_fresh_disjoint_and_as_large(digits, compares_real):
    held, (_, reserved) = digits.holdout.take(torch.arange(359))[0], split_reserved_samples(digits)
    fresh = rows(held) | rows(digits.train.take(reserved)[0])
    scene = evaluation(digits, 300)
    splits = list(real_against_real(scene, compares_real))
    assert len(splits) == 20
    for split in splits:
        (real, y), (fake, of_fake) = split.real, split.fake
        assert split.n == len(real) == len(y) == len(fake) == len(of_fake) == 300
        assert rows(real) | rows(fake) <= fresh
        assert not (compares_real and rows(real) & rows(fake))
    assert not torch.equal(splits[0].fake[0], splits[1].fake[0])


def test_floor_samples_keep_their_labels(digits):
    scene = evaluation(digits, 359)
    x = torch.cat([part.take(torch.arange(len(part)))[0] for part in (digits.train, digits.holdout)])
    y = torch.cat([digits.train.y, digits.holdout.y])
    known = dict(zip(map(tuple, x.flatten(1).tolist()), y.tolist(), strict=True))
    fake, labels = next(real_against_real(scene, False)).fake
    assert [known[row] for row in map(tuple, fake.flatten(1).tolist())] == labels.tolist()


def test_sides_of_a_conditional_floor_have_equal_labels(digits):
    for split in real_against_real(evaluation(digits, 300, conditional=True), True):
        assert torch.equal(split.real[1], split.fake[1])
        assert len(split.real[1]) == 300
    plain = next(real_against_real(evaluation(digits, 300), True))
    assert not torch.equal(plain.real[1].sort().values, plain.fake[1].sort().values)


def test_gan_test_floor_is_that_of_fresh_digits(digits):
    with torch.inference_mode():
        network = shared_classifier(digits)
        _, reserved = split_reserved_samples(digits)
        hits = [
            predict(network, x) == y
            for x, y in (digits.holdout.take(torch.arange(359)), digits.train.take(reserved))
        ]
        floor = floors(GanTest(), evaluation(digits, 359))["fidelity/gan_test"]
    truth = float(torch.cat(hits).double().mean())
    assert 0.98 < truth < 0.995
    assert floor == pytest.approx(truth, abs=0.004)
    assert floor.error == pytest.approx(share_error(truth, 359), rel=0.05)


def test_floor_mean_and_spread_are_those_of_independent_readings():
    tag = "divergence/frechet"
    draws = torch.Generator().manual_seed(1)
    truth = [frechet(*torch.randn(2, 300, 4, generator=draws).double()) for _ in range(200)]
    found = [floors(Frechet(), evaluation(points(1200, 300, seed=i), 300))[tag] for i in range(8)]
    mean, spread = statistics.fmean(truth), statistics.stdev(truth)
    assert statistics.fmean(found) == pytest.approx(mean, rel=0.15)
    assert statistics.fmean(floor.error for floor in found) == pytest.approx(spread, rel=0.25)
    assert {floor.n for floor in found} == {300}


def test_floor_of_too_few_fresh_samples_says_so():
    few = floors(Frechet(), evaluation(points(40, 100), 100))["divergence/frechet"]
    assert few.n == 55
    assert few.caveat == "only 55 fresh real samples a side"
    assert floors(Frechet(), evaluation(points(400, 100), 100))["divergence/frechet"].caveat == ""
    assert floors(Frechet(), evaluation(points(2, 2), 2)) == {}  # one sample a side


def test_splits_of_metrics_that_read_features_hold_no_samples(digits):
    scene = evaluation(digits, 100)
    with torch.inference_mode():
        for split in real_against_real(scene, True):
            PRDC()(split)
            assert not {"real", "fake"} & set(vars(split))
