"""``gantrain new GROUP NAME``."""

import keyword
import os
import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from string import Template

from gantrain.cli.arguments import split_arguments
from gantrain.cli.command import Command, Word
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError, writing

# One file a group: the parts that a new plug-in begins with, each after a line ``=== its path``.
TEMPLATES = {
    path.stem: path for path in sorted(Path(__file__).parents[1].joinpath("templates").glob("*.txt"))
}
FOLDER = "my-plugins"


def new(argv: list[str]) -> int:
    """Write a plug-in to start from, its choice and its test, and print what to type next.

    Raises:
        ConfigError: For a group without plug-ins, a name that cannot be one, or files that are there.
        OutputError: When they cannot be written.
    """
    from gantrain.core.atomic import replace_file
    from gantrain.core.plugins import active_folders

    names, words = split_arguments("new", argv)
    if wrong := [key for key in words if key != "out"]:
        raise ConfigError(wrong[0], "there is no such key", "give a group, a name, and out=FOLDER")
    if len(names) != 2:
        raise ConfigError(
            "new", f"takes a group and a name, got {' '.join(names) or 'none'}", "gantrain new objective mine"
        )
    group, name = names
    if group not in TEMPLATES:
        raise ConfigError("new", f"there are no plug-ins of {group!r}", suggest(group, TEMPLATES))
    template = TEMPLATES[group].read_text(encoding="utf-8")
    for fault in _name_faults(group, name, template):
        raise ConfigError(name, fault, f"give another name: gantrain new {group} NAME")

    # All places are checked before the first file is written.
    named = [folder.path for folder in active_folders()]
    folder = Path(os.path.expanduser(words.get("out") or (named or [FOLDER])[0]))
    parts = re.split(
        r"^=== (.+)\n", Template(template).substitute(name=name, Name=_class_name(name)), flags=re.M
    )
    texts = {folder / path: text for path, text in zip(parts[1::2], parts[2::2], strict=True)}
    for path in texts:
        if os.path.lexists(path):
            raise ConfigError(path, "is there already", "give another name, or out=FOLDER")
    for path, text in texts.items():
        with writing(path, "choose another out=FOLDER"):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, text.encode())
        print(path)
    flags = shlex.join(["--plugins", str(folder)])
    print(f"\nnext\n  gantrain {flags} {group}={name} debug=tiny")
    if find_spec("pytest") is None:
        print("  pip install pytest")
    print(f"  {shlex.join(['python', '-m', 'pytest', str(folder / f'test_{name}.py')])}")
    return 0


def _class_name(name: str) -> str:
    return "".join(map(str.capitalize, name.split("_")))


def _name_faults(group: str, name: str, template: str) -> Iterator[str]:
    """Yield why a choice, its class and its file cannot have a name."""
    import yaml

    from gantrain.core.groups import choices

    if not re.fullmatch("[a-z]([a-z0-9_]*[a-z0-9])?", name):
        yield "is not a name of small letters, digits and underscores"
    if keyword.iskeyword(name) or name in ("nan", "inf") or yaml.safe_load(name) != name:
        yield "is a word of Python or YAML"
    if name.startswith("test_") or name == "conftest":
        yield "is the name of a test, which is not loaded as a plug-in"
    if name in choices(group):
        yield f"is a choice of {group} already"
    if re.search(rf"\b{_class_name(name)}\b", template):
        yield "is the name of a class that the file uses"
    if find_spec(name) is not None:
        yield "is the name of a Python module, which the test would import in its place"
    if group == "metric":
        from gantrain.metrics.suite import Suite

        if hasattr(Suite, name):
            yield "is a key of metric already"


COMMAND = Command(
    new,
    usage=(("GROUP NAME [out=FOLDER]", "the files of a plug-in to start from, with a test"),),
    order=95,
    arguments=tuple(TEMPLATES),
    words={"out": Word(f"the folder of your plug-ins; {FOLDER} if none is given", is_path=True)},
)
