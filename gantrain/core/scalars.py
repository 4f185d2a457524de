"""How text, numbers and switches are written: one grammar for the command line, the verbs and YAML files."""

from __future__ import annotations

import re

from gantrain.errors import ConfigError

SET_OR_OMIT = "give one, or leave it out for the default"
MAX_DIGITS = 300  # of a whole number; the largest float has 309
_WHOLE = r"(?:0|[1-9](?:_?[0-9])*)"
_DIGITS = r"[0-9](?:_?[0-9])*"
INTEGER = re.compile(rf"[-+]?{_WHOLE}")
NUMBER = re.compile(
    rf"[-+]?(?:(?:{_WHOLE}\.?|{_WHOLE}?\.{_DIGITS})(?:e[-+]?{_DIGITS})?|\.?inf|\.?nan)", re.IGNORECASE
)
SWITCH = re.compile("true|false", re.IGNORECASE)
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
# Of the grammar's own characters, only escaped ones: what Hydra would unescape.
ESCAPED = re.compile(r"(?:[\w/\-\\+.$%*@?|: \t]|\\[()\[\]{}=,])*", re.ASCII)
ESCAPES = re.compile(r"(?:\\[\\()\[\]{}:=, \t])+")


def read_text(typed: str) -> str:
    """Return the text that was typed: every character, without quotes around it and escapes of Hydra's grammar."""
    if QUOTED.fullmatch(stripped := typed.strip(" \t")):
        quote, inner = stripped[0], stripped[1:-1]
        # A backslash escapes only before a quote, the closing one included.
        return re.sub(rf"(\\+)({quote}|\Z)", lambda match: match[1][: len(match[1]) // 2] + match[2], inner)
    if "\\" in typed and ESCAPED.fullmatch(typed):
        return ESCAPES.sub(lambda match: match[0][1::2], typed)
    return typed


def check_scalar(key: str, text: str, types: frozenset[type]) -> None:
    """Check that a value is written as one of the types that its key may have; none for an unknown key.

    Raises:
        ConfigError: Naming the key.
    """
    if not types or str in types or text == "???":  # "???" is a value that is still to be given
        return
    if not types.isdisjoint({int, float}) and INTEGER.fullmatch(text) and len(text) > MAX_DIGITS:
        raise ConfigError(key, f"a number of {len(text)} digits is out of range", "give a smaller one")
    patterns = {
        float: (NUMBER, "a number"),
        int: (INTEGER, "a whole number"),
        bool: (SWITCH, "true or false"),
    }
    known = [patterns[kind] for kind in patterns if kind in types]
    if not any(pattern.fullmatch(text) for pattern, _ in known):
        raise ConfigError(key, f"'{text}' is not {known[0][1]}", SET_OR_OMIT)
