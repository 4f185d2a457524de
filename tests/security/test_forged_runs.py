"""Runs and sweeps that a stranger wrote: every verb that reads one answers within bounds, in a line it can print."""

import copy
import json
import os
import re
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from made_runs import made
from refusals import assert_printable, check_refusal

from gantrain.config.compose import compose
from gantrain.config.resolve import plain_data, resolve
from gantrain.core.files import MAX_BYTES, MAX_KEYS
from gantrain.core.folder_tree import folders_under
from gantrain.core.history import MAX_PIECES, parse_row, read_history
from gantrain.core.sweep_folder import PLAN
from gantrain.reports.runs import MAX_RUNS
from gantrain.tracking.event_file import read_events
from gantrain.tracking.pinned_cards import pinned_query, runs_under

BOUND = 10.0  # seconds of this process
CONFIG = {"name": "x", "seed": 0, "dataset": {"name": "ring"}, "train": {"steps": 4}}
RESULT = {
    **{"name": "x", "step": 4, "images": 10, "images_per_second": 3.0, "metrics": {"divergence/js": 0.5}},
    **{key: {} for key in ("floors", "protocol", "tail", "published")},
    "health": [],
}
RESULT_FILE, CONFIG_FILE, LINES = "result.json", "config.json", "metrics.jsonl"
WORDS, PICTURE = ".hydra/overrides.yaml", "samples/000004.png"
LAUGHTER = "- &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"- &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(canary) (w) file closefile\n"


def run_in(folder: Path) -> Path:
    return made(
        folder,
        ["dataset=ring", "seed=0"],
        RESULT,
        CONFIG,
        [{"step": 2, "loss/d": 0.1}],
        {0: "red", 4: "blue"},
    )


def result(**changes: object) -> str:
    return json.dumps({"status": "finished", "seconds": 2.0, **RESULT, **changes})


def nested(depth: int, inside: str = "1") -> str:
    return '{"a":' * depth + inside + "}" * depth


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    os.truncate(path, 2**40)


# A file of a run, and what it is replaced by or done to it.
FORGED: dict[str, tuple[str, str | bytes | Callable[[Path], None]]] = {
    "a result that is a pipe": (RESULT_FILE, pipe),
    "a config that is a pipe": (CONFIG_FILE, pipe),
    "lines that are a pipe": (LINES, pipe),
    "words that are a pipe": (WORDS, pipe),
    "a picture that is a pipe": (PICTURE, pipe),
    "a result without an end": (RESULT_FILE, device),
    "lines without an end": (LINES, device),
    "a result of a terabyte": (RESULT_FILE, sparse),
    "lines of a terabyte": (LINES, sparse),
    "a picture of a terabyte": (PICTURE, sparse),
    "a result nested deeply": (
        RESULT_FILE,
        result(protocol=1).replace('"protocol": 1', f'"protocol": {nested(500)}'),
    ),
    "a config nested deeply": (CONFIG_FILE, nested(900)),
    "a line nested deeply": (LINES, nested(5000)),
    "a number of 4,000 digits": (RESULT_FILE, result(step=1).replace('"step": 1', f'"step": {"9" * 4000}')),
    "a step of 4,000 digits": (LINES, f'{{"step": {"9" * 4000}, "loss/d": {"9" * 4000}}}\n'),
    "numbers that are not finite": (
        RESULT_FILE,
        result(seconds=float("nan"), step=1e400, metrics={"loss/g": -1e400}),
    ),
    "a number of 300 digits": (RESULT_FILE, result(metrics={"divergence/js": 1e300})),
    "too many metrics": (RESULT_FILE, result(metrics={f"divergence/x{i}": 0.5 for i in range(MAX_KEYS + 1)})),
    "many metrics": (RESULT_FILE, result(metrics={f"divergence/x{i}": 0.5 for i in range(MAX_KEYS)})),
    "many keys": (CONFIG_FILE, json.dumps(CONFIG | {"dataset": {f"k{i}": i for i in range(MAX_KEYS)}})),
    "a line of many tags": (
        LINES,
        json.dumps({"step": 1} | {f"loss/x{i}": 0.5 for i in range(MAX_KEYS - 1)}),
    ),
    "a line of other types": (
        LINES,
        '{"step": 1, "loss/d": [1], "loss/g": "x", "divergence/js": {"a": 1}}\n',
    ),
    "text of a megabyte": (RESULT_FILE, result(error="x" * (MAX_BYTES - 1000), status="failed")),
    "words that stand for billions": (WORDS, LAUGHTER),
    "words of a megabyte": (WORDS, "- seed=1\n" * 200_000),
    "a word of a colour": (WORDS, json.dumps(["seed=\x1b[31m0\x07\x9b2J"])),
    "an object for a word": (WORDS, "- !!python/object/apply:os.system ['touch CANARY']\n"),
    "a status of a colour": (RESULT_FILE, result(status="\x1b]0;evil\x07failed", error="a\rb\x1b[2J")),
    "a name of a colour": (CONFIG_FILE, json.dumps(CONFIG | {"name": "\x1b[31mx\x1b[0m\u202e"})),
    "a tag of a colour": (RESULT_FILE, result(metrics={"divergence/\x1b[31mjs": 0.5})),
    "a picture that is a program": (PICTURE, EPS),
}


@pytest.mark.parametrize("case", FORGED)
def test_run_forged_is_read_within_bounds(case, run_cli, tmp_path, canary, monkeypatch):
    folder = run_in(tmp_path / "run")
    name, content = FORGED[case]
    if callable(content):
        content(folder / name)
    else:
        text = content if isinstance(content, bytes) else content.replace("CANARY", str(canary)).encode()
        (folder / name).write_bytes(text)
    monkeypatch.setattr("subprocess.Popen", lambda *words, **_: pytest.fail(f"started {words}"))
    began = time.process_time()
    for command in (
        ["show", folder],
        ["report", folder],
        *[["compare", folder, "out=table"]] * (name == RESULT_FILE),
    ):
        code, out, err = run_cli(*command)
        if code:
            check_refusal(code, out, err, 4, (str(folder),))
        assert_printable(out + err)
        assert max(map(len, (out + err).splitlines())) <= 2000
    assert time.process_time() - began < BOUND


def bomb(name: str, content: bytes | Callable[[Path], None]) -> Callable[[Path], None]:
    """Return a setup of a checkpoint that holds one forged file."""

    def setup(folder: Path) -> None:
        for other in ("state.json", "tensors.safetensors"):
            (folder / other).write_text("{}")
        if callable(content):
            content(folder / name)
        else:
            (folder / name).write_bytes(content)

    return setup


CHECKPOINTS = {
    "tensors that are a pipe": bomb("tensors.safetensors", pipe),
    "tensors without an end": bomb("tensors.safetensors", device),
    "tensors of a terabyte": bomb("tensors.safetensors", sparse),
    "a state of a terabyte": bomb("state.json", sparse),
    "a state nested deeply": bomb("state.json", nested(500).encode()),
    "a state of 4,000 digits": bomb("state.json", b'{"step": ' + b"9" * 4000 + b"}"),
    "a state of too many keys": bomb(
        "state.json", json.dumps({str(i): i for i in range(MAX_KEYS + 1)}).encode()
    ),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_checkpoint_bomb_is_refused_by_every_verb(case, refuse, tmp_path):
    folder = run_in(tmp_path / "run") / "checkpoints" / "000004"
    folder.mkdir(parents=True)
    CHECKPOINTS[case](folder)
    for verb in ("sample", "evaluate", "export", "resume"):
        refuse(verb, tmp_path / "run", code=4, words=(str(folder),))


@pytest.fixture(scope="module")
def begun() -> dict:
    """Return the config of a run that ended before its first checkpoint."""
    words = ["dataset=ring", "metric=none", "train.steps=2", "device=cpu"]
    return resolve(plain_data(compose(words))).plain()


BEGUN: dict[str, tuple[tuple[str, ...], object]] = {
    "a target": (("objective", "_target_"), "os.system"),
    "a target for a group": (("model",), {"_target_": "os.system", "command": "touch CANARY"}),
    "a variable in the name": (("name",), "${oc.env:HOME}"),
    "a variable for a number": (("model", "width"), "${oc.env:HOME}"),
    "a path for a name": (("name",), "../../x"),
    "a name that is no plug-in": (("objective", "name"), "os.system"),
    "a group too many": (("hydra",), {"run": {"dir": "DIR"}}),
    "a group that is a number": (("train",), 5),
    "a group that is null": (("train",), None),
    "a number out of range": (("dataset", "n"), 10**15),
    "plug-ins of nobody": (("plugins",), {"folders": [{"path": "DIR", "sha256": {"x.py": "0"}}]}),
}


@pytest.mark.parametrize("case", BEGUN)
def test_run_begun_from_a_forged_config_is_refused(case, refuse, begun, canary, victim, tmp_path):
    keys, value = BEGUN[case]
    config = copy.deepcopy(begun)
    place = config
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = json.loads(json.dumps(value).replace("CANARY", str(canary)).replace("DIR", str(victim)))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / CONFIG_FILE).write_text(json.dumps(config))
    code = 2 if case == "plug-ins of nobody" else 4
    refuse("resume", tmp_path / "run", code=code, words=(str(tmp_path / "run"),))


def test_run_names_of_colours_never_reach_the_terminal(run_cli, tmp_path):
    folder = run_in(tmp_path / "a\x1b[31m\nb\x9b2J" / "0-\x1b]0;x\x07")
    verbs = {
        "show": 0,
        "report": 0,
        "compare": 0,
        "sample": 4,
        "evaluate": 4,
        "export": 4,
        "resume": 4,
        "tensorboard": 4,
    }
    for verb, code in verbs.items():
        got, out, err = run_cli(verb, folder)
        assert got == code, (verb, err)
        assert_printable(out + err)
        assert len(err.splitlines()) == (code > 0), (verb, err)


@pytest.mark.parametrize("verb", ["show", "report", "compare", "resume", "sample", "tensorboard"])
def test_run_of_a_long_name_is_named_in_500_letters(verb, run_cli, tmp_path):
    name = "/".join(["x" * 250] * 12)
    check_refusal(*run_cli(verb, f"start/{name}/end"), code=4, words=("start", "end", "..."))


@pytest.mark.parametrize("count", [MAX_RUNS + 1, pytest.param(100_000, marks=pytest.mark.slow)])
def test_sweep_of_too_many_jobs_says_what_is_left_out(count, run_cli, tmp_path):
    jobs = [{"folder": f"{i}-seed{i}", "overrides": [f"seed={i}"]} for i in range(count)]
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / PLAN).write_text(json.dumps({"command": "gantrain", "jobs": jobs}))
    run_in(tmp_path / "s" / f"{count - 1}-seed{count - 1}")
    began = time.process_time()
    for verb in ("show", "report"):
        code, out, err = run_cli(verb, "s")
        assert code == 0, err
        assert f"{count - MAX_RUNS:,}" in out + err
        page = out if verb == "show" else (tmp_path / "s" / "report.html").read_text()
        assert re.search(rf"\b{count - 1}\b", page)  # the one that began
    assert time.process_time() - began < 2 * BOUND


def test_sweep_plan_that_cannot_be_read_is_named(run_cli, tmp_path):
    run_in(tmp_path / "s" / "0-x")
    (tmp_path / "s" / PLAN).write_text(f'{{"command": "x", "jobs": {nested(99)}}}')
    code, _, err = run_cli("compare", "s")
    assert code == 0
    assert f"{PLAN}: cannot be read (it is nested too deeply)" in err


@pytest.mark.slow
def test_folders_nested_thousands_deep_are_walked(tmp_path):
    handle = os.open(tmp_path, os.O_RDONLY)
    depth = 1200  # more than Python's limit of recursion
    for _ in range(depth):
        os.mkdir("d", dir_fd=handle)
        inner = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    assert sum(1 for _ in folders_under(tmp_path)) == 1 + depth
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # shutil.rmtree recurses


def test_history_of_a_long_file_is_a_part_from_start_to_end(tmp_path, monkeypatch):
    piece = 2**12
    monkeypatch.setattr("gantrain.core.files.PIECE", piece)
    line = '{"step": %9d, "loss/d": 0.5}\n'
    count = 2 * MAX_PIECES * piece // len(line % 1)
    (tmp_path / "long").write_text("".join(line % i for i in range(count)))
    steps = [row["step"] for row in read_history(tmp_path / "long")]
    assert (steps[0], steps[-1]) == (0, count - 1)
    assert steps == sorted(set(steps))
    assert 0.4 < len(steps) / count < 0.6
    assert len(read_history(tmp_path / "long", pieces=99)) == count


@pytest.mark.parametrize(
    "line", ["", "[]", "1", '{"a": 1}', '{"step": "1"}', '{"step": -1}', '{"step": 1e400}', "[" * 5000]
)
def test_history_line_that_is_no_row_is_none(line):
    assert parse_row(line.encode()) is None


def record(size: int, content: bytes) -> bytes:
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    head = struct.pack("<Q", size)
    return head + struct.pack("<I", masked_crc32c(head)) + content + struct.pack("<I", masked_crc32c(content))


EVENTS = {
    "a record of 2^63 bytes": record(2**63, b"x"),
    "a record of a gigabyte": record(2**30, b"x"),
    "a record that is no event": record(4, b"\xff\xff\xff\xff"),
    "zeros": bytes(1000),
    "nothing": b"",
}


@pytest.mark.parametrize("case", EVENTS)
def test_event_file_that_is_forged_ends_there(case, tmp_path):
    folder = run_in(tmp_path / "run")
    path = folder / "events.out.tfevents.1.x"
    path.write_bytes(EVENTS[case])
    assert list(read_events(path)) == []
    assert "loss/d" in pinned_query(tmp_path, runs_under(tmp_path))
    pipe(path)
    assert "loss/d" in pinned_query(tmp_path, runs_under(tmp_path))


def test_table_has_no_cell_that_a_spreadsheet_runs(run_cli, tmp_path):
    for i, word in enumerate(["=cmd|' calc'!A0", "@SUM(1)", "-2e-3"]):
        made(tmp_path / "s" / f"{i}-x", [f"objective={word}"], RESULT, CONFIG)
    assert run_cli("compare", "s", "out=table")[0] == 0
    text = (tmp_path / "table" / "summary.csv").read_text()
    assert "'=cmd" in text
    assert ",=" not in text
    assert ",-0.002," in text or ",-2e-3," in text
