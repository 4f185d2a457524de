"""The log of a run: on the terminal and in gantrain.log."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from tqdm import tqdm

from gantrain.core.atomic import append_to
from gantrain.core.run_folder import RunFolder

log = logging.getLogger("gantrain")


class _ForTerminal(logging.Formatter):
    """Escapes what cannot be encoded, such as a file name that is not UTF-8, so that the line is not lost."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).encode("utf-8", "backslashreplace").decode("utf-8")


class _LogFile(logging.FileHandler):
    """A log file that is abandoned, with one warning, at its first failure."""

    def _open(self) -> TextIOWrapper:
        return TextIOWrapper(append_to(Path(self.baseFilename)), self.encoding, self.errors)

    def handleError(self, record: logging.LogRecord) -> None:
        self.setLevel(logging.CRITICAL + 1)  # above every level: no further attempt
        log.warning("gantrain.log cannot be written (%s); training goes on without it", sys.exc_info()[1])


class _Console(logging.StreamHandler[Any]):
    """Writes above a progress bar, if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        with tqdm.external_write_mode(self.stream):
            super().emit(record)


def console_handler() -> logging.Handler:
    """Return a handler that writes to the terminal, above a progress bar if there is one."""
    console = _Console()
    console.setFormatter(_ForTerminal("%(message)s"))
    return console


def file_handlers(folder: Path) -> list[logging.Handler]:
    """Return the handler that writes to a run's ``gantrain.log``; none, after a warning, if that cannot be written."""
    try:
        file = _LogFile(RunFolder(folder).log_file, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        log.warning("gantrain.log cannot be written (%s)", error)
        return []
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return [file]


@contextmanager
def logging_to(folder: Path | None) -> Iterator[None]:
    """Log to the terminal, above a progress bar if there is one, and to a run's ``gantrain.log``."""
    handlers = [console_handler(), *(file_handlers(folder) if folder else ())]
    # This logger alone, so that messages of libraries are not mixed in.
    log.handlers, log.propagate = handlers, False
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        for handler in handlers:
            with suppress(OSError):  # a full disk has been reported
                handler.close()
        log.handlers = []
