"""The space of a search: Hydra's sweep syntax, bounds, corners."""

from dataclasses import replace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from made_searches import SPACE

from gantrain.errors import ConfigError
from gantrain.sweeps.optuna.space import Dimension, corners
from hydra_plugins.gantrain_sweepers.optuna_sweeper import parse_dimension


def spanned(word: str) -> Dimension:
    return parse_dimension(OverridesParser.create().parse_override(word))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a.b=tag(log,interval(1e-4,1e-2))", Dimension("a.b", low=1e-4, high=1e-2, log=True)),
        ("a=int(interval(1,5))", Dimension("a", low=1, high=5, whole=True)),
        ("a=range(1,10,3)", Dimension("a", low=1, high=7, step=3, whole=True)),
        ("a=range(9,0,-3)", Dimension("a", low=3, high=9, step=3, whole=True)),
        ("a=choice(x,y)", Dimension("a", choices=("x", "y"))),
        ("a=x,y,x", Dimension("a", choices=("x", "y"))),
        ("a=choice(1,null)", Dimension("a", choices=("1", "null"))),
    ],
)
def test_dimension_of_each_form_of_hydras_sweep_syntax(word, expected):
    if "null" in word:  # its grammar has no null in a choice; a plain list has
        word = "a=1,null"
    assert spanned(word) == expected


def test_dimension_of_a_range_of_fractions_ends_at_its_last():
    found = spanned("a=range(0.1,0.5,0.1)")
    assert (found.low, found.high, found.step) == (0.1, 0.4, 0.1)
    assert [found.format(0.1 + 0.1 * i) for i in range(4)] == ["0.1", "0.2", "0.3", "0.4"]


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("a=interval(2,1)", "write the smaller bound first"),
        ("a=tag(log,interval(0,1))", "begin above 0"),
        ("a=tag(lgo,interval(1,2))", "did you mean 'log'"),
        ("a=tag(log,choice(1,2))", "has choices on a logarithmic scale"),
        ("a=tag(log,range(1,9,2))", "has steps on a logarithmic scale"),
    ],
)
def test_dimension_that_is_invalid_is_refused_in_one_line(word, what):
    with pytest.raises(ConfigError, match=r"^a: ") as caught:
        spanned(word)
    assert what in str(caught.value)


@given(st.data())
def test_dimension_formats_numbers_short_and_in_its_bounds(data):
    low = data.draw(st.floats(1e-8, 1e3))
    high = data.draw(st.floats(low, 1e4))
    value = data.draw(st.floats(low, high))
    written = float(Dimension("a", low=low, high=high).format(value))
    assert low <= written <= high
    assert written == pytest.approx(value, rel=5.1e-4)


def test_dimension_is_whole_where_its_key_is():
    span = Dimension("train.d_steps", low=1.0, high=5.0)
    assert span.with_type_of(1).whole
    assert not span.with_type_of(1.0).whole
    assert not span.with_type_of(True).whole
    assert span.ends == ("1", "5")  # legal for keys of both kinds
    with pytest.raises(ConfigError, match="whole"):
        replace(span, high=2.5).with_type_of(1)


def test_corners_have_every_end_of_every_key_once():
    found = [tuple(number.partition("=")[2] for number in corner) for corner in corners(SPACE)]
    first, last = ("0.0001", "minimax", "1"), ("0.01", "hinge", "5")
    assert found[:2] == [first, last]
    assert set(found[2:]) == {("0.01", *first[1:]), ("0.0001", "hinge", "1"), (*first[:2], "5")}
