"""What was meant by a word that is refused: by the known names, the table of synonyms, and the nearest letters."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gantrain.core.groups import GROUPS, choices
from gantrain.core.known_keys import default_choice, keys_of_choice, keys_of_group

TABLE = Path(__file__).with_name("synonyms.toml")
FILLERS = re.compile("(?:num|n|number_of|max|total|use|enable|with|the|is|do)_+(?=[a-z])")
ON, OFF = ("true", "yes", "on"), ("false", "no", "off", "none", "null")
PLAIN = re.compile(r"[\w.,:/+~%@-]+")  # a value that neither a shell nor Hydra's grammar changes


def suggest(word: str, known: Iterable[str], key: str = "") -> str:
    """Return ``did you mean 'x'?`` if a legal name means ``word`` or is close to it, else the list of legal names.

    Args:
        word: As typed.
        known: The legal names.
        key: The group or key whose values they are; "" for keys and other names.
    """
    if not (names := sorted(known)):
        return "leave it out"
    return did_you_mean(nearest(word, names, key)) or f"choose from {', '.join(names)}"


def nearest(word: str, known: Iterable[str], key: str = "") -> list[str]:
    """Return the known names that a word means, or the one whose letters are near to it; see ``suggest``."""
    import difflib

    names = sorted(known)
    return synonyms(word, names, key) or difflib.get_close_matches(word, names, n=1, cutoff=0.6)


def did_you_mean(answers: Iterable[str]) -> str:
    """Return a question, with the table's note on it if there is one; "" without an answer."""
    question = " or ".join(f"'{answer}'" for answer in answers)
    note = next((note for text, note in _table()["notes"].items() if text in question), "")
    return f"did you mean {question}?{f' {note}' if note else ''}" if question else ""


def synonyms(word: str, known: Iterable[str], key: str = "") -> list[str]:
    """Return the known names that a word is another spelling of, or a synonym of; see ``suggest``.

    A value may also mean an override of another key: ``['model.spectral_norm=true']``.
    """
    names = {_fold(name.rpartition(".")[2]): name for name in known} | {_fold(name): name for name in known}
    sections = (
        [_section("values", key.removesuffix(".kind"))] if key else [_section("words"), _section("keys")]
    )
    for letters in _spellings(word):
        if letters in names:
            return [names[letters]]
        for meant in (section[letters] for section in sections if letters in section):
            targets = [target.partition("=")[0] for target in meant.split(" | ")[0].split()]
            if set(targets) <= set(names.values()):
                return targets
            if key and "=" in meant:
                return [meant]
    return []


def overrides_meant(key: str, value: str, line: Mapping[str, str]) -> list[str]:
    """Return the overrides that ``key=value`` may mean, whose key is unknown; each can be typed in its place.

    None for a switch that is off by default; see ``is_switched_off``.

    Args:
        key: The key as typed.
        value: Its value as typed; "" for none.
        line: The values of the other overrides of the line.
    """
    leaf = key.rpartition(".")[2]
    if _fold(value) in OFF and (off := next(filter(None, map(_section("off").get, _spellings(leaf))), "")):
        return [off]
    # A key under another group, or written in another way.
    for letters in _spellings(leaf):
        found = [known for known in _keys_in_use(line) if _fold(known.rpartition(".")[2]) == letters]
        same_group = [known for known in found if known.partition(".")[0] == key.partition(".")[0]]
        if found:
            return [f"{known}={_legal_value(known, value)}" for known in same_group or found]
    for letters in _spellings(leaf):
        if meant := _section("keys").get(letters, ""):
            if _fold(value) in OFF and "{}" not in meant:
                return []
            filled = [_fill(words, value, line) for words in meant.split(" | ")]
            return [words for words in filled if words]
    return _of_one_choice(leaf, value)


def is_switched_off(key: str, value: str) -> bool:
    """Return whether ``key=value`` turns off what is off by default."""
    meant = [_section("keys").get(letters, "{}") for letters in _spellings(key.rpartition(".")[2])]
    return _fold(value) in OFF and any("{}" not in words for words in meant)


def words_meant(word: str, following: str, verbs: Iterable[str], line: Mapping[str, str]) -> list[str]:
    """Return what a word without = may mean: an override, a verb or a flag.

    Args:
        word: The word.
        following: The next word, which may be its value; "" for none.
        verbs: The verbs that would be accepted in its place.
        line: The values of the overrides of the line.
    """
    value = "" if "=" in following or following.startswith("-") else following
    is_key = any(word == key for key in (*GROUPS, *_keys_in_use(line)))
    if is_key and value:
        return [f"{word}={_legal_value(word, value)}"]
    known = {*verbs, "--help", "--version"}
    for letters in _spellings(word):
        if meant := next((verb for verb in known if _fold(verb) == letters), ""):
            return [meant]
        if (meant := _section("verbs").get(letters, "")) and (meant in known or "-" in meant or "=" in meant):
            return [meant]
    if chosen := _choices_meant(word):
        return chosen
    if is_key or "." in word:
        return [f"{word}=VALUE"]
    return overrides_meant(word, value, line)


def flags_meant(flag: str, value: str, line: Mapping[str, str]) -> list[str]:
    """Return what an unknown flag may mean: another flag, a command, or an override."""
    name = flag.lstrip("-").replace("-", "_")
    for letters in _spellings(name):
        if meant := _section("flags").get(letters, ""):
            return [_fill(meant, value, line)]
    if name in (*GROUPS, *_keys_in_use(line)):
        return [f"{name}={_legal_value(name, value)}"]
    return overrides_meant(name, value or "true", line) or _choices_meant(name)


def _choices_meant(word: str) -> list[str]:
    exact = [f"{group}={word}" for group in GROUPS if word in choices(group)]
    if exact:
        return exact
    found = {group: synonyms(word, choices(group), group) for group in GROUPS}
    return [one if "=" in one else f"{group}={one}" for group, names in found.items() for one in names][:1]


def _keys_in_use(line: Mapping[str, str]) -> Iterator[str]:
    """Yield every key of a config with the choices of a line."""
    yield from keys_of_group("")
    for group in ("run", "train", *GROUPS):
        choice = line.get(group, default_choice(group))
        # An experiment, or a sweep over choices, may make others.
        is_open = "experiment" in line or choice not in choices(group)
        keys = keys_of_group(group) if is_open else keys_of_choice(group, choice)
        yield from (f"{group}.{name}" for name in keys)


def choices_with_key(group: str, leaf: str) -> list[str]:
    """Return the choices of a group that have a key."""
    shipped = choices(group) if group in GROUPS else ()
    return [choice for choice in shipped if leaf in keys_of_choice(group, choice)]


def _of_one_choice(leaf: str, value: str) -> list[str]:
    """Return the overrides for a key that only one choice of all groups has."""
    having = [(group, choice) for group in GROUPS for choice in choices_with_key(group, leaf)]
    words = [
        f"{group}={choice} {group}.{leaf}={_legal_value(f'{group}.{leaf}', value)}"
        for group, choice in having
    ]
    return words if len(words) == 1 else []


def _fill(meant: str, value: str, line: Mapping[str, str]) -> str:
    """Return what to type with the value in its place, without the choices that the line makes already."""
    words = meant.split()
    if _fold(value) in ON and len(words) > 1:  # of a switch, whose value is no number
        words = [word for word in words if "{}" not in word] or words
    filled = []
    for word in words:
        key, equals, text = word.partition("=")
        if equals and text == "{}":
            filled.append(f"{key}={_legal_value(key, value)}")
        elif not (equals and line.get(key) == text):
            filled.append(word.replace("{}", value if PLAIN.fullmatch(value) else "VALUE"))
    return " ".join(filled)


def _legal_value(key: str, value: str) -> str:
    """Return the value that was meant for a known key, or a word for one that is to be chosen."""
    group, _, leaf = key.rpartition(".")
    legal = list(choices(key)) if key in GROUPS else keys_of_group(group).get(leaf, {}).get("choices")
    if not legal or not value:
        return value if PLAIN.fullmatch(value) else "VALUE"
    meant = [[one] if one in legal else synonyms(one, legal, key) for one in value.split(",")]
    return ",".join(names[0] for names in meant) if all(meant) else "CHOICE"


@cache
def _table() -> dict[str, Any]:
    import tomllib  # as difflib: most commands end without an error

    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


@cache
def _section(name: str, key: str = "") -> dict[str, str]:
    """Return the meaning of each folded word of a section, or of the values of a key."""
    rows = _table()[name].get(key, {}) if key else _table()[name]
    return {_fold(word): meant.strip() for meant, words in rows.items() for word in words.split()}


def _fold(word: str) -> str:
    return re.sub(r"[\W_]", "", word).lower()


def _spellings(word: str) -> list[str]:
    """Return a word folded, and without a filler such as ``num_`` before it."""
    snake = re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", word).replace("-", "_").lower()
    return list(dict.fromkeys(map(_fold, (snake, FILLERS.sub("", snake, count=1)))))
