"""``gantrain list [GROUP]``."""

from gantrain.cli.command import Command
from gantrain.cli.help import all_groups_page, group_page
from gantrain.core.groups import GROUPS, STUDY
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError


def print_choices(argv: list[str]) -> int:
    """Print the choices of one config group, named in singular or plural, or of all. Raises ConfigError."""
    groups = (*GROUPS, STUDY)
    if len(argv) > 1:
        raise ConfigError(
            "list", f"takes one group, got {' '.join(argv)}", f"choose from {', '.join(groups)}"
        )
    plurals = {f"{group[:-1]}ies" if group.endswith("y") else f"{group}s": group for group in groups}
    group = plurals.get(argv[0], argv[0]) if argv else ""
    if argv and group not in groups:
        raise ConfigError("list", f"there is no group {argv[0]!r}", suggest(argv[0], groups))
    print(group_page(group) if group else all_groups_page())
    return 0


COMMAND = Command(
    print_choices,
    usage=(("[GROUP]", "every choice with one line, or those of one group"),),
    order=90,
    arguments=(*GROUPS, STUDY),
    prints=True,
)
