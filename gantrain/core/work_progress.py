"""How far a long piece of work is: a bar on a terminal, a line a minute elsewhere, nothing where it is short."""

import sys
import time
from typing import Any, Self

from gantrain.core.streams import redraws_lines, warn
from gantrain.core.text import format_duration

REPORT_SECONDS = 60.0
BAR_DELAY = 1.0  # seconds, before which there is no bar


class WorkProgress:
    """Progress of work that is counted, shown while the block runs.

    Args:
        what: Is done, as ``decoding images``.
        total: Of the count; None where it is not known before the end.
    """

    def __init__(self, what: str, total: int | None = None):
        self._what, self._total, self._done = what, total, 0
        self._start = self._reported = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def reach(self, done: int) -> None:
        """Show that ``done`` of the count is done."""
        self._done, now = done, time.monotonic()
        if redraws_lines(sys.stderr):
            if self._bar is None and now - self._start > BAR_DELAY:
                from tqdm import tqdm

                style = dict(dynamic_ncols=True, leave=False, file=sys.stderr, delay=1e-9)
                self._bar = tqdm(total=self._total, desc=self._what, **style)
                self._bar.start_t -= now - self._start
                self._bar.n = done
                self._bar.refresh()
            if self._bar is not None:
                self._bar.update(done - self._bar.n)
        elif now - self._reported >= REPORT_SECONDS:
            self._reported = now
            warn(self._line(now - self._start))

    def advance(self) -> None:
        """Show that one more is done."""
        self.reach(self._done + 1)

    def _line(self, seconds: float) -> str:
        if self._total is None:
            return f"{self._what}: {self._done:,} so far"
        left = format_duration(seconds * (self._total - self._done) / max(self._done, 1))
        return f"{self._what}: {self._done:,} of {self._total:,}, {left} left"
