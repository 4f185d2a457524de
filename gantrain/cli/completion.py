"""What the Tab key offers: verbs, groups, keys, values, run folders; nothing heavy is imported to know them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gantrain import keys
from gantrain.cli.help import HEAD, verbs
from gantrain.config.resume import RESUMABLE_KEYS
from gantrain.core.groups import GROUPS, choices
from gantrain.core.override import Override, values_by_key
from gantrain.core.run_folder import RunFolder
from gantrain.core.sweep_folder import SweepFolder

# Words, each with what it is where that is known; one that ends in = / or . goes on.
Offers = dict[str, str]

MANY = ("compare", "report")
RUN_OR_SWEEP = ("resume", "show", "tensorboard", *MANY)
RUN = ("sample", "evaluate", "export")
PLACES = ("out", "dataset.root", "dataset.path", "dataset.attributes", "run.root", "run.dir")
SHELLS = ("bash", "zsh", "fish")
FLAGS = {
    "-m": "sweep",
    "--multirun": "sweep",
    "--config-dir": "a folder with YAML options of your own",
    "--cfg": "print the composed config and run nothing",
    "--traceback": "show where a fault was raised",
    "--version": "print the version",
    "--help": "print the help page",
}


def offers(words: list[str]) -> Offers:
    """Return what may stand in the place of the last word.

    Args:
        words: The command line up to the cursor, behind the command itself; the last one is what is being typed.
    """
    *before, word = words or [""]
    verb = before[0] if before and before[0] in verbs() else ""
    if before and before[-1] == "--cfg":
        found = dict.fromkeys(("job", "hydra", "all"), "")
    elif before and before[-1] == "--config-dir":
        found = _paths(word)
    elif word.startswith("-"):
        found = FLAGS
    elif verb:
        found = _after_verb(verb, before[1:], word)
    elif "=" in word:
        found = _values(before, word)
    else:
        found = _overrides(before, word)
        if not any("=" in earlier for earlier in before):
            found = verbs() | found
    return {offer: text for offer, text in found.items() if offer.startswith(word)}


def _overrides(before: list[str], word: str) -> Offers:
    """Return groups and keys, those of one group where its name and a dot are there."""
    group, dot, _ = word.partition(".")
    if dot:
        return {f"{group}.{key}=": known.help for key, known in _keys(group, before).items()}
    found = {f"{name}=": f"{len(choices(name))} options" for name in GROUPS if choices(name)}
    if choices("hydra/launcher"):
        found["hydra/launcher="] = "where the jobs of a sweep run"
    found |= {f"{key}=": known.help for key, known in keys.of_option("", "").items()}
    found |= {"train.": "the training loop", "run.": "where a run writes"}
    chosen = {*values_by_key(before), word}
    return found | {
        f"{name}.": f"keys of the {name}" for name in GROUPS if name in chosen and _keys(name, before)
    }


def _keys(group: str, before: list[str]) -> keys.Keys:
    """Return the keys of the option that is chosen on the line, of the default, or of all where neither is known."""
    chosen = values_by_key(before)
    if "experiment" in chosen:
        return keys.of_group(group)
    name = chosen.get(group, keys.default_options().get(group))
    return keys.of_option(group, name or "") or keys.of_group(group)


def _values(before: list[str], word: str) -> Offers:
    """Return the options of a group or the choices of a key, also behind a comma of a sweep."""
    override = Override.parse(word)
    key, text = override.key, override.value
    if key in PLACES:
        return {f"{key}={path}": "" for path in _paths(text, files=True)}
    if key == "train.init_from":
        return {f"{key}={path}": "" for path in _runs(text, sweeps=False) | _paths(text)}
    if key in GROUPS or key == "hydra/launcher":
        known = _options(key, before)
    else:
        group, _, name = key.rpartition(".")
        declared = _keys(group, before) | keys.of_group(group)
        known = dict.fromkeys(declared[name].choices, "") if name in declared else {}
    earlier, comma, _ = text.rpartition(",")
    taken = earlier.split(",")
    return {f"{key}={earlier}{comma}{name}": said for name, said in known.items() if name not in taken}


def _options(group: str, before: list[str]) -> Offers:
    found = {name: said.rpartition(": gantrain")[0] or said for name, said in choices(group).items()}
    if group == "hydra/launcher":
        found = {"basic": "one after another", "joblib": "side by side"} | found
    for flag, folder in zip(before, before[1:], strict=False):
        if flag == "--config-dir":
            found |= {path.stem: "yours" for path in Path(folder).expanduser().glob(f"{group}/*.yaml")}
    return found


def _after_verb(verb: str, before: list[str], word: str) -> Offers:
    if verb == "list":
        return dict.fromkeys(GROUPS, "") if not before else {}
    if verb == "completion":
        return dict.fromkeys(SHELLS, "") if not before else {}
    if "=" in word:
        key = Override.parse(word).key
        declared = keys.of_verb(verb)
        if key in declared and key not in PLACES:
            return {f"{key}={choice}": "" for choice in declared[key].choices}
        return _values(before, word)
    named = any("=" not in earlier for earlier in before)
    found: Offers = {}
    if verb in MANY or (verb in RUN_OR_SWEEP + RUN and not named):
        found = _runs(word, sweeps=verb in RUN_OR_SWEEP)
        if not found or word:
            found |= {path: "" for path in _paths(word) if not any(run.startswith(path) for run in found)}
    return found | _words_of(verb, word) if named or word else found


def _words_of(verb: str, word: str) -> Offers:
    if verb == "show":
        return {"full=true": "the whole config"}
    if verb in MANY:
        return {"out=": "where to write it"}
    if verb == "resume":
        return {f"{key}=": "" for key in (*RESUMABLE_KEYS, "hydra/launcher")}
    if verb == "evaluate":
        group, dot, _ = word.partition(".")
        inner = keys.of_option(group, "") if dot and group in ("metric", "device") else {}
        whole = {"metric=": "the suite to read", "device=": "where to read it"}
        return whole | {f"{group}.{key}=": known.help for key, known in inner.items()}
    return {f"{key}=": known.help for key, known in keys.of_verb(verb).items()}


def _paths(typed: str, files: bool = False) -> Offers:
    """Return what lies where a path is being typed: folders, which end in a slash, and files if they are wanted."""
    parent, slash, start = typed.rpartition("/")
    found: Offers = {}
    with suppress(OSError):
        for path in sorted(Path(os.path.expanduser(parent + slash) or ".").iterdir()):
            hidden = path.name.startswith(".") and not start.startswith(".")
            if path.name.startswith(start) and not hidden and (files or path.is_dir()):
                found[f"{parent}{slash}{path.name}{'/' if path.is_dir() else ''}"] = ""
    return found


def _runs(typed: str, sweeps: bool) -> Offers:
    """Return the run folders under ``outputs`` that begin as typed, the newest first."""
    if not "outputs".startswith(typed.partition("/")[0]):
        return {}
    found = [(path, kind) for path, kind in _walk(Path("outputs"), 3) if sweeps or kind == "run"]
    found = [(path, kind) for path, kind in found if f"{path.as_posix()}/".startswith(typed)]
    found.sort(key=lambda item: item[0].stat().st_mtime_ns, reverse=True)
    return {f"{path.as_posix()}/": kind for path, kind in found}


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, str]]:
    """Find runs and sweeps; a run has a resolved config, and nothing to find in it."""
    with suppress(OSError):
        for path in folder.iterdir():
            if RunFolder(path).config_file.is_file():
                yield path, "run"
            elif path.is_dir():
                if SweepFolder(path).plan_file.is_file():
                    yield path, "sweep"
                if depth > 1:
                    yield from _walk(path, depth - 1)


def read_line(line: str) -> tuple[list[str], int, str]:
    """Split the line up to the cursor as a shell does.

    Returns:
        The words without quotes, the last being typed; how much of that one stands before a quote that is open; and
        that quote, or an empty string.
    """
    words: list[str] = []
    word, quote, opened, at, begun = "", "", 0, 0, False
    while at < len(line):
        char = line[at]
        if quote and char == quote:
            quote = ""
        elif char == "\\" and quote != "'" and at + 1 < len(line):
            at += 1
            word, begun = word + line[at], True
        elif quote:
            word += char
        elif char in "'\"":
            quote, opened, begun = char, len(word), True
        elif char.isspace():
            words, word, begun = [*words, word] if begun else words, "", False
        else:
            word, begun = word + char, True
        at += 1
    return [*words, word], opened if quote else 0, quote


def for_bash(line: str, breaks: str) -> list[str]:
    """Return what bash puts in the place of the part of a word that it replaces, quoted, a finished one with a space.

    Args:
        line: The command line up to the cursor.
        breaks: Bash's COMP_WORDBREAKS: it replaces what stands behind the last of these in the word.
    """
    words, opened, quote = read_line(line)
    word = words[-1]
    kept = opened if quote else 1 + max((word.rfind(c) for c in breaks if not c.isspace()), default=-1)
    found = []
    for offer in offers(words[1:]):
        ending = "" if offer.endswith(("=", "/", ".")) or quote else " "
        found.append((offer[kept:] if quote else quoted(offer[kept:])) + ending)
    return found


def quoted(word: str) -> str:
    """Return a word with a backslash before each character that a shell would take for its own."""
    return re.sub(r"([^\w@%+=:,./~-])", r"\\\1", word)


def verb_page(verb: str) -> str:
    """Return the page of ``gantrain VERB --help``: the verb's lines of the help page, and the words it takes."""
    uses = [line for line in HEAD.splitlines() if line.split()[:2] == ["gantrain", verb]]
    words = _words_of(verb, "")
    width = max(map(len, words), default=0)
    told = (
        ["", "words", *(f"  {word:{width}}  {text}".rstrip() for word, text in words.items())]
        if words
        else []
    )
    return "\n".join(["usage", *uses, *told, "", "All verbs and options: gantrain --help"])
