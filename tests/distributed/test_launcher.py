"""Which command lines start several processes, what their end is to the command, and what one line refuses."""

from __future__ import annotations

import json
import signal

import pytest

from gantrain.distributed.launch import exit_code, processes_in
from gantrain.errors import GantrainError

PLACE = {"MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["dataset=ring", "device.processes=4"], 4),
        (["device.processes=2", "device.processes=3"], 3),
        (["dataset=ring"], 0),
        (["device.processes=1"], 1),
        (["device.processes=two"], 0),  # refused where it is composed
        (["device.processes=100000"], 0),
        (["device.processes=1,2", "-m"], 0),
        (["device.processes=2", "--cfg", "job"], 0),
        (["device.processes=2", "sweep=optuna"], 0),
        (["device.processes=2", "hydra.mode=MULTIRUN"], 0),
    ],
)
def test_processes_are_started_for_a_run_that_wants_them(words, count):
    assert processes_in(words) == count


def test_a_process_of_several_starts_no_others(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert processes_in(["device.processes=2"]) == 0


@pytest.mark.parametrize(
    ("codes", "is_reported", "code"),
    [
        ({1: -signal.SIGKILL, 0: 1}, True, 1),
        ({0: 3, 1: 3}, True, 3),
        ({0: 143, 1: 143}, True, 143),
        ({0: 143, 1: 2}, True, 2),
        ({0: 1}, False, 1),  # a traceback
        ({1: -signal.SIGKILL, 0: -signal.SIGTERM}, False, "rank 1: was killed by SIGKILL"),
        ({0: -signal.SIGKILL, 1: 143}, False, "rank 0: was killed by SIGKILL"),
        ({0: -signal.SIGSEGV, 1: -signal.SIGKILL}, False, "rank 0: was killed by SIGSEGV"),
        ({0: 143, 1: 143}, False, "stopped by SIGTERM; nothing was lost"),
    ],
)
def test_the_exit_code_is_that_of_a_process_that_reported(codes, is_reported, code):
    if isinstance(code, int):
        assert exit_code(codes, is_reported) == code
        return
    with pytest.raises(GantrainError, match=code):
        exit_code(codes, is_reported)


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"RANK": "0", "WORLD_SIZE": "2"}, "MASTER_ADDR: is not set, and this is one of 2 processes; "),
        (
            {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"},
            "MASTER_PORT: is not set, and this is one of 2",
        ),
        (
            {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"},
            "RANK: is not set, and this is one of 2",
        ),
        ({"RANK": "3"}, "MASTER_ADDR: is not set, "),
        (
            {"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"},
            "RANK: is 2, and WORLD_SIZE is 2; ",
        ),
        ({"RANK": "one"}, "RANK: is 'one', not a whole number; "),
    ],
)
def test_variables_of_a_launcher_that_are_wrong_are_refused(variables, line, run_cli, tmp_path, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for command in (["dataset=ring"], ["-m", "seed=0,1"], ["resume", "run"]):
        code, out, err = run_cli(*command)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"gantrain: error: {line}")
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_another_program_uses_is_refused(run_cli, monkeypatch):
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        variables = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        code, out, err = run_cli("dataset=ring")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith(
        f"gantrain: error: MASTER_PORT: 127.0.0.1:{port} is in use by another program; "
    )


# ------------------------------------------------------------------------------- who starts them


@pytest.fixture
def launched(monkeypatch) -> list[tuple[list[str], int]]:
    """Return what is launched, in place of launching it."""
    calls: list[tuple[list[str], int]] = []

    def note(words, count):
        calls.append((list(words), count))
        return 3

    for module in ("dispatch", "train", "commands.resume"):
        monkeypatch.setattr(f"gantrain.cli.{module}.launch", note)
    return calls


def test_processes_of_a_yaml_file_are_started(run_cli, launched, tmp_path):
    (tmp_path / "own" / "device").mkdir(parents=True)
    choice = "# Two processes\ndefaults: [/schema/device/device@_here_, _self_]\n\nprocesses: 2\nkind: cpu\n"
    (tmp_path / "own" / "device" / "two.yaml").write_text(choice)
    words = ["dataset=ring", "device=two", "--config-dir", str(tmp_path / "own"), "run.dir=run"]
    assert run_cli(*words) == (3, "", "")
    assert launched == [(words, 2)]
    assert not (tmp_path / "run").exists()


def test_a_run_is_resumed_with_the_processes_that_it_had(run_cli, launched, tmp_path, monkeypatch):
    monkeypatch.setattr("gantrain.core.system.usable_cores", lambda: 4)
    for before, typed, count in (
        (4, [], 4),
        (2, ["device.processes=3"], 3),
        (5, [], 0),
        (1, [], 0),
        ("many", [], 0),
    ):
        launched.clear()
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"device": {"processes": before}}))
        code, _, err = run_cli("resume", str(folder), *typed)
        assert launched == ([(["resume", str(folder), *typed], count)] if count else [])
        assert code == (3 if count else 4), err
