"""Malformed command lines, made from the schema: every key and group with values that it cannot have."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from composed import STEMS

from gantrain.config.compose import compose
from gantrain.config.key_types import type_of_hints
from gantrain.config.options import Folder, Top, Train, class_of
from gantrain.config.overrides import CommandLine
from gantrain.config.resolve import plain_data, refresh_suite, resolve
from gantrain.core.fields import flat_fields
from gantrain.core.groups import GROUPS
from gantrain.errors import ConfigError
from gantrain.registry import REGISTERED, parse

LONG = "9" * 400
NO_VALUE = ("${nope}", "${nope:1}", "${seed", "???")
NO_INTEGER = ("1.5", "1e3", "yes", "'010'", "--1", "1__0", "999_")
NO_NUMBER = (
    *("abc", "", "true", "[1]", "{a: 1}", "nan", "inf", "-inf", "1e400", LONG, f"-{LONG}", "0x10", "010"),
    *("12:30", "1,5)", "f(1)", "'", "1 2", "é", "1e", "--help"),
)
NO_SWITCH = ("7", "0", "1", "yes", "off", "abc", "", "[true]", "1e400", "'1'", "nan")
NO_TEXT = ("nope", "", "5", "[a]", "1e400", "{a", "a b", "'")  # among the legal texts of a key
NO_LIST = ("5", "abc", "[[1]]", "[{a: 1}]", "1e400", "[a", "")
NO_NUMBERS = ("[abc]", "[true]", "[010]", f"[{LONG}]", "[null]")
NO_CHOICE = ("", "5", "[a]", "{name: x}", "{a", "${nope}", "1e400", "a/b", "../x", "'é'", "f(x)", "nope")
STEPS = {"minimum": -1, "above": 0, "maximum": 1, "below": 0}  # from a limit to the nearest illegal number


class Line(typing.NamedTuple):
    """A command line whose last word is wrong, what its error begins with, and the dataclass of the key, if any."""

    words: tuple[str, ...]
    where: str
    cls: type | None = None
    path: str = ""


def classes() -> Iterator[tuple[tuple[str, ...], str, type]]:
    """Yield the words that choose a dataclass, its path in the config, and the dataclass."""
    yield from (((), path, cls) for path, cls in (("", Top), ("run", Folder), ("train", Train)))
    for name, group in GROUPS.items():
        if group.family:
            for choice, cls in REGISTERED[name].items():
                yield from [((f"{name}={choice}",), name, cls)] * (choice in STEMS[name])
        elif group.cls:
            yield (), name, class_of(group)


def wrong_values(rule: typing.Mapping[str, Any], hint: Any) -> Iterator[str]:
    """Yield values that a key of this type and range cannot have."""
    kind = type_of_hints([hint])
    yield from NO_VALUE
    yield from ["null"] * (type(None) not in typing.get_args(hint))
    if kind.is_plain and kind.scalars == {bool}:
        yield from NO_SWITCH
    elif kind.is_plain and kind.scalars and not kind.is_text:
        yield from (*NO_NUMBER, *NO_INTEGER) if float not in kind.scalars else NO_NUMBER
        yield from (f"{rule[limit] + step}" for limit, step in STEPS.items() if rule.get(limit) is not None)
    elif kind.is_plain and rule.get("choices"):
        yield from NO_TEXT
    elif kind.scalars and not kind.is_plain:
        yield from (*NO_LIST, *NO_NUMBERS) if not kind.is_text else NO_LIST


def wrong_keys() -> Iterator[Line]:
    """Yield lines with a wrong value of each key, and with a key that is none; each key in one choice that has it."""
    found = set()
    for choice, path, cls in classes():
        hints, prefix = typing.get_type_hints(cls), f"{path}." * bool(path)
        for key, field in flat_fields(cls):
            where = prefix + key
            if (
                key in hints and where not in found and not (path and key == "name")
            ):  # nor a metric's own, nor the choice
                found.add(where)
                for value in wrong_values(field.metadata, hints[key]):
                    yield Line((*choice, f"{where}={value}"), where, cls, path)
        yield Line((*choice, f"{prefix}no_such_key=1"), f"{prefix}no_such_key", cls, path)


def wrong_choices(values: typing.Sequence[str]) -> Iterator[Line]:
    """Yield lines with a wrong choice of each group, and with words that add or remove one."""
    for name in GROUPS:
        yield from (Line((f"{name}={value}",), name) for value in values)
        yield from (Line((word,), name) for word in (f"~{name}", f"++{name}=x", f"+{name}=x"))


def check_line(line: Line) -> None:
    """Check a line as the command does, but for composing what other lines share."""
    parsed = CommandLine.parse(line.words)
    if line.cls is None:
        resolve(plain_data(compose(parsed.overrides)))
    else:
        override = parsed.read[-1].override
        parse(line.cls, line.path, {override.key_or_group.removeprefix(f"{line.path}."): override.value()})


def refusal(line: Line) -> str:
    """Return the error of a line."""
    with pytest.raises(ConfigError) as caught:
        check_line(line)
    return str(caught.value)


@pytest.fixture(scope="module", autouse=True)
def suite():
    refresh_suite()


def test_malformed_keys_are_named_with_a_remedy():
    lines = list(wrong_keys())
    first = {line.where: line for line in reversed(lines)}  # of each key
    few = [line for i, line in enumerate(lines) if i % 5 == 0 or line is first[line.where]]
    refused = [refusal(line) for line in few]
    wrong = [
        (line.words, text)
        for line, text in zip(few, refused, strict=True)
        if not re.fullmatch(rf"{re.escape(line.where)}\b.*: .*\S; \S.+", text)
    ]
    assert not wrong
    assert len(few) >= 300


def test_malformed_choices_are_named_with_a_remedy():
    for line in wrong_choices(("[a]", "${nope}", "nope")):
        assert re.fullmatch(rf"{line.where}\b.*: .*\S; \S.+", refusal(line)), line


@pytest.mark.slow
def test_malformed_lines_end_the_command_without_a_trace(run_cli, tmp_path):
    for line in (*list(wrong_keys())[1::6], *wrong_choices(NO_CHOICE)):
        code, out, err = run_cli("train.dry_run=true", *line.words)
        assert (code, "Traceback" in out + err, err.count("\n")) == (2, False, 1), (line, err)
        assert re.match(rf"gantrain: error: {re.escape(line.where)}\b", err), (line, err)
    assert not list(tmp_path.iterdir())
