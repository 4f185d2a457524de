"""The shells' side of completion: their scripts, and how words are split and quoted."""

import os
import pty
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gantrain
from gantrain.cli.commands.completion import SHELLS
from gantrain.cli.shells import SCRIPTS, bash_replies, escape, read_line

BREAKS = " \t\n\"'@><=;|&(:"  # what COMP_WORDBREAKS is unless somebody sets it
TEXT = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=12)


def test_scripts_are_those_of_the_shells_offered():
    assert tuple(SCRIPTS) == SHELLS


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_read_line_splits_as_a_shell_does(words):
    assert read_line(shlex.join(words) + " ")[0] == [*words, ""]
    assert read_line(shlex.join(words))[0] == words


@given(TEXT.filter(bool))
def test_escape_is_undone_by_a_shell(word):
    assert shlex.split(escape(word), posix=True) == [word]


def test_bash_replies_replace_what_follows_the_last_break():
    assert bash_replies("gantrain objective=hin", BREAKS) == ["hinge "]
    assert bash_replies("gantrain objective=hin", BREAKS.replace("=", "")) == ["objective=hinge "]
    assert bash_replies("gantrain 'objective=hin", BREAKS) == ["objective=hinge"]
    assert bash_replies("gantrain objective='hin", BREAKS) == ["hinge"]
    assert bash_replies("gantrain objec", BREAKS) == ["objective="]


@pytest.fixture
def path(tmp_path_factory, monkeypatch) -> Path:
    """A folder on PATH in which ``gantrain`` is the one under test."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "gantrain"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gantrain "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(gantrain.__file__).parent.parent))
    return folder


def test_bash_script_with_a_word_split_at_equals(outputs, path):
    script = """
        eval "$(gantrain completion bash)"
        ask() { COMP_LINE=$1 COMP_POINT=${#1}; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
                $(complete -p gantrain | grep -o "_gantrain"); printf '%s|' "${COMPREPLY[@]}"; echo; }
        ask 'gantrain objective=hin' gantrain objective = hin
        ask 'gantrain objective=hinge,mini' gantrain objective = hinge,mini
        ask 'gantrain sample ' gantrain sample ''
        ask 'gantrain nothing.at.all' gantrain nothing.at.all
    """
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "hinge |", "hinge,minimax |", "outputs/day/b\\ run/|outputs/day/sweep/0-job/|outputs/day/a/|", "|",
    ]  # fmt: skip


def test_bash_script_in_a_terminal(outputs, path):
    """What is typed with Tabs in it reaches a program as the words that were meant."""
    echo = 'gantrain() { [ "$1" = completion ] && { command gantrain "$@"; return; }; printf "<%s>" "$@"; echo; }'
    typed = [
        ("gantrain resu\toutputs/day/b\t\n", b"<resume><outputs/day/b run/>"),
        (
            "gantrain -m objective=hinge,minim\ttrain.ste\t7\n",
            b"<-m><objective=hinge,minimax><train.steps=7>",
        ),
        ("gantrain 'objective=fgan_kl\t\n", b"<objective=fgan_kl>"),
    ]
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "--norc", "-i"],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, close_fds=True,
        env=os.environ | {"TERM": "dumb", "PS1": "ready>", "HISTFILE": ""},
    )  # fmt: skip
    os.close(theirs)
    try:
        wait_for(ours, b"ready>")
        os.write(ours, f'eval "$(gantrain completion bash)"; {echo}; echo do""ne\n'.encode())
        wait_for(ours, b"done")
        for line, meant in typed:
            os.write(ours, line.encode())
            wait_for(ours, meant)
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def wait_for(handle: int, text: bytes) -> None:
    """Read from a terminal until it shows something, for half a minute at most."""
    shown, end = b"", time.monotonic() + 30
    while text not in shown:
        ready, _, _ = select.select([handle], [], [], max(0, end - time.monotonic()))
        assert ready, shown
        shown += os.read(handle, 65536)


@pytest.mark.parametrize("shell", SHELLS)
def test_script_of_each_shell_calls_completion_offers(shell, run_cli):
    code, script, err = run_cli("completion", shell)
    assert (code, err) == (0, "")
    assert f"completion offers {shell}" in script


def test_completion_offers_prints_word_tab_description(outputs, run_cli):
    _, page, _ = run_cli("completion", "offers", "fish", "gantrain sample ")
    assert page.splitlines()[0] == "outputs/day/b run/\trun"
    _, page, _ = run_cli("completion", "offers", "zsh", "gantrain sample ")
    assert page.splitlines()[0] == "outputs/day/b\\ run/\trun"
    _, page, _ = run_cli("completion", "offers", "zsh", "gantrain --ver")
    assert page == "--version\tprint the version\n"


@pytest.mark.parametrize("words", [[], ["powershell"], ["bash", "zsh"]])
def test_completion_of_an_unknown_shell_is_usage(words, run_cli):
    code, out, err = run_cli("completion", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
