"""The step of several runs at once: each run gets what it would have computed alone."""

import pytest
import torch
from composed import composed
from small_game import condition_of

import gantrain.objectives
import gantrain.penalties  # noqa: F401  (registers every objective and penalty)
from gantrain.config.resolve import resolve
from gantrain.registry import REGISTERED
from gantrain.training.batches import Batches, visible_split
from gantrain.training.draws import StepInputs
from gantrain.training.eager import EagerStep
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.replicas import stacked_step
from gantrain.training.replicas.checks import StackedChecks
from gantrain.training.replicas.inputs import InputsOfAll
from gantrain.training.replicas.stacked_step import StackedStep
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

MLP = {"name": "mlp", "width": 8, "z_dim": 2}  # a z as wide as the data
RING = {"dataset": {"name": "ring", "n": 64, "n_holdout": 10}, "model": MLP}
# Adam makes an update of full size of a gradient that is 0 up to rounding, as that of a bias before batch norm.
IMAGES = {
    "dataset": {"name": "digits"},
    "model": {"name": "dcgan", "width": 4},
    "optimizer": {"name": "sgd"},
}
CONDITIONAL = {"name": "dcgan", "width": 4, "condition": "concat"}
GAMES = [name for name, kind in REGISTERED["objective"].items() if kind.has_game]
PENALTIES = [name for name in REGISTERED["penalty"] if name != "sum"]
FEATURES = {
    "lazy penalty": RING | {"penalty": {"name": "r1", "every": 2, "gamma_end": 3.0}},
    "all that moves": RING
    | {
        "optimizer": {"name": "adam", "g_lr_end": 1e-2, "beta2": 0.5, "beta2_end": 0.99, "horizon": 4},
        "penalty": {"name": "r1", "gamma_end": 3.0},
        "noise": {"name": "noise", "instance_std_end": 0.5},
        "train": {"ema_half_life": 0.0, "ema_half_life_end": 100.0, "ramp": "cosine"},
    },
    "lecam": RING | {"penalty": {"name": "lecam"}},
    "several updates": RING | {"train": {"d_steps": 3, "g_steps": 2}},
    "simultaneous": RING | {"train": {"update": "simultaneous"}},
    "unrolled": RING | {"train": {"unroll": 2}},
    "in parts": RING | {"train": {"accumulate": 2}, "penalty": {"name": "r1"}},
    "packed": RING | {"model": MLP | {"packing": 2}},
    "spread of the batch": RING | {"model": MLP | {"minibatch_std": True}},
    "spectral norm": RING | {"model": MLP | {"spectral_norm": True}},
    "noise": RING
    | {"noise": {"name": "noise", "instance_std": 0.3, "label_smoothing": 0.1, "label_flip": 0.1}},
    "flow": RING | {"model": {"name": "flow"}},
    "clip": RING | {"penalty": {"name": "weight_clip"}, "optimizer": {"name": "rmsprop"}},
    "momentum": RING | {"optimizer": {"name": "sgd", "momentum": 0.9, "g_lr": 0.1}},
    "condition": RING | {"model": MLP | {"condition": "concat"}},
    "images": IMAGES | {"penalty": {"name": "r1"}, "augment": {"name": "ada", "p": 0.3, "images": 1000}},
    "wrong pairs": IMAGES | {"model": CONDITIONAL, "objective": {"name": "conditional"}},
    "dropout": IMAGES | {"model": {"name": "dcgan", "width": 4, "source": "both", "spectral_norm": True}},
}


class Runs:
    """Small runs, played one by one or at once."""

    def __init__(self, *configs):
        plain = composed("dataset=ring", "device=cpu", "metric=none", "model=mlp", "name=test")
        self.configs = []
        for groups in configs:
            train = {"steps": 100, "batch_size": 8, "log_every": 0} | groups.get("train", {})
            own = plain | {"optimizer": {"name": "adam"}} | groups | {"train": train}
            self.configs.append(resolve(own))
        self.runtime = Runtime(self.configs[0].device)
        datas = [config.dataset.load(config.seed) for config in self.configs]
        self.states, self.batches, self.plays = [], [], []
        for config, data in zip(self.configs, datas, strict=True):
            self.states.append(TrainState.create(config, data.spec, self.runtime))
            split = visible_split(data.train, config)
            self.batches.append(Batches(split, 8, config.seed, self.runtime.device))
            self.plays.append(Play.create(config, self.runtime))

    def at_once(self, count):
        inputs = InputsOfAll(self.states, self.batches, self.plays)
        advance = StackedStep(self.states, self.plays[0], self.runtime)
        for step in range(count):
            reports, finite = advance(inputs(step))
        for state in self.states:
            state.step, state.d_updates = count, count * self.plays[0].d_steps
        return reports, finite

    def alone(self, count):
        found = []
        for state, batches, play in zip(self.states, self.batches, self.plays, strict=True):
            advance = EagerStep(state, play)
            for _ in range(count):
                rates = Rates.at(state.step, play)
                inputs = StepInputs(state, batches, play, rates)
                reports = advance(inputs.of_d(), inputs.of_g(), rates)
                state.step += 1
            found.append(reports)
        return found


@pytest.fixture
def untraced(monkeypatch):
    """Play the vectorised function as it is, without a graph."""
    monkeypatch.setattr(stacked_step, "graph_of", lambda function, *_: function)


def assert_each_equals_its_solo_run(*configs, count=2, tolerance=1e-5, is_compiled=False):
    ours, others = Runs(*configs), Runs(*configs)
    ours.runtime.is_compiled = is_compiled
    (reports, finite), alone = ours.at_once(count), others.alone(count)
    assert finite.all()
    for row, solo in enumerate(alone):
        assert [list(tags) for tags in reports] == [list(tags) for tags in solo]
        for mine, other in zip(reports, solo, strict=True):
            for tag, value in mine.items():
                expected = other[tag].detach()
                torch.testing.assert_close(value[row], expected, rtol=1e-4, atol=1e-5, msg=tag)
        mine, other = ours.states[row].tensors(), others.states[row].tensors()
        assert mine.keys() == other.keys()
        for name, tensor in mine.items():
            torch.testing.assert_close(tensor, other[name], rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize(
    "name", ["all that moves", "lazy penalty", "lecam", "spectral norm", "noise", "packed", "clip"]
)
def test_replica_equals_its_solo_run(name, untraced):
    groups = FEATURES[name]
    assert_each_equals_its_solo_run(groups | {"seed": 3}, groups | {"seed": 8})


@pytest.mark.slow
@pytest.mark.parametrize("name", FEATURES)
def test_traced_replica_equals_its_solo_run(name):
    groups = FEATURES[name]
    assert_each_equals_its_solo_run(groups | {"seed": 3}, groups | {"seed": 8})


@pytest.mark.slow
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("objective", GAMES)
def test_every_game_and_penalty_is_played_at_once(objective, penalty, untraced):
    model = MLP | {"condition": condition_of(REGISTERED["objective"][objective]())}
    groups = RING | {"objective": {"name": objective}, "penalty": {"name": penalty}, "model": model}
    groups |= {"optimizer": {"name": "sgd"}}
    assert_each_equals_its_solo_run(groups, groups | {"seed": 1}, count=1)


def test_step_that_cannot_be_compiled_is_played_as_it_is(untraced, monkeypatch):
    from torch._dynamo.exc import TorchDynamoException

    def fail(*_):
        raise TorchDynamoException("no compiler here")

    monkeypatch.setattr(torch, "compile", lambda function, **_: fail)
    runs, others = Runs(RING, RING | {"seed": 1}), Runs(RING, RING | {"seed": 1})
    runs.runtime.is_compiled = True
    runs.at_once(2)
    others.at_once(2)
    assert runs.runtime.compile_failure == "no compiler here"
    for ours, theirs in zip(runs.states, others.states, strict=True):
        assert all(torch.equal(tensor, theirs.tensors()[name]) for name, tensor in ours.tensors().items())


@pytest.mark.slow
def test_compiled_replicas_equal_their_solo_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    groups = FEATURES["lazy penalty"] | {"optimizer": {"name": "sgd"}}
    assert_each_equals_its_solo_run(groups, groups | {"seed": 4}, groups | {"seed": 5}, is_compiled=True)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_penalty_is_played_by_a_simplified_graph(penalty):
    groups = RING | {"penalty": {"name": penalty}, "optimizer": {"name": "sgd"}}
    assert_each_equals_its_solo_run(groups, groups | {"seed": 1}, count=1)


@pytest.mark.parametrize("is_traced", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_replica_has_the_same_bits_among_any_others(is_traced, request):
    if not is_traced:
        request.getfixturevalue("untraced")
    few, many = Runs(*(RING | {"seed": s} for s in (5, 1))), Runs(*(RING | {"seed": s} for s in range(7)))
    few.at_once(3)
    many.at_once(3)
    theirs = many.states[5].tensors()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in few.states[0].tensors().items())


def test_run_that_is_not_finite_stays_as_it_was(untraced):
    runs, alone = Runs(RING, RING | {"seed": 1}), Runs(RING | {"seed": 1})
    inputs = InputsOfAll(runs.states, runs.batches, runs.plays)(0)
    inputs.of_g[0]["draws"]["z"][0] = torch.nan
    before = {name: tensor.clone() for name, tensor in runs.states[0].tensors().items()}
    checks = StackedChecks()
    reports, finite = StackedStep(runs.states, runs.plays[0], runs.runtime)(inputs)
    checks.add(reports, finite)
    assert finite.tolist() == [False, True]
    assert [(row, str(error)[:6]) for row, error in checks.read().items()] == [(0, "loss/g")]
    assert all(torch.equal(tensor, before[name]) for name, tensor in runs.states[0].tensors().items())
    alone.alone(1)
    for name, tensor in runs.states[1].tensors().items():
        if not name.startswith("loop"):
            torch.testing.assert_close(tensor, alone.states[0].tensors()[name], rtol=1e-5, atol=1e-5)
