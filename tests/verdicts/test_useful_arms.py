"""What the classifiers of `gantrain useful` are trained on, and what their gains mean."""

import numpy as np
import pytest
import torch

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.features.tools import classifier
from gantrain.verdicts.useful import arms
from gantrain.verdicts.useful.arms import AUGMENTED, BOTH, REAL, SYNTHETIC, Source, arms_for, flip_and_shift
from gantrain.verdicts.useful.compare import Case, compare_arms
from gantrain.verdicts.useful.gains import mean_interval
from gantrain.verdicts.useful.verdict import verdict

POINTS = Spec((2,), 3)


def heaps(n: int, seed: int, is_labelled_right: bool = True) -> Split:
    """Return n points of three overlapping heaps in the plane, and which heap each is of, or another."""
    draws = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (n,), generator=draws)
    angle = y * 2 * torch.pi / 3
    x = torch.stack([angle.cos(), angle.sin()], 1) + 0.7 * torch.randn(n, 2, generator=draws)
    return Split(x, y if is_labelled_right else (y + 1) % 3)


def test_source_draws_every_class_as_often_and_each_row_of_it():
    y = torch.tensor([0] * 90 + [2] * 10)
    source = Source(Split(torch.arange(100.0)[:, None], y), torch.arange(5, 100))
    places = source.draw(40_000, torch.Generator().manual_seed(0))
    x, labels = source.take(places)
    assert (y[x[:, 0].long()] == labels).all()
    assert abs((labels == 2).double().mean() - 0.5) < 0.01  # 4 standard errors
    counts = x[:, 0].long().bincount(minlength=100)
    assert not counts[:5].any()
    for of_class, expected in ((counts[5:90], 20_000 / 85), (counts[90:], 2000)):
        chi = ((of_class - expected) ** 2 / expected).sum() / len(of_class)
        assert 0.5 < chi < 2.0


def test_pictures_shift_by_up_to_an_eighth_and_half_are_flipped():
    columns = torch.arange(16.0).expand(2000, 1, 16, 16)  # each pixel is the number of its column
    seen = flip_and_shift(columns, torch.Generator().manual_seed(0))
    middle = seen[:, 0, 8, 4:12]
    steps = middle.diff(dim=1)
    is_flipped = (steps == -1).all(1)
    assert (is_flipped | (steps == 1).all(1)).all()
    assert abs(is_flipped.double().mean() - 0.5) < 0.045
    shifts = torch.where(is_flipped, 15 - middle[:, 0], middle[:, 0]) - 4
    assert set(shifts.tolist()) == {-2, -1, 0, 1, 2}
    assert torch.equal(seen.amin((1, 2, 3)).unique(), torch.tensor([0.0, 1.0, 2.0]))  # the edge is repeated
    rows = flip_and_shift(columns.mT, torch.Generator().manual_seed(0))
    assert set((rows[:, 0, 8, 4] - 8).tolist()) == {-2, -1, 0, 1, 2}


def test_points_have_no_arm_of_flips():
    assert arms_for(POINTS) == [REAL, BOTH, SYNTHETIC]
    assert arms_for(Spec((1, 8, 8), 3)) == [REAL, AUGMENTED, BOTH, SYNTHETIC]


def test_interval_of_a_gain_holds_the_truth_in_95_percent():
    draws, held = np.random.default_rng(0), 0
    seeds, n, repeats = 5, 400, 300
    for _ in range(repeats):
        # Chance of a hit: by sample, by seed and arm, so that pairs depend on each other.
        hard = draws.beta(6, 1.5, n)
        pair = [
            draws.random((seeds, n)) < np.clip(hard + 0.03 * draws.standard_normal((seeds, 1)) + by, 0, 1)
            for by in (0.0, -0.1)
        ]
        gain = mean_interval(*map(torch.from_numpy, pair))
        # The truth without clipping is 0.1; with it, the mean over these laws.
        held += gain.low <= TRUTH <= gain.high
    assert 0.93 <= held / repeats <= 0.99


def _true_gain() -> float:
    draws = np.random.default_rng(1)
    hard, noise = draws.beta(6, 1.5, 10**6), 0.03 * draws.standard_normal((2, 10**6))
    return float(np.mean(np.clip(hard + noise[0], 0, 1) - np.clip(hard + noise[1] - 0.1, 0, 1)))


TRUTH = _true_gain()


@pytest.mark.slow
def test_samples_of_the_data_help_and_wrong_labels_harm(monkeypatch):
    monkeypatch.setattr(arms, "TREES", 5)
    data = Data(POINTS, heaps(40, 0), heaps(600, 1))
    good = compare_arms(data, heaps(600, 2), seeds=5, rare=None, few=5)
    assert good[0].gain(BOTH.name).low > 0
    assert verdict(good)[0].startswith("yes: ")
    assert good[1].rare in range(3)
    assert good[1].counts[good[1].rare] == 5 < good[1].before
    assert good[1].gain(BOTH.name).value > 0
    (wrong,) = compare_arms(data, heaps(600, 2, is_labelled_right=False), seeds=5, rare=None, few=50)
    assert wrong.accuracy(SYNTHETIC.name).high < 1 / 3
    assert verdict([wrong])[0].startswith("no: ")


def test_arms_of_pictures_have_pairs_and_repeat(monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 3)
    draws = torch.Generator().manual_seed(0)
    parts = [
        Split(torch.randint(256, (n, 1, 8, 8), generator=draws, dtype=torch.uint8), torch.arange(n) % 2)
        for n in (60, 40)
    ]
    data, synthetic = Data(Spec((1, 8, 8), 2), *parts), Split(torch.rand(50, 1, 8, 8), torch.arange(50) % 2)
    first, again = (compare_arms(data, synthetic, 5, None, 50) for _ in range(2))
    assert len(first) == 1  # no class has more than twice 50
    for arm, hits in first[0].hits.items():
        assert hits.shape == (5, 40)
        assert torch.equal(hits, again[0].hits[arm])
    assert len({tuple(row.tolist()) for row in first[0].hits[REAL.name]}) > 1  # seeds differ


@pytest.mark.parametrize(
    ("gains", "answer"),
    [((80, 20), "yes"), ((20, 80), "no"), ((50, 50), "cannot tell")],
)
def test_verdict_is_yes_no_or_cannot_tell(gains, answer):
    hits = torch.zeros(2, 5, 400, dtype=torch.bool)
    for arm, count in enumerate(gains):
        hits[arm, :, arm * 200 : arm * 200 + count] = True
    case = Case({BOTH.name: hits[0], REAL.name: hits[1]}, torch.zeros(400, dtype=torch.int64), [400])
    (sentence,) = verdict([case])
    assert sentence.startswith(f"{answer}: added synthetic samples change accuracy by ")
    assert "flips" not in sentence
