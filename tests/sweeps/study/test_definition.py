"""What a study's file lays down: settings, searches, budget, seeds and a metric, and nothing that runs code."""

import numpy as np
import pytest
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.core.groups import choices
from gantrain.core.spec import Spec
from gantrain.errors import ConfigError
from gantrain.sweeps.study.definition import changes, read_study, study_file
from gantrain.training.evaluate import expected_tags

HEAD = "seeds: 3\nbudget: {steps: 2}\nmetric: divergence/js_refit\n"
TWO = "settings: {a: [objective=hinge], b: []}\n"


def lay_down(tmp_path, text: str):
    (tmp_path / "mine.yaml").write_text(text)
    return read_study(tmp_path / "mine.yaml")


def test_study_is_every_setting_with_every_seed(tmp_path):
    study = lay_down(tmp_path, HEAD + "words: [dataset=ring]\n" + TWO)
    trials = list(study.trials(("train.steps=5",)))
    assert [(one.setting, one.seed) for one in trials] == [(s, i) for s in "ab" for i in range(3)]
    assert trials[0].words == (
        "dataset=ring", "objective=hinge", "train.steps=2", "seed=0", "train.steps=5",
    )  # fmt: skip
    assert not study.has_search
    assert changes(study, ("train.steps=5", "run.dir=x", "device=cpu", "dataset.root=y")) == ["train.steps=5"]


def test_grid_is_every_combination(tmp_path):
    search = "search: {grid: {optimizer.g_lr: [1e-4, 1e-3], optimizer.d_lr: [1e-3]}}\n"
    study = lay_down(tmp_path, HEAD + TWO + search)
    assert study.searches["a"] == (
        ("optimizer.g_lr=1e-4", "optimizer.d_lr=1e-3"), ("optimizer.g_lr=1e-3", "optimizer.d_lr=1e-3"),
    )  # fmt: skip
    assert len(list(study.trials())) == 2 * 2 * 3


def test_random_search_draws_the_same_values_for_each_setting(tmp_path):
    space = "{optimizer.g_lr: {low: 1e-4, high: 1e-2, log: true}, penalty: [none, r1]}"
    study = lay_down(tmp_path, HEAD + TWO + f"search: {{random: {space}, trials: 200}}\n")
    assert study.searches["a"] == study.searches["b"]
    rates = np.log10([float(words[0].partition("=")[2]) for words in study.searches["a"]])
    assert rates.min() >= -4
    assert rates.max() <= -2
    assert abs(rates.mean() + 3) < 4 * (2 / 12**0.5) / 200**0.5
    assert {words[1] for words in study.searches["a"]} == {"penalty=none", "penalty=r1"}
    own = "settings: {a: [], b: {words: [objective=hinge], search: {grid: {seed_of: [1]}}}}\n"
    with pytest.raises(ConfigError, match="is no word of a run's settings"):
        lay_down(tmp_path, HEAD + own)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (TWO, "budget", "is none"),
        (TWO + "budget: {epochs: 2}\n", "budget", "is none"),
        (HEAD + "settings: {a: []}\n", "settings", "are fewer than two"),
        (HEAD + TWO + "sedes: 3\n", "sedes", "there is no such key"),
        (HEAD.replace("3", "2") + TWO, "seeds", "are not 3 or more"),
        (HEAD.replace("3", "[1, 1, 2]") + TWO, "seeds", "are not 3 or more"),
        (HEAD.replace("js_refit", "js") + TWO, "metric", "own D"),
        (HEAD.replace("divergence/js_refit", "speed/steps") + TWO, "metric", "no known direction"),
        (HEAD + TWO + "direction: higher\n", "direction", "contradicts"),
        (HEAD + TWO + "words: [seed=3]\n", "words", "is no word"),
        (HEAD + TWO + "words: [run.dir=/tmp/x]\n", "words", "is no word"),
        (HEAD + TWO + "words: [hydra.callbacks.x._target_=os.system]\n", "words", "is no word"),
        (HEAD + TWO + "words: ['model.width=${oc.env:HOME}']\n", "words", "is no word"),
        (HEAD + TWO + "words: [objective=../../x]\n", "words", "is no word"),
        (HEAD + TWO + "words: hinge\n", "words", "is not a list of words"),
        (HEAD + TWO + "search: {grid: 3}\n", "search", "neither a grid nor random"),
        (HEAD + TWO + "search: {random: {penalty.gamma: {low: 1}}, trials: 3}\n", "search", "cannot be read"),
        (HEAD + TWO + "search: {random: {penalty.gamma: [1]}, trials: 1}\n", "search", "give 2 or more"),
        (HEAD.replace("3", "9999") + TWO, "seeds", "19,998 runs"),
        ("- a\n", "mine.yaml", "holds no keys"),
        ("a: [\n", "mine.yaml:2:1", "is not YAML"),
        ("a: !!python/object/apply:os.system [x]\n", "mine.yaml", "is not YAML"),
    ],
)
def test_study_that_lays_down_too_little_or_too_much_is_refused(tmp_path, text, where, what):
    with pytest.raises(ConfigError) as refused:
        lay_down(tmp_path, text)
    assert where in str(refused.value.where)
    assert what in str(refused.value)


WITHOUT_FILES = {  # what data are where their files may be absent
    "mnist": Spec((1, 28, 28), 10),
    "image_folder": Spec((3, 32, 32)),
    "stacked_mnist": Spec((3, 28, 28), 1000, channel_classes=10),
}


@pytest.mark.parametrize("name", choices("study"))
def test_shipped_study_reads_what_it_compares_by(name):
    study = read_study(study_file(name))
    assert study.question.endswith("?")
    for setting in [*study.settings][:: len(study.settings) - 1]:  # the first and the last
        trial = next(one for one in study.trials() if one.setting == setting)
        plain = composed(*trial.words)
        config = resolve(plain, WITHOUT_FILES.get(plain["dataset"]["name"]))
        assert study.metric in expected_tags(config)


def test_study_of_no_name_is_suggested(run_cli):
    code, _, error = run_cli("study", "objectives_rin")
    assert (code, "did you mean 'objectives_ring'?" in error) == (2, True)
    assert run_cli("study=packing")[2].endswith("type gantrain study packing\n")
    listed = run_cli("study")[1]
    assert all(name in listed for name in choices("study"))
