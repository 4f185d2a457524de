"""Every dataset, objective, penalty, model, update rule and noise trains with every other that it fits."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from composed import STEMS, composed, placed

from gantrain.config.resolve import Config, resolve
from gantrain.core.groups import yaml_dir
from gantrain.datasets.base import Data
from gantrain.errors import ConfigError
from gantrain.registry import REGISTERED, build
from gantrain.sampling.generate import draw
from gantrain.training.batches import Batches
from gantrain.training.loop import train
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

SMALL = {
    "train.steps": 2,
    "train.batch_size": 6,
    "model.width": 4,
    "device.kind": "cpu",
    "device.threads": 1,
    "dataset.n": 60,
    "dataset.n_holdout": 20,
    "dataset.resolution": 8,
}


@functools.cache
def data_of(dataset: str, root: Path) -> Data:
    return resolve(shrunk(placed([f"dataset={dataset}"], root))).dataset.load(0)


PENALTIES = ["r1+lecam" if name == "sum" else name for name in REGISTERED["penalty"]]


def shrunk(plain: dict[str, Any]) -> dict[str, Any]:
    for key, value in SMALL.items():
        group, name = key.split(".")
        if name in plain[group]:
            plain[group][name] = value
    return plain


def plays(config: Config, data: Data) -> None:
    """Train the two steps, and draw from what came of it."""
    runtime = Runtime(config.device)
    state = TrainState.create(config, data.spec, runtime)
    before = {name: tensor.clone() for name, tensor in state.tensors().items()}
    seen: list[dict[str, torch.Tensor]] = []
    batches = Batches(data.train, config.train.batch_size, config.seed, runtime.device)
    train(state, batches, config, runtime, seen.append, lambda _: None)
    assert state.step == 2
    assert all(torch.isfinite(value).all() for tags in seen for value in tags.values())
    after = state.tensors()
    assert all(torch.isfinite(tensor).all() for tensor in after.values() if tensor.is_floating_point())
    for player in ("G", "D", "G_ema") if config.objective.has_game else ("G", "G_ema"):
        assert any(not torch.equal(after[n], before[n]) for n in before if n.startswith(f"{player}/")), player
    x, y = draw(
        state.G_ema, 7, 0, data.spec.conditions() if config.model.is_conditional else None, runtime.device
    )
    assert x.shape == (7, *data.spec.shape)
    assert torch.isfinite(x).all()
    assert (y is not None) == (config.model.condition != "none")


def fits(plain: dict[str, Any], data: Data) -> bool:
    """Train what can be trained; what cannot must be refused in one line with a key, a reason and a remedy."""
    try:
        config = resolve(shrunk(plain))
    except ConfigError as error:
        where, what = str(error).split(": ", 1)
        reason, remedy = what.rsplit("; ", 1)
        assert where.split(".")[0] in plain
        assert len(reason.split()) >= 4
        assert len(remedy.split()) >= 2
        return False
    plays(config, data)
    return True


def joined(dataset: str, group: str, stem: str, root: Path) -> dict[str, Any]:
    """Return a dataset's config with another option: put in place where the option touches its own group alone."""
    if whole(group, stem):
        return placed([f"dataset={dataset}", f"{group}={stem}"], root)
    said = yaml.safe_load((yaml_dir() / "dataset" / f"{dataset}.yaml").read_text()).get(group, {})
    return placed([f"dataset={dataset}"], root) | {group: composed(f"{group}={stem}")[group] | said}


def whole(group: str, stem: str) -> bool:
    return (yaml_dir() / group / f"{stem}.yaml").read_text().startswith("# @package _global_")


def differ(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """Return the groups that two configs differ in; their names say what was chosen, and are no part of a game."""
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)} - {"name"}


def choices() -> Iterator[Any]:
    """Yield every dataset with every objective and model that is put in place, one of every other dataset fast."""
    models, objectives = (
        [s for s in STEMS[group] if not whole(group, s)] for group in ("model", "objective")
    )
    for (i, dataset), (k, objective) in itertools.product(enumerate(STEMS["dataset"]), enumerate(objectives)):
        marks = [pytest.mark.slow] if k != i % len(objectives) or i % 2 else []
        yield pytest.param(dataset, models[k % len(models)], objective, marks=marks)


@pytest.mark.parametrize(("dataset", "model", "objective"), list(choices()))
def test_what_is_put_in_place_is_what_is_composed(dataset, model, objective, files):
    apart = joined(dataset, "model", model, files)
    apart |= {"objective": joined(dataset, "objective", objective, files)["objective"]}
    words = [f"dataset={dataset}", f"model={model}", f"objective={objective}"]
    assert differ(apart, placed(words, files)) == set()


def pairs() -> Iterator[Any]:
    """Yield every dataset with every objective, fast where a dataset can say no to it, and images and points with all.

    Labels and a density are what an objective may need; the others differ in mathematics that no dataset knows of.
    """
    for dataset, objective in itertools.product(STEMS["dataset"], STEMS["objective"]):
        soon = dataset in ("digits", "ring") or objective in ("conditional", "likelihood", "non_saturating")
        yield pytest.param(dataset, objective, marks=[] if soon else [pytest.mark.slow])


@pytest.mark.parametrize(("dataset", "objective"), list(pairs()))
def test_combinations_of_objective_and_dataset_train(dataset, objective, files):
    data, plain = data_of(dataset, files), joined(dataset, "objective", objective, files)
    game = REGISTERED["objective"][plain["objective"]["name"]]
    labels = plain["model"]["condition"] != "none"
    playable = not labels or len(data.spec.conditions()) >= 2
    assert fits(plain, data) == (playable and not game.needs_density)


def makers() -> Iterator[Any]:
    """Yield every model with every dataset; those of points alone are fast on one of images and a few of points."""
    for dataset, model in itertools.product(STEMS["dataset"], STEMS["model"]):
        soon = model in ("auto", "mlp", "dcgan") or dataset in (
            "digits",
            "ring",
            "gaussian",
            "dirac",
            "lines",
        )
        yield pytest.param(dataset, model, marks=[] if soon else [pytest.mark.slow])


@pytest.mark.parametrize(("dataset", "model"), list(makers()))
def test_every_model_makes_every_dataset_that_it_fits(dataset, model, files):
    data, plain = data_of(dataset, files), joined(dataset, "model", model, files)
    conditional = copy.deepcopy(plain) | {"objective": composed("objective=conditional")["objective"]}
    conditional["model"]["condition"] = "concat"
    made, labelled = fits(plain, data), fits(conditional, data)
    assert made or not labelled
    if model in ("auto", "mlp", "dcgan"):
        assert made == (model != "dcgan" or (data.spec.is_image and min(data.spec.shape[1:]) >= 8))
        assert labelled == (made and len(data.spec.conditions()) >= 2)


# A penalty weighs D alone: on images it is met by a game of each kind, on points by all.
KINDS = ("non_saturating", "conditional", "likelihood", "wasserstein")


@pytest.mark.parametrize(
    ("dataset", "objective"),
    [
        pytest.param(
            dataset, objective, marks=[] if dataset == "ring" or objective in KINDS else pytest.mark.slow
        )
        for dataset in ("digits", "ring")
        for objective in sorted(REGISTERED["objective"])
    ],
)
def test_every_penalty_goes_with_every_objective(dataset, objective, files):
    data, plain = data_of(dataset, files), joined(dataset, "objective", objective, files)
    for penalty in PENALTIES:
        made = fits(copy.deepcopy(plain) | {"penalty": composed(f"penalty={penalty}")["penalty"]}, data)
        assert made or penalty != "none" or REGISTERED["objective"][objective].needs_density


MODELS = sorted(set(REGISTERED["model"]) - {"auto"})


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dataset", STEMS["dataset"])
def test_combinations_of_all_groups_train_or_are_refused(dataset, model, files):
    """What is played and what is refused, of all: the counts follow from the few rules that refuse."""
    data = data_of(dataset, files)
    for objective in REGISTERED["objective"]:
        plain = joined(dataset, "objective", objective, files)
        plain["model"] = {k: v for k, v in plain["model"].items() if k == "condition"} | {
            "name": model,
            "width": 4,
        }
        condition, game = plain["model"]["condition"], REGISTERED["objective"][objective]
        recipe = build("model", plain["model"])
        possible = recipe.why_unsupported(data.spec) is None and (
            condition == "none" or len(data.spec.conditions()) >= (2 if objective == "conditional" else 1)
        )
        for penalty in PENALTIES:
            words = {"penalty": composed(f"penalty={penalty}")["penalty"]}
            made = fits(copy.deepcopy(plain) | words, data)
            lacks = game.needs - recipe.d_says or any(
                build("penalty", words["penalty"]).misfits(recipe, data.spec)
            )
            fitting = possible and not lacks and (recipe.tractable or not game.needs_density)
            assert made == fitting, (objective, penalty)


@pytest.mark.parametrize("optimizer", STEMS["optimizer"])
@pytest.mark.parametrize("noise", STEMS["noise"])
def test_every_update_rule_trains_under_every_noise(optimizer, noise, files):
    dataset = "digits"
    plain = joined(dataset, "optimizer", optimizer, files) | {
        "noise": joined(dataset, "noise", noise, files)["noise"]
    }
    plays(resolve(shrunk(plain)), data_of(dataset, files))
