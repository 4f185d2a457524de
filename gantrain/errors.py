"""The faults a user can cause, each with its exit code and one line: where, what is wrong, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GantrainError(Exception):
    """A fault with one line to show: ``<where>: <what>; <remedy>``.

    Args:
        where: The config key, file or run that is at fault.
        what: What is wrong with it.
        remedy: What the user can do about it.
    """

    exit_code = 1

    def __init__(self, where: object, what: object, remedy: str):
        line = f"{where}: {what}; {remedy}"
        # A control character in a file name or a value must not break the one line or colour a terminal.
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in line))


class ConfigError(GantrainError):
    """A key, value or usage that cannot be run."""

    exit_code = 2


class DataError(GantrainError):
    """Data that is absent, broken or does not fit its labels."""

    exit_code = 3


class CheckpointError(GantrainError):
    """A run folder or checkpoint that is absent, damaged or of another kind."""

    exit_code = 4


class OutputError(GantrainError):
    """A folder that cannot be written: full, read-only or in use."""

    exit_code = 5


class Diverged(GantrainError):
    """A loss or gradient that is not finite, seen before it reached the weights."""

    exit_code = 6


class Interrupted(GantrainError):
    """A run stopped by a signal after its state was saved; ``exit_code`` is 128 + the signal's number."""

    def __init__(self, where: object, what: object, remedy: str, exit_code: int):
        super().__init__(where, what, remedy)
        self.exit_code = exit_code


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for a near miss, else the list of what is known, or that nothing is.

    Args:
        word: What the user typed.
        known: The names that would have been right.
    """
    names = sorted(known)
    if not names:
        return "leave it out"
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"choose from {', '.join(names)}"
