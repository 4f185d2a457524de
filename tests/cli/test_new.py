"""``gantrain new``: what it writes works at once, and what it cannot write it refuses."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gantrain.cli.commands.new import TEMPLATES
from gantrain.cli.main import main
from gantrain.core.groups import GROUPS
from gantrain.registry import REGISTERED

pytestmark = pytest.mark.usefixtures("separate_plugins")
TINY = ("debug=tiny", "train.steps=2", "metric.n=60", "device=cpu")


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Path:
    """A folder in which a plug-in of each group was begun, each named begun_GROUP."""
    folder = tmp_path_factory.mktemp("started")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert [main(["new", group, f"begun_{group}"]) for group in TEMPLATES] == [0] * len(TEMPLATES)
    return folder


def test_every_group_with_plugins_has_a_template():
    import gantrain.config.resolve  # noqa: F401  (registers what is shipped)

    assert set(TEMPLATES) == {group for group in GROUPS if group in REGISTERED}
    assert set(TEMPLATES) >= {group.name for group in GROUPS.values() if group.family}


def test_new_plugins_train_at_once(started, run_cli, monkeypatch):
    monkeypatch.chdir(started)
    plugins = ("--plugins", "my-plugins")
    of_pictures = [f"{group}=begun_{group}" for group in TEMPLATES if group != "dataset"]
    for words in (of_pictures, ["dataset=begun_dataset", "objective=begun_objective", "metric=begun_metric"]):
        code, page, err = run_cli(*plugins, *words, *TINY)
        assert code == 0, err
        assert "fidelity/begun_metric " in page
        assert "divergence/begun_objective " in page


def test_new_tests_hold_of_what_was_written(started, monkeypatch):
    monkeypatch.syspath_prepend(str(started / "my-plugins"))
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly"]
    assert pytest.main([*options, f"--rootdir={started}", str(started / "my-plugins")]) == 0
    for group in TEMPLATES:
        for name in (f"begun_{group}", f"test_begun_{group}"):
            sys.modules.pop(name, None)


def test_new_files_are_formatted_and_follow_the_linter(started):
    config = ["--config", str(Path(__file__).parents[2] / "pyproject.toml"), "--no-cache"]
    for words in (["check", "--ignore", "D103"], ["format", "--check"]):
        done = subprocess.run(
            ["ruff", *words, *config, "."], cwd=started / "my-plugins", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("group", TEMPLATES)
def test_new_prints_commands_that_work_when_typed(group, tmp_path):
    python = [sys.executable, "-m", "gantrain"]
    words = ["new", group, "mine", "out=my own"]
    page = subprocess.run([*python, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    train, test = page.partition("\nnext\n")[2].splitlines()
    subprocess.run([*python, *shlex.split(train)[1:]], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run([sys.executable, *shlex.split(test)[1:]], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "new: takes a group and a name, got none"),
        (["objective"], "new: takes a group and a name, got objective"),
        (["objectives", "mine"], "there are no plug-ins of 'objectives'; did you mean 'objective'?"),
        (["noise", "mine"], "there are no plug-ins of 'noise'"),
        (["objective", "mine", "out=a", "size=3"], "size: there is no such key"),
        (["objective", "mine", "--force"], "--force: gantrain new has no such flag"),
        (["objective", "hinge"], "hinge: is a choice of objective already"),
        (["metric", "refit_steps"], "refit_steps: is a key of metric already"),
        (["metric", "Mine"], "Mine: is not a name of small letters"),
        (["metric", "../mine"], "../mine: is not a name of small letters"),
        (["metric", "my-metric"], "my-metric: is not a name of small letters"),
        (["metric", "2d"], "2d: is not a name of small letters"),
        (["metric", "mine_"], "mine_: is not a name of small letters"),
        (["objective", "class"], "class: is a word of Python or YAML"),
        (["objective", "null"], "null: is a word of Python or YAML"),
        (["objective", "on"], "on: is a word of Python or YAML"),
        (["objective", "nan"], "nan: is a word of Python or YAML"),
        (["objective", "test_mine"], "test_mine: is the name of a test"),
        (["objective", "separable"], "separable: is the name of a class that the file uses"),
        (["objective", "statistics"], "statistics: is the name of a Python module"),
        (["objective", "torch"], "torch: is the name of a Python module"),
    ],
    ids=" ".join,
)
def test_new_refuses_what_would_not_work(words, message, run_cli, tmp_path):
    code, out, err = run_cli("new", *words)
    assert (code, out) == (2, "")
    assert err.startswith("gantrain: error: ")
    assert message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("there", ["mine.py", "test_mine.py", "configs/penalty/mine.yaml"])
def test_new_overwrites_nothing(there, run_cli, tmp_path):
    path = tmp_path / "plugins" / there
    path.parent.mkdir(parents=True)
    os.symlink("nowhere", path)  # what a link names may be anybody's
    code, _, err = run_cli("new", "penalty", "mine", "out=plugins")
    assert (code, f"plugins/{there}: is there already" in err) == (2, True), err
    assert [one for one in (tmp_path / "plugins").rglob("*") if not one.is_dir()] == [path]


def test_new_writes_into_the_folder_of_plugins_that_is_named(run_cli, tmp_path):
    assert run_cli("new", "penalty", "first", "out=~/gone", "out=own")[0] == 0
    assert run_cli("--plugins", "own", "new", "metric", "second")[0] == 0
    assert (tmp_path / "own" / "second.py").is_file()
    code, _, err = run_cli("--plugins", "own", "new", "penalty", "first", "out=other")
    assert (code, "first: is a choice of penalty already" in err) == (2, True), err
