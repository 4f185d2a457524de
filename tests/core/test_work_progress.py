"""Progress of long work: a bar where lines are redrawn, else a line a minute, and nothing of what is short."""

import io
import sys

import pytest

from gantrain.core import work_progress
from gantrain.core.work_progress import WorkProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The time, in a list of one number."""
    now = [100.0]
    monkeypatch.setattr(work_progress.time, "monotonic", lambda: now[0])
    return now


def test_work_without_a_terminal_prints_a_line_a_minute(clock, capsys):
    with WorkProgress("decoding images", 1000) as progress:
        for second in range(1, 151):
            clock[0] = 100.0 + second
            progress.reach(5 * second)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "gantrain: decoding images: 300 of 1,000, 2 min 20 s left"
    assert second == "gantrain: decoding images: 600 of 1,000, 1 min 20 s left"


def test_work_of_unknown_length_counts(clock, capsys):
    with WorkProgress("listing images") as progress:
        clock[0] += 61
        progress.reach(12_345)
    assert capsys.readouterr().err == "gantrain: listing images: 12,345 so far\n"


@pytest.mark.parametrize("seconds", [0.5, 5.0])
def test_work_on_a_terminal_has_a_bar_if_it_is_long(seconds, clock, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with WorkProgress("decoding images", 10) as progress:
        clock[0] += seconds
        progress.reach(4)
    shown = sys.stderr.getvalue()
    assert ("decoding images" in shown and "4/10" in shown) == (seconds > 1)
