"""The divergence of augmented images, by the discriminator that is trained on them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from composed import composed
from torch import nn

from gantrain.config.resolve import resolve
from gantrain.datasets.digits import Digits
from gantrain.metrics.base import Evaluation
from gantrain.metrics.js import JS
from gantrain.metrics.js_augmented import AugmentedJS
from gantrain.training.evaluate import run_spec, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

DIGITS = Digits().load(0)


def evaluation(*words: str) -> Evaluation:
    config = resolve(composed("dataset=digits", "device=cpu", "model.width=4", "metric.n=200", *words))
    runtime = Runtime(config.device)
    return view(config, DIGITS, TrainState.create(config, DIGITS.spec, runtime), runtime)


def values(found: Evaluation) -> tuple[float, float]:
    with torch.inference_mode():
        clean, augmented = JS()(found)["divergence/js"], AugmentedJS()(found)["divergence/js_augmented"]
    assert augmented.n == clean.n
    assert augmented.error > 0
    return clean, augmented


def test_js_augmented_is_js_where_nothing_is_transformed():
    clean, augmented = values(evaluation("augment=ada", "augment.target=null", "augment.p=0"))
    assert clean == augmented
    clean, augmented = values(evaluation("augment=ada", "augment.target=null", "augment.p=0.5"))
    assert clean != augmented


def test_js_augmented_reads_the_p_that_a_run_has_reached():
    found = evaluation("augment=ada")
    assert values(found)[0] == values(found)[1]  # p begins at 0
    memory = found.game.augment_memory | {"p": torch.tensor(0.5)}
    clean, augmented = values(replace(found, players=replace(found.game, augment_memory=memory)))
    assert clean != augmented


def test_js_augmented_is_blind_to_what_augmentation_hides():
    """A D that sees the mean level alone: brightness at random hides it, and the divergence falls."""
    found = evaluation("augment=diffaugment", "augment.policy=[colour]")

    class Level(nn.Module):
        def forward(self, x, y):
            return 40 * (0.1 - x.mean((1, 2, 3)).sub(REAL).abs())

    REAL = DIGITS.holdout.take(torch.arange(359))[0].mean().item()
    clean, augmented = values(replace(found, players=replace(found.game, D=Level())))
    assert augmented < clean - 0.1


@pytest.mark.parametrize(
    "words, tags",
    [
        (["augment=flip"], ["divergence/js_augmented"]),
        (["augment=flip", "objective=conditional"], ["divergence/game_augmented", "divergence/js_augmented"]),
        (["augment=flip", "model.packing=2", "penalty=none"], ["divergence/js_batch_augmented"]),
    ],
)
def test_js_augmented_has_the_tags_of_its_game(words, tags):
    found, metric = evaluation(*words), AugmentedJS()
    with torch.inference_mode():
        assert sorted(metric(found)) == tags
    run = run_spec(resolve(composed("dataset=digits", *words)))
    assert sorted(metric.expected_tags(run)) == tags
    assert metric.why_unsupported(run) is None
    assert "not augmented" in metric.why_unsupported(run_spec(resolve(composed("dataset=digits"))))
