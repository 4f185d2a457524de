"""What is wrong with a run, and the remedies that it would accept."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gantrain.config.options import Config
from gantrain.config.resolve import resolve
from gantrain.errors import ConfigError

PATIENCE = 2  # checks in a row that must show a fault that is not certain


@dataclass(frozen=True)
class Finding:
    """One fault with one cause, or what a run is set to do that explains its numbers.

    Attributes:
        name: The same whatever the numbers.
        sentence: The fault and the numbers that show it.
        remedies: Each of one or more override words; those of a reported finding are ``valid_remedies``.
        is_certain: Whether one reading shows it, as where the config alone does.
        patience: Checks in a row that must show it, if it is not certain.
        normal: The range of these numbers in healthy runs.
        cause: The likely cause.
        is_fault: False for what the config asks for, which is worth a line but no warning.
    """

    name: str
    sentence: str
    remedies: Sequence[str] = ()
    is_certain: bool = False
    is_fault: bool = True
    patience: int = PATIENCE
    normal: str = ""
    cause: str = ""

    def __str__(self) -> str:
        if not self.is_fault:
            return self.sentence
        *most, last = self.remedies or ("",)
        words = f"{', '.join(most)} or {last}" if most else last
        parts = [
            self.sentence,
            self.normal and f"normal: {self.normal}",
            self.cause and f"likely: {self.cause}",
        ]
        return "; ".join(part for part in [*parts, words and f"try {words}"] if part)


def valid_remedies(config: Config, remedies: Iterable[str]) -> tuple[str, ...]:
    """Return those remedies, of one or more override words, that would change a run and that its other keys allow."""
    return tuple(remedy for remedy in remedies if _is_valid(config, remedy))


def _is_valid(config: Config, remedy: str) -> bool:
    plain = config.plain()
    changes = [_override(plain, *word.split("=")) for word in remedy.split()]
    try:
        resolve(plain, config.spec)
    except ConfigError:
        return False
    return any(changes)


def _override(plain: dict[str, Any], key: str, text: str) -> bool:
    """Set a key, or a group to the plug-in of that name with its defaults; return whether that is a change."""
    *path, last = key.split(".")
    for part in path:
        plain = plain[part]
    before = plain.get(last)
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if not isinstance(before, dict):
        plain[last] = value
        return bool(value != before)
    plain[last] = {"name": value}
    return bool(value != before["name"])
