"""A verb is one file: found, listed, completed and run without any other edit."""

import os
import subprocess
import sys

import pytest

from gantrain.cli import commands
from gantrain.cli.command import Word, all_commands, command_names
from gantrain.cli.completion import offers

GREET = """
from dataclasses import dataclass

from gantrain.cli.command import Command, Word
from gantrain.core.fields import option


@dataclass
class GreetOptions:
    loud: bool = option(False, "whether to shout")
    tone: str = option("warm", "how it sounds", choices=("warm", "cool"))


def greet(argv: list[str]) -> int:
    print("hello", *argv)
    return 0


COMMAND = Command(
    greet,
    usage=(("RUN [loud=true]", "say hello to a run"), ("RUN tone=cool", "say hello coolly")),
    order=15,
    folder="run",
    words={"n": Word("how often")},
    options=lambda: GreetOptions,
)
"""


@pytest.fixture
def greet(tmp_path, monkeypatch):
    """a folder with one verb."""
    (tmp_path / "greet.py").write_text(GREET)
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    yield
    sys.modules.pop("gantrain.cli.commands.greet", None)


def test_command_of_one_file_is_on_the_help_page(greet, run_cli):
    _, page, _ = run_cli("--help")
    lines = [line for line in page.splitlines() if line.startswith("  gantrain greet")]
    assert [" ".join(line.split()) for line in lines] == ["gantrain greet RUN say hello to a run"]
    order = [name for name in all_commands() if name in ("resume", "greet", "sample")]
    assert order == ["resume", "greet", "sample"]


def test_command_of_one_file_has_a_page_of_its_words(greet, run_cli):
    code, page, err = run_cli("greet", "--help")
    assert (code, err) == (0, "")
    words = [
        line.split()[0] for line in page.partition("arguments\n")[2].splitlines() if line.startswith("  ")
    ]
    assert words == ["n=", "loud=", "tone="]


def test_command_of_one_file_is_completed(greet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert offers(["gree"]) == {"greet": "say hello to a run"}
    assert set(offers(["greet", "RUN", ""])) == {"n=", "loud=", "tone="}
    assert set(offers(["greet", "RUN", "tone="])) == {"tone=warm", "tone=cool"}
    assert set(offers(["greet", "RUN", "loud="])) == {"loud=true", "loud=false"}


def test_command_of_one_file_is_run_and_suggested(greet, run_cli):
    assert run_cli("greet", "a", "b=c") == (0, "hello a b=c\n", "")
    code, _, err = run_cli("gret")
    assert (code, "did you mean 'greet'?" in err) == (2, True)


def test_command_is_unknown_without_its_file(run_cli):
    assert "greet" not in command_names()
    assert run_cli("greet")[0] == 2


@pytest.mark.parametrize("name", command_names())
def test_command_declares_what_it_is(name):
    command = all_commands()[name]
    assert all(text and not text.endswith(".") for _, text in command.usage)
    assert command.folder in ("", "run", "sweep")
    assert all(isinstance(word, Word) for word in command.known_words.values())


def test_commands_import_nothing_heavy(tmp_path):
    script = "from gantrain.cli.command import all_commands; all_commands()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    modules = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert not modules & {"torch", "hydra", "omegaconf", "numpy", "yaml", "pandas", "joblib"}
    assert not modules & {"dataclasses", "hashlib", "json"}  # a fifth of the time of the help page


WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@pytest.mark.parametrize(
    ("typed", "policy"),
    [({}, "5000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_command_lets_waiting_threads_sleep_before_torch(typed, policy):
    script = (
        "import os, sys, gantrain.cli.main; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    )
    untouched = {name: value for name, value in os.environ.items() if name not in WAITING}
    done = subprocess.run(
        [sys.executable, "-c", script], env=untouched | typed, capture_output=True, text=True
    )
    assert done.stdout.split() == [policy, "False"], done.stderr
