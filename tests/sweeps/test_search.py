"""The settings of a search: metrics, directions, samplers and pruners that can be combined."""

from dataclasses import replace

import pytest

from gantrain.errors import ConfigError
from gantrain.sweeps.optuna.search import Search, resolve_search


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"metric": []}, "hydra.sweeper.metric"),
        ({"metric": ["divergence/js_refit"] * 2}, "hydra.sweeper.metric"),
        ({"metric": "logits/real"}, "hydra.sweeper.direction"),
        ({"metric": "divergence/js"}, "hydra.sweeper.direction"),  # of each trial's own D
        ({"metric": "loss/g"}, "hydra.sweeper.direction"),
        ({"metric": "fidelity/sharpness"}, "hydra.sweeper.direction"),
        ({"metric": "divergence/js_refit", "direction": "down"}, "hydra.sweeper.direction"),
        (
            {"metric": ["divergence/js_refit", "diversity/modes"], "direction": "minimize"},
            "hydra.sweeper.direction",
        ),
        ({"metric": ["divergence/js_refit", "diversity/modes"], "pruner": "median"}, "hydra.sweeper.pruner"),
        ({"metric": ["divergence/js_refit", "diversity/modes"], "sampler": "cmaes"}, "hydra.sweeper.sampler"),
    ],
)
def test_search_that_cannot_be_combined_names_the_key(changes, where):
    with pytest.raises(ConfigError, match=f"^{where}: "):
        resolve_search(Search(**changes))


def test_search_knows_the_direction_and_prunes_one_metric_only():
    search = resolve_search(Search(metric=["divergence/js_refit", "diversity/modes"]))
    assert search.directions == ["minimize", "maximize"]
    assert not search.prunes
    assert resolve_search(Search(metric="divergence/js_refit")).pruner == "median"
    assert resolve_search(Search(metric="divergence/js_refit", direction="maximize")).directions == [
        "maximize"
    ]
    assert resolve_search(Search(metric="divergence/js", direction="minimize")).directions == ["minimize"]


@pytest.mark.parametrize(
    "wrong", [{"metric": 5}, {"direction": 5}, {"metric": {"a": 1}}, {"metric": [[]]}], ids=str
)
def test_search_with_a_metric_that_is_no_tag_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"hydra\.sweeper"):
        resolve_search(replace(Search(), **wrong))
