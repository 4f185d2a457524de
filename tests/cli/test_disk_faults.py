"""Faults of real disks: full, read-only, limited, failing, killed. Good files stay whole, and the remedy fits."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from gantrain.core.run_folder import RunFolder
from gantrain.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.slow

KEYS = "dataset=digits metric=none model.width=4 device=cpu device.threads=1 seed=0"
LOOP = "batch_size=8 steps=6 log_every=1 checkpoint_every=2 sample_every=2"
DIGITS = [*KEYS.split(), *(f"train.{word}" for word in LOOP.split())]
# A driver's own names: ``call`` runs a command in its process, ``digests`` reads a folder.
DRIVER = f"""
import contextlib, hashlib, io, os, resource, shutil, subprocess
from pathlib import Path
from gantrain.cli.main import main
DIGITS, disk = {DIGITS!r}, Path("disk").absolute()
def call(*words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    text = err.getvalue()
    assert "Traceback" not in text, text
    return code, (text.splitlines() or [""])[-1].removeprefix("gantrain: error: ")
def digests(folder):
    return {{str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}}
"""


def drive(program: str, folder: Path, disk: str = "") -> None:
    """Run a driver in a folder, in a namespace with a file system of a few MB at ``disk``, if its size is given."""
    (folder / "disk").mkdir()
    (folder / "driver.py").write_text(DRIVER + program)
    command = [sys.executable, "driver.py"]
    if disk:
        mount = f'mount -t tmpfs -o size={disk} none disk && exec "$@"'
        command = ["unshare", "-Urm", "sh", "-c", mount, "sh", *command]
        if subprocess.run([*command[:-2], "true"], cwd=folder, capture_output=True, check=False).returncode:
            pytest.skip("this machine allows no file system of our own")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_full_disk_tears_nothing(tmp_path):
    program = """
assert call(*DIGITS, "run.dir=run")[0] == 0
ways = {"s.png": ["n=400"], "s.npz": ["n=3000"], "pictures": ["n=300"], "s.gif": ["n=9", "interpolate=2", "frames=20"]}
for name, words in ways.items():
    assert call("sample", "run", f"out={disk / name}", *words)[0] == 0
for name in ("report.html", "report.gif"):
    assert call("report", "run", f"out={disk / name}")[0] == 0
assert call("evaluate", "run", "metric=fast", "metric.n=50", f"out={disk / 'e.json'}")[0] == 0
assert call("export", "run", f"out={disk / 'g.pt2'}")[0] == 0
with (disk / "fill").open("wb", buffering=0) as file, contextlib.suppress(OSError):
    while file.write(b"0" * 1024):
        pass
before = digests(disk)
for name, words in ways.items():
    code, line = call("sample", "run", f"out={disk / name}", "seed=1", *words)
    assert code == 5, (name, line)
    what = "cannot be written (No space left on device); free space on that disk, or choose another out=PATH"
    assert line == f"{disk / name}: {what}", line
for name in ("report.html", "report.gif"):
    code, line = call("report", "run", f"out={disk / name}")
    assert (code, "free space" in line) == (5, True), line
code, line = call("export", "run", f"out={disk / 'g.pt2'}")
assert (code, "free space" in line) == (5, True), line
assert digests(disk) == before
code, line = call(*DIGITS, f"run.dir={disk / 'new'}")
assert code == 5 and "(No space left on device); free space on that disk" in line, line
(disk / "fill").unlink()
assert call("resume", disk / "new")[0] == 0 or call(*DIGITS, f"run.dir={disk / 'new'}")[0] == 0
assert not [p for p in disk.rglob("*") if ".part" in p.name]
"""
    drive(program, tmp_path, disk="12m")


def test_read_only_run_is_refused_before_the_work(tmp_path):
    program = """
assert call(*DIGITS, f"run.dir={disk / 'run'}")[0] == 0
subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
before = digests(disk)
names = {"sample": "samples/sample-000006-seed0.png", "evaluate": "evaluation-000006.json"}
names |= {"report": "report.html", "export": "generator-000006.pt2"}
for verb, name in names.items():
    words = ["metric=fast", "metric.n=50"] * (verb == "evaluate")
    code, line = call(verb, disk / "run", *words)
    assert code == 5, line
    what = "cannot be written (Read-only file system); mount its disk for writing, or choose another out=PATH"
    assert line == f"{disk / 'run' / name}: {what}", line
    assert call(verb, disk / "run", f"out={Path(name).name}", *words)[0] == 0
    assert Path(name).name in os.listdir()
code, line = call("resume", disk / "run", "train.steps=8")
assert code == 5 and "copy it to a folder of yours" in line, line
shutil.copytree(disk / "run", "copy")
assert call("resume", "copy", "train.steps=8")[0] == 0
code, line = call(*DIGITS, f"run.root={disk}")
assert code == 5 and "set run.root or run.dir to a folder of yours" in line, line
code, line = call("compare", disk / "run", f"out={disk / 'c'}")
assert code == 5 and "choose another out=FOLDER" in line, line
assert call("show", disk / "run")[0] == 0
assert digests(disk) == before
"""
    drive(program, tmp_path, disk="12m")


def test_limits_of_the_process_name_the_limit(tmp_path):
    program = """
assert call(*DIGITS, "run.dir=run")[0] == 0
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, hard))
code, line = call(*DIGITS, "run.dir=small")
assert code == 5 and line.startswith(str(Path("small").absolute())), line
assert "ulimit -f" in line and "run.root" not in line, line
code, line = call("sample", "run", "n=400", "out=s.png")
assert code == 5 and line.startswith("s.png: cannot be written (File too large); raise the limit"), line
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
open_now = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 40
resource.setrlimit(resource.RLIMIT_NOFILE, (open_now, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
held = []
with contextlib.suppress(OSError):
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
code, line = call(*DIGITS, "run.dir=many")
for handle in held:
    os.close(handle)
assert code == 5 and "ulimit -n" in line, line
"""
    drive(program, tmp_path)


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def traced(folder: Path, inject: str, *words: object) -> tuple[int, str]:
    """Run a command with a fault injected into its system calls; return its exit code and its error line."""
    calls = inject.partition(":")[0]
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}"]
    trace += ["-e", f"inject={inject}"]
    command = [*trace, sys.executable, "-m", "gantrain", *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200, check=False)
    if "ptrace" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("this machine allows no strace")
    assert "Traceback" not in done.stderr
    return done.returncode, (done.stderr.splitlines() or [""])[-1].removeprefix("gantrain: error: ")


def check_whole(run: RunFolder) -> None:
    """Every file that has its final name can be read."""
    for path in run.checkpoints:
        load_checkpoint(path)
    for path in run.pictures:
        with Image.open(path) as image:
            image.load()
    for path in run.path.glob("*.json"):
        json.loads(path.read_text())


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".part" in path.name]


@needs_strace
@pytest.mark.parametrize(("number", "first"), [("EIO", 1), ("EDQUOT", 4), ("EIO", 9)])
def test_a_failing_disk_names_the_file_and_tears_nothing(tmp_path, number, first):
    """From the ``first`` fsync on, every one fails."""
    code, line = traced(tmp_path, f"fsync:error={number}:when={first}+", *DIGITS, "run.dir=run")
    assert code == 5, line
    assert line.startswith(str(tmp_path / "run")), line
    assert ("it reports a fault" if number == "EIO" else "free some of your quota") in line
    check_whole(RunFolder(tmp_path / "run"))
    assert not parts(tmp_path)


@pytest.mark.parametrize("at", [1, 3, 5, 8])
def test_what_a_kill_leaves_is_removed_by_the_next_resume(tmp_path, run_cli, at):
    """The process is killed at its rename number ``at``, when a part is complete and not yet in its place."""
    program = f"""
import signal
count = 0
def dying(rename):
    def call(*words):
        global count
        count += 1
        if count == {at}:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(*words)
    return call
os.replace, os.rename = dying(os.replace), dying(os.rename)
call(*DIGITS, "run.dir=run")
"""
    with pytest.raises(AssertionError, match="-9"):
        drive(program, tmp_path)
    run = RunFolder(tmp_path / "run")
    check_whole(run)
    assert parts(tmp_path)
    words = ["resume", run.path] if run.config_file.is_file() else [*DIGITS, "run.dir=run"]
    code, _, err = run_cli(*words)
    assert code == 0, err
    check_whole(RunFolder(run.path))
    assert RunFolder(run.path).outcome()["status"] == "finished"
    assert not parts(tmp_path)


def test_a_folder_removed_while_it_trains_is_named(tmp_path, run_cli, monkeypatch):
    from gantrain.training.housekeeping import Housekeeping

    called = Housekeeping.__call__

    def call(self, state):
        if state.step == 3:
            shutil.rmtree(self.folder)
        called(self, state)

    monkeypatch.setattr(Housekeeping, "__call__", call)
    code, _, err = run_cli(*DIGITS, "run.dir=run")
    line = err.splitlines()[-1]
    assert code == 5, err
    assert f"{tmp_path / 'run'}/checkpoints/000004: cannot be written (No such file or directory)" in line
    assert "check whether its folder was moved or removed" in line
    assert "free space" not in err
    assert os.listdir(tmp_path) == []
