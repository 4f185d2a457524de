"""A command-line argument that sets a config key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from gantrain.errors import ConfigError


class Override(NamedTuple):
    """``key=value``.

    Attributes:
        key: The config key or group, without a prefix.
        value: The value in Hydra's grammar, as typed.
        prefix: ``+`` to add a key, ``++`` to add or change it, else empty.
    """

    key: str
    value: str
    prefix: str = ""

    @classmethod
    def parse(cls, word: str) -> Override:
        """Split a word at its first ``=``; ``str`` is the inverse. Raises ConfigError for a word without one."""
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(word, "is not an override", "write key=value")
        key = name.lstrip("+")
        return cls(key, value, name[: len(name) - len(key)])

    def quoted(self) -> Override:
        """Return a copy whose value is quoted, so that Hydra's grammar reads exactly this text; see ``read_text``."""
        # A backslash escapes only before a quote, so those before one, and before the closing one, are doubled.
        text = re.sub(r"(\\*)('|\Z)", lambda m: 2 * m[1] + m[2].replace("'", r"\'"), self.value)
        return self._replace(value=f"'{text}'")

    def __str__(self) -> str:
        return f"{self.prefix}{self.key}={self.value}"


def values_by_key(words: Iterable[str]) -> dict[str, str]:
    """Return the values by key, as typed; the last one wins, and other words are left out."""
    overrides = (Override.parse(word) for word in words if "=" in word)
    return {override.key: override.value for override in overrides}
