"""What completion offers is what the program knows: verbs, groups, keys, values, run folders."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gantrain.cli.commands.completion import SHELLS
from gantrain.cli.completion import offers
from gantrain.config.resume import RESUMABLE_KEYS
from gantrain.core.groups import GROUPS, choices

TEXT = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["resume", "sample", "objective=fgan", "experiment=dirac", "-m", "--cfg"]), max_size=2
    ),
    TEXT,
)
def test_offers_begin_with_what_is_typed(before, word):
    assert all(offer.startswith(word) for offer in offers([*before, word]))


@pytest.mark.parametrize("group", GROUPS)
def test_offers_of_a_group_are_its_choices_also_after_a_comma(group):
    assert set(offers([f"{group}="])) == {f"{group}={option}" for option in choices(group)}
    first = next(iter(choices(group)))
    rest = {f"{group}={first},{option}" for option in choices(group) if option != first}
    assert set(offers(["-m", f"{group}={first},"])) == rest


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["objective=fgan", "objective."], {f"objective.{key}=" for key in ("divergence", "generator", "pi", "alpha")}),
        (["objective=fgan_kl", "objective.p"], {"objective.pi="}),
        (["optimizer.schedule="], {f"optimizer.schedule={name}" for name in ("constant", "linear", "cosine")}),
        (["train.compare_gradients="], {"train.compare_gradients=true", "train.compare_gradients=false"}),
        (["res"], {"resume"}),
        (["seed=1", "res"], set()),
        (["objective"], {"objective=", "objective."}),
        (["list", "obj"], {"objective"}),
        (["completion", ""], set(SHELLS)),
        (["--cfg", ""], {"job", "hydra", "all"}),
        (["evaluate", "RUN", "metric=fu"], {"metric=full"}),
        (["sample", "RUN", "device="], {f"device={kind}" for kind in ("auto", "cpu", "cuda", "mps")}),
        (["show", "RUN", "f"], {"full=true"}),
        (["nonsense."], set()),
    ],
)  # fmt: skip
def test_offers_after_each_kind_of_word(words, offered):
    assert set(offers(words)) == offered


def test_offers_after_resume_are_the_resumable_keys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert set(offers(["resume", "RUN", ""])) >= {f"{key}=" for key in RESUMABLE_KEYS}


def test_offers_include_choices_of_config_dir(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# Mine.\n")
    assert set(offers(["--config-dir", str(tmp_path), "model=mi"])) == {"model=mine"}


def test_offers_of_runs_newest_first_and_sweeps_where_legal(outputs):
    assert list(offers(["sample", ""])) == [
        "outputs/day/b run/",
        "outputs/day/sweep/0-job/",
        "outputs/day/a/",
    ]
    assert list(offers(["resume", ""])) == [
        "outputs/day/b run/", "outputs/day/sweep/0-job/", "outputs/day/a/", "outputs/day/sweep/",
    ]  # fmt: skip
    assert list(offers(["sample", "outputs/day/a"])) == ["outputs/day/a/"]
    assert list(offers(["sample", "outputs/day/a/"])) == ["outputs/day/a/", "outputs/day/a/checkpoints/"]
    assert list(offers(["sample", "outputs/p"])) == ["outputs/plain/"]
    assert list(offers(["train.init_from=outputs/day/b"])) == ["train.init_from=outputs/day/b run/"]
    assert set(offers(["compare", "outputs/day/a", "outputs/day/b"])) == {"outputs/day/b run/"}


def test_completion_imports_nothing_heavy(tmp_path):
    words = ["completion", "offers", "bash", "gantrain experiment=dirac dataset.", " \t\n=:"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gantrain", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "dataset.n=" in done.stdout.splitlines()
    assert not modules & {"torch", "hydra", "omegaconf", "numpy", "yaml"}


def test_evaluate_offers_a_second_set_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake.npz").write_bytes(b"")
    assert {"fake/", "fake.npz"} <= offers(["evaluate", "f"]).keys()
    assert {"fake/", "fake.npz"} <= offers(["evaluate", "real", "fa"]).keys()
    assert "features=random" in offers(["evaluate", "fake", "real", "features="])
    assert "fake.npz" not in offers(["sample", "f"])
