"""The pages of help, and the lists of choices."""

import pytest

from gantrain.cli.command import command_names
from gantrain.cli.help import COLUMNS, usage_line
from gantrain.core.groups import GROUPS, choices


def test_help_page_names_every_verb_in_columns(run_cli):
    _, page, _ = run_cli("--help")
    usage = page.partition("usage\n")[2].partition("RUN is")[0].splitlines()
    named = {line.split()[1] for line in usage}
    assert set(command_names()) <= named
    assert all(any(line[column] == " " != line[column + 1] for column in COLUMNS) for line in usage)


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
