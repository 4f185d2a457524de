"""Sweep folders that a stranger wrote: resuming one runs no code of it, and writes in that folder alone."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from malformed import contents

from gantrain.core.sweep_folder import PLAN, Job, Plan, SweepFolder
from gantrain.sweeps.stored_words import remember_words, repeated_words

PLAIN = ["-m", "dataset=ring", "metric=none", "device=cpu", "seed=0,1"]
EVIL = "# @package _global_\nhydra: {callbacks: {x: {_target_: builtins.open, file: CANARY, mode: w}}}\n"


def forge(
    folder: Path, *words: str, names: Sequence[str] = ("0-seed0", "1-seed1"), **changes: object
) -> Path:
    """Write a sweep's folder as gantrain does, with these words added to what was typed, and these keys changed."""
    folder.mkdir(exist_ok=True)
    plan = Plan("gantrain -m", (*PLAIN, *words), tuple(Job(name, ("seed=0",)) for name in names))
    SweepFolder(folder).write(plan)
    plain = json.loads((folder / PLAN).read_text())
    (folder / PLAN).write_text(json.dumps(plain | changes))
    return folder


# CANARY is a path outside that must never exist, EVIL a YAML file outside that writes it, DIR that file's folder.
WORDS = [
    "hydra.callbacks.x._target_=torch.load",
    "+hydra.callbacks.x={_target_:builtins.open,file:CANARY,mode:w}",
    "++hydra.callbacks.x._target_=shutil.copyfile",
    "hydra={callbacks:{x:{_target_:builtins.open,file:CANARY,mode:w}}}",
    "hydra.launcher._target_=builtins.open",
    "hydra.sweeper._target_=os.system",
    "hydra.sweeper.params={hydra.callbacks.x._target_:os.system}",
    "hydra.sweep.dir=DIR/s",
    "hydra.run.dir=DIR/s",
    "hydra.sweep.subdir=../../x",
    "hydra.output_subdir=../../victim",
    "hydra.runtime.output_dir=DIR",
    "hydra.searchpath=[file://DIR]",
    "hydra.job.env_set.LD_PRELOAD=CANARY",
    "hydra.job_logging.handlers.x.class=logging.FileHandler",
    "hydra/job_logging=EVIL",
    "hydra/launcher=EVIL",
    "hydra.launcher.setup=['touch CANARY']",
    "hydra.launcher.partition=a --output=CANARY",
    "hydra.launcher.submitit_folder=DIR",
    "hydra.launcher.pre_dispatch=open('CANARY')",
    "hydra.launcher.temp_folder=DIR",
    "hydra.sweeper.storage=sqlite:///CANARY",
    "experiment=EVIL",
    "+experiment@hydra.callbacks=EVIL",
    "dataset=${oc.env:HOME}",
    "name=${oc.env:HOME}",
    "name=${${name}:HOME}",
    "dataset.root=${oc.decode:'${oc.env:HOME}'}",
    "~hydra",
    "--config-dir=DIR",
    "-cd=DIR",
    "--config-path=DIR",
    "--config-name=EVIL",
    "--experimental-rerun=CANARY",
    "--plugins=DIR",
    "--cfg=job",
]


@pytest.mark.parametrize("word", WORDS)
def test_sweep_word_that_is_no_choice_or_number_is_refused(word, refuse, canary, tmp_path):
    outside = canary.parent / "choices"
    outside.mkdir()
    (outside / "evil.yaml").write_text(EVIL.replace("CANARY", str(canary)))
    climb = "../" * len(outside.parts) + str(outside / "evil")[1:]
    names = {"CANARY": str(canary), "DIR": str(outside), "EVIL": climb}
    for name, path in names.items():
        word = word.replace(name, path)
    folder = forge(tmp_path / "s", word)
    before = contents(tmp_path)
    said = word.removeprefix("-cd=").removeprefix("--config-dir=")
    refuse("resume", folder, code=4, words=(PLAN, said, "may run code", "if"))
    assert contents(tmp_path) == before
    assert sorted(path.name for path in canary.parent.iterdir()) == ["choices", "victim"]


@pytest.mark.parametrize("flag", ["--config-dir", "-cd"])
def test_sweep_configs_of_its_file_are_refused(flag, refuse, tmp_path):
    (tmp_path / "mine").mkdir()
    folder = forge(tmp_path / "s", flag, str(tmp_path / "mine"))
    refuse("resume", folder, code=4, words=(f"add to the command: --config-dir {tmp_path / 'mine'}",))


HARMLESS = [
    *("hydra/launcher=slurm", "hydra.launcher.partition=gpu_4.a", "hydra.launcher.timeout_min=60"),
    *("hydra/sweeper=optuna", "hydra.sweeper.sampler=tpe", "hydra.sweeper.metric=[divergence/js,loss/g]"),
    *(
        "++optimizer.g_lr=${optimizer.d_lr}",
        "objective=choice(hinge,minimax)",
        "dataset.root='/data/my cats'",
    ),
    *("seed=range(3)", "metric.frechet.features=[a,b]", "sweep=optuna", "hydra.mode=MULTIRUN"),
]


def test_sweep_words_of_choices_and_numbers_are_repeated():
    place = ["run.dir=/elsewhere", "+run.root=/x", "-m"]  # the sweep's place is the folder that was given
    mine = ["--config-dir", "mine", "--config-dir=/mine", "hydra.launcher.setup=[ls]"]
    words = repeated_words([*HARMLESS, *place, *mine], {"hydra.launcher.setup"}, True, Path(PLAN))
    assert words == ["--multirun", *HARMLESS]


def test_sweep_configs_that_the_user_names_are_read(run_cli, tmp_path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "e.yaml").write_text("# @package _global_\ntrain: {steps: -1}\n")
    folder = forge(tmp_path / "s", "experiment=e", "--config-dir", "gone")
    code, _, err = run_cli("resume", folder, "--config-dir", "mine")
    assert (code, "train.steps: -1 is out of range" in err) == (2, True), err


def test_sweep_folder_that_stands_for_another_is_refused(refuse, tmp_path):
    refuse("resume", forge(tmp_path / "${oc.env:HOME}"), code=4, words=("${oc.env:HOME}", "rename it"))


def test_sweep_of_a_billion_jobs_is_refused(refuse, tmp_path):
    folder = forge(tmp_path / "s", "++optimizer.warmup=range(1000000000)")
    refuse("resume", folder, code=2, words=("optimizer.warmup", "2,000,000,000 jobs"))


def test_sweep_downloads_nothing_into_a_folder_that_it_names(refuse, victim, tmp_path, monkeypatch):
    from torchvision.datasets import MNIST

    opened = []
    monkeypatch.setattr(MNIST, "download", lambda self: opened.append(self.root))
    folder = forge(tmp_path / "s", "dataset=mnist", f"dataset.root={victim}", "train.dry_run=true")
    refuse("resume", folder, code=3, words=(str(victim), "lacks", "set dataset.root"))
    assert not opened


def test_sweep_words_that_the_user_typed_stay_theirs(run_cli, refuse, tmp_path):
    own = "hydra.launcher.setup=[ls]"
    folder = forge(tmp_path / "s", own, "--config-dir", "mine")
    argv = SweepFolder(folder).plan().argv
    remember_words(folder, argv)  # as a sweep does when it starts
    words = repeated_words(argv, (), False, folder / PLAN)
    assert words == ["--multirun", "--config-dir", "mine", *PLAIN[1:], own]
    for other in (forge(tmp_path / "other", own), forge(folder, own, "hydra.verbose=true")):
        refuse("resume", other, code=4, words=("if it is yours, add it to the command",))


JOBS = ["../x", "/x", "..", ".", "", "0/../../x", "0-${oc.env:HOME}", "0-a'b", "0-\x1b[31m", "x", "9" * 5000]


@pytest.mark.parametrize("name", JOBS)
def test_sweep_job_outside_its_folder_is_refused(name, refuse, tmp_path, canary):
    name = name.replace("/x", str(canary)) if name == "/x" else name
    folder = forge(tmp_path / "s", names=(name, "1-seed1"))
    refuse("resume", folder, code=4, words=(PLAN, "is not the name of a job's folder"))
    assert [job.folder for job in SweepFolder(folder).jobs(strict=False)] == ["1-seed1"]


FORGED = {
    "argv of letters": {"argv": "ab"},
    "argv of nothing": {"argv": None},
    "jobs that are a name": {"jobs": "0"},
    "jobs of lists": {"jobs": [[1]]},
    "infinitely many at once": {"at_once": float("inf")},
    "a process that is a word": {"pid": "x"},
    "plug-ins that are a word": {"plugins": "os"},
    "plug-ins of nobody": {"plugins": {"folders": [{"path": "/tmp", "sha256": {"a.py": "0"}}]}},
}


@pytest.mark.parametrize("case", FORGED)
def test_sweep_file_of_other_types_is_refused(case, refuse, tmp_path):
    folder = forge(tmp_path / "s", **FORGED[case])
    code = 2 if case.endswith("nobody") else 4
    refuse("resume", folder, code=code, words=(str(folder),))
