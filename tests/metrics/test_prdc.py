"""Precision, recall, density and coverage are those of the reference package, and read what theory says of P = Q."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from sklearn.datasets import load_digits

from gantrain.metrics.prdc import prdc
from gantrain.metrics.tools import pair_distances as module
from gantrain.metrics.tools.neighbour_balls import Balls, prdc_of_parts


def normal(n: int, d: int, seed: int, mean: float = 0.0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + mean


def reference(real: torch.Tensor, fake: torch.Tensor, k: int) -> dict[str, float]:
    values = compute_prdc(real.flatten(1).double().numpy(), fake.flatten(1).double().numpy(), nearest_k=k)
    return {name: float(value) for name, value in values.items()}


# Squares of whole numbers are exact in float64, so that ties are ties in the reference's arithmetic too.
DIGITS = torch.from_numpy(load_digits().data[:400])
LATTICE = torch.cartesian_prod(*[torch.arange(6.0)] * 2).double()
DATA = {
    "equal distributions": (normal(150, 8, 0), normal(120, 8, 1)),
    "shifted": (normal(80, 3, 2), normal(150, 3, 3, mean=1.0)),
    "far apart": (normal(50, 4, 4), normal(60, 4, 5, mean=100.0)),
    "one dimension": (normal(90, 1, 6), normal(91, 1, 7)),
    "narrow inside wide": (normal(100, 2, 8), normal(100, 2, 9) * 0.05),
    "real digits": (DIGITS[:150], DIGITS[150:]),
    "copies of the data": (DIGITS[:150], DIGITS[:150]),
    "copies of half the data": (DIGITS[:150], DIGITS[:75]),
    "one sample repeated": (DIGITS[:60], DIGITS[7].repeat(40, 1)),
    "data with duplicates": (DIGITS[:40].repeat(3, 1), DIGITS[20:90]),
    "all equal": (torch.ones(20, 3), torch.ones(15, 3)),
    "ties everywhere": (LATTICE, LATTICE + torch.tensor([1.0, 0.0])),
    "a lattice and itself twice": (LATTICE, LATTICE.repeat(2, 1)),
}


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("case", DATA)
def test_the_numbers_are_those_of_the_reference_package(case, k, capsys):
    real, fake = DATA[case]
    assert prdc(real, fake, k) == pytest.approx(reference(real, fake, k), rel=1e-12, abs=0)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("case", ["equal distributions", "one dimension", "narrow inside wide"])
def test_parts_read_from_lists_what_they_read_alone(case, count):
    n = min(map(len, DATA[case])) // 4 * 4
    real, fake = (side[:n].double() for side in DATA[case])
    parts = torch.randperm(n, generator=torch.Generator().manual_seed(0)).view(count, -1)
    balls = Balls.of(real, fake, 3), Balls.of(fake, real, 3)
    found = prdc_of_parts(*balls, torch.stack([parts.flip(0), parts]), 3)
    for i, part in enumerate(parts):
        alone = prdc(real[part], fake[part], 3)
        assert {name: float(value[1, i]) for name, value in found.items()} == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("rows", [1, 7, 149, 150, 151])
def test_how_many_rows_are_held_at_a_time_does_not_matter(rows, monkeypatch):
    real, fake = DATA["real digits"]
    whole = prdc(real, fake, 5)
    monkeypatch.setattr(module, "ROWS", rows)
    assert prdc(real, fake, 5) == whole


def test_prdc_of_float32_images_equals_float64():
    real, fake = DATA["real digits"]
    images = [(x.float() / 8 - 1).reshape(-1, 1, 8, 8) for x in (real, fake)]
    assert prdc(*images, 5) == prdc(*DATA["real digits"], 5)


def test_precision_and_recall_change_places_with_their_arguments():
    real, fake = DATA["shifted"]
    there, back = prdc(real, fake, 3), prdc(fake, real, 3)
    assert there["precision"] == back["recall"] != there["recall"] == back["precision"]


@pytest.mark.parametrize("case", ["equal distributions", "shifted", "narrow inside wide"])
def test_order_place_and_orientation_do_not_matter(case):
    real, fake = DATA[case]
    values = prdc(real, fake, 4)
    draws = torch.Generator().manual_seed(0)
    shuffled = [x[torch.randperm(len(x), generator=draws)] for x in (real, fake)]
    assert prdc(*shuffled, 4) == values
    d = real.shape[1]
    rotation, _ = torch.linalg.qr(torch.randn(d, d, generator=draws, dtype=torch.float64))
    shift = torch.randn(d, generator=draws, dtype=torch.float64)
    assert prdc(real @ rotation, fake @ rotation, 4) == values
    assert prdc(real + shift, fake + shift, 4) == values
    assert prdc(real * 4, fake * 4, 4) == values
    assert prdc(real, fake + 0.5, 4) != values


def test_closed_forms():
    real, fake = DATA["far apart"]
    assert prdc(real, fake, 5) == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}
    assert prdc(real, real, 5) == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}  # balls are open
    collapsed = prdc(DIGITS[:60], DIGITS[7].repeat(40, 1), 5)
    assert collapsed["precision"] == 1
    assert collapsed["recall"] == 0  # a radius of 0 holds nothing
    assert collapsed["coverage"] < 0.5


@pytest.mark.parametrize(("n", "m", "k", "d"), [(60, 60, 5, 3), (40, 90, 3, 8), (90, 30, 1, 2)])
def test_prdc_of_equal_distributions_is_that_of_theory(n, m, k, d):
    """E[density] = 1, E[coverage] = 1 - prod_{i=1..k} (N-i)/(N+M-i) for any continuous P = Q (Naeem et al. 2020)."""
    reads = [prdc(normal(n, d, 2 * seed), normal(m, d, 2 * seed + 1), k) for seed in range(400)]
    expected = {"density": 1.0, "coverage": 1 - math.prod((n - i) / (n + m - i) for i in range(1, k + 1))}
    for name, mean in expected.items():
        values = np.array([read[name] for read in reads])
        error = values.std(ddof=1) / math.sqrt(len(values))
        assert error < 0.01
        assert abs(values.mean() - mean) < 4 * error, name
