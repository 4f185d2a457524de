"""What a run that trains no discriminator ignores is named; what holds by default is not."""

import pytest
from composed import composed, placed

from gantrain.config.cautions import cautions
from gantrain.config.resolve import resolve

DENSITY = ["dataset=gaussian", "model=gaussian", "objective=likelihood"]
FASHION = ["dataset=fashion_mnist", "objective=regression"]  # whose YAML has a penalty for D
MNIST = ["dataset=mnist", "objective=regression"]  # whose YAML has a D with batch norm
IGNORED = ["penalty=r1", "noise.instance_std=0.1", "train.d_steps=5", "model.packing=2"]


@pytest.mark.parametrize("word", [*IGNORED, "model.minibatch_std=true", "model.spectral_norm=true"])
def test_a_word_for_d_is_ignored_aloud_without_a_d(word):
    [line] = cautions(resolve(composed(*DENSITY, word)))
    assert line == f"objective=likelihood trains no discriminator, so it ignores {word}"
    assert cautions(resolve(composed("dataset=gaussian", word))) == []


def test_ignored_words_share_one_line():
    [line] = cautions(resolve(composed(*DENSITY, *IGNORED[:3])))
    assert line.endswith(f"ignores {', '.join(IGNORED[:3])}")


@pytest.mark.parametrize("words", [DENSITY, ["dataset=digits", "objective=regression"], FASHION, MNIST])
def test_a_baseline_as_it_comes_has_no_caution(words, files):
    assert cautions(resolve(placed(words, files))) == []


def test_a_typed_penalty_outlasts_that_of_the_baseline(files):
    [line] = cautions(resolve(placed([*FASHION, "penalty=r1"], files)))
    assert "ignores penalty=r1" in line
