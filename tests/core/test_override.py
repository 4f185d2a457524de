"""Overrides survive parsing and quoting, by Hydra's own grammar."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from gantrain.core.override import Override, values_by_key
from gantrain.errors import ConfigError


@pytest.mark.parametrize("prefix", ["", "+", "++"])
@pytest.mark.parametrize("value", ["", "1", "a=b", "[1,2]", "'x y'", "+1"])
def test_override_parse_and_str_are_inverse(prefix, value):
    word = f"{prefix}train.steps={value}"
    assert Override.parse(word) == Override("train.steps", value, prefix)
    assert str(Override.parse(word)) == word


def test_override_without_equals_is_refused():
    with pytest.raises(ConfigError, match="write key=value"):
        Override.parse("train.steps")


@given(st.text(st.characters(codec="utf-8", exclude_characters="$\0", exclude_categories=["Cc", "Cs"])))
def test_quoted_override_is_read_by_hydra_as_is(text):
    word = str(Override("run.dir", text).quoted())
    assert OverridesParser.create().parse_override(word).value() == text


def test_values_by_key_takes_the_last_and_skips_other_words():
    words = ["+a=1", "~b", "a=2", "-m", "c=d=e"]
    assert values_by_key(words) == {"a": "2", "c": "d=e"}
