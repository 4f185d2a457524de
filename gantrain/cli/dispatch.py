"""From the words of a command line to the verb that runs them."""

import os
import re
from collections.abc import Sequence
from itertools import pairwise

import gantrain
from gantrain.cli.command import command_names, load_command
from gantrain.core.override import values_by_key
from gantrain.core.plugins import plugin_words, split_plugins, use
from gantrain.core.signals import delay_signals
from gantrain.core.streams import check_output
from gantrain.core.suggestions import did_you_mean, suggest, words_meant
from gantrain.core.system import is_one_of_several
from gantrain.distributed.launch import launch, processes_in
from gantrain.errors import ConfigError


def dispatch(words: Sequence[str]) -> int:
    """Run a command line, in a process of several as its part of what they do together; return the exit code.

    Raises:
        GantrainError: For a user error.
        SystemExit: In a process of several, for an error that another one reports.
    """
    if not is_one_of_several():
        return _dispatch(words)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # a lost connection is reported in our words
    with delay_signals():
        from gantrain.distributed.join import membership

    with membership() as group:
        if group.is_leader:
            return _dispatch(words)
        use(split_plugins(words)[1])
        from gantrain.training.together import play_along

        return play_along(group)


def _dispatch(words: Sequence[str]) -> int:
    """Run a verb, or without one train what the overrides describe; return the exit code. Raises GantrainError."""
    # Plug-ins first: they may add choices and keys to every command.
    argv, folders = split_plugins(words)
    use(folders)
    is_verb = bool(argv) and argv[0] in ("train", *command_names())
    verb, rest = (argv[0], argv[1:]) if is_verb else ("train", argv)
    if any(word in ("--help", "-h") for word in rest):
        from gantrain.cli.help import command_page, help_page

        print(help_page() if verb == "train" else command_page(verb))
        check_output()
        return 0
    if "--version" in rest:
        print(f"gantrain {gantrain.__version__}")
        check_output()
        return 0
    if verb in ("train", "evaluate") and (count := processes_in(rest)) > 1:
        return launch([*plugin_words(), *argv], count)
    if verb != "train":
        command = load_command(verb)
        code = command.run(rest)
        if command.prints:
            check_output()
        return code
    if not is_verb and argv and re.fullmatch("[^-~=][^=]*", argv[0]):
        raise ConfigError(argv[0], "is neither a verb nor key=value", _remedy_for(argv))
    for before, word in pairwise(["", *rest]):
        is_value = before.startswith("-") and before not in ("-m", "--multirun")  # of a flag
        if word in command_names() and not is_value:
            remedy = f"type gantrain {word} {load_command(word).form}".rstrip()
            raise ConfigError(word, "is a verb, and a verb stands first", remedy)
    from gantrain.cli import train  # imports hydra and torch, which a help page does without

    return train.start(rest)


def _remedy_for(argv: Sequence[str]) -> str:
    verbs = ["train", *command_names()]
    word, following = argv[0], argv[1] if len(argv) > 1 else ""
    meant = words_meant(word, following, verbs, values_by_key(argv))
    return did_you_mean(meant) or suggest(word, [*verbs, "--help", "--version"])
