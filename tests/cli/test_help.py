"""The pages of help, and the lists of choices."""

import shlex

import pytest
from PIL import Image

from gantrain.cli.command import command_names
from gantrain.cli.help import COLUMNS, EXAMPLES, usage_line
from gantrain.core.groups import GROUPS, choices


def test_help_page_names_every_verb_in_columns(run_cli):
    _, page, _ = run_cli("--help")
    usage = page.partition("usage\n")[2].partition("RUN is")[0].splitlines()
    named = {line.split()[1] for line in usage}
    assert set(command_names()) <= named
    assert all(any(line[column] == " " != line[column + 1] for column in COLUMNS) for line in usage)


def test_help_page_fits_a_screen(run_cli):
    _, page, _ = run_cli("--help")
    lines = page.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100
    groups = page.partition("config groups")[2].partition("examples")[0].split()
    assert set(GROUPS) <= set(groups)


@pytest.mark.parametrize("words", [["help"], ["help", "train"], ["train", "--help"], ["-h"]], ids=" ".join)
def test_help_is_a_verb_and_a_flag(words, run_cli):
    assert run_cli(*words) == run_cli("--help")


@pytest.mark.parametrize("verb", command_names())
def test_help_of_a_verb_is_the_page_of_its_flag(verb, run_cli):
    assert run_cli("help", verb) == run_cli(verb, "--help")


def test_help_of_a_group_lists_its_choices(run_cli):
    assert run_cli("help", "dataset") == run_cli("list", "dataset")


def test_examples_of_the_help_page_are_accepted(run_cli, no_run, tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(20):
        Image.new("RGB", (32, 32)).save(tmp_path / f"photos/{i}.png")
    examples = [line for line in EXAMPLES.splitlines() if line.startswith("  gantrain")]
    assert len(examples) == 3
    for example in examples:
        assert run_cli(*shlex.split(example)[1:])[2] == no_run, example


@pytest.mark.parametrize(("length", "column"), [(1, 39), (28, 39), (29, 61), (50, 61), (51, 62)])
def test_usage_line_puts_its_text_into_a_column(length, column):
    line = usage_line("x" * length, "text")
    assert line.startswith("  gantrain " + "x" * length + " ")
    assert line.index("text") == column + 1


@pytest.mark.parametrize("group", GROUPS)
def test_list_takes_a_group_in_singular_and_plural(group, run_cli):
    plural = {"penalty": "penalties"}.get(group, f"{group}s")
    code, page, err = run_cli("list", plural)
    assert (code, err) == (0, "")
    assert page.splitlines()[0] == group
    assert run_cli("list", group)[1] == page
    assert [line.split()[0] for line in page.splitlines()[1:]] == list(choices(group))


def test_list_of_features_says_which_weights_are_absent(run_cli, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    absent = "(weights absent here: dinov2_vits14_pretrain.pth)"
    assert absent in run_cli("list", "features")[1]
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    (tmp_path / "hub/checkpoints/dinov2_vits14_pretrain.pth").touch()
    page = run_cli("list", "features")[1]
    assert absent not in page
    assert "(weights absent here: weights-inception-2015-12-05-6726825d.pth)" in page
    assert page.count("weights absent") == 1
