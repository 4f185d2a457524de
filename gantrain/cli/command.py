"""A verb of the command line, and how it is found: each is one file in ``gantrain/cli/commands``.

The file declares ``COMMAND`` and imports what is heavy where it is used, so that the help page and completion know
every verb without torch.
"""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from gantrain.cli import commands as package


class Word(NamedTuple):
    """A ``key=value`` word of a verb: what it sets, its legal values where they are few, and whether it is a path."""

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
        files: Whether files may stand in their place.
        arguments: The legal words that are not folders.
        words: Its ``key=value`` words by key. A key that is a config group stands for the keys of the group too.
        prints: Whether what it prints is all that it makes, so that it fails where that cannot be written.
        options: Returns a dataclass that declares more of them, each by ``gantrain.core.fields.option``. A function,
            so that the dataclass is imported only where its words are needed.
    """

    run: Callable[[list[str]], int]
    usage: tuple[tuple[str, str], ...]
    order: int = 100
    folder: str = ""
    many: bool = False
    files: bool = False
    arguments: tuple[str, ...] = ()
    words: Mapping[str, Word] = MappingProxyType({})
    prints: bool = False
    options: Callable[[], type] | None = None

    @property
    def form(self) -> str:
        """What stands after the verb in its first use, without ``key=value`` words: ``RUN``, ``[DIR]``."""
        return re.sub(r" ?\[[^]=]*=.*", "", self.usage[0][0])

    @property
    def known_words(self) -> dict[str, Word]:
        """Every ``key=value`` word, of ``words`` and of ``options``."""
        if self.options is None:
            return dict(self.words)
        from dataclasses import fields

        declared = {}
        for key in fields(self.options()):
            legal = ("true", "false") if key.type in (bool, "bool") else key.metadata["choices"] or ()
            declared[key.name] = Word(key.metadata["help"], legal, is_path=key.name == "out")
        return {**self.words, **declared}


def command_names() -> list[str]:
    """Return the name of every verb, that of its file with hyphens; none is imported."""
    return sorted(
        path.stem.replace("_", "-") for folder in package.__path__ for path in Path(folder).glob("[a-z]*.py")
    )


def load_command(name: str) -> Command:
    """Return the verb that the file of a name declares."""
    command: Command = import_module(f"{package.__name__}.{name.replace('-', '_')}").COMMAND
    return command


def all_commands() -> dict[str, Command]:
    """Return every verb by name, in the order of the help page."""
    commands = [(name, load_command(name)) for name in command_names()]
    return dict(sorted(commands, key=lambda item: item[1].order))
