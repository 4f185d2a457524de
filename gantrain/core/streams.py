"""Standard output and error as streams that escape what they cannot encode, and whose failure ends nothing."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gantrain.core.text import escape_controls, one_line
from gantrain.errors import writing


class _Tolerant:
    """A text stream that drops what a full disk refuses; a pipe that its reader closed raises BrokenPipeError.

    Control characters are escaped: what is printed holds names that anybody may have given to a file or a run.

    Args:
        stream: The stream behind it.
        may_close: Whether a closed pipe is dropped too.
        kept: The control characters that pass.
    """

    def __init__(self, stream: Any, may_close: bool, kept: str):
        self._stream, self._may_close, self._kept = stream, may_close, kept
        self.failure: OSError | None = None  # the last one

    def write(self, text: str) -> int:
        text = escape_controls(text, self._kept)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return self._attempt(self._stream.write, text.encode(encoding, "backslashreplace").decode(encoding))

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def _attempt(self, action: Any, *words: str) -> Any:
        try:
            return action(*words)
        except OSError as error:
            if isinstance(error, BrokenPipeError) and not self._may_close:
                raise
            self.failure = error

    def finish(self) -> None:
        """Flush the stream; what fails then must not fail again while Python shuts down."""
        try:
            self._stream.flush()
        except OSError as error:
            self.failure = error
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def check_output() -> None:
    """Raise OutputError if standard output failed inside ``tolerant_streams``: for a command that does nothing else."""
    out: Any = sys.stdout
    if isinstance(out, _Tolerant):
        out.flush()  # a reader who left is no fault
        out.finish()
        failure, out.failure = out.failure, None
        with writing("standard output"):
            if failure:
                raise failure


def warn(*lines: str) -> None:
    """Print lines to standard error, each after the program's name."""
    for line in lines:
        print(f"gantrain: {one_line(line)}", file=sys.stderr, flush=True)


def redraws_lines(stream: Any) -> bool:
    """Return whether a stream is a terminal where a line may be drawn anew: not one that asks for plain text."""
    is_plain = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))  # no-color.org
    return not is_plain and bool(stream.isatty())


@contextmanager
def tolerant_streams() -> Iterator[None]:
    """Inside the block a stream that is closed, full or limited to ASCII costs what is printed, not the program.

    At its end one line on standard error says that standard output could not be written.
    """
    before = sys.stdout, sys.stderr
    # A closed stream is None, and a file that is opened next would take its place.
    streams = [open(os.devnull, "w") if stream is None else stream for stream in before]  # noqa: SIM115
    out = _Tolerant(streams[0], may_close=False, kept="\n\t")
    err = _Tolerant(
        streams[1], may_close=True, kept="\n\t\r"
    )  # a progress bar returns to the start of its line
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        out.finish()
        if out.failure and not isinstance(out.failure, BrokenPipeError):
            what = out.failure.strerror or out.failure
            print(f"gantrain: what was printed could not all be written ({what})", file=err)
        err.finish()
        sys.stdout, sys.stderr = before
