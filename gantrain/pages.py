"""The help page and the lists, read from the first comment of the YAML files; nothing heavy is imported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from gantrain.errors import ConfigError, GantrainError, suggest

if TYPE_CHECKING:
    import yaml

GROUPS = (
    "dataset",
    "model",
    "objective",
    "penalty",
    "noise",
    "optimizer",
    "device",
    "metric",
    "experiment",
    "sweep",
    "debug",
)

HEAD = """\
gantrain trains Generative Adversarial Networks and names the divergence that each of them estimates.

usage
  gantrain [key=value ...]              train; with nothing given: real handwritten digits, about a minute
  gantrain -m key=a,b [key=value ...]   one run for each combination
  gantrain resume RUN [train.steps=N]   go on, bit for bit as if never stopped
  gantrain sample RUN [n=64 seed=0 classes=[3,7] out=PATH]    a grid, a folder of PNGs or an .npz
  gantrain sample RUN interpolate=8 [frames=N truncation=0.7] a loop from sample to sample, as .gif or .apng
  gantrain export RUN [out=g.pt2|g.onnx]                      the generator as a file that needs no gantrain
  gantrain evaluate RUN [metric=full]   the metrics of a checkpoint
  gantrain show RUN [full=true]         what a run or a sweep is, how it went, and what to type next
  gantrain compare DIR ... [out=FOLDER] the table of any runs, best first, with a figure and one sheet of samples
  gantrain report RUN [out=FILE]        one HTML file that shows a run or a sweep; out=x.gif: its samples in motion
  gantrain tensorboard [DIR]            the dashboard, on 127.0.0.1, with every image step kept
  gantrain list [GROUP]                 every option with one line, or those of one group
  gantrain doctor                       versions, devices, the precision that is fast here, disk, threads
  gantrain completion bash|zsh|fish     a script for the Tab key: eval "$(gantrain completion bash)"
  gantrain --cfg job [key=value ...]    print the composed config and run nothing
RUN is a run's folder or a checkpoint in it; resume and show take a sweep's folder too.

flags
  --config-dir DIR   a folder with YAML options of your own     -m, --multirun   sweep
  --traceback        show where a fault was raised              --version        print the version
"""

TAIL = """\
examples
  gantrain dataset=ring objective=minimax              the saturating game on eight Gaussians
  gantrain objective=conditional                       a row of digits for each class
  gantrain penalty=r1 penalty.gamma=0.1 train.d_steps=2
  gantrain -m objective=minimax,non_saturating 'seed=range(3)'
  gantrain dataset=mnist dataset.root=~/data train.steps=600

Every key: gantrain --cfg job. A group's own keys: gantrain --cfg job -p train"""


def yaml_dir() -> Path:
    """Return the folder of the shipped YAML files: beside the package in a checkout, inside it in a wheel."""
    here = Path(__file__).resolve().parent
    for folder in (here.parent / "configs", here / "configs"):
        if (folder / "config.yaml").is_file():
            return folder
    raise GantrainError("configs", "gantrain's own YAML files are missing", "install gantrain again")


def verbs() -> dict[str, str]:
    """Return the verbs with what each one does, as the help page has them."""
    lines = re.findall(r"^  gantrain ([a-z]+)\b.*(?:\]|  ) *(\S.*)$", HEAD, re.MULTILINE)
    found: dict[str, str] = {}
    for verb, text in lines:
        found.setdefault(verb, text)  # a verb may have a second line, for its other use
    return found


def options(group: str) -> dict[str, str]:
    """Return the options of a config group with the first comment line of each one's YAML."""
    found = {}
    for path in sorted((yaml_dir() / group).glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        # Hydra wants its package directive on the very first line; the description is the first line after it.
        found[path.stem] = next((line[1:].strip() for line in lines if not line.startswith("# @")), "")
    return found


def not_yaml(error: yaml.MarkedYAMLError) -> ConfigError:
    """Return YAML's complaint as one line with file, line and column."""
    mark = error.problem_mark or error.context_mark
    where = f"{mark.name}:{mark.line + 1}:{mark.column + 1}" if mark else "config"
    return ConfigError(where, f"is not YAML ({error.problem or error.context})", "mend the line")


def check_options(folder: Path) -> None:
    """See that a user's folder holds options that can be chosen: readable, of new names, with keys in them.

    Raises:
        ConfigError: Naming the file that is not so.
    """
    import yaml

    if not folder.is_dir():
        raise ConfigError("--config-dir", f"there is no folder {folder}", "give a folder of YAML files")
    for path in sorted(path for group in GROUPS for path in folder.glob(f"{group}/*.yaml")):
        group = path.parent.name
        if path.stem in options(group):  # Hydra would take the shipped one without a word
            raise ConfigError(path, f"gantrain has its own {group}={path.stem}", "give the file another name")
        try:
            with path.open("rb") as file:
                node = yaml.compose(file)
        except yaml.MarkedYAMLError as error:
            raise not_yaml(error) from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            what = " ".join(str(error).split())
            raise ConfigError(path, f"cannot be read ({what})", "write YAML in UTF-8") from error
        keys = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        if not keys:
            raise ConfigError(path, "holds no keys", "write key: value lines")
        if not isinstance(keys.get("defaults", yaml.SequenceNode("", [])), yaml.SequenceNode):
            raise ConfigError(path, "has defaults that are not a list", "write defaults: [OPTION, _self_]")


def group_page(group: str) -> str:
    """Return one group as lines: option and description."""
    lines = options(group)
    width = max(map(len, lines), default=0)
    return "\n".join([group, *(f"  {name:{width}}  {text}" for name, text in lines.items())])


def list_page(words: list[str]) -> str:
    """Return the options of one group, named in singular or plural, or of all groups. Raises ConfigError."""
    if len(words) > 1:
        raise ConfigError(
            "list", f"takes one group, got {' '.join(words)}", f"choose from {', '.join(GROUPS)}"
        )
    if not words:
        return "\n\n".join(group_page(group) for group in GROUPS if options(group))
    plurals = {f"{group[:-1]}ies" if group.endswith("y") else f"{group}s": group for group in GROUPS}
    group = plurals.get(words[0], words[0])
    if group not in GROUPS:
        raise ConfigError("list", f"there is no group {words[0]!r}", suggest(words[0], GROUPS))
    return group_page(group)


def help_page() -> str:
    """Return the page of ``gantrain --help``."""
    groups = "\n\n".join(group_page(group) for group in GROUPS if options(group))
    return f"{HEAD}\nconfig groups: group=option, then group.key=value\n\n{groups}\n\n{TAIL}"
