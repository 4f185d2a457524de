"""The bar on a terminal and the lines of a log: the same step, speed, time left, losses and divergence."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantrain.config.options import Train
from gantrain.tracking.progress import ProgressBar, format_short, headline_tags, scalar_cells

TINY = [
    "debug=tiny",
    "dataset=ring",
    "dataset.n=500",
    "dataset.n_holdout=100",
    "model.width=4",
    "metric=toy",
    "train.sample_every=0",
    "device=cpu",
]


def on_terminal(columns: int, *words: str, where: Path) -> str:
    """Run the command with standard error on a terminal so wide, and return what it wrote there."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "gantrain", *words],
        stdout=subprocess.DEVNULL,
        stderr=slave,
        cwd=where,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TERM": "xterm", "TQDM_MININTERVAL": "0"},
    )
    os.close(slave)
    written = b""
    try:
        while part := os.read(master, 65536):
            written += part
    except OSError:  # Linux tells the end of a terminal so
        pass
    os.close(master)
    assert process.wait(timeout=120) == 0, written.decode()
    return written.decode()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """What a tiny run draws on a terminal of 100 columns, line by line."""
    where = tmp_path_factory.mktemp("terminal")
    text = on_terminal(100, *TINY, "objective=fgan_kl", where=where)
    return [line for line in re.split(r"[\r\n]+", text) if line.startswith("|")]


CELL = r"  {} [ \d.e+-]{{6}}"
FULL = re.compile(
    r"\|.*\| (\d+)/20 \[\d\d:\d\d<(\d\d:\d\d|\?)\]  [ \d,]{7} images/s"
    + "".join(CELL.format(name) for name in ("d", "g", "kl"))
    + " *"
)


def test_progress_bar_shows_step_time_speed_and_divergence(drawn):
    full = [line for line in drawn if FULL.fullmatch(line)]
    assert full
    assert FULL.fullmatch(full[-1])[1] == "20"


def test_the_bar_keeps_its_width_and_counts_up(drawn):
    full = [line.rstrip() for line in drawn if FULL.fullmatch(line)]
    assert len({len(line) for line in full}) == 1
    done = [int(found[1]) for line in drawn if (found := re.match(r"\|.*?\| *(\d+)/20", line))]
    assert done == sorted(done)
    assert max(len(line) for line in drawn) <= 100


def test_off_a_terminal_a_line_at_each_evaluation_says_the_same(run_cli):
    code, _, error = run_cli(*TINY)
    assert code == 0
    lines = [line for line in error.splitlines() if re.match(r"step \d+ of ", line)]
    middle = r"step 10 of 20, [\d,]+ images/s, \d\d:\d\d left: divergence/js -?[\d.]+.*"
    end = r"step 20 of 20, [\d,]+ images/s: divergence/js -?[\d.]+.*"
    assert [bool(re.fullmatch(p, line)) for p, line in zip((middle, end), lines, strict=True)] == [True] * 2
    assert "|" not in error


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_number_has_six_places_and_is_right_as_far_as_they_go(value):
    text = format_short(value)
    assert len(text) == 6
    within = 0.5e-3 if abs(value) < 10 else 0.5 * 10 ** (len(f"{abs(value):.0f}") - 4) + 0.5
    assert float(text) == pytest.approx(value, rel=0.5, abs=within)


def test_a_game_that_is_its_own_estimate_is_told_once():
    read = {"divergence/game": 0.1, "divergence/game_se": 0.01, "diversity/coverage": 0.5}
    assert headline_tags(read) == ["divergence/game", "diversity/coverage"]


def test_what_was_not_read_has_no_column():
    assert scalar_cells({}) == []
    assert scalar_cells({"loss/g": 1.5}) == ["g  1.500"]
    whole = {
        "divergence/js": 0.25,
        "divergence/js_se": 0.01,
        "loss/d": 1.0,
        "loss/g": 2.0,
        "loss/penalty": 9.0,
    }
    cells = ["  1,234 images/s", "d  1.000  g  2.000", "js  0.250"]
    assert scalar_cells(whole | {"speed/images_per_second": 1234.4}) == cells


@pytest.mark.parametrize("options", [Train(steps=100), Train(seconds=100.0)], ids=["steps", "seconds"])
def test_time_left_is_what_the_pace_of_this_process_gives(options, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("gantrain.tracking.progress.time.perf_counter", lambda: now[0])
    options.resolve_budget(True)
    bar = ProgressBar(options, step=20, seconds=20.0, is_enabled=False)  # an earlier process did a fifth
    now[0] += 60
    assert bar.time_left(40, 40.0) == "03:00"  # a fifth took a minute, three are left
    assert bar.time_left(100, 100.0) == "00:00"
    assert not bar.is_visible


@pytest.fixture
def terminal(monkeypatch):
    """Make standard error a terminal of some columns; return functions to resize it and to read what it shows."""
    master, slave = pty.openpty()
    stream = os.fdopen(slave, "w")

    def resize(columns: int) -> None:
        monkeypatch.setattr(sys, "stderr", stream)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def lines() -> list[str]:
        stream.flush()
        written = b""
        while not written.endswith(b"\n"):  # of a bar that was closed
            written += os.read(master, 65536)
        return re.split(r"[\r\n]+", written.decode())

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    yield resize, lines
    stream.close()
    os.close(master)


READ = {
    **{"speed/images_per_second": 2714.2, "loss/d": 1.327, "loss/g": 0.724},
    **{"divergence/js": 0.031, "divergence/js_se": 0.01},
}


@pytest.mark.parametrize(
    ("columns", "shown", "hidden"),
    [
        (100, ["|", "1650/3000", "[", "2,714 images/s", "d  1.327  g  0.724", "js  0.031"], []),
        (70, ["|", "1650/3000", "[", "d  1.327  g  0.724", "js  0.031"], ["images/s"]),
        (60, ["|", "1650/3000", "[", "js  0.031"], ["images/s", "1.327"]),
        (35, ["|", "1650/3000", "js  0.031"], ["images/s", "1.327", "["]),
        (25, ["1650/3000", "js  0.031"], ["images/s", "1.327", "[", "|"]),
        (12, ["js  0.031"], ["1650", "|"]),
    ],
)
def test_bar_fits_the_terminal_and_keeps_the_divergence(terminal, columns, shown, hidden):
    resize, lines = terminal
    resize(columns)
    bar = ProgressBar(Train(steps=3000), step=0, seconds=0.0, is_enabled=True)
    assert bar.is_visible
    bar.show(1650, READ)
    bar.advance(1650, 1.0)
    bar.close()
    *_, line = filter(str.strip, lines())
    assert [text for text in shown if text not in line] == []
    assert [text for text in hidden if text in line] == []
    assert len(line.rstrip()) <= columns


def test_bar_follows_a_terminal_that_is_resized(terminal):
    resize, lines = terminal
    resize(100)
    bar = ProgressBar(Train(seconds=60.0), step=0, seconds=0.0, is_enabled=True)
    bar.show(1650, READ)
    bar.advance(1650, 20.0)
    resize(60)
    bar.close()
    _, first, *_, last, _ = lines()
    assert 60 < len(first) <= 100
    assert "| 0/60 s [" in first
    assert re.fullmatch(r"\|.+\| 20/60 s \[\d\d:\d\d<\d\d:\d\d\]  js  0.031 *", last)


@pytest.mark.parametrize("setting", [("TERM", "dumb"), ("NO_COLOR", "1")])
def test_plain_terminal_has_no_bar(terminal, monkeypatch, setting):
    terminal[0](100)
    monkeypatch.setenv(*setting)
    assert not ProgressBar(Train(steps=3000), step=0, seconds=0.0, is_enabled=True).is_visible


@pytest.mark.parametrize("log_every", [0, 4], ids=["unlogged", "logged"])
def test_a_run_without_a_bar_says_once_a_minute_where_it_is(run_cli, monkeypatch, log_every):
    clock = SimpleNamespace(seconds=1000.0)
    clock.perf_counter = lambda: clock.seconds
    advance = ProgressBar.advance

    def take_25_seconds(bar, *done):
        clock.seconds += 25
        advance(bar, *done)

    monkeypatch.setattr("gantrain.tracking.progress.time", clock)
    monkeypatch.setattr(ProgressBar, "advance", take_25_seconds)
    *_, error = run_cli(*TINY, "train.evaluate_every=0", f"train.log_every={log_every}")
    *lines, end = [line for line in error.splitlines() if re.match(r"step \d+ of", line)]
    assert end.startswith("step 20 of 20")
    # The first step that ends a minute after the last line, and the time of the steps that are left.
    for step, line in zip(range(3, 20, 3), lines, strict=True):
        minutes, seconds = divmod(25 * (20 - step), 60)
        speed = r" [\d,]+ images/s," if log_every and step > log_every else ""
        losses = r"loss/d [\d.]+, loss/g [\d.]+"
        form = (
            rf"step {step} of 20,{speed} {minutes:02}:{seconds:02} left: {losses}(, divergence/js -?[\d.]+)?"
        )
        assert re.fullmatch(form, line), line
