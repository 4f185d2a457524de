"""Words keep the letters that were typed: of a command line, a verb, a YAML file, a sweep and a stored config alike."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import typing

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from gantrain.cli.arguments import read_options
from gantrain.config.compose import compose
from gantrain.config.grammar import quote_choices, read_value, read_word
from gantrain.config.key_types import type_of_key
from gantrain.config.options import KEYED, Folder, Top, Train, class_of
from gantrain.config.overrides import CommandLine
from gantrain.config.resolve import refresh_suite
from gantrain.config.sources import TypedFileSource, load_plugins
from gantrain.core.fields import flat_fields
from gantrain.core.override import Override
from gantrain.core.scalars import read_text
from gantrain.core.sweep_folder import Job, Plan, SweepFolder
from gantrain.errors import ConfigError
from gantrain.registry import REGISTERED, parse
from gantrain.sampling.options import ExportOptions, SampleOptions
from gantrain.training.resume import _with_words

# What YAML or Hydra's grammar would make a number, a switch, nothing, a time, a list or a call of.
LOOKS_OTHERWISE = (
    *(
        "2024_01_16",
        "1_1_1",
        "1e3",
        "1e-4",
        "1e400",
        "010",
        "0x10",
        "0b1",
        "0o7",
        "12:30",
        "1:2:3",
        ".5",
        "5.",
        "+5",
    ),
    *(
        "-0",
        "1_000.5",
        "inf",
        "nan",
        ".inf",
        ".nan",
        "yes",
        "no",
        "on",
        "off",
        "True",
        "false",
        "y",
        "~",
        "2024-01-16",
    ),
    *(
        "é",
        "a#b",
        "a #b",
        "don't",
        "photos (copy)",
        "a(b",
        "f(x)",
        "[1]",
        "[a",
        "{a: 1}",
        "{",
        "]",
        "a: b",
        "- a",
        "*a",
    ),
    *(
        "&a",
        "!a",
        "%a",
        "@a",
        "`a`",
        "|",
        ">",
        "a=b",
        "=",
        "a%20b",
        "$HOME",
        "C:\\data",
        "a b ",
        " a",
        "5 o'clock",
    ),
)
PLAIN_KEYS = (
    "run.dir",
    "run.root",
    "name",
    "train.init_from",
    "metric.title",
    "dataset.root",
    "hydra.job.name",
)
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
) | st.sampled_from(LOOKS_OTHERWISE)


@pytest.fixture(scope="module", autouse=True)
def schema():
    load_plugins()
    refresh_suite()


def text_keys() -> dict[str, bool]:
    """Every key for text, and whether it is a list of them."""
    keys = {}
    for path, cls in (("", Top), ("run", Folder), ("train", Train)):
        keys.update(
            {f"{path}.{key}".lstrip("."): typing.get_type_hints(cls)[key] for key, _ in flat_fields(cls)}
        )
    for group in KEYED:
        for cls in REGISTERED[group.name].values() if group.family else [class_of(group)]:
            hints = typing.get_type_hints(cls)
            keys.update({f"{group.name}.{key}": hints[key] for key, _ in flat_fields(cls) if key in hints})
    texts = {str: False, str | None: False, list[str]: True, list[str] | None: True}
    return {key: texts[hint] for key, hint in keys.items() if hint in texts and not key.endswith(".name")}


def has_grammar(text: str) -> bool:
    """Whether Hydra's grammar gives a text without quotes another meaning, which a Hydra user types on purpose."""
    is_call = re.match(
        r"\s*(choice|range|interval|glob|sort|shuffle|tag|str|int|float|bool|json_str)\s*\(", text
    )
    is_quoted = re.match("[ \t]*['\"]", text)
    return bool(
        is_call or is_quoted or "," in text or "\\" in text or "${" in text or text.lower().strip() == "null"
    )


def test_text_keys_of_the_schema_are_known_as_text():
    assert {*PLAIN_KEYS[:-1], "dataset.columns", "metric.names"} <= text_keys().keys()
    assert all(type_of_key(key).is_text for key in text_keys())
    assert all(type_of_key(key).is_plain != is_list for key, is_list in text_keys().items())


@given(st.data(), texts)
@settings(max_examples=80, deadline=None)
def test_text_reads_back_as_typed_for_every_key(data, text):
    key = data.draw(st.sampled_from(sorted(text_keys())))
    quoted = Override(key, text).quoted()
    if text_keys()[key]:
        assert read_word(f"{key}=[{quoted.value},b]").override.value() == [text, "b"]
    else:
        assert read_word(str(quoted)).override.value() == text
        assume(not has_grammar(text))
        read = read_word(f"{key}={text}")
        assert read.override.value() == text
        # Hydra reads the word alike, without the type.
        assert OverridesParser.create().parse_override(read.text).value() == text


@given(texts)
@settings(max_examples=40, deadline=None)
def test_text_reads_back_from_a_verb(text):
    assume("${" not in text and text.lower() != "null" and read_text(text) == text)
    assert (
        parse(SampleOptions, "", read_options(SampleOptions, {"condition": text, "out": text})).condition
        == text
    )
    assert read_options(ExportOptions, {"out": text}) == {"out": text}
    assert read_options(ExportOptions, {"out": Override("out", text).quoted().value}) == {"out": text}
    plain = {"dataset": {"root": None}, "train": {}, "device": {}}
    assert _with_words(plain, {"dataset.root": text})["dataset"]["root"] == text


@given(text=texts)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_text_reads_back_from_a_stored_config(text, tmp_path):
    assume(not set("\x85\u2028\u2029") & set(text))  # line breaks that PyYAML writes as they are, and folds
    folder = tmp_path
    stored = {"dataset": {"root": text, "columns": [text, "b"]}, "name": text, "run": {"dir": text}}
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(stored)), encoding="utf-8")
    source = TypedFileSource("mine", f"file://{folder}")
    assert OmegaConf.to_container(source.load_config("config").config) == stored


def test_text_reads_back_from_a_composed_config():
    for first in (0, len(PLAIN_KEYS)):
        line = dict(zip(PLAIN_KEYS, LOOKS_OTHERWISE[first:], strict=False))
        composed = compose(["dataset=image_folder", *(f"{key}={text}" for key, text in line.items())])
        assert {key: OmegaConf.select(composed, key) for key in line if not key.startswith("hydra")} == {
            key: text for key, text in line.items() if not key.startswith("hydra")
        }


def test_text_of_yaml_keeps_its_letters(tmp_path):
    texts = [text for text in LOOKS_OTHERWISE if re.fullmatch(r"[\w.:+-]+", text, re.ASCII)]
    (tmp_path / "dataset").mkdir()
    for i, text in enumerate(texts):
        content = f"root: {text}\ncolumns: [{text}, b]\nattributes: null\nresolution: 32\n"
        (tmp_path / f"dataset/a{i}.yaml").write_text(content)
        content = f"# @package _global_\nrun: &run\n  dir: {text}\nhydra: {{job: {{name: {text}}}}}\n"
        (tmp_path / f"b{i}.yaml").write_text(content)
    source = TypedFileSource("mine", f"file://{tmp_path}")
    for i, text in enumerate(texts):
        config = OmegaConf.to_container(source.load_config(f"dataset/a{i}").config)
        assert config == {"root": text, "columns": [text, "b"], "attributes": None, "resolution": 32}
        config = OmegaConf.to_container(source.load_config(f"b{i}").config)
        assert config == {"run": {"dir": text}, "hydra": {"job": {"name": text}}}


@pytest.mark.slow
def test_text_of_yaml_keeps_its_letters_in_a_launched_process(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/mine.yaml").write_text("root: 2024_01_16\n")
    (tmp_path / "source").write_bytes(pickle.dumps(TypedFileSource("mine", f"file://{tmp_path}")))
    code = "import pickle, sys; s = pickle.load(open(sys.argv[1], 'rb')); print(s.load_config('dataset/mine').config)"
    command = [sys.executable, "-c", code, tmp_path / "source"]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "{'root': '2024_01_16'}\n"


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("n=1,2", ("several values", "give one of them")),
        ("n=[1", ("'[1' is not a whole number",)),
        ("classes=1,2", ("several values", "write classes=[VALUE,VALUE]")),
        ("classes=[1", ("is not a list", "write classes=[VALUE,VALUE]")),
        ("classes=[010]", ("'010' is not a whole number",)),
        ("n=", ("'' is not a whole number",)),
        ("m=1", ("there is no such key",)),
    ],
)
def test_word_of_a_verb_is_refused_with_a_remedy(word, words):
    key, _, text = word.partition("=")
    with pytest.raises(ConfigError) as caught:
        read_options(SampleOptions, {key: text})
    assert str(caught.value).startswith(key)
    assert all(part in str(caught.value) for part in words)


NUMBERS = {
    **{"5": 5, "+5": 5, "-5": -5, "1_000": 1000, "0": 0},
    **dict.fromkeys(
        ("010", "0x10", "0o7", "0b1", "12:30", "1e3", "1.5", "yes", "true", "1__0", "5 5", "'010'")
    ),
}
REALS = {
    **{"1e-3": 1e-3, "1E3": 1e3, ".5": 0.5, "5.": 5.0, "1_000.5": 1000.5, "2": 2.0, "-0.1": -0.1},
    **dict.fromkeys(("010.5", "0x1p3", "1:30.5", "abc", "true", "1e", "--1", "1.2.3")),
}
SWITCHES = {
    "true": True,
    "False": False,
    **dict.fromkeys(("yes", "no", "on", "off", "1", "0", "7", "y", "t", "")),
}


@pytest.mark.parametrize(
    ("key", "values"), [("train.steps", NUMBERS), ("optimizer.g_lr", REALS), ("train.dry_run", SWITCHES)]
)
def test_numbers_and_switches_have_one_grammar(key, values, tmp_path):
    group, name = key.split(".")
    source = TypedFileSource("mine", f"file://{tmp_path}")
    (tmp_path / group).mkdir()
    for text, value in values.items():
        (tmp_path / f"{group}/a.yaml").write_text(f"{name}: {text or repr(text)}\n")
        ways = (
            lambda text=text: read_word(f"{key}={text}").override.value(),
            lambda text=text: read_value(key, text, type_of_key(key)),
            lambda: source.load_config(f"{group}/a").config[name],
        )
        for read in ways:
            if value is None:
                with pytest.raises(ConfigError, match=re.escape(key)):
                    read()
            else:
                assert read() == value
                assert isinstance(read(), type(value) | int)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ("2024_01,1e3", ["2024_01", "1e3"]),
        ("choice(1_0,yes)", ["1_0", "yes"]),
        ("shuffle(1_0,1_0)", ["1_0", "1_0"]),
        ("'a,b',c", ["a,b", "c"]),
        ("range(1,3)", ["1", "2"]),
        ("a\\,b,null", ["a,b", None]),
    ],
)
def test_text_keeps_its_letters_in_a_sweep(values, names, tmp_path):
    line = CommandLine.parse(
        ["-m", f"dataset.label={values}", "dataset=table", "dataset.columns=[2019_20,'a,b']"]
    )
    parsed = OverridesParser.create().parse_overrides(line.overrides)
    for override in parsed:  # as gantrain's sweepers do
        quote_choices(override)
    jobs = BasicSweeper.split_arguments(parsed, None)[0]
    # The words go through the sweep's file, from which they are read again.
    plan = Plan("", tuple(line.overrides), tuple(Job(f"{i}-x", tuple(job)) for i, job in enumerate(jobs)))
    SweepFolder(tmp_path).write(plan)
    stored = SweepFolder(tmp_path).plan()
    assert stored == plan
    again = CommandLine.parse(["-m", *stored.argv])
    assert again.overrides == line.overrides
    composed = [compose(list(job.overrides)).dataset for job in stored.jobs]
    assert [dataset.label for dataset in composed] == names
    assert all(dataset.columns == ["2019_20", "a,b"] for dataset in composed)
