"""The Tab key: what is offered is what the program knows, and shells put it where it belongs."""

import dataclasses
import os
import pty
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import gantrain.config.resolve
from gantrain import keys
from gantrain.cli.commands.sample import SampleOptions
from gantrain.cli.completion import SHELLS, for_bash, offers, quoted, read_line
from gantrain.cli.help import verbs
from gantrain.cli.main import VERBS
from gantrain.config.options import Device, Folder, Top, Train
from gantrain.config.resume import RESUMABLE_KEYS
from gantrain.core.groups import GROUPS, choices, yaml_dir
from gantrain.metrics.base import Suite
from gantrain.noise import Noise
from gantrain.registry import REGISTERED

BREAKS = " \t\n\"'@><=;|&(:"  # what COMP_WORDBREAKS is unless somebody sets it
SINGLE = {
    "": Top,
    "run": Folder,
    "train": Train,
    "device": Device,
    "noise": Noise,
    "metric": Suite,
}
TEXT = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=12)


def declared(cls: type) -> dict[str, tuple]:
    """The keys of a dataclass as Python has them."""
    return {
        field.name: (
            field.default_factory() if field.default is dataclasses.MISSING else field.default,
            field.metadata["help"],
            ("true", "false") if field.type in (bool, "bool") else field.metadata["choices"] or (),
        )
        for field in dataclasses.fields(cls)
    }


def read(found: keys.Keys) -> dict[str, tuple]:
    return {name: (key.default, key.help, key.choices) for name, key in found.items()}


# The keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", keys.FAMILIES)
def test_the_keys_read_from_the_source_are_those_of_the_classes(group):
    assert set(keys.classes(group)) == set(REGISTERED[group])
    for name, cls in REGISTERED[group].items():
        found = read(keys.classes(group)[name])
        computed = {key for key, (default, _, _) in found.items() if default is keys.UNKNOWN}
        known = declared(cls)
        assert list(found) == list(known)
        assert {k: v for k, v in found.items() if k not in computed} == {
            k: v for k, v in known.items() if k not in computed
        }
        assert not computed


@pytest.mark.parametrize("group", SINGLE)
def test_the_keys_of_a_group_with_one_class_are_those_of_the_class(group):
    assert read(keys.classes(group)[""]) == declared(SINGLE[group])


def test_the_words_of_a_verb_are_those_of_its_class():
    assert read(keys.of_verb("sample")) == declared(SampleOptions)


@pytest.mark.parametrize("group", keys.FAMILIES)
def test_every_option_has_the_keys_of_the_class_that_its_yaml_names(group):
    for option in choices(group):
        plain = yaml.safe_load((yaml_dir() / group / f"{option}.yaml").read_text())
        (schema,) = [entry for entry in plain["defaults"] if "/schema/" in str(entry)]
        name = schema.removeprefix(f"/schema/{group}/").partition("@")[0]
        assert [*keys.of_option(group, option), "name"] == sorted(
            declared(REGISTERED[group][name]), key=lambda key: key == "name"
        )


def test_the_help_page_names_the_verbs():
    assert set(verbs()) == set(VERBS) - {"train"}


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_is_listed_in_singular_and_plural(group, run_cli):
    plural = {"penalty": "penalties"}.get(group, f"{group}s")
    code, page, err = run_cli("list", plural)
    assert (code, err) == (0, "")
    assert page.splitlines()[0] == group
    assert run_cli("list", group)[1] == page
    assert [line.split()[0] for line in page.splitlines()[1:]] == list(choices(group))


# What is offered -----------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["resume", "sample", "objective=fgan", "experiment=dirac", "-m", "--cfg"]), max_size=2
    ),
    TEXT,
)
def test_an_offer_begins_with_what_is_typed(before, word):
    assert all(offer.startswith(word) for offer in offers([*before, word]))


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_offers_its_options_and_behind_a_comma_those_that_are_not_there_yet(group):
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
        (["doctor", ""], set()),
        (["show", "RUN", "f"], {"full=true"}),
        (["nonsense."], set()),
    ],
)  # fmt: skip
def test_what_is_offered(words, offered):
    assert set(offers(words)) == offered


def test_resume_offers_the_keys_that_may_change(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert set(offers(["resume", "RUN", ""])) >= {f"{key}=" for key in RESUMABLE_KEYS}


def test_a_users_own_options_are_offered(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# Mine.\n")
    assert set(offers(["--config-dir", str(tmp_path), "model=mi"])) == {"model=mine"}


@pytest.fixture
def outputs(tmp_path, monkeypatch) -> Path:
    """Three runs, of which the second in the alphabet is the newest, one of them in a sweep."""
    monkeypatch.chdir(tmp_path)
    for age, name in enumerate(["day/b run", "day/sweep/0-job", "day/a", "day/sweep", "plain"]):
        folder = Path("outputs") / name
        folder.mkdir(parents=True, exist_ok=True)
        if not name.endswith(("sweep", "plain")):
            (folder / "config.json").write_text("{}")
        if name.endswith("sweep"):
            (folder / "sweep.json").write_text("{}")
        os.utime(folder, (10**9 - age, 10**9 - age))
    (Path("outputs/day/a/checkpoints/000020")).mkdir(parents=True)
    os.utime("outputs/day/a", (10**9 - 2, 10**9 - 2))
    return tmp_path


def test_runs_are_offered_the_newest_first_and_sweeps_where_they_may_stand(outputs):
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


# Shells --------------------------------------------------------------------------------------------------------


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_a_line_is_split_as_a_shell_splits_it(words):
    assert read_line(shlex.join(words) + " ")[0] == [*words, ""]
    assert read_line(shlex.join(words))[0] == words


@given(TEXT.filter(bool))
def test_a_quoted_word_is_the_word_again(word):
    assert shlex.split(quoted(word), posix=True) == [word]


def test_bash_replaces_what_stands_behind_the_last_break_of_a_word():
    assert for_bash("gantrain objective=hin", BREAKS) == ["hinge "]
    assert for_bash("gantrain objective=hin", BREAKS.replace("=", "")) == ["objective=hinge "]
    assert for_bash("gantrain 'objective=hin", BREAKS) == ["objective=hinge"]
    assert for_bash("gantrain objective='hin", BREAKS) == ["hinge"]
    assert for_bash("gantrain objec", BREAKS) == ["objective="]


@pytest.fixture
def path(tmp_path_factory, monkeypatch) -> Path:
    """A folder on PATH in which ``gantrain`` is the one under test."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "gantrain"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gantrain "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(gantrain.__file__).parent.parent))
    return folder


def test_bash_calls_the_function_with_a_word_that_it_has_split_at_equals(outputs, path):
    script = """
        eval "$(gantrain completion bash)"
        ask() { COMP_LINE=$1 COMP_POINT=${#1}; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
                $(complete -p gantrain | grep -o "_gantrain"); printf '%s|' "${COMPREPLY[@]}"; echo; }
        ask 'gantrain objective=hin' gantrain objective = hin
        ask 'gantrain objective=hinge,mini' gantrain objective = hinge,mini
        ask 'gantrain sample ' gantrain sample ''
        ask 'gantrain nothing.at.all' gantrain nothing.at.all
    """
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "hinge |", "hinge,minimax |", "outputs/day/b\\ run/|outputs/day/sweep/0-job/|outputs/day/a/|", "|",
    ]  # fmt: skip


def test_the_tab_key_in_a_terminal_with_bash(outputs, path):
    """What is typed with Tabs in it reaches a program as the words that were meant."""
    echo = 'gantrain() { [ "$1" = completion ] && { command gantrain "$@"; return; }; printf "<%s>" "$@"; echo; }'
    typed = [
        ("gantrain resu\toutputs/day/b\t\n", b"<resume><outputs/day/b run/>"),
        (
            "gantrain -m objective=hinge,minim\ttrain.ste\t7\n",
            b"<-m><objective=hinge,minimax><train.steps=7>",
        ),
        ("gantrain 'objective=fgan_kl\t\n", b"<objective=fgan_kl>"),
    ]
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "--norc", "-i"],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, close_fds=True,
        env=os.environ | {"TERM": "dumb", "PS1": "ready>", "HISTFILE": ""},
    )  # fmt: skip
    os.close(theirs)
    try:
        told(ours, b"ready>")
        os.write(ours, f'eval "$(gantrain completion bash)"; {echo}; echo do""ne\n'.encode())
        told(ours, b"done")
        for line, meant in typed:
            os.write(ours, line.encode())
            told(ours, meant)
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def told(handle: int, wanted: bytes) -> None:
    """Read from a terminal until it shows something, for half a minute at most."""
    said, end = b"", time.monotonic() + 30
    while wanted not in said:
        ready, _, _ = select.select([handle], [], [], max(0, end - time.monotonic()))
        assert ready, said
        said += os.read(handle, 65536)


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script_that_asks_for_its_own_answers(shell, run_cli):
    code, script, err = run_cli("completion", shell)
    assert (code, err) == (0, "")
    assert f"completion offers {shell}" in script


def test_an_answer_is_a_word_a_tab_and_what_it_is(outputs, run_cli):
    _, page, _ = run_cli("completion", "offers", "fish", "gantrain sample ")
    assert page.splitlines()[0] == "outputs/day/b run/\trun"
    _, page, _ = run_cli("completion", "offers", "zsh", "gantrain sample ")
    assert page.splitlines()[0] == "outputs/day/b\\ run/\trun"
    _, page, _ = run_cli("completion", "offers", "zsh", "gantrain --ver")
    assert page == "--version\tprint the version\n"


@pytest.mark.parametrize("words", [[], ["powershell"], ["bash", "zsh"]])
def test_a_shell_without_a_script_is_usage(words, run_cli):
    code, out, err = run_cli("completion", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_a_tab_imports_nothing_heavy(tmp_path):
    words = ["completion", "offers", "bash", "gantrain experiment=dirac dataset.", BREAKS]
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
