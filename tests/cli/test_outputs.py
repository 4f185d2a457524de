"""What a command writes last: to files that may be refused, and to streams that may be full, closed or ASCII."""

import errno
import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from made_runs import made
from malformed import contents

from gantrain.cli.main import main
from gantrain.core.run_folder import RunFolder

KEYS = "dataset=ring dataset.n=100 dataset.n_holdout=20 model.width=4 device=cpu device.threads=1 seed=0"
LOOP = "batch_size=10 steps=2 log_every=1 checkpoint_every=1 sample_every=2"
RING = [*KEYS.split(), "metric=toy", "metric.n=20", *(f"train.{word}" for word in LOOP.split())]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main([*RING, f"run.dir={folder}"]) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of a trained run, in the working folder."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def error_line(err: str) -> str:
    assert "Traceback" not in err
    return err.splitlines()[-1].removeprefix("gantrain: error: ")


def test_sample_says_when_it_replaces_something(run, run_cli, tmp_path):
    for words in (["n=4"], ["n=4", "out=new/s.npz"], ["interpolate=2", "frames=2", "out=new/frames"]):
        for times in range(2):
            code, out, err = run_cli("sample", run, *words)
            assert code == 0, err
            assert Path(out.strip()).exists()  # the path alone, for a script
            assert ("replace" in err) == (times == 1), err
    assert run_cli("sample", run, "n=4", "seed=1")[2] == ""


def refuse_to_work(*_, **__):
    raise AssertionError("the work began before its place was tested")


@pytest.mark.parametrize("place", ["taken", "file/x", "n" * 255 + "x/x", "loop", "pipe"])
@pytest.mark.parametrize(
    ("verb", "suffix", "work"),
    [
        ("sample", ".npz", "gantrain.sampling.generate.draw"),
        ("evaluate", ".json", "gantrain.training.evaluate.compute"),
        ("report", ".html", "gantrain.reports.html.render_page"),
        ("export", ".pt2", "gantrain.sampling.export.export_program"),
    ],
)
def test_places_are_tested_before_the_work(run, run_cli, tmp_path, monkeypatch, verb, suffix, work, place):
    (tmp_path / "file").write_text("")
    (tmp_path / f"taken{suffix}").mkdir()
    (tmp_path / f"loop{suffix}").symlink_to(f"loop{suffix}")
    os.mkfifo(tmp_path / f"pipe{suffix}")
    before = contents(tmp_path)
    monkeypatch.setattr(work, refuse_to_work)
    code, _, err = run_cli(verb, run, f"out={place}{suffix}")
    assert code in (2, 5), err
    assert place.partition("/")[0][:50] in error_line(err)
    assert contents(tmp_path) == before


def test_evaluate_writes_where_it_is_told(run, run_cli, tmp_path):
    before = contents(run)
    code, out, _ = run_cli("evaluate", run, "metric.n=20", "out=new.json")
    assert code == 0
    assert out.splitlines()[-1] == "result     new.json"
    assert json.loads((tmp_path / "new.json").read_text())["metrics"]
    assert contents(run) == before
    assert run_cli("evaluate", run, "metric.n=20")[0] == 0
    assert (run / "evaluation-000002.json").read_bytes() == (tmp_path / "new.json").read_bytes()


def test_evaluate_prints_what_it_then_cannot_write(run, run_cli, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gantrain.core.files.replace_file", full)
    code, out, err = run_cli("evaluate", run, "metric.n=20")
    assert code == 5
    assert "divergence/js" in out
    line = error_line(err)
    assert line.startswith(
        f"{run}/evaluation-000002.json: cannot be written (No space left on device); free space"
    )


def test_result_that_cannot_be_written_ends_the_run_with_5(run, run_cli):
    (run / "result.json").unlink()
    (run / "result.json").mkdir()
    code, _, err = run_cli("resume", run, "train.steps=3")
    assert code == 5
    assert "divergence/js" in err  # the numbers, which are in no file
    line = error_line(err)
    assert line.startswith(f"{run}/result.json: cannot be written (Is a directory); move the folder")
    (run / "result.json").rmdir()  # what the remedy says, and then its command
    assert line.endswith(f"then: gantrain resume {run}")
    assert run_cli("resume", run)[0] == 0
    assert RunFolder(run).outcome()["step"] == 3


def test_no_stale_result_stays_where_the_new_one_is_lost(run, run_cli, monkeypatch):
    replace = __import__("gantrain.core.atomic", fromlist=["replace_file"]).replace_file

    def full(path, *words):
        if path.name == "result.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        replace(path, *words)

    monkeypatch.setattr("gantrain.core.files.replace_file", full)
    assert RunFolder(run).outcome()["step"] == 2
    assert run_cli("resume", run, "train.steps=3")[0] == 5
    assert RunFolder(run).outcome() == {"status": "missing"}
    # A run that fails keeps its own error and exit code.
    code, _, err = run_cli("resume", run, "train.steps=9", "train.batch_size=11")
    assert code == 2, err


def stream(kind: str, monkeypatch, name: str) -> io.TextIOBase | None:
    """Put a faulty stream in the place of ``sys.<name>``, and return it."""
    if kind == "closed":
        made_stream = None
    elif kind == "full":
        made_stream = open("/dev/full", "w")  # noqa: SIM115
    else:
        made_stream = io.TextIOWrapper(io.BytesIO(), encoding=kind)
    monkeypatch.setattr(sys, name, made_stream)
    return made_stream


@pytest.mark.parametrize("kind", ["ascii", "latin-1", "full", "closed"])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_faulty_stream_leaves_the_exit_code_alone(run, run_cli, tmp_path, monkeypatch, kind, name):
    made(tmp_path / "±é\udcff", result={"metrics": {"a/b": 1.0, "a/b_se": 0.5}})
    with monkeypatch.context() as patch:
        text = stream(kind, patch, name)
        assert main(["sample", str(run), "n=4"]) == 0
        assert main(["evaluate", str(run), "metric.n=20"]) == 0
        assert main(["resume", str(run)]) == 0  # already finished
        assert main(["sample", str(tmp_path / "±é\udcff")]) == 4
        assert main(["nokey=1"]) == 2
        if kind in ("ascii", "latin-1"):
            text.flush()
            printed = text.buffer.getvalue().decode(kind)
            assert ("\\udcff" in printed) == (name == "stderr")
            assert "UnicodeEncodeError" not in printed
        else:
            print("more", file=getattr(sys, name))  # and flushed when Python ends


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["list"], ["--help"], ["--version"], ["show", "RUN"]], ids=str)
def test_a_command_that_only_prints_fails_on_a_full_disk(run, capfd, monkeypatch, words):
    with monkeypatch.context() as patch:
        stream("full", patch, "stdout")
        assert main([str(run) if word == "RUN" else word for word in words]) == 5
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(
        "gantrain: error: standard output: cannot be written (No space left on device); free space"
    )


def test_an_unknown_home_is_no_internal_error(run, run_cli, tmp_path):
    for words in (["sample", "~nobody-here/run"], ["show", "~nobody-here"], ["report", "~nobody-here"]):
        code, _, err = run_cli(*words)
        assert code == 4, err
    assert run_cli("sample", run, "n=4", "out=~nobody-here/s.npz")[0] == 0
    assert (tmp_path / "~nobody-here" / "s.npz").is_file()  # as a shell reads it
