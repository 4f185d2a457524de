"""What the program advises, collected from its source and its table of synonyms: it exists and is accepted."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from composed import composed

import gantrain
from gantrain.cli.command import command_names
from gantrain.config.resolve import resolve
from gantrain.core.groups import GROUPS, choices
from gantrain.core.known_keys import keys_of_group
from gantrain.core.suggestions import TABLE
from gantrain.errors import GantrainError

ROOT = Path(gantrain.__file__).parent
KEYS = {f"{group}.{key}" for group in (*GROUPS, "train", "run") for key in keys_of_group(group)} | {
    "seed",
    "name",
    "sweep.replicas",
}
OVERRIDE = re.compile(r"(?<![\w./{-])([a-z_]+(?:\.[a-z_][a-z0-9_]*)*)=([^\s;)]*)")
DOTTED = re.compile(rf"(?<![\w./{{-])((?:{'|'.join(GROUPS)}|train|run)\.[a-z_][a-z0-9_]*)(?![\w(.])")
COMMAND = re.compile(r"(?:^|[:;,'`] |type |write |with: )gantrain ((?!again\b)[a-z]+)(?!\S*[=.])")
FILES = {"sweep.json", "run.html"}


def text_of(node: ast.AST) -> str | None:
    """A string of the source as it is printed, with {} where it has a value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def strings(node: ast.AST) -> Iterator[str]:
    """Every string that a source may print: docstrings are left out."""
    if (text := text_of(node)) is not None:
        yield text
        return
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from strings(child)


@cache
def printed() -> list[tuple[str, str]]:
    trees = {path: ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
    return [(str(path.relative_to(ROOT)), text) for path, tree in trees.items() for text in strings(tree)]


def meanings() -> list[str]:
    """What the table of synonyms says to type, with a value in the place of each {}."""
    table = tomllib.loads(TABLE.read_text())
    found = [meant for rows in ("keys", "off", "verbs", "flags") for meant in table[rows]]
    for key, rows in table["values"].items():
        found += [meant if "=" in meant else f"{key}={meant}" for meant in rows]
    typed = []
    for meant in [one for alternatives in found for one in alternatives.split(" | ")]:
        for key, group in re.findall(r"((\w+)(?:\.\w+)*)=\{\}", meant):
            default = keys_of_group(group).get(key.rpartition(".")[2], {}).get("default", "1")
            choice = next(iter(choices(group)), "") if key in GROUPS else default.replace("null", "100")
            meant = meant.replace(f"{key}={{}}", f"{key}={choice}")
        typed.append(meant.replace("=N ", "=9 ").replace("NUMBER", "0.5"))
    return typed


def fault_of(key: str, value: str) -> str:
    """Why an override cannot be typed, by its names alone."""
    group = key.partition(".")[0]
    if key in GROUPS:
        named = [one.strip("'\".,?") for one in value.split(",")]
        wrong = [one for one in named if re.fullmatch("[a-z][a-z0-9_]*", one) and one not in choices(key)]
        return f"{key} has no choice {wrong}" if wrong else ""
    if group in (*GROUPS, "train", "run") and "." in key:
        found = any(key == known or key.startswith(f"{known}.") for known in KEYS)
        return "" if found else f"there is no key {key}"
    return ""


def test_every_key_and_choice_that_is_advised_exists():
    faults = [(file, text, fault_of(*pair)) for file, text in printed() for pair in OVERRIDE.findall(text)]
    faults += [("synonyms", text, fault_of(*pair)) for text in meanings() for pair in OVERRIDE.findall(text)]
    faults += [
        (file, text, f"there is no key {key}")
        for file, text in printed()
        for key in DOTTED.findall(text)
        if key not in KEYS | FILES
    ]
    assert not [fault for fault in faults if fault[2]]
    assert len(faults) > 200  # the search finds them


def test_every_verb_that_is_advised_exists():
    texts = [*printed(), *(("synonyms", text) for text in meanings())]
    named = {(verb, file) for file, text in texts for verb in COMMAND.findall(text)}
    allowed = {*command_names(), "train", "has", "trains"}  # the last two of sentences about gantrain
    assert not {(verb, file) for verb, file in named if verb not in allowed}
    assert {"resume", "tensorboard", "list"} <= {verb for verb, _ in named}


def test_table_of_synonyms_is_unambiguous():
    table = tomllib.loads(TABLE.read_text())
    sections = [rows for name, rows in table.items() if name not in ("values", "notes")]
    for rows in (*sections, *table["values"].values()):
        words = [re.sub(r"[\W_]", "", word).lower() for text in rows.values() for word in text.split()]
        assert not {word for word in words if words.count(word) > 1}


def refusal(line: dict[str, str]) -> GantrainError | None:
    try:
        resolve(composed(*(f"{key}={value}" for key, value in line.items())))
    except GantrainError as error:
        return error
    return None


def alternatives(error: GantrainError) -> list[dict[str, str]]:
    """The overrides of each alternative that an error's remedy gives."""
    if least := re.search(r"give at least (\d+)", error.remedy):
        return [{str(error.where): least[1]}]
    parts = [dict(OVERRIDE.findall(part)) for part in re.split(",? or ", error.remedy)]
    return [{key: value.rstrip(".,") for key, value in part.items()} for part in parts if part]


def follow(line: dict[str, str], depth: int = 5) -> str:
    """Follow each alternative of each refusal until a line is accepted; return what leads nowhere, or ""."""
    error = refusal(line)
    if error is None:
        return ""
    advised = alternatives(error)
    if not advised or not depth:
        return f"{line}: {error}"
    for change in advised:
        after = {**line, **change}
        if after == line or (trouble := follow(after, depth - 1)):
            return f"{line}: {error}" if after == line else trouble
    return ""


REFUSED = [
    "dataset=gaussian objective=conditional",
    "dataset=gaussian objective=regression",
    "dataset=gaussian model.condition=concat",
    "objective=conditional model.condition=none",
    "objective=conditional model.packing=2",
    "model.packing=3 model.minibatch_std=true train.batch_size=4",
    "objective=likelihood",
    "dataset=grid objective=likelihood",
    "objective=hinge noise=labels",
    "objective=wasserstein noise.label_flip=0.1 noise.label_smoothing=0.2",
    "penalty=r1 model.packing=2",
    "train.unroll=2 penalty=r1 train.update=simultaneous",
    "train.update=simultaneous train.d_gain=0.1 train.g_steps=2",
    "train.images=10 train.seconds=5",
    "train.images=1000 train.d_gain=0.1",
    "objective=hinge train.compare_gradients=true",
    "dataset=ring augment=flip",
    "model=mlp dataset=ring objective=conditional model.packing=4",
]


@pytest.mark.parametrize("line", REFUSED[:6])
def test_advice_on_a_combination_leads_to_a_run(line):
    words = dict(word.split("=") for word in line.split())
    assert refusal(words) is not None
    assert not follow(words)


@pytest.mark.slow
@pytest.mark.parametrize("line", REFUSED[6:])
def test_advice_on_more_combinations_leads_to_a_run(line):
    test_advice_on_a_combination_leads_to_a_run(line)


BASES = ({}, {"dataset": "ring"}, {"dataset": "gaussian", "model": "gaussian"}, {"objective": "conditional"})
# Data that are not here, places, and keys of such data.
ABSENT = re.compile(
    "mnist|cifar10|image_folder|table|reed|device=|sweep|init_from|dataset[.](?!n|std|mean|holdout)"
)


def is_accepted(words: dict[str, str]) -> bool:
    return any(refusal({**base, **words}) is None for base in BASES)


@pytest.mark.slow
def test_every_override_that_is_advised_is_accepted():
    typed = {
        f"{key}={value.strip(chr(39) + '.,?`')}"
        for file, text in printed()
        if not file.startswith(("cli/help", "core/groups"))
        for key, value in OVERRIDE.findall(text)
        if key in KEYS or key in GROUPS
    }
    typed = {
        word for word in typed if re.fullmatch(r"[\w.]+=(?!.*[A-Z])[\w.]+", word) and not ABSENT.search(word)
    }
    refused = {word for word in typed if not is_accepted(dict([word.split("=")]))}
    assert len(typed) > 20
    assert not refused


@pytest.mark.slow
def test_every_meaning_of_the_table_is_accepted():
    pattern = r"(?!.*[A-Z])(?:[\w.]+=[\w.]+ ?)+"
    typed = {one for one in meanings() if re.fullmatch(pattern, one) and not ABSENT.search(one)}
    refused = {meant for meant in typed if not is_accepted(dict(word.split("=") for word in meant.split()))}
    assert len(typed) > 80
    assert not refused
