"""The AUC is the share of pairs in the right order, and is one half for a D that does not see the condition."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from composed import composed
from coverage import coverage
from hypothesis import given, settings
from hypothesis import strategies as st
from run_of import run_of
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from gantrain.config.resolve import resolve
from gantrain.core.estimate import Estimate
from gantrain.metrics.base import Evaluation
from gantrain.metrics.mismatch import Mismatch, auc, auc_error
from gantrain.training.evaluate import compute, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

LOGITS = st.lists(st.integers(-3, 3), min_size=1, max_size=20).map(lambda v: torch.tensor(v) / 2)


@settings(deadline=None)
@given(LOGITS, LOGITS)
def test_auc_is_the_share_of_pairs_in_order_with_ties_half(high, low):
    above = (high[:, None] > low).double() + 0.5 * (high[:, None] == low).double()
    assert auc(high, low) == pytest.approx(float(above.mean()), abs=1e-12)
    assert auc(high, low) + auc(low, high) == pytest.approx(1, abs=1e-12)


def test_auc_agrees_with_scikit_learn():
    draws = torch.Generator().manual_seed(0)
    high, low = torch.randn(300, generator=draws) + 0.7, torch.randn(200, generator=draws)
    theirs = roc_auc_score([1] * 300 + [0] * 200, torch.cat([high, low]).numpy())
    assert auc(high, low) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("n", [300, 1000])
def test_auc_error_contains_the_truth(n):
    """Logits of N(1, 1) and N(0, 1), whose pairs correlate by a half: P(high > low) across pairs is Phi(1/sqrt 2)."""

    def reading(generator: torch.Generator) -> Estimate:
        shared, high, low = torch.randn(3, n, generator=generator) * 0.5**0.5
        pairs = shared + high + 1, shared + low
        return Estimate(auc(*pairs), auc_error(*pairs))

    assert coverage(reading, 0.5 * (1 + math.erf(0.5)), repetitions=500).is_honest


class ByTable(nn.Module):
    """A D that judges the pair of a point and a class by a formula."""

    def __init__(self, formula):
        super().__init__()
        self.formula = formula

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.formula(x, y)


def evaluation(D: nn.Module, *words: str) -> Evaluation:
    # Modes far apart: the class of a point is its angle.
    config = resolve(
        composed(
            "dataset=ring",
            "dataset.n=200",
            "dataset.n_holdout=400",
            "objective=conditional",
            *words,
            "device=cpu",
        )
    )
    runtime, data = Runtime(config.device), config.dataset.load(0)
    state = TrainState.create(config, data.spec, runtime)
    scene = view(config, data, state, runtime)
    return replace(scene, players=replace(scene.game, D=D))


def angle(x: Tensor) -> Tensor:
    return (torch.atan2(x[:, 1], x[:, 0]) / (2 * torch.pi) * 8).round() % 8


def value(D: nn.Module, *words: str) -> float:
    return compute([Mismatch()], evaluation(D, *words)).metrics["logits/mismatched_auc"]


def test_mismatch_of_a_perfect_an_opposite_and_a_blind_d():
    knows = ByTable(lambda x, y: (angle(x) == y).float() + 0.1 * x[:, 0])
    assert value(knows) == 1
    assert value(ByTable(lambda x, y: -knows(x, y))) == 0
    # The same logits on both sides: every pair has its mirror image, so this is exact.
    assert value(ByTable(lambda x, y: x[:, 0])) == pytest.approx(0.5, abs=1e-12)


def test_mismatch_of_a_d_right_for_half_of_the_points():
    """Told-apart right pairs beat every wrong one; the rest tie with the wrong pairs: 1 s + 1/2 (1 - s)."""
    half = ByTable(lambda x, y: ((angle(x) == y) & (y < 4)).float())
    seen = evaluation(half)
    share = float((seen.real[1] < 4).double().mean())
    assert value(half) == pytest.approx(share + (1 - share) / 2, abs=1e-12)


def test_a_game_without_wrong_pairs_is_read_too():
    knows = ByTable(lambda x, y: (angle(x) == y).float())
    assert value(knows, "objective=non_saturating", "model.condition=concat") == 1


def test_it_needs_conditions():
    data = evaluation(ByTable(lambda x, y: x[:, 0])).data
    assert Mismatch().why_unsupported(run_of(data, conditional=True)) is None
    assert "not conditional" in Mismatch().why_unsupported(run_of(data, conditional=False))
    one = replace(data, spec=replace(data.spec, classes=1))
    assert "one condition" in Mismatch().why_unsupported(run_of(one, conditional=True))
