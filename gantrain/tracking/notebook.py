"""Places in a notebook's cell that are drawn anew while a run trains; IPython is imported where a notebook runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MAX_SHARE = 0.05  # of the time that drawing pictures may take


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    return getattr(get_ipython(), "kernel", None) is not None


class CellText:
    """A stream that shows the last text that was written to it, as a bar's terminal would."""

    encoding = "utf-8"  # with the letters that a bar is drawn with

    def __init__(self) -> None:
        self._handle: Any = None

    def write(self, text: str) -> int:
        """Show a text in the place of the last one; blank texts clear a terminal's line and are left out."""
        if line := text.strip():
            self._handle = _display({"text/plain": line}, self._handle, raw=True)
        return len(text)

    def flush(self) -> None:
        """Do nothing: a text is shown when it is written."""


class CellPicture:
    """A picture that is drawn anew, seldom enough to take little of the time.

    Args:
        draw: Returns the picture of a run's folder.
    """

    def __init__(self, draw: Callable[[Path], Any]):
        self._draw, self._handle = draw, None
        self._next = 0.0

    def update(self, run: Path, force: bool = False) -> None:
        """Draw the picture of a run, unless the last one is too recent and this one is not forced."""
        began = time.perf_counter()
        if force or began >= self._next:
            self._handle = _display(self._draw(run), self._handle)
            now = time.perf_counter()
            self._next = now + (now - began) * (1 / MAX_SHARE - 1)


def _display(content: Any, handle: Any, **options: Any) -> Any:
    """Show what a handle of an earlier call stands for anew, or without one in a new place; return the handle."""
    from IPython.display import display

    if handle is None:
        return display(content, display_id=True, **options)
    handle.update(content, **options)
    return handle
