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

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantrain.config.options import Train
from gantrain.tracking.progress import ProgressBar, format_scalars, format_short, headline_tags

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
    assert format_scalars({}) == ""
    assert format_scalars({"loss/g": 1.5}) == "  g  1.500"
    whole = {
        "divergence/js": 0.25,
        "divergence/js_se": 0.01,
        "loss/d": 1.0,
        "loss/g": 2.0,
        "loss/penalty": 9.0,
    }
    assert format_scalars(whole | {"speed/images_per_second": 1234.4}) == (
        "    1,234 images/s  d  1.000  g  2.000  js  0.250"
    )


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
