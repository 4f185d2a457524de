from statistics import NormalDist

import pytest
import torch
from coverage import coverage

from gantrain.metrics.tools.accuracy import best_accuracy


def shifted(shift: float, n: int, generator: torch.Generator) -> list[torch.Tensor]:
    return [mean + torch.randn(n, generator=generator) for mean in (shift, 0.0)]


@pytest.mark.parametrize("n", [10, 300])
def test_accuracy_of_a_d_that_knows_nothing_is_a_half(n):
    generator, repetitions = torch.Generator().manual_seed(0), 800
    found = torch.tensor([float(best_accuracy(*shifted(0, n, generator))) for _ in range(repetitions)])
    assert found.mean() == pytest.approx(0.5, abs=3 * float(found.std()) / repetitions**0.5)
    assert found.min() < 0.5


def test_accuracy_does_not_depend_on_a_critics_offset():
    real, fake = shifted(1, 300, torch.Generator().manual_seed(0))
    expected = best_accuracy(real, fake)
    assert 0.64 < expected < 0.74  # 0.691
    for offset in (-40.0, 3.0):
        found = best_accuracy(real + offset, fake + offset)
        assert (found, found.error) == (pytest.approx(expected), pytest.approx(expected.error))


def test_accuracy_of_separate_equal_and_exchanged_logits():
    assert best_accuracy(torch.ones(5), torch.zeros(3)) == 1.0
    assert best_accuracy(torch.zeros(5), torch.zeros(3)) == 0.5
    assert best_accuracy(torch.zeros(5), torch.ones(3)) == 0.5
    assert (
        best_accuracy(torch.ones(1), torch.zeros(1)) == 0.5
    )  # there is no other sample to choose a threshold


def test_accuracy_of_batches_counts_batches():
    real, fake = (side.repeat_interleave(4) for side in shifted(1, 100, torch.Generator().manual_seed(0)))
    four = best_accuracy(real, fake, 4)
    assert (four.n, four.error) == (100, pytest.approx(best_accuracy(real[::4], fake[::4]).error, rel=0.1))


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 1000, 10_000])
@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0, 2.0, 4.0])
def test_accuracy_error_holds_or_has_a_caveat(shift, n):
    truth, repetitions = NormalDist().cdf(shift / 2), 800 if n < 10_000 else 300
    found = coverage(lambda generator: best_accuracy(*shifted(shift, n, generator)), truth, repetitions)
    print(shift, n, found)
    assert found.is_honest, found
