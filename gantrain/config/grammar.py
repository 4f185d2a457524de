"""Read ``key=value`` words by the type that the schema gives the key: text keeps its characters, numbers one grammar.

Hydra's grammar alone makes numbers of ``1e3`` and ``2024_01_16`` before the key is known. Here what is typed for a text
reaches Hydra in quotes, between which its grammar changes nothing.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from hydra.core.override_parser import overrides_parser as hydra_parser
from hydra.core.override_parser.overrides_visitor import HydraErrorListener, HydraOverrideVisitor
from hydra.core.override_parser.types import ChoiceSweep, Quote, QuotedString, Transformer, ValueType
from hydra.core.override_parser.types import Override as HydraOverride
from hydra.errors import HydraException

from gantrain.config.key_types import KeyType, type_of_key
from gantrain.core.groups import GROUPS, choices
from gantrain.core.override import Override
from gantrain.core.scalars import check_scalar, read_text
from gantrain.errors import ConfigError

VALUES = ("choice", "shuffle")  # functions whose arguments are values of the key, not numbers to compute with


# penalty=[r1,lecam] is the choice r1+lecam.
SUM = re.compile(r"^(?P<key>penalty=)(?P<choices>.*\[.*)$")


class Word(NamedTuple):
    """An override as Hydra reads it, and its text in Hydra's grammar."""

    text: str
    override: HydraOverride


def _with_plus(found: re.Match[str]) -> str:
    """Return a word with each list of choices as one choice, their names joined by +. Raises ConfigError."""

    def join(members: re.Match[str]) -> str:
        names = members[1].replace(",", " ").split()
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ConfigError("penalty", f"names {twice} twice", "name each choice once")
        return "+".join(names)

    return found["key"] + re.sub(r"\[([\w\s,]+)\]", join, found["choices"])


def read_word(word: str) -> Word:
    """Read ``key=value`` by the type of the key.

    Raises:
        ConfigError: For a key that is not one, and a number or switch that is not written as one.
    """
    word = SUM.sub(_with_plus, word)
    typed = Override.parse(word) if "=" in word else Override(word, "")
    if any("\ud800" <= letter <= "\udfff" for letter in word):  # bytes that no file of a run can hold
        raise ConfigError(typed.key, "is not text in UTF-8", "rename what it names")
    kind = type_of_key(typed.key.lstrip("~").partition("@")[0])
    try:
        return _read_value(word, typed, kind)
    except (HydraException, ValueError):
        # No value of the grammar, so a text of all its characters, if the key is one.
        quoted = str(typed._replace(value=read_text(typed.value)).quoted())
        try:
            return Word(quoted, _parse(quoted, kind)[0])
        except HydraException as error:
            raise ConfigError(word, "is not an override", "write key=value") from error


def read_value(key: str, text: str, kind: KeyType) -> Any:
    """Return the plain value of a word that cannot be swept: of a verb. Raises ConfigError."""
    if kind.is_plain and kind.is_text:
        return None if text.lower() == "null" else read_text(text)
    try:
        override = _parse(f"{key}={text}", kind)[0]
    except (HydraException, ValueError) as error:
        if kind.is_plain:
            check_scalar(key, text, kind.scalars)
        raise ConfigError(key, f"{text!r} is not a list of values", f"write {key}=[VALUE,VALUE]") from error
    if override.is_sweep_override():
        remedy = "give one of them" if kind.is_plain else f"write {key}=[VALUE,VALUE]"
        raise ConfigError(key, "has several values", remedy)
    return override.value()


def quote_choices(override: HydraOverride) -> None:
    """Quote what a parsed sweep would otherwise pass to its jobs as a number or switch in place of a text."""
    if isinstance(sweep := override._value, ChoiceSweep):
        typed = [f"{override.get_key_element()}={Transformer.str(item)}" for item in sweep.list]
        read = [read_word(word) for word in typed]
        sweep.list = [
            item if word.text == text else word.override._value  # type: ignore[misc]
            for item, text, word in zip(sweep.list, typed, read, strict=True)
        ]


def _read_value(word: str, typed: Override, kind: KeyType) -> Word:
    override, visitor = _parse(word, kind)
    value = override._value
    if kind.is_plain and kind.is_text and override.value_type == ValueType.ELEMENT:
        text = read_text(typed.value)
        is_kept = isinstance(value, QuotedString) and value.text == text and not visitor.changed
        if visitor.calls or value is None or is_kept or "${" in text:
            return Word(word, override)
        quoted = str(typed._replace(value=text).quoted())
        return Word(quoted, _parse(quoted, kind)[0])
    if visitor.changed:
        word = f"{override.get_key_element()}={_in_grammar(value)}"
    return Word(word, override)


def _parse(word: str, kind: KeyType) -> tuple[HydraOverride, _Visitor]:
    """Return a parsed word, and its visitor. Raises HydraException, and ValueError for an integer of 4,300 digits."""
    visitor = _Visitor(hydra_parser.create_functions(), Override.parse(f"{word}=").key, kind)
    # As in OverridesParser.parse_rule, which has no place for a visitor.
    lexer = hydra_parser.OverrideLexer(hydra_parser.InputStream(word))
    parser = hydra_parser.OverrideParser(hydra_parser.CommonTokenStream(lexer))
    for recognizer in (lexer, parser):
        recognizer.removeErrorListeners()
        recognizer.addErrorListener(HydraErrorListener())
    override: HydraOverride = visitor.visit(parser.override())
    override.input_line = word
    if override._value == "" and kind.is_plain:  # nothing was typed
        check_scalar(visitor.key, "", kind.scalars)
    return override, visitor


def _in_grammar(value: Any) -> str:
    """Return a parsed value as text that parses to it."""
    if not isinstance(value, ChoiceSweep):
        return Transformer.str(value)
    # Hydra's choice() takes the quotes off its arguments.
    quoted = [QuotedString(item, Quote.single) if isinstance(item, str) else item for item in value.list]
    items = ",".join(map(Transformer.str, quoted))
    text = items if value.simple_form else f"choice({items})"
    text = f"shuffle({text})" if value.shuffle else text
    return f"tag({','.join(sorted(value.tags))},{text})" if value.tags else text


class _Visitor(HydraOverrideVisitor):
    """Hydra's reader of a parsed word, by the type of its key."""

    def __init__(self, functions: Any, key: str, kind: KeyType):
        super().__init__(functions)
        self.key, self.kind = key, kind
        self.calls = 0  # of functions
        self.changed = False  # whether a text would have become a number or a switch
        self._literal = False  # inside a function that computes with its arguments

    def visitFunction(self, ctx: Any) -> Any:
        before, self.calls = self._literal, self.calls + 1
        has_keywords = any(type(child).__name__ == "ArgNameContext" for child in ctx.getChildren())
        self._literal = has_keywords or ctx.getChild(0).getText() not in VALUES
        try:
            return super().visitFunction(ctx)
        finally:
            self._literal = before

    def visitDictKeyValuePair(self, ctx: Any) -> Any:
        key, kind = self.key, self.kind
        self.key = f"{key}.{self.visitDictKey(ctx.getChild(0))}"
        self.kind = type_of_key(self.key)
        try:
            return super().visitDictKeyValuePair(ctx)
        finally:
            self.key, self.kind = key, kind

    def visitPrimitive(self, ctx: Any) -> Any:
        typed = ctx.getText().strip(" \t")
        if typed.lower() == "null" and self.key in GROUPS and "none" in choices(self.key):
            self.changed = True  # Hydra sweeps over no null in place of a choice
            return QuotedString("none", Quote.single)
        if self._literal or typed.lower() == "null":
            return super().visitPrimitive(ctx)
        if self.kind.is_text:
            text = read_text(typed)
            self.changed |= not isinstance(super().visitPrimitive(ctx), str | QuotedString)
            return QuotedString(text, Quote.single)
        if "${" not in (
            text := read_text(typed)
        ):  # a sweep writes the braces of an interpolation with escapes
            check_scalar(self.key, text, self.kind.scalars)
        return super().visitPrimitive(ctx)
