"""What a run writes beside its checkpoints: every step once, whatever was cut short, and never at training's cost."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import os
import shutil
import struct
from pathlib import Path

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gantrain.config.compose import compose
from gantrain.config.resolve import plain_data, resolve
from gantrain.core.files import write_json
from gantrain.tracking.run_log import logging_to
from gantrain.tracking.tracker import Means, Tracker
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.housekeeping import Housekeeping
from gantrain.training.run import run


@pytest.fixture
def warned():
    """The messages of the program's log, wherever it is sent."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    handler, log = Keep(logging.WARNING), logging.getLogger("gantrain")
    log.addHandler(handler)
    yield lines
    log.removeHandler(handler)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), (1, 2, 3)).save(buffer, format="PNG")
    return buffer.getvalue()


def written(folder: Path, steps: range, restart: int = 0) -> Tracker:
    tracker = Tracker(folder, restart)
    for step in steps:
        tracker.scalars(step, {"loss/d": step / 8, "loss/g": -step})
        tracker.image(step, "samples/ema", png(), (3, 2))
    return tracker


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def event_file(folder: Path) -> Path:
    (path,) = folder.glob("events.out.tfevents.*")  # one, whatever happened
    return path


def records(content: bytes) -> list[tuple[int, int]]:
    """Return start and end of each record of an event file, which must be whole (TFRecord framing)."""
    found, at = [], 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        found.append((at, at + 16 + length))
        at += 16 + length
    assert at == len(content)
    return found


def shown(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(
        str(event_file(folder)), size_guidance={"scalars": 0, "images": 0, "tensors": 0}
    )
    return accumulator.Reload()


def scalar_steps(folder: Path, tag: str = "loss/d") -> list[int]:
    accumulator = shown(folder)
    return [event.step for event in accumulator.Scalars(tag)] if tag in accumulator.Tags()["scalars"] else []


def break_writing(path: Path) -> None:
    """Let every write to an open file fail as on a bad disk: its descriptor becomes one that can only be read."""
    file = path.stat()
    for handle in range(3, 200):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(handle), file):
                closed = os.open(os.devnull, os.O_RDONLY)
                os.dup2(closed, handle)
                os.close(closed)
                return
    raise AssertionError(f"{path} is not open")


def test_dashboard_and_lines_hold_the_same_numbers(tmp_path):
    tracker = written(tmp_path, range(4))
    tracker.text(0, "run/config", "`gantrain`")
    tracker.close()
    assert lines(tmp_path) == [{"step": s, "loss/d": s / 8, "loss/g": -s} for s in range(4)]
    accumulator = shown(tmp_path)
    for tag in ("loss/d", "loss/g"):
        assert [(e.step, e.value) for e in accumulator.Scalars(tag)] == [
            (x["step"], x[tag]) for x in lines(tmp_path)
        ]
    assert [(e.step, e.width, e.height) for e in accumulator.Images("samples/ema")] == [
        (s, 3, 2) for s in range(4)
    ]
    assert accumulator.Images("samples/ema")[0].encoded_image_string == png()
    (text,) = accumulator.Tensors("run/config")
    assert text.tensor_proto.string_val[0] == b"`gantrain`"


def test_values_of_one_step_share_a_line_also_after_a_restart(tmp_path):
    tracker = Tracker(tmp_path)
    for step in (1, 2):
        tracker.scalars(step, {"loss/d": step / 3})
        tracker.scalars(step, {"divergence/js": -1e-7 / step, "fidelity/density": math.nan})
    rows = [
        {"step": step, "loss/d": step / 3, "divergence/js": -1e-7 / step, "fidelity/density": None}
        for step in (1, 2)
    ]
    assert tracker.history() == lines(tmp_path) == rows
    tracker.scalars(3, {"loss/d": 1.0})
    tracker.close()
    tracker = Tracker(tmp_path, 3)
    tracker.scalars(3, {"loss/d": 9.0, "divergence/js": 0.5})  # what is there stays
    tracker.scalars(4, {"loss/d": 0.0})
    rows += [{"step": 3, "loss/d": 1.0, "divergence/js": 0.5}, {"step": 4, "loss/d": 0.0}]
    assert tracker.history() == lines(tmp_path) == rows
    tracker.close()
    assert [event.step for event in shown(tmp_path).Scalars("divergence/js")] == [1, 2, 3]


def test_restart_joins_the_lines_that_older_versions_wrote(tmp_path):
    old = [{"step": 5, "loss/d": 1.5}, {"step": 5, "divergence/js": 0.1}, {"step": 10, "loss/d": 1.25}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in old))
    tracker = Tracker(tmp_path, 10)
    tracker.scalars(10, {"divergence/js": 0.2})
    tracker.close()
    assert lines(tmp_path) == [
        {"step": 5, "loss/d": 1.5, "divergence/js": 0.1},
        {"step": 10, "loss/d": 1.25, "divergence/js": 0.2},
    ]


def test_tracker_writes_nan_as_null_and_charts_it(tmp_path):
    tracker = Tracker(tmp_path)
    tracker.scalars(1, {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.5})
    tracker.close()
    assert lines(tmp_path) == [{"step": 1, "a": None, "b": None, "c": None, "d": 0.5}]
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()
    assert math.isnan(shown(tmp_path).Scalars("a")[0].value)


@pytest.mark.parametrize("restart", [0, 3, 5, 99])
def test_tracker_restart_drops_what_is_beyond_its_step(tmp_path, restart):
    written(tmp_path, range(6)).close()
    written(tmp_path, range(restart + 1, restart + 3), restart).close()
    expected = [s for s in range(6) if s <= restart] + [restart + 1, restart + 2]
    assert [line["step"] for line in lines(tmp_path)] == expected
    accumulator = shown(tmp_path)
    for tag in ("loss/d", "loss/g"):
        assert [e.step for e in accumulator.Scalars(tag)] == expected
    assert [e.step for e in accumulator.Images("samples/ema")] == expected  # step 0 with them


def test_restarts_without_a_step_between_them_change_nothing(tmp_path):
    written(tmp_path, range(6)).close()
    Tracker(tmp_path, 5).close()
    before = (lines(tmp_path), scalar_steps(tmp_path), event_file(tmp_path).stat().st_size)
    for _ in range(3):
        Tracker(tmp_path, 5).close()
    assert (lines(tmp_path), scalar_steps(tmp_path), event_file(tmp_path).stat().st_size) == before


def test_a_line_cut_short_anywhere_costs_at_most_itself(tmp_path):
    written(tmp_path, range(4)).close()
    content = (tmp_path / "metrics.jsonl").read_bytes()
    last = content.rindex(b"\n", 0, -1) + 1
    for end in range(last, len(content) + 1):
        (tmp_path / "metrics.jsonl").write_bytes(content[:end])
        tracker = Tracker(tmp_path, 9)
        tracker.scalars(10, {"loss/d": 1.0})
        tracker.close()
        steps = [line["step"] for line in lines(tmp_path)]
        assert steps == ([0, 1, 2, 3, 10] if end >= len(content) - 1 else [0, 1, 2, 10]), end


@pytest.mark.parametrize(
    "junk", [b"\n", b"[3]\n", b"null\n", b'{"step": "x"}\n', b'{"a": 1}\n', b"\xff\xfe\x00\n"]
)
def test_lines_that_are_no_record_are_dropped(tmp_path, junk):
    written(tmp_path, range(2)).close()
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(junk)
    written(tmp_path, range(2, 3), 9).close()
    assert [line["step"] for line in lines(tmp_path)] == [0, 1, 2]


def test_event_file_truncated_anywhere_loses_its_last_record(tmp_path):
    source = tmp_path / "whole"
    source.mkdir()
    tracker = Tracker(source)
    for step in range(3):
        tracker.scalars(step, {"loss/d": float(step)})
    tracker.close()
    content = event_file(source).read_bytes()
    ends = [end for _, end in records(content)]  # the file's version, then the steps
    for cut in range(len(content) + 1):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / event_file(source).name).write_bytes(content[:cut])
        tracker = Tracker(folder, 2)
        tracker.scalars(3, {"loss/d": 3.0})
        tracker.close()
        whole = sum(end <= cut for end in ends[1:])
        assert scalar_steps(folder) == [*range(whole), 3], cut
        records(event_file(folder).read_bytes())


def test_a_flipped_byte_in_an_event_file_never_stops_a_run(tmp_path):
    source = tmp_path / "whole"
    source.mkdir()
    written(source, range(2)).close()
    content = event_file(source).read_bytes()
    for at in range(0, len(content), 5):
        folder = tmp_path / str(at)
        folder.mkdir()
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        (folder / event_file(source).name).write_bytes(damaged)
        written(folder, range(2, 3), 9).close()
        steps = scalar_steps(folder)
        assert steps == sorted(set(steps))
        assert steps[-1] == 2
        assert set(steps) <= {0, 1, 2}


def test_tracker_restart_killed_anywhere_is_repaired(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    for at in range(1, 20):
        folder, count = tmp_path / str(at), 0
        folder.mkdir()
        written(folder, range(4)).close()

        def dying(call):
            def dies(*args, **kwargs):
                nonlocal count
                count += 1
                if count == at:  # noqa: B023
                    raise Killed
                return call(*args, **kwargs)

            return dies

        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            for name in ("replace", "unlink", "open"):
                patch.setattr(Path, name, dying(getattr(Path, name)))
            Tracker(folder, 2)
        written(folder, range(3, 5), 2).close()
        assert [line["step"] for line in lines(folder)] == scalar_steps(folder) == [0, 1, 2, 3, 4]
        assert not list(folder.glob(".events*"))
        if count < at:
            break
    assert 5 < at < 19


def test_tracker_abandons_a_failing_writer_with_a_warning(tmp_path, warned):
    tracker = written(tmp_path, range(2))
    break_writing(tmp_path / "metrics.jsonl")
    for step in range(2, 5):
        tracker.scalars(step, {"loss/d": 0.0})
    assert len(warned) == 1
    assert "metrics.jsonl" in warned[0]
    assert scalar_steps(tmp_path) == [0, 1, 2, 3, 4]
    break_writing(event_file(tmp_path))
    for step in range(5, 8):
        tracker.scalars(step, {"loss/d": 0.0})
        tracker.image(step, "samples/ema", png(), (3, 2))
    tracker.close()
    assert len(warned) == 2
    assert "event file" in warned[1]
    assert [line["step"] for line in lines(tmp_path)] == [0, 1]


def test_a_folder_that_is_gone_costs_one_warning_for_each_file(tmp_path, warned):
    tracker = Tracker(tmp_path / "gone")
    for step in range(3):
        tracker.scalars(step, {"loss/d": 0.0})
        tracker.text(step, "a", "b")
    tracker.close()
    assert len(warned) == 2
    assert (
        sum("metrics.jsonl" in line for line in warned) == sum("event file" in line for line in warned) == 1
    )


@pytest.mark.parametrize("name", ["metrics.jsonl", "events.out.tfevents.00000000000000001.x.1"])
def test_a_folder_in_the_place_of_a_file_costs_one_warning(tmp_path, warned, name):
    (tmp_path / name).mkdir()
    tracker = written(tmp_path, range(3))
    tracker.close()
    assert len(warned) == 1


def small(folder: Path):
    data = "dataset=ring dataset.n=200 dataset.n_holdout=50 model.width=8 device=cpu device.threads=1 metric=none"
    loop = "batch_size=16 steps=12 log_every=2 sample_every=6 checkpoint_every=6"
    words = [*data.split(), *(f"train.{word}" for word in loop.split()), f"run.dir={folder}"]
    return resolve(plain_data(compose(words)))


def weights(folder: Path) -> dict[str, bytes]:
    read = load_checkpoint(folder)
    assert read.step == 12
    return {
        name: tensor.reshape(-1).view(torch.uint8).numpy().tobytes() for name, tensor in read.tensors.items()
    }


def test_training_gives_the_same_weights_when_writers_fail(tmp_path, monkeypatch, capfd):
    whole, poor = tmp_path / "whole", tmp_path / "poor"
    run(small(whole), whole)
    assert "warning" not in capfd.readouterr().err
    called, failing = Housekeeping.__call__, []

    def call(self, state):
        if state.step == 4:
            for path in (
                self.folder / "metrics.jsonl",
                event_file(self.folder),
                self.folder / "gantrain.log",
            ):
                break_writing(path)
                failing.append(path.name)
            shutil.rmtree(self.folder / "samples")
            (self.folder / "samples").write_text("in the way")
        called(self, state)

    monkeypatch.setattr(Housekeeping, "__call__", call)
    result = run(small(poor), poor)
    said = capfd.readouterr().err
    assert len(failing) == 3
    for what in (
        "event file cannot be written",
        "metrics.jsonl cannot be written",
        "gantrain.log cannot be written",
    ):
        assert said.count(what) == 1, said
    assert said.count("training goes on") == 5  # those, and two pictures
    assert "Traceback" not in said
    assert result["status"] == "finished"
    assert weights(poor) == weights(whole)


def test_json_holds_no_number_that_json_does_not_know(tmp_path):
    content = {
        "a": [math.nan, (math.inf, 1.0)],
        "b": {"c": -math.inf, "d": 0.1},
        "e": "é\n",
        "f": None,
        "g": True,
    }
    write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_text(encoding="ascii")

    def refuse(word):
        raise AssertionError(word)

    read = json.loads(text, parse_constant=refuse)
    assert read == {"a": [None, [None, 1.0]], "b": {"c": None, "d": 0.1}, "e": "é\n", "f": None, "g": True}


def test_means_are_exact_and_forgotten_once_read():
    means = Means()
    for i in range(5):
        means.add({"loss/d": torch.tensor(float(i))} | ({"loss/g": torch.tensor(8.0)} if i % 2 else {}))
    assert means.flush() == {"loss/d": 2.0, "loss/g": 8.0}
    assert means.flush() == {}


def test_means_keep_values_whose_memory_is_used_again():
    means, graph_output = Means(), torch.zeros(())
    for i in range(4):
        means.add({"loss/d": graph_output.fill_(float(i))})
    assert means.flush() == {"loss/d": 1.5}


@pytest.mark.parametrize("cut", range(6))
def test_means_of_a_checkpoint_are_those_of_an_unbroken_run(cut):
    values = torch.rand(5, generator=torch.Generator().manual_seed(cut)) * 1e3
    whole, first, second = Means(), Means(), Means()
    for value in values:
        whole.add({"loss/d": value, "logits/real": -value})
    for value in values[:cut]:
        first.add({"loss/d": value, "logits/real": -value})
    second.load_state_dict({"G/weight": torch.ones(3)} | first.state_dict(), torch.device("cpu"))
    for value in values[cut:]:
        second.add({"loss/d": value, "logits/real": -value})
    assert second.flush() == whole.flush()


def test_run_log_goes_to_the_terminal_and_the_file(tmp_path, capsys):
    log = logging.getLogger("gantrain")
    with logging_to(tmp_path):
        log.info("hello \udc80")  # a file name that is not UTF-8
    log.info("after")
    assert "hello" in (tmp_path / "gantrain.log").read_text(encoding="utf-8")
    assert "after" not in (tmp_path / "gantrain.log").read_text(encoding="utf-8")
    assert "hello" in capsys.readouterr().err
    assert log.handlers == []
