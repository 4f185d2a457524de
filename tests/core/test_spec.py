"""What is known of data: conditions are read as they are written, and a spec is what its plain data make again."""

from __future__ import annotations

import json
import math

import pytest
import torch

from gantrain.core.spec import ConditionSpec, Spec
from gantrain.core.table_units import Column, Table
from gantrain.datasets.captions import Captions

WORDS = ConditionSpec(
    ("a", "red", "blue", "circle"), ((1.0, 2.0, 4.0), (3.0, 4.0, 0.0), (2.0, 0.0, 0.0)), words=True
)
NUMBERS = ConditionSpec(
    ("left", "high", "loud"), ((0.0, 1.0, 0.0), (-1.5, 0.1, 1e-9), (1e20, 1 / 3, 123456789.0))
)
SINGLE = ConditionSpec(("male",), ((0.0,), (1.0,)))
CAPTIONS = [Captions(describe=describe).spec().condition for describe in ("words", "attributes")]
ALL = {
    "words": WORDS,
    "numbers": NUMBERS,
    "single": SINGLE,
    "captions": CAPTIONS[0],
    "attributes": CAPTIONS[1],
}
TABLE = Table((Column("x", 1.5, 2.0, 3), Column("y", -1e6, 1e-3, -2)), ("x", "kind", "y"), "kind", ("a", "b"))
SPECS = {name: Spec((3, 8, 9), condition=given) for name, given in ALL.items()} | {
    "plain": Spec((2,)),
    "classes": Spec((1, 8, 8), 10),
    "table": Spec((2,), 2, TABLE),
    "table without a label": Spec((1,), 0, Table((Column("x", 0.0, 1.0, 0),), ("x",))),
    "channels of classes": Spec((3, 28, 28), 1000, channel_classes=10),
}


@pytest.mark.parametrize("name", ALL)
def test_what_is_written_is_read_as_the_same_row(name):
    given = ALL[name]
    rows = given.tensor(given.examples)
    assert rows.shape == (len(given.examples), given.width)
    assert rows.dtype == (torch.int64 if given.words else torch.float32)
    again = given.tensor([given.read(given.write(row)) for row in rows])
    assert torch.equal(again, rows)
    assert again.dtype == rows.dtype


def test_condition_text_of_any_float32_is_exact_and_short():
    given = ConditionSpec(("x",), ((0.0,),))
    bits = torch.randint(-(2**31), 2**31, (3000,), generator=torch.Generator().manual_seed(0)).to(torch.int32)
    values = bits.view(torch.float32)
    values = values[values.isfinite()]
    assert len(values) > 2000
    for row in values[:, None]:
        assert torch.equal(given.tensor([given.read(given.write(row))])[0], row)
    assert [given.write(torch.tensor([v])) for v in (0.0, 1.0, 0.1, -2.5, 1e20)] == [
        "0",
        "1",
        "0.1",
        "-2.5",
        "1e+20",
    ]


def test_caption_is_read_in_any_case_and_spacing_and_padded():
    assert WORDS.read("  Red   CIRCLE ") == [2.0, 4.0, 0.0]
    assert WORDS.read("a blue circle") == [1.0, 3.0, 4.0]
    assert WORDS.write(torch.tensor([2, 4, 0])) == "red circle"
    assert NUMBERS.read(" 1, -2 ,3e1") == [1.0, -2.0, 30.0]


@pytest.mark.parametrize(
    ("given", "text", "says"),
    [
        (WORDS, "", "give 1 to 3 words"),
        (WORDS, "   ", "give 1 to 3 words"),
        (WORDS, "red red red red", "give 1 to 3 words"),
        (WORDS, "green circle", "it does not know green; its words are a, red, blue, circle"),
        (WORDS, "red,circle", "it does not know red,circle"),
        (WORDS, "tiny green circle", "it does not know green, tiny"),
        (NUMBERS, "1,2", "give 3 numbers: left, high, loud"),
        (NUMBERS, "1,2,3,4", "give 3 numbers"),
        (NUMBERS, "", "give 3 numbers: left, high, loud"),
        (NUMBERS, "1,,2", "give 3 numbers: left, high, loud"),
        (NUMBERS, "1,2,red", "give 3 numbers: left, high, loud"),
        (SINGLE, "1,0", "give 1 numbers: male"),
    ],
)
def test_what_cannot_be_asked_for_says_why(given, text, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        given.read(text)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e39])
def test_a_condition_is_of_finite_numbers(number):
    with pytest.raises(ValueError, match="a condition"):
        NUMBERS.tensor([[0.0, number, 0.0]])
    with pytest.raises(ValueError, match="a condition"):
        ConditionSpec(("a", "b"), ((0.0, number),))


@pytest.mark.parametrize("word", [-1, 5, 100])
def test_a_word_is_one_of_the_vocabulary_or_none(word):
    with pytest.raises(ValueError, match="a condition"):
        WORDS.tensor([[1, word, 0]])
    assert WORDS.tensor([[1, 4, 0]]).tolist() == [[1, 4, 0]]


@pytest.mark.parametrize(
    ("names", "shown", "words"),
    [
        (("a",), (), False),
        (("a",), (), True),
        (("a", "b"), ((0.0,),), False),
        (("a", "b"), ((0.0, 1.0), (0.0, 1.0, 2.0)), False),
        (("a", "b"), ((1.0, 2.0), (1.0,)), True),
        (("a", "b"), ((1.0, 3.0),), True),
        (("a", "b"), ((1.0, math.nan),), True),
        (("a", "b"), ((1.0, math.inf),), True),
    ],
)
def test_rows_that_fit_no_condition_are_refused(names, shown, words):
    with pytest.raises(ValueError, match="a condition"):
        ConditionSpec(names, shown, words)


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_survives_the_way_through_json(name):
    spec = SPECS[name]
    plain = json.loads(json.dumps(spec.plain(), allow_nan=False))
    again = Spec.from_plain(plain)
    assert again == spec
    assert again.plain() == spec.plain()
    assert again.is_compatible(spec)
    assert hash(again) == hash(spec)
    assert torch.equal(again.conditions(), spec.conditions())


def test_specs_of_other_conditions_are_not_alike():
    kinds = [Spec((3, 8, 9)), *(Spec((3, 8, 9), condition=given) for given in ALL.values())]
    kinds += [
        Spec((3, 8, 8), condition=WORDS),
        Spec((3, 8, 9), condition=ConditionSpec(NUMBERS.names, NUMBERS.examples[:2])),
    ]
    assert all(a.is_compatible(b) == (i == j) for i, a in enumerate(kinds) for j, b in enumerate(kinds))


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["left"]},
        {"shown": []},
        {"shown": [[0.0, 1.0]]},
        {"shown": [["x", 0.0, 0.0]]},
        {"shown": [[1e400, 0.0, 0.0]]},
        {"shown": None},
        {"names": None},
    ],
)
def test_damaged_conditions_are_no_spec(change):
    plain = Spec((2,), condition=NUMBERS).plain()
    with pytest.raises((KeyError, TypeError, ValueError)):
        Spec.from_plain(plain | {"given": plain["given"] | change})
    del plain["given"]["shown"]
    with pytest.raises((KeyError, TypeError, ValueError)):
        Spec.from_plain(plain)


@pytest.mark.parametrize("name", SPECS)
def test_conditions_to_ask_for_are_the_classes_or_the_shown_rows(name):
    spec = SPECS[name]
    whole = spec.conditions()
    assert spec.is_labelled == (len(whole) > 0)
    assert len(whole) == (len(spec.condition.examples) if spec.condition else spec.classes)
    for limit in (1, 2, 10**6):
        assert torch.equal(spec.conditions(limit), whole[:limit])
    if not spec.condition:
        assert torch.equal(whole, torch.arange(spec.classes))
