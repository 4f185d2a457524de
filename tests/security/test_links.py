"""Links, pipes and hard links in a run or a sweep that a stranger made: nothing is written through them."""

import itertools
import os
import re
import shutil
from pathlib import Path

import pytest
from made_runs import made
from malformed import contents
from refusals import check_refusal
from test_forged_sweeps import forge

from gantrain.cli.main import main
from gantrain.core.run_folder import RunFolder
from gantrain.core.sweep_folder import SweepFolder
from gantrain.errors import OutputError

KEYS = "dataset=ring dataset.n=100 dataset.n_holdout=20 model.width=4 metric=none device=cpu device.threads=1 seed=0"
TRAIN = "batch_size=10 steps=2 log_every=1 checkpoint_every=1 sample_every=2"
RING = [*KEYS.split(), *(f"train.{word}" for word in TRAIN.split())]
STEP = "000002"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main([*RING, f"run.dir={folder}"]) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of a trained run, in the working folder."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def free(path: Path) -> Path:
    """Return a path after removing what is there, and making its folder."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


# Files that a run appends to or replaces, of any name that it may choose, and folders in which it writes.
FILES = [
    "gantrain.log",
    "terminal.log",
    "metrics.jsonl",
    "result.json",
    "config.json",
    ".lock",
    "events.out.tfevents.00000000000000001.x.1",
    "checkpoints/.part-1",
    "checkpoints/000003",
    "samples/000004.png",
    ".gantrain-1-0.part",
    ".hydra/config.yaml",
]
FOLDERS = ["checkpoints", "samples", "figures", ".hydra"]


def check_lock(folder: RunFolder | SweepFolder, name: str, kind: str) -> None:
    """What starts every run and every sweep: no lock is given where a file lies behind a link."""
    with (
        pytest.raises(OutputError, match=f"{folder.path.name}/{re.escape(name)}: .*{kind}") as found,
        folder.lock(),
    ):
        pass
    check_refusal(5, "", f"gantrain: error: {found.value}", found.value.exit_code, ())


@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_no_run_starts_behind_a_link(run, victim, name):
    free(run / name).symlink_to(victim if name in FOLDERS else victim / "notes.txt")
    check_lock(RunFolder(run), name, "link")


@pytest.mark.parametrize("name", ["gantrain.log", "events.out.tfevents.00000000000000001.x.1"])
def test_resume_writes_through_no_link(run, refuse, victim, name):
    free(run / name).symlink_to(victim / "notes.txt")
    before = contents(run)
    refuse("resume", run, "train.steps=4", code=5, words=(f"run/{name}: ", "link"))
    assert contents(run) == before


def test_resume_adds_no_checkpoint_to_another_run(run, refuse, tmp_path):
    shutil.move(run / "checkpoints", tmp_path / "theirs")
    (run / "checkpoints").symlink_to(tmp_path / "theirs")
    before = contents(tmp_path / "theirs")
    refuse("resume", run, "train.steps=4", code=5, words=("run/checkpoints: is a link",))
    assert contents(tmp_path / "theirs") == before


@pytest.mark.parametrize("name", ["gantrain.log", "metrics.jsonl", "terminal.log", ".lock"])
def test_nothing_is_created_at_the_end_of_a_link(run, canary, name):
    free(run / name).symlink_to(canary)
    check_lock(RunFolder(run), name, "link")


@pytest.mark.parametrize("name", ["gantrain.log", "terminal.log"])
def test_no_log_is_appended_to_a_hard_link(run, victim, name):
    free(run / name).hardlink_to(victim / "notes.txt")
    check_lock(RunFolder(run), name, "hard link")


def test_resume_replaces_hard_links_by_files_of_their_own(run, run_cli, victim):
    """A backup by hard links stays as it was, and the run goes on."""
    names = ["metrics.jsonl", "config.json", "result.json", "samples/000002.png"]
    for name in names:
        shutil.copy(run / name, victim / Path(name).name)
    kept = {name: (run / name).read_bytes() for name in names}
    for name in names:
        free(run / name).hardlink_to(victim / Path(name).name)
    assert run_cli("resume", run, "train.steps=3")[0] == 0
    for name in names:
        assert (victim / Path(name).name).read_bytes() == kept[name]
        (victim / Path(name).name).unlink()
    assert RunFolder(run).outcome()["step"] == 3


@pytest.mark.parametrize(
    "name", ["gantrain.log", "metrics.jsonl", ".lock", "samples/x", "events.out.tfevents.9.x"]
)
def test_no_run_waits_for_a_pipe(run, name):
    os.mkfifo(free(run / name))
    check_lock(RunFolder(run), name, "pipe")


VERBS = {
    "sample": f"samples/sample-{STEP}-seed0.npz",
    "evaluate": f"evaluation-{STEP}.json",
    "report": "report.html",
    "export": f"generator-{STEP}.pt2",
}


@pytest.mark.parametrize(
    ("verb", "kind"), [*itertools.product(VERBS, ["link"]), ("sample", "dangling"), ("report", "pipe")]
)
def test_verbs_write_through_no_link_of_a_run(run, refuse, victim, canary, verb, kind):
    name = VERBS[verb]
    path = free(run / name)
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(
        canary if kind == "dangling" else victim / "notes.txt"
    )
    words = ["metric=toy", "metric.n=10"] if verb == "evaluate" else []
    refuse(verb, run, *words, code=5, words=(name, "pipe" if kind == "pipe" else "link"))


@pytest.mark.parametrize("words", [[], ["interpolate=2", "frames=2"]], ids=str)
def test_sample_writes_into_no_folder_behind_a_link(run, refuse, victim, words):
    free(run / "samples").symlink_to(victim)
    refuse("sample", run, *words, code=5, words=("run/samples: is a link",))


def test_sample_follows_the_links_that_its_user_types(run, run_cli, tmp_path):
    """The user's own link stays, and the file that it names is replaced."""
    (tmp_path / "real.npz").write_bytes(b"old")
    (tmp_path / "mine.npz").symlink_to("real.npz")
    code, _, err = run_cli("sample", run, "n=4", "out=mine.npz")
    assert code == 0, err
    assert (tmp_path / "mine.npz").is_symlink()
    assert (tmp_path / "real.npz").read_bytes()[:2] == b"PK"
    assert "replaces an earlier file" in err


SWEEP = [
    "0-seed0",
    "0-seed0/gantrain.log",
    "0-seed0/terminal.log",
    "0-seed0/.hydra",
    "0-seed0/.hydra/config.yaml",
    "0-seed0/.hydra/overrides.yaml",
    "0-seed0/checkpoints",
    "0-seed0/result.json",
    "multirun.yaml",
    "summary.csv",
    ".stop",
    ".lock",
    ".submitit",
]


@pytest.mark.parametrize("name", SWEEP)
def test_no_sweep_starts_behind_a_link(tmp_path, victim, name):
    folder = forge(tmp_path / "sweep")
    is_folder = name.endswith(("seed0", ".hydra", "checkpoints", ".submitit"))
    free(folder / name).symlink_to(victim if is_folder else victim / "notes.txt")
    check_lock(SweepFolder(folder), name, "link")


def test_resume_of_a_sweep_writes_through_no_link(tmp_path, refuse, victim):
    folder = forge(tmp_path / "sweep")
    free(folder / "0-seed0").symlink_to(victim)
    refuse("resume", folder, code=5, words=("sweep/0-seed0: is a link",))


@pytest.mark.parametrize("name", ["summary.md", "summary.csv", "summary.png", "samples.png"])
def test_compare_replaces_no_link_of_a_sweep(tmp_path, run_cli, victim, name):
    folder = forge(tmp_path / "sweep", names=("0-a", "1-b"))
    for job in ("0-a", "1-b"):
        made(folder / job, result={"metrics": {"divergence/js": 0.1}}, pictures={1: "red"})
    (folder / name).symlink_to(victim / "notes.txt")
    code, _, err = run_cli("compare", folder)
    assert code == 5
    assert f"sweep/{name}: cannot be written (it is a link); remove that link" in err
    assert (folder / name).is_symlink()


def test_a_lock_that_is_a_pipe_hangs_no_reader(run, run_cli):
    os.mkfifo(free(run / ".lock"))
    assert not RunFolder(run).is_locked
    assert run_cli("show", run)[0] == 0
