"""The step as a pure function: equal to eager play, compiled whole, and eager where it cannot be compiled."""

import pytest
import torch
from composed import composed
from small_game import condition_of

import gantrain.objectives
import gantrain.penalties  # noqa: F401  (registers every objective and penalty)
from gantrain.config.resolve import resolve
from gantrain.config.validate import ConfigError
from gantrain.registry import REGISTERED
from gantrain.training import steps
from gantrain.training.batches import Batches, visible_split
from gantrain.training.compiled import CompiledStep
from gantrain.training.draws import StepInputs
from gantrain.training.eager import EagerStep
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.steps import choose_play, pays, why_not_compiled

RING = {"dataset": {"name": "ring", "n": 64, "n_holdout": 10}, "model": {"name": "mlp", "width": 8}}
CONDITIONAL = {"name": "dcgan", "width": 4, "condition": "concat"}
# Adam makes an update of full size of a gradient that is 0 up to rounding, as that of a bias before batch norm.
IMAGES = {
    "dataset": {"name": "digits"},
    "model": {"name": "dcgan", "width": 4},
    "optimizer": {"name": "sgd"},
}
BOTH = {"condition": "conditional_batch_norm", "spectral_norm": True, "g_spectral_norm": True}
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
    "several updates of D": RING | {"train": {"d_steps": 3, "g_steps": 2}},
    "simultaneous": RING | {"train": {"update": "simultaneous"}},
    "unrolled": RING | {"train": {"unroll": 2}},
    "in parts": RING | {"train": {"accumulate": 2}, "penalty": {"name": "r1"}},
    "packed": RING | {"model": {"name": "mlp", "width": 8, "packing": 2}},
    "spread of the batch": RING | {"model": {"name": "mlp", "width": 8, "minibatch_std": True}},
    "spectral norm": RING | {"model": {"name": "mlp", "width": 8, "spectral_norm": True}},
    "noise": RING
    | {"noise": {"name": "noise", "instance_std": 0.3, "label_smoothing": 0.1, "label_flip": 0.1}},
    "flow": RING | {"model": {"name": "flow"}},
    "clip": RING | {"penalty": {"name": "weight_clip"}, "optimizer": {"name": "rmsprop"}},
    "momentum": RING | {"optimizer": {"name": "sgd", "momentum": 0.9, "g_lr": 0.1}},
    "images": IMAGES | {"penalty": {"name": "r1"}, "augment": {"name": "ada", "p": 0.3, "images": 1000}},
    "wrong pairs": IMAGES | {"model": CONDITIONAL, "objective": {"name": "conditional"}},
    "named classes": IMAGES
    | {"model": CONDITIONAL | {"condition": "auxiliary_classifier"}, "objective": {"name": "ac_gan"}},
    "batch norm": IMAGES | {"model": {"name": "dcgan", "width": 4, "condition": "conditional_batch_norm"}},
    "fixed filters": IMAGES
    | {"model": {"name": "r3gan", "width": 2, "blocks": 1, "z_dim": 4}, "penalty": {"name": "r1r2"}},
    "spectral norm of both": IMAGES | {"model": {"name": "resnet", "width": 4} | BOTH},
    "attention": {
        "dataset": {"name": "captions", "n": 32, "n_holdout": 8},
        "model": {"name": "resnet", "width": 8, "attention": 8},
        "optimizer": {"name": "sgd"},
        "penalty": {"name": "r1"},
    },
    "styles": IMAGES
    | {"model": {"name": "stylegan2", "width": 4, "max_width": 8, "z_dim": 6, "pixel_noise": True}},
    "path length": IMAGES
    | {
        "model": {"name": "stylegan2", "width": 4, "max_width": 8, "z_dim": 6},
        "penalty": {"name": "path_length", "every": 1},
    },
    "dropout in d": RING
    | {"model": {"name": "mlp", "width": 8, "d_dropout": 0.5, "d_input_dropout": 0.2, "packing": 2}},
    "unrolled by adam": RING
    | {"model": {"name": "mlp", "d_dropout": 0.5}, "train": {"unroll": 2, "unroll_rule": "optimizer"}},
    "batch norm in both": RING | {"model": {"name": "mlp", "width": 8, "g_norm": "batch", "d_norm": "batch"}},
    "maxout": RING
    | {"model": {"name": "mlp", "width": 8, "d_activation": "maxout"}, "penalty": {"name": "r1"}},
    "dropout": IMAGES | {"model": {"name": "dcgan", "width": 4, "source": "both", "spectral_norm": True}},
}


class Run:
    """A small run, whose steps are played by one kind of play."""

    def __init__(self, kind=EagerStep, **groups):
        train = {"steps": 100, "batch_size": 8, "log_every": 0} | groups.pop("train", {})
        plain = composed("dataset=ring", "device=cpu", "metric=none", "model=mlp", "name=test")
        self.config = resolve(plain | {"optimizer": {"name": "adam"}} | groups | {"train": train})
        self.runtime, self.data = Runtime(self.config.device), self.config.dataset.load(0)
        self.state = TrainState.create(self.config, self.data.spec, self.runtime)
        self.play = Play.create(self.config, self.runtime)
        self.batches = Batches(visible_split(self.data.train, self.config), 8, 0, self.runtime.device)
        self.runtime.is_compiled = kind is CompiledStep
        self.step = steps.step_of(self.state, self.play, self.runtime)

    def advance(self, count=1):
        for _ in range(count):
            rates = Rates.at(self.state.step, self.play)
            inputs = StepInputs(self.state, self.batches, self.play, rates)
            reports = self.step(inputs.of_d(), inputs.of_g(), rates)
            self.state.step += 1
        return reports

    def tensors(self):
        return {name: tensor.clone() for name, tensor in self.state.tensors().items()}


@pytest.fixture
def pure(monkeypatch):
    """Play the pure function as it is, without a compiler."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


@pytest.fixture
def traced(monkeypatch):
    """Trace the pure function into one graph, without generating code for it."""
    compile = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda function, options, **how: compile(function, backend="aot_eager", **how)
    )


def assert_equal_play(groups, count=2):
    compiled, eager = Run(CompiledStep, **groups), Run(**groups)
    reports = compiled.advance(count), eager.advance(count)
    assert compiled.runtime.compile_failure == ""
    assert [list(tags) for tags in reports[0]] == [list(tags) for tags in reports[1]]
    for ours, other in zip(*reports, strict=True):
        for tag, value in ours.items():
            torch.testing.assert_close(value, other[tag].detach(), rtol=1e-4, atol=1e-5, msg=tag)
    mine, others = compiled.tensors(), eager.tensors()
    assert mine.keys() == others.keys()
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, others[name], rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("name", FEATURES)
def test_pure_step_equals_eager_play(name, pure):
    assert_equal_play(FEATURES[name])


@pytest.mark.slow
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("objective", GAMES)
def test_every_game_and_penalty_is_a_pure_function(objective, penalty, pure):
    groups = {"objective": {"name": objective}, "penalty": {"name": penalty}, "optimizer": {"name": "sgd"}}
    condition = condition_of(REGISTERED["objective"][objective]())
    model = {"name": "mlp", "width": 8, "z_dim": 2, "condition": condition}  # a z as wide as the data
    assert_equal_play(RING | groups | {"model": model}, count=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", FEATURES)
def test_whole_step_is_one_graph(name, traced):
    torch._dynamo.reset()
    assert_equal_play(FEATURES[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    "groups", [RING | {"penalty": {"name": "r1"}}, FEATURES["images"]], ids=["ring", "images"]
)
def test_compiled_step_equals_eager_play(groups, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    assert_equal_play(groups | {"optimizer": {"name": "sgd"}})
    run, again = (Run(CompiledStep, **groups) for _ in range(2))
    run.advance(4)
    again.advance(2)
    resumed = Run(CompiledStep, **groups)
    resumed.state.load(again.tensors(), 2, "here")
    resumed.advance(2)
    for name, tensor in run.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name


def test_refused_step_leaves_every_tensor(pure):
    run = Run(CompiledStep, **RING)
    run.advance()
    before = run.tensors()
    rates = Rates.at(1, run.play)
    inputs = StepInputs(run.state, run.batches, run.play, rates)
    of_g = list(inputs.of_g())
    of_g[0].draws["z"].fill_(float("nan"))
    with pytest.raises(Exception, match="loss/g: the loss is not finite"):
        run.step(inputs.of_d(), of_g, rates)
    after = run.tensors()
    assert all(
        torch.equal(tensor, after[name]) for name, tensor in before.items() if name != "loop/d_updates"
    )


def test_preparing_changes_nothing(pure):
    run = Run(CompiledStep, **FEATURES["lazy penalty"])
    before = run.tensors()
    run.step.prepare(run.batches)
    after = run.tensors()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert_equal_play(FEATURES["lazy penalty"])


def test_step_that_cannot_be_compiled_is_played_eagerly(monkeypatch):
    from torch._dynamo.exc import TorchDynamoException

    def fail(*_):
        raise TorchDynamoException("no compiler here\nand more")

    monkeypatch.setattr(torch, "compile", lambda function, **_: fail)
    warnings = []
    monkeypatch.setattr(
        "gantrain.training.compiled.log.warning", lambda form, *args: warnings.append(form % args)
    )
    run, eager = Run(CompiledStep, **RING), Run(**RING)
    run.step.prepare(run.batches)
    run.advance(2)
    eager.advance(2)
    assert run.runtime.compile_failure == "no compiler here"
    assert warnings == ["the step cannot be compiled, and is played eagerly: no compiler here"]
    theirs = eager.tensors()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in run.tensors().items())


# The choice


def choice(compile="auto", environment=None, **groups):
    device = groups.pop("device", {}) | {"kind": "cpu", "compile": compile}
    run = Run(**(RING | groups | {"device": device}))
    choose_play(run.config, run.data, run.state, run.runtime, environment)
    return run.runtime.is_compiled


def test_choice_is_by_steps_and_kept_on_resume():
    assert not choice(train={"steps": 3000})
    assert choice(train={"steps": 1_000_000})
    assert choice("true", train={"steps": 1})
    assert not choice("false", train={"steps": 1_000_000})
    assert choice(train={"steps": 3000}, environment={"compiled": True})
    assert not choice(train={"steps": 1_000_000}, environment={"compiled": False})
    assert not choice(train={"steps": 1_000_000}, environment={})
    assert [choice(train={"seconds": seconds}) for seconds in (100, 1000)] == [False, True]


def test_larger_networks_pay_sooner():
    def least_steps(width):
        model = {"name": "mlp", "width": width}
        run = Run(**(RING | {"model": model, "train": {"steps": 10_000}}))
        lengths = [round(1.2**power) for power in range(80)]
        for length in lengths:
            run.config.train.steps = length
            if pays(run.config, run.data, run.state, run.play):
                return length
        return None

    assert least_steps(2048) < least_steps(8) <= 2**15


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ({"device": {"shards": 2}}, "device.shards cuts a batch"),
        ({"train": {"d_gain": 0.1}}, "train.d_gain reads"),
        ({"train": {"compare_gradients": True}}, "train.compare_gradients"),
        (
            IMAGES | {"objective": {"name": "regression"}, "model": CONDITIONAL},
            "regression is a loss of G alone",
        ),
    ],
)
def test_what_cannot_be_compiled_is_named(groups, reason):
    run = Run(**(RING | groups))
    assert why_not_compiled(run.config, run.state).startswith(reason)
    with pytest.raises(ConfigError, match=r"device\.compile: .*set device\.compile=auto"):
        choice("true", **groups)


# A batch in parts


@pytest.mark.parametrize(
    ("groups", "what"),
    [
        ({"train": {"accumulate": 3}}, "no 3 equal parts"),
        ({"train": {"accumulate": 8}}, "several samples"),
        ({"train": {"accumulate": 2}, "penalty": {"name": "lecam"}}, "penalty uses a whole batch"),
        ({"train": {"accumulate": 2, "unroll": 1}}, "train.unroll uses a whole batch"),
        (
            {"train": {"accumulate": 2}, "model": {"name": "mlp", "minibatch_std": True}},
            "model.minibatch_std uses a whole batch",
        ),
    ],
)
def test_batch_that_has_no_parts_is_refused(groups, what):
    with pytest.raises(ConfigError, match=f"train.accumulate: .*{what}"):
        Run(**(RING | groups))
