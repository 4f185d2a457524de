"""What the Tab key offers: verbs, groups, keys, values and run folders, found without a heavy import."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gantrain.cli.command import Command, Word, all_commands, command_names, load_command
from gantrain.cli.help import offer
from gantrain.core.groups import GROUPS, choices
from gantrain.core.known_keys import Keys, default_choice, keys_of_choice, keys_of_group
from gantrain.core.override import Override, values_by_key
from gantrain.core.plugins import split_plugins, use
from gantrain.errors import GantrainError

# Words and their descriptions, which may be empty; a word that ends in = or . is to be continued.
Offers = dict[str, str]

PATH_KEYS = ("dataset.root", "dataset.path", "dataset.attributes", "run.root", "run.dir")
FLAGS = {
    "-m": "sweep",
    "--multirun": "sweep",
    "--config-dir": "a folder with YAML files of your own",
    "--plugins": "a folder with plug-ins of your own",
    "--cfg": "print the composed config and run nothing",
    "--traceback": "show where an error was raised",
    "--version": "print the version",
    "--help": "print the help page",
}


def offers(words: list[str]) -> Offers:
    """Return what may replace the last of the words up to the cursor, ``gantrain`` itself left out."""
    *before, word = words or [""]
    # Plug-ins named on the line add choices, as they would if the line were run.
    last = before[-1] if before else ""
    if last != "--plugins":
        before, folders = split_plugins(before)
        with suppress(GantrainError):  # a mistyped folder has no choices to offer
            use(folders)
    # The place of the word on the line decides what it may be.
    if last == "--cfg":
        found = dict.fromkeys(("job", "hydra", "all"), "")
    elif last in ("--config-dir", "--plugins"):
        found = _paths(word)
    elif word.startswith("--plugins="):
        found = _words("--plugins", _paths(word.partition("=")[2]))
    elif word.startswith("-"):
        found = FLAGS
    elif before and before[0] in command_names():
        found = _after_verb(load_command(before[0]), before[1:], word)
    elif "=" in word:
        found = _values(before, word)
    else:
        found = _overrides(before, word)
        if not any("=" in earlier for earlier in before):  # a verb is the first word
            found = {name: command.usage[0][1] for name, command in all_commands().items()} | found
    return {offer: text for offer, text in found.items() if offer.startswith(word)}


def _overrides(before: list[str], word: str) -> Offers:
    """Return groups and keys; those of one group once its name and a dot are typed."""
    group, dot, _ = word.partition(".")
    if dot:
        return _dotted_keys(group, _keys(group, before))
    found = {f"{name}=": f"{len(known)} choices" for name in GROUPS if (known := choices(name))}
    if choices("hydra/launcher"):
        found["hydra/launcher="] = "where the jobs of a sweep run"
    found |= {f"{key}=": known["help"] for key, known in keys_of_group("").items()}
    found |= {"train.": "the training loop", "run.": "where a run writes"}
    # A group's own keys are offered once the group is on the line: all of them at once would be hundreds.
    chosen = [name for name in GROUPS if name in (*values_by_key(before), word) and _keys(name, before)]
    return found | {f"{name}.": f"keys of the {name}" for name in chosen}


def _dotted_keys(group: str, keys: Keys) -> Offers:
    return {f"{group}.{key}=": known["help"] for key, known in keys.items()}


def _keys(group: str, before: list[str]) -> Keys:
    """Return the keys of the choice on the line or of the default one; of every choice where neither is known."""
    chosen = values_by_key(before)
    if "experiment" in chosen:  # it may choose another class of the group
        return keys_of_group(group)
    return keys_of_choice(group, chosen.get(group, default_choice(group))) or keys_of_group(group)


def _values(before: list[str], word: str) -> Offers:
    """Return the choices of a group or the legal words of a key, also after a comma of a sweep."""
    key, text, _ = Override.parse(word)
    if key in PATH_KEYS:
        return _words(key, _paths(text, files=True))
    if key == "train.init_from":
        return _words(key, _runs(text, sweeps=False) | _paths(text) | _checkpoints(text))
    # A group has choices; a key of it has the legal values that its class declares.
    if key in GROUPS or key == "hydra/launcher":
        known = _choices(key, before)
    else:
        group, _, name = key.rpartition(".")
        declared = _keys(group, before) | keys_of_group(group)
        known = dict.fromkeys(declared[name]["choices"], "") if name in declared else {}
    # In a sweep, objective=hinge,mini: values on the line are not offered again.
    earlier, comma, _ = text.rpartition(",")
    unlisted = {name: text for name, text in known.items() if name not in earlier.split(",")}
    return _words(f"{key}={earlier}{comma}", unlisted, "")


def _words(key: str, values: Offers, equals: str = "=") -> Offers:
    return {f"{key}{equals}{value}": text for value, text in values.items()}


def _choices(group: str, before: list[str]) -> Offers:
    # A description may end in a command, as in "…: gantrain dataset=captions", too long for a list.
    found = {name: text.rpartition(": gantrain")[0] or text for name, text in choices(group).items()}
    if group == "hydra/launcher":
        found = {"basic": "one after another", "joblib": "several at once"} | found  # Hydra's own files
    for flag, folder in zip(before, before[1:], strict=False):
        if flag == "--config-dir":
            found |= {path.stem: "yours" for path in Path(os.path.expanduser(folder)).glob(f"{group}/*.yaml")}
    return found


def _after_verb(command: Command, before: list[str], word: str) -> Offers:
    if command.arguments and not before:
        return dict.fromkeys(command.arguments, "")
    if "=" in word:
        key, value, _ = Override.parse(word)
        known = command.known_words.get(key, Word())
        if known.is_path:
            return _words(key, _paths(value, files=True))
        return _words(key, dict.fromkeys(known.choices, "")) or _values(before, word)
    # First a run, then the words of the verb.
    has_folder = any("=" not in earlier for earlier in before)
    found: Offers = {}
    if command.folder and (command.many or not has_folder):
        found = _runs(word, sweeps=command.folder == "sweep")
        found |= _checkpoints(word)
        if not found or word:  # a run may be anywhere, but those under outputs come first
            found |= {
                path: ""
                for path in _paths(word, command.files)
                if not any(run.startswith(path) for run in found)
            }
    if has_folder or word:
        found |= {offer(key, known.choices): known.help for key, known in command.known_words.items()}
        group, dot, _ = word.partition(".")
        if dot and group in GROUPS and group in command.words:
            found |= _dotted_keys(group, keys_of_group(group))
    return found


def _paths(typed: str, files: bool = False) -> Offers:
    """Return the folders that begin as typed, each with a slash at its end, and with ``files`` the files too."""
    parent, slash, start = typed.rpartition("/")
    found: Offers = {}
    with suppress(OSError):
        for path in sorted(Path(os.path.expanduser(parent + slash) or ".").iterdir()):
            hidden = path.name.startswith(".") and not start.startswith(".")
            if path.name.startswith(start) and not hidden and (files or path.is_dir()):
                found[f"{parent}{slash}{path.name}{'/' if path.is_dir() else ''}"] = ""
    return found


def _checkpoints(typed: str) -> Offers:
    """Return the checkpoints of a run whose name and @ are typed."""
    from gantrain.core.run_address import names
    from gantrain.core.run_folder import RunFolder, is_run

    run, at, _ = typed.rpartition("@")
    folder = Path(os.path.expanduser(run))
    if not at or not is_run(folder):
        return {}
    return {f"{run}@{name}": "a checkpoint" for name in reversed(names(RunFolder(folder, strict=False)))}


def _runs(typed: str, sweeps: bool) -> Offers:
    """Return the run folders under ``outputs`` that begin as typed, the newest first."""
    if not "outputs".startswith(typed.partition("/")[0]):
        return {}
    found = [(path, kind) for path, kind in _walk(Path("outputs"), 3) if sweeps or kind == "run"]
    found.sort(key=lambda item: item[0].stat().st_mtime_ns, reverse=True)
    named = {f"{path.as_posix()}/": kind for path, kind in found}
    return {name: kind for name, kind in named.items() if name.startswith(typed)}


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, str]]:
    """Find runs and sweeps, ``depth`` folders deep; a run holds no others."""
    from gantrain.core.run_folder import is_run, is_sweep

    with suppress(OSError):
        for path in folder.iterdir():
            if is_run(path):
                yield path, "run"
            elif path.is_dir():
                if is_sweep(path):
                    yield path, "sweep"
                if depth > 1:
                    yield from _walk(path, depth - 1)
