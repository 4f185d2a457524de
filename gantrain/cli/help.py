"""The help pages and the lists of choices."""

import textwrap
from collections.abc import Mapping

from gantrain.cli.command import all_commands, load_command
from gantrain.core.groups import GROUPS, STUDY, choices
from gantrain.core.weights_place import find_weights, weights_of_features

TITLE = "gantrain trains Generative Adversarial Networks and names the divergence that each one estimates."
# Lines of the usage before those of the verbs, and after them.
TRAIN = (
    ("[key=value ...]", "train; with nothing given: handwritten digits, in a minute"),
    ("-m key=a,b [key=value ...]", "a sweep: one run for each combination"),
)
PRINT = (("--cfg job [key=value ...]", "print every key of a run with its value, and run nothing"),)
PAGES = """\
RUN is a run's folder, RUN@best or RUN@900 a checkpoint of it; resume and show take a sweep's too.

flags
  -m, --multirun     sweep over the values after commas
  --config-dir DIR   read YAML files of your own as choices: DIR/GROUP/NAME.yaml
  --plugins DIR      load objectives, data sets, metrics of your own: Python files in a folder
  --traceback        show where in the program an error arose
  --version          print the version
"""
EXAMPLES = """\
examples
  gantrain dataset=ring objective=hinge
  gantrain -m objective=minimax,non_saturating 'seed=range(3)'
  gantrain dataset=image_folder dataset.root=photos train.minutes=60

more: gantrain docs, gantrain VERB --help, gantrain list GROUP"""
COLUMNS = (39, 61)  # characters before the text of a usage line; a long line takes the second
WIDTH = 98  # characters of a line of the main page


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
    # Keys, which docs/configuration.md explains, need no line each.
    explained = {word: text for word, text in words.items() if text}
    keys = textwrap.fill("  ".join(word for word, text in words.items() if not text), 96)
    table = "\n".join(filter(None, [_indented_table("arguments", explained), textwrap.indent(keys, "  ")]))
    if keys and not explained:
        table = f"arguments\n{table}"
    parts = [usage, table, "All verbs: gantrain --help"]
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
    about = choices(group)
    for name, file in weights_of_features().items() if group == "features" else ():
        if find_weights(file) is None:
            about[name] += f" (weights absent here: {file})"
    return _indented_table(group, about)


def all_groups_page() -> str:
    """Return every group that has choices."""
    return "\n\n".join(filter(None, map(group_page, (*GROUPS, STUDY))))


def help_page() -> str:
    """Return the page of ``gantrain --help``, which fits a screen of 45 lines of 100 characters."""
    verbs = [(f"{name} {command.form}", command.usage[0][1]) for name, command in all_commands().items()]
    usage = "\n".join(usage_line(form, text) for form, text in (*TRAIN, *verbs, *PRINT))
    names = textwrap.fill(
        "  ".join(filter(choices, GROUPS)), WIDTH, initial_indent="  ", subsequent_indent="  "
    )
    groups = f"config groups: group=choice, then group.key=value; their choices: gantrain list\n{names}"
    return f"{TITLE}\n\nusage\n{usage}\n{PAGES}\n{groups}\n\n{EXAMPLES}"
