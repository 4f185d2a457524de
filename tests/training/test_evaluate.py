"""An evaluation reads the suite that fits, on held-out data, with floors and protocol, and disturbs nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from composed import composed
from torch import nn

from gantrain.cli.main import main
from gantrain.config.resolve import Config, resolve
from gantrain.datasets.base import Data
from gantrain.errors import ConfigError
from gantrain.metrics.js import JS, of_training_data
from gantrain.metrics.prdc import PRDC
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.evaluate import compute, in_eval, supported_metrics, view
from gantrain.training.run import prepare, run
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

RING = ["dataset=ring", "dataset.n=300", "dataset.n_holdout=120", "metric.n=50"]


def scene(*words: str) -> tuple[Config, Data, TrainState, Runtime]:
    config = resolve(composed("device=cpu", "device.threads=1", "model.width=8", *words))
    runtime, data = Runtime(config.device), config.dataset.load(config.seed)
    return config, data, TrainState.create(config, data.spec, runtime), runtime


def rows(x: torch.Tensor) -> set[tuple[float, ...]]:
    return set(map(tuple, x.flatten(1).tolist()))


class Odd(nn.Module):
    """A network whose parts are in different modes."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))
        self.b = nn.Dropout()
        self.a.eval()
        self.a[1].train()


def test_each_module_gets_its_own_mode_back_even_after_a_fault():
    networks = Odd(), Odd().eval()
    before = [module.training for network in networks for module in network.modules()]
    assert len(set(before)) == 2
    with in_eval(*networks):
        assert not any(module.training for network in networks for module in network.modules())
    assert [module.training for network in networks for module in network.modules()] == before
    with pytest.raises(KeyError), in_eval(*networks):
        raise KeyError
    assert [module.training for network in networks for module in network.modules()] == before


def test_metrics_that_do_not_fit_are_left_out_and_order_is_kept():
    config, data, *_ = scene("metric.names=[gan_test,prdc,modes,js]")
    assert [metric.name for metric in supported_metrics(config, data)] == ["prdc", "js"]
    config, data, *_ = scene(*RING, "metric.names=[gan_test,prdc,modes,js]")
    assert [metric.name for metric in supported_metrics(config, data)] == ["prdc", "modes", "js"]
    config, data, *_ = scene("objective=conditional", "metric.names=[gan_test,modes]")
    assert [metric.name for metric in supported_metrics(config, data)] == ["gan_test"]
    config, data, *_ = scene("metric=none")
    assert supported_metrics(config, data) == []


def test_suite_of_which_nothing_fits_is_refused():
    config, data, *_ = scene("metric.names=[modes,gan_test]")
    with pytest.raises(ConfigError, match=r"metric: nothing fits.*modes: \w+.*gan_test: \w+"):
        supported_metrics(config, data)


def test_both_sides_are_held_out_and_equally_many():
    config, data, state, runtime = scene(*RING)
    evaluation = view(config, data, state, runtime)
    with torch.inference_mode():
        (x, y), (fake, asked) = evaluation.real, evaluation.fake
    assert len(x) == len(fake) == evaluation.n == 50
    assert rows(x) <= rows(data.holdout.x)
    assert len(rows(x)) == 50
    assert not rows(x) & rows(data.train.x)
    assert torch.equal(y, asked)
    assert view(config, data, state, runtime, n=20).n == 20
    assert view(config, data, state, runtime, n=10**6).n == 50
    assert (
        view(resolve(config.plain() | {"metric": {"n": 10**6}}), data, state, runtime).n == 120
    )  # all there is


def test_evaluation_uses_averaged_and_live_weights():
    config, data, state, runtime = scene(
        *RING, "dataset.radius=0.1", "dataset.std=0.3"
    )  # where an untrained G is
    metrics = [PRDC(), JS()]
    first = compute(metrics, view(config, data, state, runtime)).metrics
    names = [
        {tag for tag in first if tag.split("/")[0] in kinds}
        for kinds in (("fidelity", "diversity"), ("divergence",))
    ]
    judged, played = names
    assert judged
    assert played
    with torch.no_grad():
        for p in state.G.parameters():
            p.add_(0.3)
    live = compute(metrics, view(config, data, state, runtime)).metrics
    assert all(live[tag] == first[tag] for tag in judged)
    assert all(live[tag] != first[tag] for tag in played)
    state.G_ema.load_state_dict(state.G.state_dict())
    both = compute(metrics, view(config, data, state, runtime)).metrics
    assert all(both[tag] == live[tag] for tag in played)
    assert any(both[tag] != live[tag] for tag in judged)


def test_evaluation_latents_depend_on_seed_step_and_purpose():
    config, data, state, runtime = scene(*RING)
    first = view(config, data, state, runtime).game.latents(9, "evaluate")
    torch.rand(4)
    assert torch.equal(view(config, data, state, runtime, n=5).game.latents(9, "evaluate"), first)
    others = [view(config, data, state, runtime).game.latents(9, "divergence")]
    others += [view(replace(config, seed=1), data, state, runtime).game.latents(9, "evaluate")]
    state.step = 1
    others += [view(config, data, state, runtime).game.latents(9, "evaluate")]
    assert not any(torch.equal(other, first) for other in others)


def test_wrong_conditions_are_every_other_class_and_never_right():
    config, data, state, runtime = scene(*RING, "objective=conditional")
    y = torch.arange(8).repeat(100)
    wrong = view(config, data, state, runtime).game.wrong(y)
    assert not (wrong == y).any()
    assert {(int(a), int(b)) for a, b in zip(y, wrong, strict=True)} == {
        (a, b) for a in range(8) for b in range(8) if a != b
    }


def test_evaluation_chunk_size_does_not_matter(monkeypatch):
    config, data, state, runtime = scene("objective=conditional", "metric.n=40")
    readings = []
    for chunk in (7, 500):
        monkeypatch.setattr("gantrain.metrics.side.CHUNK", chunk)
        evaluation = view(config, data, state, runtime)
        with torch.inference_mode():
            x, y = evaluation.fake
            readings.append((x, evaluation.logits(x, y)))
    for a, b in zip(*readings, strict=True):
        assert len(a) == 40
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "words", [RING, ["objective=conditional", "metric.names=[js,prdc]", "metric.n=50"]], ids=str
)
def test_evaluating_the_last_checkpoint_reads_what_the_run_wrote(tmp_path, capfd, words):
    folder = tmp_path / "run"
    config = resolve(
        composed(*words, "device=cpu", "device.threads=1", "model.width=8", "train.steps=4", "train.ema=0.5")
    )
    result = run(config, folder)
    written = json.loads((folder / "result.json").read_text())
    assert written == json.loads(json.dumps(result))
    assert written["status"] == "finished"
    assert {"js", "prdc"} <= set(written["protocol"])
    for protocol in written["protocol"].values():
        assert protocol["n"] == 50
    assert {"features", "k", "split"} <= set(written["protocol"]["prdc"])
    judged = {tag for tag in written["metrics"] if tag.startswith(("fidelity/", "diversity/"))}
    assert judged == set(written["floors"])
    *earlier, last = (folder / "metrics.jsonl").read_text().splitlines()
    assert all(json.loads(line)["step"] < 4 for line in earlier)
    assert json.loads(last).items() >= ({"step": 4} | written["metrics"]).items()
    before = load_checkpoint(folder).tensors
    assert main(["evaluate", str(folder)]) == 0
    read_again = json.loads((folder / "evaluation-000004.json").read_text())
    keys = ("step", "metrics", "intervals", "errors", "floors", "floor_errors", "protocol")
    assert read_again == {key: written[key] for key in keys}
    after = load_checkpoint(folder).tensors
    assert all(torch.equal(after[name], before[name]) for name in before)
    said = capfd.readouterr().out
    assert all(tag in said for tag in written["metrics"] if not tag.endswith("_se"))
    assert str(Path(folder / "evaluation-000004.json")) in said


def test_evaluation_precision_is_that_of_the_run():
    config, data, state, runtime = scene(*RING, "device.precision=bfloat16")
    inside = view(config, data, state, runtime)
    with runtime.autocast():
        assert compute([JS()], inside).metrics == compute([JS()], view(config, data, state, runtime)).metrics
    exact = scene(*RING)
    assert compute([JS()], inside).metrics != compute([JS()], view(*exact)).metrics
    types = {"body": set(), "head": set()}  # of what D's layers return
    for name, part in types.items():
        layer = getattr(state.D, name)
        layer.register_forward_hook(lambda *call, part=part: part.add(call[2].dtype))
    compute([JS()], view(config, data, state, runtime))
    assert types == {"body": {torch.bfloat16}, "head": {torch.float32}}


@pytest.mark.parametrize(("word", "times"), [("objective=non_saturating", 1), ("objective=conditional", 2)])
def test_fresh_samples_serve_both_splits_unless_labels_differ(word, times, monkeypatch):
    config, data, state, runtime = scene(word, "metric.names=[js]", "metric.n=40")
    evaluation = view(config, data, state, runtime)
    training = of_training_data(evaluation)
    calls = []
    forward = type(state.G).forward
    monkeypatch.setattr(
        type(state.G), "forward", lambda self, z, y=None: calls.append(1) or forward(self, z, y)
    )
    result = compute(supported_metrics(config, data), evaluation, on_training=training)
    assert len(calls) == times
    fresh = view(config, data, state, runtime)
    alone = compute([JS()], replace(fresh, data=replace(data, holdout=data.train)))
    assert result.on_training["divergence/js"] == alone.estimates["divergence/js"]
    assert result.on_training["divergence/js"] != result.estimates["divergence/js"]


@pytest.mark.parametrize(
    ("n", "batch", "packing", "used"),
    [(37, 64, 4, 36), (50, 512, 8, 48), (50, 6, 3, 48), (16, 16, 8, 16), (50, 6, 1, 50)],
)
def test_packed_d_gives_one_logit_for_each_whole_pack(n, batch, packing, used):
    words = [f"metric.n={n}", f"train.batch_size={batch}", f"model.packing={packing}"]
    config, data, state, runtime = scene(*RING, *words)
    evaluation = view(config, data, state, runtime)
    with torch.inference_mode():
        x, _ = evaluation.real
        found = evaluation.logits(x, None)
        expected = torch.cat([state.D(pack, None) for pack in x[:used].split(packing)])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("n", "batch", "packing", "size"), [(50, 6, 1, 6), (50, 12, 4, 12), (37, 64, 4, 36), (37, 64, 1, 37)]
)
def test_batch_statistics_are_read_on_equal_batches(n, batch, packing, size):
    words = [f"metric.n={n}", f"train.batch_size={batch}", f"model.packing={packing}"]
    config, data, state, runtime = scene(*RING, *words, "model.minibatch_std=true")
    evaluation = view(config, data, state, runtime)
    with torch.inference_mode():
        x, _ = evaluation.real
        found = evaluation.logits(x, None)
        expected = torch.cat([state.D(part, None) for part in x[: n // size * size].split(size)])
    torch.testing.assert_close(found, expected)


def test_fewer_than_two_packs_are_refused():
    words = [*RING, "model.packing=8"]
    with pytest.raises(ConfigError, match=r"metric\.n: is 15, .*; give at least 16$"):
        scene(*words, "metric.n=15")
    config, *_ = scene(*words, "metric.n=16", "dataset.n_holdout=15")
    with pytest.raises(ConfigError, match=r"model\.packing: is 8, .*15 held-out.*; set model\.packing=1"):
        prepare(config)
    for more in (["dataset.n_holdout=16"], ["dataset.n_holdout=15", "model.packing=1"]):
        assert prepare(scene(*words, "metric.n=16", *more)[0])
