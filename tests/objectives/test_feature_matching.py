"""Feature matching: G's loss is of the means of D's features, and D does not notice."""

import pytest
import torch
from composed import composed
from small_game import game, gradients, same

from gantrain.config.resolve import resolve
from gantrain.core.judgement import Judgement
from gantrain.errors import ConfigError
from gantrain.objectives.feature_matching import FeatureMatching


def test_g_loss_is_the_squared_distance_of_mean_features():
    a, b = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    by_hand = sum((sum(a[:, j].tolist()) / 5 - sum(b[:, j].tolist()) / 5) ** 2 for j in range(3))
    real, fake = (Judgement(torch.zeros(5), features=one) for one in (a, b))
    assert FeatureMatching().g_loss_of(fake, real).item() == pytest.approx(by_hand, rel=1e-12)
    assert FeatureMatching().g_loss_of(fake, Judgement(torch.ones(5), features=b)) == 0


def test_step_of_d_is_that_of_the_first_game():
    ours, other = game(objective="feature_matching"), game(objective="non_saturating")
    for one in (ours, other):
        one.move_d()
    torch.testing.assert_close(gradients(ours.state.D), gradients(other.state.D), rtol=0, atol=0)


def test_step_of_g_descends_what_d_says_of_both_kinds():
    g = game(objective="feature_matching")
    before = g.tensors("D")
    assert g.move_g()["loss/g"] > 0
    assert same(before, g.tensors("D"))


@pytest.mark.parametrize("model", ["mlp", "dcgan_small"])
def test_feature_matching_is_for_a_d_with_features(model):
    resolve(composed("dataset=digits", f"model={model}", "objective=feature_matching"))


def test_feature_matching_of_a_d_without_features_is_refused():
    with pytest.raises(ConfigError, match=r"needs features of D.*use objective=non_saturating"):
        resolve(composed("dataset=dirac", "objective=feature_matching"))


@pytest.mark.parametrize("word", ["train.accumulate=2", "device.shards=2"])
@pytest.mark.parametrize("objective", ["feature_matching", "relativistic_average"])
def test_game_of_means_needs_the_batch_in_one_part(objective, word):
    with pytest.raises(ConfigError, match=r"objective.* uses a whole batch at once"):
        resolve(composed("dataset=digits", f"objective={objective}", word))
