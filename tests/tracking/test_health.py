"""Each fault gets its own name, once, with its numbers, and remedies that are accepted; a healthy run has none."""

import json
import os
import re
import signal
from collections.abc import Mapping

import pytest
import torch
from composed import composed

from gantrain.cli.main import main
from gantrain.config.resolve import resolve
from gantrain.core.estimate import Estimate
from gantrain.errors import Interrupted
from gantrain.noise import Noise
from gantrain.objectives.cross_entropy import Minimax, NonSaturating
from gantrain.objectives.wasserstein import Wasserstein
from gantrain.tracking.health.check import DETECTORS, Health
from gantrain.tracking.health.finding import PATIENCE, valid_remedies
from gantrain.tracking.health.game import relative_slope
from gantrain.tracking.health.noise import label_information
from gantrain.tracking.health.vitals import Subject, Vitals
from gantrain.training.run import run
from gantrain.training.session import Session

N = 1000
METRICS = ("js", "prdc", "modes", "gan_test", "nearest")
FLOORS = {
    "diversity/coverage": 0.97,
    "diversity/recall": 0.95,
    "diversity/modes": 8.0,
    "fidelity/precision": 0.96,
    "fidelity/high_quality": 0.99,
    "fidelity/gan_test": 0.97,
}
HEALTHY = {
    "diversity/coverage": 0.85,
    "diversity/recall": 0.8,
    "diversity/modes": 8.0,
    "fidelity/precision": 0.85,
    "fidelity/high_quality": 0.8,
    "fidelity/gan_test": 0.95,
    "fidelity/nearest_distance": 1.1,
    "logits/accuracy": 0.6,
    "divergence/js": 0.05,
}
POOR = {
    "diversity/coverage": 0.02,
    "diversity/recall": 0.0,
    "fidelity/precision": 0.1,
    "diversity/modes": 1.0,
}
POOR |= {"fidelity/high_quality": 0.05}
CONDITIONAL = 'model.condition="concat"'
FACTS = {"low": -1.0, "high": 1.0, "largest_std": 0.9, "smallest_std": 0.1, "repeats": 0.0, "values": 1.0}
FACTS |= {"label_agreement": 0.9, "label_chance": 0.1}
SIGNS = {
    "spread": 0.8,
    "nearest": 0.7,
    "distance": 1.4,
    "offset": 0.3,
    "reach": 0.4,
    "peak": 0.02,
    "real_peak": 0.01,
}
SIGNS |= {
    "average_gap": 0.2,
    "logit_train": 0.4,
    "logit_held_out": 0.35,
    "logit_held_out_std": 0.5,
    "logit_fake": -0.3,
}
SIGNS |= {
    "auc_fake": 0.8,
    "auc_train": 0.52,
    "auc_wrong": 0.6,
    "condition_effect": 0.4,
    "leak": 0.1,
    "real_leak": 0.01,
}


def subject(*words: str, **facts: object) -> Subject:
    own = FACTS | dict(facts.pop("facts", {}))  # type: ignore[call-overload]
    facts = {"metrics": METRICS, "n_train": 1400, "n": N, "facts": own} | facts
    plain = composed()  # once; a group's choice is the plug-in of its name
    for key, text in (word.split("=") for word in words):
        group, _, last = key.partition(".")
        plain[group] = plain[group] | {last: json.loads(text)} if last else {"name": text}
    return Subject(resolve(plain), **facts)  # type: ignore[arg-type]


def vitals(step: int = 600, values: Mapping[str, float | None] = HEALTHY, **parts: object) -> Vitals:
    values = {tag: value for tag, value in (HEALTHY | dict(values)).items() if value is not None}
    estimates = {tag: Estimate(value, error=0.005, n=N) for tag, value in values.items()}
    defaults = {
        "scalars": {"logits/fake": -0.3},
        "floors": {tag: Estimate(value) for tag, value in FLOORS.items()},
        "on_training": {"divergence/js": Estimate(values["divergence/js"] + 0.01, error=0.005)},
        "moved": {"g": 0.7, "d": 0.9},
    }
    parts["signs"] = SIGNS | dict(parts.get("signs", {}))  # type: ignore[call-overload]
    return Vitals(step, 1000, estimates=estimates, **(defaults | parts))  # type: ignore[arg-type]


# Each fault by its name: the words of the run, facts of its data, and what an evaluation shows.
FAULTS: dict[str, tuple[list[str], dict[str, object], dict[str, object]]] = {
    "G frozen": (["optimizer.g_lr=0"], {}, {"values": POOR, "moved": {"g": 0.0, "d": 2.0}}),
    "D frozen": (["optimizer.d_lr=0"], {}, {"values": POOR, "moved": {"g": 2.0, "d": 0.0}}),
    "D and G frozen": (["optimizer.d_lr=0", "optimizer.g_lr=0"], {}, {"values": POOR}),
    "D frozen, by a rate that rounds away": (
        ["optimizer.d_lr=1e-12"],
        {},
        {"values": POOR, "moved": {"g": 2.0, "d": 0.0}},
    ),
    "labels random": (
        ["noise=labels", "noise.label_flip=0.48"],
        {},
        {"values": POOR | {"logits/accuracy": 0.5}},
    ),
    "noise too strong": (["noise.instance_std=20"], {}, {"values": POOR}),
    "G's rate too high": (["optimizer.g_lr=0.1"], {}, {"values": POOR, "moved": {"g": 60.0, "d": 2.0}}),
    "D's rate too high": (["optimizer.d_lr=0.1"], {}, {"values": POOR, "moved": {"g": 1.0, "d": 60.0}}),
    "D and G rates too low": (
        ["optimizer.d_lr=1e-7", "optimizer.g_lr=1e-7"],
        {},
        {"values": POOR, "moved": {"g": 1e-3, "d": 1e-3}},
    ),
    "too few training samples": ([], {"n_train": 50}, {"on_training": {"divergence/js": Estimate(0.06)}}),
    "D memorises": (
        [],
        {"n_train": 500},
        {"values": {"divergence/js": 0.05}, "on_training": {"divergence/js": Estimate(0.4, error=0.02)}},
    ),
    "generator gradient vanished": (
        ["objective=minimax"],
        {},
        {"signs": {"auc_fake": 1.0}, "values": POOR, "scalars": {"logits/fake": -9.0}},
    ),
    "D perfect": ([], {}, {"values": POOR | {"logits/accuracy": 1.0, "divergence/js": 0.69}}),
    "D lags": ([], {}, {"values": {"divergence/js": -0.08}}),
    "D at chance": ([], {}, {"values": POOR | {"logits/accuracy": 0.5, "divergence/js": 0.0}}),
    "too few held-out samples": ([], {"n": 5}, {}),
    "labels wrong": ([CONDITIONAL], {}, {"floors": {"fidelity/gan_test": Estimate(0.15)}}),
    "classes unequal": ([CONDITIONAL], {"class_counts": (500, 3, 400)}, {}),
    "G copies training data": ([], {}, {"values": {"fidelity/nearest_distance": 0.1}}),
    "modes missing": ([], {}, {"values": {"diversity/modes": 6.0}}),
    "collapse": ([], {}, {"values": {"diversity/coverage": 0.2, "diversity/recall": 0.0}}),
    "collapse, blurred": ([], {}, {"values": {"fidelity/precision": 0.99, "diversity/recall": 0.01}}),
    "nothing learnt": ([], {}, {"values": {"diversity/coverage": 0.0}}),
    "nothing learnt, untrained": (
        [],
        {},
        {"values": {"diversity/coverage": 0.05, "diversity/recall": 0.0}, "moved": {"g": 0.07, "d": 0.17}},
    ),
    "nothing learnt, no coverage": (
        [],
        {},
        {"values": {"diversity/coverage": None, "fidelity/high_quality": 0.0, "diversity/modes": 0.0}},
    ),
    "condition ignored": ([CONDITIONAL], {}, {"values": {"fidelity/gan_test": 0.12}}),
    "rates ended": (["optimizer.horizon=100"], {}, {}),
    "batch too small": (["train.batch_size=2"], {}, {}),
    "beta1 too high": (["optimizer.beta1=0.99"], {}, {}),
    "average too slow": (["train.ema_half_life=1e6"], {}, {}),
    "average off": (["train.ema=0"], {}, {}),
    "data out of range": ([], {"facts": {"low": 0.0, "high": 255.0}}, {}),
    "data in half the range": ([], {"facts": {"low": 0.0, "high": 1.0}}, {}),
    "columns of unequal scale": (["dataset=ring"], {"facts": {"largest_std": 900.0}}, {}),
    "columns of unequal scale, all large": (
        ["dataset=ring"],
        {"facts": {"largest_std": 50.0, "smallest_std": 40.0}},
        {},
    ),
    "training data repeated": ([], {"facts": {"repeats": 0.97, "distinct": 30.0}}, {}),
    "one class": ([CONDITIONAL], {"class_counts": (0, 900, 0)}, {}),
    "labels wrong, by neighbours": ([CONDITIONAL], {"facts": {"label_agreement": 0.11}}, {}),
    "penalty too strong": (
        ["penalty=r1", "penalty.gamma=1000"],
        {},
        {"signs": {"logit_held_out": 0.0, "logit_held_out_std": 0.01, "logit_fake": -0.01}},
    ),
    "condition ignored by D": ([CONDITIONAL], {}, {"signs": {"condition_effect": 0.0, "auc_wrong": 0.5}}),
    "augmentation leaks": (["augment=ada"], {}, {"signs": {"leak": 0.9}}),
    "augmentation leaks, by a classifier": (
        ["augment=ada"],
        {},
        {"values": {"fidelity/leak": 0.7}, "floors": {"fidelity/leak": Estimate(0.1)}},
    ),
    "classes missing": (
        [],
        {},
        {"values": {"diversity/class_kl": 0.9}, "floors": {"diversity/class_kl": Estimate(0.01)}},
    ),
    "checkerboard": ([], {}, {"signs": {"peak": 0.4}}),
    "collapse, of unknown modes": ([], {}, {"signs": {"nearest": 0.01, "spread": 0.4}}),
    "collapse, of all samples onto one": ([], {}, {"signs": {"nearest": 0.0, "spread": 0.0}}),
    "D memorises, by logits": ([], {}, {"signs": {"auc_train": 0.8}}),
}


def health_with(name: str) -> Health:
    words, facts, parts = FAULTS[name]
    health = Health(subject(*words, **facts))
    for step in (600, 700, 800):
        health.check(vitals(step, **parts))  # type: ignore[arg-type]
    return health


def test_healthy_vitals_have_no_finding_at_any_step():
    health = Health(subject())
    assert [health.check(vitals(step)) for step in range(100, 1001, 100)] == [[]] * 10
    assert health.standing == {}
    assert health.blind_spots() == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_first_and_alone(name):
    standing = health_with(name).standing
    assert list(standing) == [name.partition(",")[0]]
    assert all(re.search(r"\d|frozen", finding.sentence) for finding in standing.values())


def test_every_detector_has_a_fault():
    found = set()
    for words, facts, parts in FAULTS.values():
        health = Health(subject(*words, **facts))
        case = health.case(vitals(**parts))  # type: ignore[arg-type]
        found |= {detect for detect in DETECTORS if detect(case)}
    assert found == set(DETECTORS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_sentence_says_what_is_normal_and_likely(name):
    for finding in health_with(name).standing.values():
        assert finding.normal
        assert finding.cause
        if finding.is_fault:
            assert f"normal: {finding.normal}; likely: {finding.cause}" in str(finding)
            assert ("; try " in str(finding)) is bool(finding.remedies)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_every_remedy_is_accepted_when_it_is_typed(name):
    words, facts, parts = FAULTS[name]
    for more in ([], ["penalty=r1"], ["train.images=64000"]):
        health = Health(subject(*words, *more, **facts))
        before = resolve(composed(*words, *more)).plain()
        for step in (600, 700):
            health.check(vitals(step, **parts))  # type: ignore[arg-type]
        for finding in health.standing.values():
            for remedy in finding.remedies:
                assert resolve(composed(*words, *more, *remedy.split())).plain() != before, remedy
    if name not in ("too few held-out samples", "labels wrong", "classes unequal"):
        standing = health_with(name).standing.values()
        assert all(bool(finding.remedies) == finding.is_fault for finding in standing)


@pytest.mark.parametrize(
    "name",
    ["experiment=optimal_discriminator", "experiment=vanishing_gradient", "experiment=too_many_g_steps"],
)
def test_a_player_that_an_experiment_freezes_is_no_fault(name):
    health = Health(Subject(resolve(composed(name)), ("js",), n_train=2000, n=N))
    [only] = health.check(vitals(600, POOR))
    assert (str(only), only.is_fault) == (
        "G is frozen, as optimizer.g_lr=0 says; its game is not checked",
        False,
    )


def test_a_remedy_that_holds_or_is_refused_is_left_out():
    config = resolve(composed("penalty=dragan"))
    words = [
        "penalty=dragan",
        "objective=non_saturating",
        "model.packing=2",
        "noise.instance_std=0.1",
        "optimizer.g_lr=1e-3",
    ]
    assert valid_remedies(config, words) == ("noise.instance_std=0.1",)
    assert valid_remedies(config, ["objective=nothing", "objective=wasserstein penalty=wgan_gp"]) == (
        "objective=wasserstein penalty=wgan_gp",
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_one_reading_waits_unless_it_is_certain(name):
    words, facts, parts = FAULTS[name]
    health, healthy = Health(subject(*words, **facts)), Health(subject(*words, **facts))
    new = health.check(vitals(600, **parts))  # type: ignore[arg-type]
    assert [finding.is_certain for finding in new] in ([], [True])
    # In a run with this one evaluation, at its end, there is nothing to wait for.
    [only] = healthy.check(vitals(1000, **parts))  # type: ignore[arg-type]
    assert only.name == name.partition(",")[0]


def test_a_lasting_fault_is_reported_once_until_it_pauses():
    health, sick = Health(subject()), {"values": FAULTS["modes missing"][2]["values"]}
    reported = [len(health.check(vitals(600 + i, **sick))) for i in range(5)]  # type: ignore[arg-type]
    assert reported == [0] * (PATIENCE - 1) + [1] + [0] * (5 - PATIENCE)
    health.check(vitals(700))
    assert health.standing == {}
    again = [len(health.check(vitals(800 + i, **sick))) for i in range(PATIENCE)]  # type: ignore[arg-type]
    assert again == [0] * (PATIENCE - 1) + [1]


def test_poor_samples_early_in_a_run_are_no_fault():
    health = Health(subject())
    assert [health.check(vitals(step, POOR)) for step in (100, 200, 300, 400)] == [[]] * 4


def test_modes_are_held_against_what_real_data_show():
    few = {tag: Estimate(value) for tag, value in (FLOORS | {"diversity/modes": 630.0}).items()}
    health = Health(subject())
    for step in (600, 700):
        assert health.check(vitals(step, {"diversity/modes": 600.0}, floors=few)) == []
    health = Health(subject())
    found = [health.check(vitals(step, {"diversity/modes": 500.0}, floors=few)) for step in (600, 700)]
    assert [f.name for f in found[1]] == ["modes missing"]
    assert "630" in found[1][0].sentence
    # Lost modes are a fault at any time.
    health = Health(subject())
    for step, modes in ((100, 7.0), (200, 5.0), (300, 5.0)):
        health.check(vitals(step, {"diversity/modes": modes}))
    assert list(health.standing) == ["modes missing"]


@pytest.mark.parametrize("words", [["dataset=ring"], ["dataset=gaussian"]])
def test_points_of_few_dimensions_are_never_copies(words):
    health = Health(subject(*words))
    for step in (600, 700):
        assert health.check(vitals(step, {"fidelity/nearest_distance": 0.0})) == []


def test_a_critic_that_separates_has_no_fault():
    for words in (["objective=wasserstein", "penalty=wgan_gp"], ["objective=hinge"]):
        health = Health(subject(*words))
        for step in (600, 700):
            health.check(vitals(step, {"logits/accuracy": 1.0}, scalars={"logits/fake": -30.0}))
        assert health.standing == {}


def test_label_information_is_that_of_the_binary_channel():
    # JSD of Bernoulli(1 - f) and Bernoulli(f) is log 2 - H(f).
    for flip, share in ((0.0, 1.0), (0.11, 0.5), (0.25, 0.1887), (0.5 - 1e-9, 0.0)):
        assert label_information(Noise(label_flip=flip)) == pytest.approx(share, abs=1e-4)
    assert 0.5 < label_information(Noise(label_smoothing=0.1)) < 1


def test_the_slope_of_g_vanishes_for_minimax_alone():
    for logit in (-9.0, -2.0, 0.0, 3.0):
        odds = torch.tensor(logit).sigmoid().item()
        assert relative_slope(Minimax(), logit) == pytest.approx(2 * odds, rel=1e-6)
        assert relative_slope(NonSaturating(), logit) == pytest.approx(2 * (1 - odds), rel=1e-6)
        assert relative_slope(Wasserstein(), logit) == 1.0


def test_blind_spots_have_a_line_each():
    def lines(*words: str, **facts: object) -> str:
        return " | ".join(Health(subject(*words, **facts)).blind_spots())

    assert lines() == ""
    assert "no metrics" in lines(metrics=())
    assert "train.evaluate_every=0" in lines("train.evaluate_every=0")
    assert "trains none" in lines("objective=regression", CONDITIONAL)
    assert "js" in lines(metrics=("prdc",))
    assert "prdc" in lines(metrics=("js",))
    assert "n=300, k=5" in lines(n=300)
    assert "0.08" in lines(n=300)


def test_health_goes_on_from_its_state():
    sick = {"values": FAULTS["modes missing"][2]["values"]}
    whole, first = Health(subject()), Health(subject())
    for health in (whole, first):
        health.check(vitals(600, **sick))  # type: ignore[arg-type]
    second = Health(subject())
    second.load(json.loads(json.dumps(first.state())))
    assert [len(h.check(vitals(700, **sick))) for h in (whole, second)] == [1, 1]  # type: ignore[arg-type]
    assert second.state() == whole.state()
    assert second.standing == whole.standing
    old = Health(subject())
    old.load({})
    assert old.state() == Health(subject()).state()


def test_a_vanished_gradient_stands_in_log_and_result(run_cli, tmp_path):
    code, _, error = run_cli(
        "dataset=lines", "objective=minimax", "device=cpu", "run.dir=r", "metric=js", "optimizer.g_lr=2e-5",
        "train.steps=24", "train.evaluate_every=6", "train.log_every=6", "train.sample_every=0",
    )  # fmt: skip
    assert code == 0, error
    [line] = json.loads((tmp_path / "r" / "result.json").read_text())["health"]
    assert "gradient has vanished" in line
    assert "objective=non_saturating" in line
    assert (tmp_path / "r" / "gantrain.log").read_text().count("gradient has vanished") == 1


def test_a_run_without_metrics_still_sees_a_frozen_player(run_cli, tmp_path):
    words = (
        "dataset=lines metric=none device=cpu run.dir=r optimizer.d_lr=0 train.steps=4 train.sample_every=0"
    )
    code, _, error = run_cli(*words.split())
    assert code == 0, error
    result = json.loads((tmp_path / "r" / "result.json").read_text())
    assert result["health"] == ["D is frozen, as optimizer.d_lr=0 says; its game is not checked"]
    assert "WARNING" not in (tmp_path / "r" / "gantrain.log").read_text()
    assert "no metrics" in result["unchecked"][0]


def test_findings_do_not_depend_on_when_a_run_was_stopped(tmp_path):
    words = "dataset=lines objective=minimax device=cpu metric=js optimizer.g_lr=2e-5 train.log_every=6"
    words += " train.steps=24 train.evaluate_every=6 train.sample_every=0 train.checkpoint_every=12"
    config = resolve(composed(*words.split()))
    whole = run(config, tmp_path / "whole")["health"]
    assert any("gradient has vanished" in line for line in whole)
    for share in (0.5, 1.0):
        folder = tmp_path / str(share)

        def stop(step, metrics, over, share=share):
            if over == share:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Interrupted):
            run(config, folder, session=Session(watch=stop))
        assert main(["resume", str(folder)]) == 0
        assert json.loads((folder / "result.json").read_text())["health"] == whole
        warnings = [line for line in (folder / "gantrain.log").read_text().splitlines() if "WARNING" in line]
        assert len([line for line in warnings if "gradient has vanished" in line]) <= 1
