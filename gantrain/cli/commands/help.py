"""``gantrain help [VERB]``."""

from gantrain.cli.command import Command, command_names
from gantrain.core.groups import GROUPS
from gantrain.errors import ConfigError


def print_help(argv: list[str]) -> int:
    """Print the main page, the page of a verb, or the choices of a config group. Raises ConfigError."""
    from gantrain.cli.help import command_page, group_page, help_page
    from gantrain.core.suggestions import suggest

    word = argv[0] if argv else "train"
    if len(argv) > 1:
        raise ConfigError("help", f"takes one verb, got {' '.join(argv)}", "give one of them")
    if word not in (known := ["train", *command_names(), *GROUPS]):
        raise ConfigError("help", f"{word!r} is neither a verb nor a config group", suggest(word, known))
    print(help_page() if word == "train" else group_page(word) if word in GROUPS else command_page(word))
    return 0


COMMAND = Command(
    print_help,
    usage=(("[VERB]", "this page, or how a verb is used"),),
    order=120,
    prints=True,
)
