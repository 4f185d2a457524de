"""``gantrain completion bash|zsh|fish``."""

from gantrain.cli.command import Command
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError

SHELLS = ("bash", "zsh", "fish")


def completion(argv: list[str]) -> int:
    """Print the script that makes a shell complete ``gantrain``, or reply to that script."""
    from gantrain.cli.shells import SCRIPTS

    if argv[:1] == ["offers"]:
        return _print_offers(*argv[1:4])
    if len(argv) != 1:
        what = "names no shell" if not argv else f"takes one shell, got {' '.join(argv)}"
        raise ConfigError("completion", what, f"choose from {', '.join(SHELLS)}")
    if argv[0] not in SCRIPTS:
        raise ConfigError("completion", f"no script for {argv[0]!r}", suggest(argv[0], SHELLS))
    print(SCRIPTS[argv[0]].strip())
    return 0


def _print_offers(shell: str, line: str, breaks: str = "") -> int:
    """Print an offer a line: for bash what it inserts, for the others the word, a tab, and its description."""
    from gantrain.cli.completion import offers
    from gantrain.cli.shells import bash_replies, escape, read_line

    if shell == "bash":
        print("\n".join(bash_replies(line, breaks)))
        return 0
    # zsh inserts an offer unchanged, so it is escaped here; fish escapes it itself.
    words, _, open_quote = read_line(line)
    for offer, text in offers(words[1:]).items():
        print(f"{escape(offer) if shell == 'zsh' and not open_quote else offer}\t{text}")
    return 0


COMMAND = Command(
    completion,
    usage=(("bash|zsh|fish", 'a script for the Tab key: eval "$(gantrain completion bash)"'),),
    order=110,
    arguments=SHELLS,
    prints=True,
)
