"""A verb of the command line, and how it is found: each is one file in ``gantrain/cli/commands``.

The file declares ``COMMAND`` and imports what is heavy where it is used, so that the help page and completion know
every verb without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from gantrain.cli import commands as package


class Word(NamedTuple):
    """A ``key=value`` word of a verb.

    Attributes:
        help: What it sets.
        choices: The legal values, where they are few.
        is_path: Whether the value is a path.
    """

    help: str = ""
    choices: tuple[str, ...] = ()
    is_path: bool = False


class Command(NamedTuple):
    """What a verb is to the user, and the function that runs it.

    Attributes:
        run: Takes the words after the verb and returns the exit code.
        usage: A line of the help page for each use: what follows the verb, and what that does.
        order: Place on the help page; verbs of the same place follow each other by name.
        folder: What the verb works on: ``run``, ``sweep`` (or a run), or nothing.
        many: Whether it takes several of them.
        arguments: The legal words that are not folders.
        words: Its ``key=value`` words by key. A key that is a config group stands for the keys of the group too.
        options: Returns a dataclass that declares more of them, each by ``gantrain.core.fields.option``.
    """

    run: Callable[[list[str]], int]
    usage: tuple[tuple[str, str], ...]
    order: int = 100
    folder: str = ""
    many: bool = False
    arguments: tuple[str, ...] = ()
    words: Mapping[str, Word] = MappingProxyType({})
    options: Callable[[], type] | None = None

    @property
    def known_words(self) -> dict[str, Word]:
        """Every ``key=value`` word, of ``words`` and of ``options``."""
        return {**self.words, **(_words_of(self.options()) if self.options else {})}


def _words_of(cls: type) -> dict[str, Word]:
    import dataclasses

    return {
        key.name: Word(
            key.metadata["help"],
            ("true", "false") if key.type in (bool, "bool") else key.metadata["choices"] or (),
            is_path=key.name == "out",
        )
        for key in dataclasses.fields(cls)
    }


def command_names() -> list[str]:
    """Return the name of every verb; none is imported."""
    files = (path for folder in package.__path__ for path in Path(folder).glob("[a-z]*.py"))
    return sorted(path.stem for path in files)


def load_command(name: str) -> Command:
    """Return the verb that the file of a name declares."""
    command: Command = import_module(f"{package.__name__}.{name}").COMMAND
    return command


def all_commands() -> dict[str, Command]:
    """Return every verb by name, in the order of the help page."""
    found = {name: load_command(name) for name in command_names()}
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))
