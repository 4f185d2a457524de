"""What is said of a run's game is true for its packing, conditions, noise and augmentation."""

import math

import pytest
import torch
from composed import composed

from gantrain.config.game import chance, meaning
from gantrain.config.resolve import resolve
from gantrain.core.judgement import Judgement
from gantrain.objectives.base import Logits
from gantrain.objectives.cross_entropy import NonSaturating
from gantrain.training.d_loss import d_losses
from gantrain.training.play import Play
from gantrain.training.runtime import Runtime

RING = ["dataset=ring", "device=cpu"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model.packing=8"], "sees 8 samples as one"),
        (["model.minibatch_std=true"], "how its batch varies"),
        (["objective=conditional"], "pairs of a sample and its condition"),
        (["noise=instance", "noise.instance_std=0.3", "noise.anneal_steps=70"], "0.3 that ends at step 70"),
        (["noise=labels"], "as if they were clean"),
        (["dataset=digits", "augment=flip"], "under flip and evaluated without"),
    ],
    ids=str,
)
def test_meaning_says_what_decides_the_numbers(words, says):
    text = meaning(resolve(composed(*RING, *words)))
    assert says in text
    assert says not in meaning(resolve(composed(*RING)))


def test_meaning_of_a_plain_game_is_its_objectives():
    assert meaning(resolve(composed(*RING))) == NonSaturating.meaning
    baseline = resolve(composed(*RING, "model=gaussian", "objective=likelihood", "noise=instance"))
    assert meaning(baseline) == baseline.objective.meaning


@pytest.mark.parametrize("objective", ["minimax", "fgan_kl", "fgan_reverse_kl", "conditional"])
def test_chance_is_the_mean_loss_of_a_d_that_knows_nothing(objective):
    words = ["noise=labels", "noise.label_smoothing=0.2", "noise.label_flip=0.1"]
    config = resolve(composed(*RING, f"objective={objective}", *words))
    kinds = ["real", "fake", *(["wrong"] if config.model.is_conditional else [])]
    said = {kind: Judgement(torch.zeros(200_000)) for kind in kinds}
    draws = {
        f"label {kind}": config.noise.targets(
            kind == "real", 200_000, torch.Generator().manual_seed(len(kind))
        )
        for kind in ("real", "fake")
    }
    loss = d_losses(said, None, draws, Play.create(config, Runtime(config.device)))["loss/d"]
    assert chance(config) == pytest.approx(float(loss), abs=0.01)
    if objective in ("minimax", "conditional"):  # -log 1/2 whatever the target is
        assert chance(config) == pytest.approx(2 * math.log(2))
    else:
        assert abs(chance(config) - config.objective.chance) > 0.05


def test_chance_without_label_noise_is_the_objectives():
    for objective in ("minimax", "hinge", "wasserstein", "fgan_kl"):
        config = resolve(composed(*RING, f"objective={objective}"))
        assert chance(config) == config.objective.chance
        zero = torch.zeros(3)
        assert float(config.objective.d_loss(Logits(zero, zero))) == pytest.approx(chance(config))
