"""The balance of classes among samples, against that of the data."""

import math
from dataclasses import replace

import pytest
import torch
from run_of import run_of

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.metrics.class_balance import TAG, ClassBalance, class_kl
from gantrain.metrics.evaluation import Evaluation
from gantrain.metrics.suite import Suite
from gantrain.metrics.tools.floors import floors


def drawn(shares: list[float], n: int, seed: int) -> torch.Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.multinomial(torch.tensor(shares), n, replacement=True, generator=draws)


def evaluation(fake: torch.Tensor, real: torch.Tensor, classes: int = 2) -> Evaluation:
    x, n = torch.zeros(len(real), 1, 8, 8), len(fake)
    data = Data(Spec((1, 8, 8), classes), Split(x, real), Split(x, real), within=torch.arange(len(real)))
    return Evaluation(data, Suite(n=n), torch.device("cpu"), 0, substitute=(x[:n], fake))


def test_class_kl_is_that_of_the_histograms():
    fake, real = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 1, 1])
    p = (3.5 / 5, 1.5 / 5)
    expected = p[0] * math.log(p[0] / p[1]) + p[1] * math.log(p[1] / p[0])
    assert float(class_kl(fake, real, 2)) == pytest.approx(expected, rel=1e-12)
    assert float(class_kl(fake, fake.flip(0), 2)) == 0
    assert math.isfinite(class_kl(fake, real * 0, 3))


def test_class_balance_has_its_expected_value_and_its_error():
    """KL((0.8, 0.2), (0.5, 0.5)) = log 2 - H(0.2), and the spread of many readings."""
    expected = math.log(2) + 0.8 * math.log(0.8) + 0.2 * math.log(0.2)
    found = []
    for seed in range(60):
        scene = evaluation(drawn([0.8, 0.2], 500, seed), drawn([0.5, 0.5], 500, 1000 + seed))
        value, error = ClassBalance()(scene)[TAG], ClassBalance().errors(scene)[TAG]
        assert error.caveat == ""
        found.append((float(value), float(error)))
    values, errors = torch.tensor(found).T
    assert abs(values.mean() - expected) < 4 * values.std() / math.sqrt(60)
    assert errors.mean() / values.std() == pytest.approx(1, abs=0.25)


def test_class_balance_of_one_law_is_its_floor():
    real = drawn([0.2, 0.3, 0.5], 2000, 0)
    scene = evaluation(drawn([0.2, 0.3, 0.5], 500, 1), real, 3)
    floor = floors(ClassBalance(), scene)[TAG]
    assert floor == pytest.approx((3 - 1) / 500, rel=0.6)
    assert ClassBalance()(scene)[TAG] < floor + 4 * floor.error
    low, high = ClassBalance().errors(scene)[TAG].interval
    assert low == 0
    assert high > floor


def test_class_balance_needs_classes_and_labels_or_a_classifier():
    data = evaluation(drawn([1.0, 1.0], 50, 0), drawn([1.0, 1.0], 50, 1)).data
    run = replace(run_of(data), objective=None, conditional=False)
    assert "too few labelled pictures" in (ClassBalance().why_unsupported(run) or "")
    assert ClassBalance().why_unsupported(replace(run, conditional=True)) is None
    flat = replace(data, spec=Spec((1, 8, 8)))
    assert ClassBalance().why_unsupported(run_of(flat)) == "these data have no classes"
