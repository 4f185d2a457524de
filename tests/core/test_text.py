"""Text for a terminal: what is cut, escaped and aligned."""

from hypothesis import given
from hypothesis import strategies as st

from gantrain.core.text import (
    MAX_CELL,
    MAX_LINE,
    align_columns,
    cut_middle,
    cut_to_fit,
    escape_controls,
    format_number,
    one_line,
)
from gantrain.errors import GantrainError

TEXTS = st.text(max_size=2000) | st.builds(lambda text, n: text * n, st.text(max_size=9), st.integers(0, 500))


@given(TEXTS, st.integers(5, 600))
def test_cut_middle_keeps_both_ends(text, most):
    cut = cut_middle(text, most)
    assert len(cut) == min(len(text), most)
    if len(text) > most:
        start = (most - 2) // 2  # of the letters that stay, half and the odd one
        assert cut[:start] == text[:start]
        assert cut[start : start + 3] == "..."
        assert text.endswith(cut[start + 3 :])


@given(st.lists(TEXTS, min_size=1, max_size=5), st.integers(50, 900))
def test_cut_to_fit_cuts_only_the_longest(texts, most):
    cut = cut_to_fit(texts, most)
    assert sum(map(len, cut)) <= most or sum(map(len, texts)) <= most
    shortened = [len(new) for new, old in zip(cut, texts, strict=True) if new != old]
    kept = [len(new) for new, old in zip(cut, texts, strict=True) if new == old]
    assert all(length == shortened[0] >= max(kept, default=0) for length in shortened)
    assert bool(shortened) == (sum(map(len, texts)) > most)


@given(TEXTS, TEXTS, TEXTS)
def test_error_is_one_printable_line_of_500_letters(where, what, remedy):
    line = f"gantrain: error: {GantrainError(where, what, remedy)}"
    assert len(line) <= 500
    assert line.isprintable()
    assert "; " in line


@given(TEXTS)
def test_escaped_text_is_printable_and_stays_so(text):
    escaped = escape_controls(text)
    assert escaped.isprintable()
    assert escape_controls(escaped) == escaped
    assert escaped == text or not text.isprintable()
    assert len(one_line(text)) <= MAX_LINE


def test_columns_cut_a_long_cell_but_the_last():
    line = align_columns([["x" * 1000, "y" * 1000], ["a", "b"]]).splitlines()[0]
    cell, last = line.split("  ")
    assert (len(cell), len(last)) == (MAX_CELL, MAX_LINE)


def test_number_has_few_digits_whatever_its_size():
    for exponent in range(-320, 309):
        assert len(format_number(float(f"-2.5e{exponent}"))) <= 20
    assert format_number(0.0) == "0.000"
    assert format_number(123456.0) == "123456.000"
    assert format_number(float("inf")) == "inf"
