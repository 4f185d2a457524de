"""What every registered metric promises: the same reading each time, of a state it leaves as it was."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass, replace

import numpy as np
import pytest
import torch
from composed import composed
from small_features import SmallPublished

import gantrain.config.resolve  # noqa: F401  (registers every metric)
from gantrain.config.resolve import Config, resolve
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data
from gantrain.datasets.stacked_mnist import stack_digits
from gantrain.features.base import tag_suffix
from gantrain.features.tools import classifier
from gantrain.metrics import path_length
from gantrain.metrics.base import Evaluation, Metric
from gantrain.metrics.theory import overshoot, why_no_likelihood
from gantrain.metrics.tools import errors, floors
from gantrain.registry import REGISTERED, build
from gantrain.reports.ranking import order_tags
from gantrain.tracking.progress import headline_tags
from gantrain.training.evaluate import compute, run_spec, view, why_unsupported
from gantrain.training.evaluation_result import EvaluationResult
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

NAMES = sorted(REGISTERED["metric"])
SMALL = ["device=cpu", "model.width=4", "metric.n=60", "metric.refit_steps=5"]
CASES = {
    "digits": [],
    "conditional digits": ["objective=conditional", "augment=diffaugment"],
    "ring": ["dataset=ring", "dataset.n=300", "dataset.n_holdout=200"],
    "conditional pair": [
        *(
            "dataset=ring",
            "dataset.modes=2",
            "dataset.n=300",
            "dataset.n_holdout=200",
            "objective=conditional",
        )
    ],
    "gaussian": ["dataset=gaussian", "model=gaussian", "dataset.n=300", "dataset.n_holdout=200"],
}
TAG = re.compile(r"(divergence|diversity|fidelity|generator|logits|gradient|transport)/[a-z0-9_]+(/small)?")


@dataclass
class Scene:
    config: Config
    data: Data
    runtime: Runtime
    state: TrainState

    def view(self) -> Evaluation:
        return view(self.config, self.data, self.state, self.runtime)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Iterator[dict[str, Scene]]:
    found = {}
    for case, words in CASES.items():
        config = resolve(composed(*SMALL, *words))
        runtime, data = Runtime(config.device), config.dataset.load(config.seed)
        found[case] = Scene(config, data, runtime, TrainState.create(config, data.spec, runtime))
    found["stacked digits"] = stacks(found["digits"])
    published = replace(found["digits"].config, features=SmallPublished())
    found["published features"] = replace(found["digits"], config=published)
    with pytest.MonkeyPatch.context() as patch:  # what is promised here does not depend on how long it takes
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("short")))
        patch.setattr(classifier, "STEPS", 20)
        for counts, name, least in ((errors, "GROUPS", 8), (errors, "HALVINGS", 10), (floors, "SPLITS", 5)):
            patch.setattr(counts, name, least)
        patch.setattr(path_length, "why_no_weights", lambda: None)
        patch.setattr(
            path_length, "lpips", lambda device: lambda a, b: (a.float() - b.float()).square().mean((1, 2, 3))
        )
        patch.setattr(overshoot, "UPDATES", 2 * overshoot.EVERY)
        patch.setattr(why_no_likelihood, "LATENTS", 20_000)
        yield found


@pytest.fixture(scope="module")
def readings(scenes) -> Callable[[Metric, Scene], EvaluationResult]:
    """Return ``reading(metric, scene)``, with floors: made once for all tests that look at it."""
    made: dict[tuple[str, int], EvaluationResult] = {}

    def reading(metric: Metric, scene: Scene) -> EvaluationResult:
        key = metric.name, id(scene)
        if key not in made:
            made[key] = compute([metric], scene.view(), final=True)
        return made[key]

    return reading


def stacks(digits: Scene) -> Scene:
    """Return a scene whose images have a class in each channel: the digits in threes."""
    spec = Spec((3, 8, 8), classes=1000, channel_classes=10)
    config, draws = resolve(composed(*SMALL), spec), torch.Generator().manual_seed(0)
    train, held = (stack_digits(split, 300, draws) for split in (digits.data.train, digits.data.holdout))
    return Scene(
        config, Data(spec, train, held), digits.runtime, TrainState.create(config, spec, digits.runtime)
    )


def fitted(name: str, scenes: dict[str, Scene]) -> list[tuple[Metric, Scene]]:
    """Return fresh metrics with the scenes they fit; there is one at least, and a reason wherever not."""
    found = []
    for scene in scenes.values():
        metric = build("metric", {"name": name})
        if not metric.reads_features and isinstance(scene.config.features, SmallPublished):
            continue
        reason = why_unsupported(metric, run_spec(scene.config, scene.data))
        if reason is None:
            found.append((metric, scene))
        else:
            assert isinstance(reason, str)
            assert len(reason.split()) > 2
    assert found, name
    return found


def everything(state: TrainState) -> dict[str, object]:
    """Return all that a metric could disturb."""
    networks = {"G": state.G, "D": state.D, "G_ema": state.G_ema}
    return {
        "tensors": {name: tensor.numpy().tobytes() for name, tensor in state.tensors().items()},
        "modes": [(part, n, m.training) for part, net in networks.items() for n, m in net.named_modules()],
        "frozen": [
            (part, n, p.requires_grad) for part, net in networks.items() for n, p in net.named_parameters()
        ],
        "gradients": [(n, p.grad is None) for net in networks.values() for n, p in net.named_parameters()],
        "layout": [
            (n, p.stride(), p.data_ptr()) for net in networks.values() for n, p in net.named_parameters()
        ],
        "step": state.step,
        "torch": torch.get_rng_state().tolist(),
        "numpy": str(np.random.get_state()),
        "python": random.getstate(),
        "grad": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
    }


@pytest.mark.parametrize("name", NAMES)
def test_metric_values_are_finite_with_tags_and_protocol(name, scenes, readings):
    for metric, scene in fitted(name, scenes):
        reading = readings(metric, scene)
        assert reading.metrics or type(metric).figures is not Metric.figures  # numbers, or a picture alone
        for tag, value in reading.metrics.items():
            assert TAG.fullmatch(tag), tag
            assert type(value) is float, tag
            assert math.isfinite(value), tag
        assert list(reading.protocol) == [name] == [metric.name]
        protocol = reading.protocol[name]
        assert protocol.get("n", 60) == 60  # an integral and a picture of mathematics have no samples
        assert protocol == json.loads(json.dumps(protocol))
        assert all(value is not None and value != "" for value in protocol.values())
        if metric.has_floor:
            assert reading.floors.keys() == reading.estimates.keys()
            assert all(math.isfinite(value) for value in reading.floors.values())
        else:
            assert reading.floors == {}


@pytest.mark.parametrize("name", NAMES)
def test_metric_expected_tags_are_those_computed(name, scenes, readings):
    for metric, scene in fitted(name, scenes):
        suffix = tag_suffix(scene.config.features, scene.config.spec) if metric.reads_features else ""
        told = [tag + suffix for tag in metric.expected_tags(run_spec(scene.config))]
        assert why_unsupported(metric, run_spec(scene.config)) is None
        found = {tag for tag in readings(metric, scene).metrics if not tag.endswith("_se")}
        assert set(told) <= found, name
        assert len(told) == len(set(told))
        if told and name != "exact":  # whose other truths have charts where the game estimates them
            assert {tag for tag in order_tags(found) if tag not in told} == set()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_state_gives_the_same_reading(name, scenes, readings):
    for (metric, scene), (other, _) in zip(fitted(name, scenes), fitted(name, scenes), strict=True):
        first = readings(other, scene)
        torch.rand(5)
        assert compute([metric], scene.view(), final=True) == first
        # Nothing is remembered that would matter, and without floors the rest is the same.
        assert compute([metric], scene.view()) == replace(first, floors={}, final_errors={})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["train", "eval"])
def test_training_is_left_as_it_was(name, mode, scenes):
    for metric, scene in fitted(name, scenes):
        for network in (scene.state.G, scene.state.D, scene.state.G_ema):
            network.train(mode)
            next(module for module in network.modules() if not list(module.children())).train(not mode)
        before = everything(scene.state)
        compute([metric], scene.view(), final=True)
        after = everything(scene.state)
        assert {key for key in before if before[key] != after[key]} == set()


def test_no_two_metrics_share_a_tag(scenes, readings):
    for case, scene in scenes.items():
        owners: dict[str, str] = {}
        for name in NAMES:
            metric = build("metric", {"name": name})
            if why_unsupported(metric, run_spec(scene.config, scene.data)) is None:
                for tag in readings(metric, scene).metrics:
                    assert tag not in owners, (case, tag, name, owners[tag])
                    owners[tag] = name
        assert headline_tags(dict.fromkeys(owners, 0.0))


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_is_a_dataclass_that_says_what_it_is(name):
    cls = REGISTERED["metric"][name]
    assert is_dataclass(cls)
    assert issubclass(cls, Metric)
    assert cls.__doc__
    assert not cls.__doc__.startswith(f"{cls.__name__}(")  # what a dataclass says of itself when nobody does
