"""The help pages and the lists of choices."""

from collections.abc import Mapping

from gantrain.cli.command import all_commands, load_command
from gantrain.core.groups import GROUPS, choices

TITLE = (
    "gantrain trains Generative Adversarial Networks and names the divergence that each of them estimates."
)
# Lines of the usage before those of the verbs, and after them.
TRAIN = (
    ("[key=value ...]", "train; with nothing given: real handwritten digits, about a minute"),
    ("-m key=a,b [key=value ...]", "one run for each combination"),
)
PRINT = (("--cfg job [key=value ...]", "print the composed config and run nothing"),)
FLAGS = """\
RUN is a run's folder or a checkpoint in it; resume and show take a sweep's folder too.

flags
  --plugins DIR      a folder with plug-ins of your own: Python files, and their choices in configs/GROUP/NAME.yaml
  --config-dir DIR   a folder with YAML files of your own       -m, --multirun   sweep
  --traceback        show where an error was raised             --version        print the version
"""
EXAMPLES = """\
examples
  gantrain dataset=ring objective=minimax              the saturating game on eight Gaussians
  gantrain objective=conditional                       a row of digits for each class
  gantrain penalty=r1 penalty.gamma=0.1 train.d_steps=2
  gantrain -m objective=minimax,non_saturating 'seed=range(3)'
  gantrain dataset=mnist dataset.root=~/data train.steps=600

Every key: gantrain --cfg job. A group's own keys: gantrain --cfg job -p train"""
COLUMNS = (39, 61)  # characters before the text of a usage line; a long line takes the second


def usage_line(form: str, text: str) -> str:
    """Return a line of the usage: what is typed, and what it does."""
    typed = f"  gantrain {form}".rstrip()  # a verb may take nothing
    column = next((column for column in COLUMNS if len(typed) <= column), len(typed))
    return f"{typed:{column}} {text}"


def command_page(name: str) -> str:
    """Return the page of ``gantrain VERB --help``: how the verb is used, and its arguments."""
    command = load_command(name)
    usage = "\n".join(["usage", *(usage_line(f"{name} {form}", text) for form, text in command.usage)])
    words = {offer(key, word.choices): word.help for key, word in command.known_words.items()}
    parts = [usage, _indented_table("arguments", words), "All verbs and choices: gantrain --help"]
    return "\n\n".join(filter(None, parts))


def _indented_table(title: str, rows: Mapping[str, str]) -> str:
    """Return a title and under it names with their texts in two columns; "" without any."""
    width = max(map(len, rows), default=0)
    lines = [f"  {name:{width}}  {text}".rstrip() for name, text in rows.items()]
    return "\n".join([title, *lines]) if rows else ""


def offer(key: str, legal: tuple[str, ...]) -> str:
    """Return how a word begins, or the whole word where it has one legal value."""
    return f"{key}={legal[0] if len(legal) == 1 else ''}"


def group_page(group: str) -> str:
    """Return one group as lines, each choice and its description; "" for a group without choices."""
    return _indented_table(group, choices(group))


def all_groups_page() -> str:
    """Return every group that has choices."""
    return "\n\n".join(filter(None, map(group_page, GROUPS)))


def help_page() -> str:
    """Return the page of ``gantrain --help``."""
    commands = all_commands().items()
    verbs = [(f"{name} {form}", text) for name, command in commands for form, text in command.usage]
    usage = "\n".join(usage_line(form, text) for form, text in (*TRAIN, *verbs, *PRINT))
    groups = f"config groups: group=choice, then group.key=value\n\n{all_groups_page()}"
    return f"{TITLE}\n\nusage\n{usage}\n{FLAGS}\n{groups}\n\n{EXAMPLES}"
