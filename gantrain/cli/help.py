"""The help page and the lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gantrain.core.groups import GROUPS, choices
from gantrain.errors import ConfigError, suggest

if TYPE_CHECKING:
    pass

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


def verbs() -> dict[str, str]:
    """Return the verbs with what each one does, as the help page has them."""
    lines = re.findall(r"^  gantrain ([a-z]+)\b.*(?:\]|  ) *(\S.*)$", HEAD, re.MULTILINE)
    found: dict[str, str] = {}
    for verb, text in lines:
        found.setdefault(verb, text)  # a verb may have a second line, for its other use
    return found


def group_page(group: str) -> str:
    """Return one group as lines: option and description."""
    lines = choices(group)
    width = max(map(len, lines), default=0)
    return "\n".join([group, *(f"  {name:{width}}  {text}" for name, text in lines.items())])


def list_page(words: list[str]) -> str:
    """Return the options of one group, named in singular or plural, or of all groups. Raises ConfigError."""
    if len(words) > 1:
        raise ConfigError(
            "list", f"takes one group, got {' '.join(words)}", f"choose from {', '.join(GROUPS)}"
        )
    if not words:
        return "\n\n".join(group_page(group) for group in GROUPS if choices(group))
    plurals = {f"{group[:-1]}ies" if group.endswith("y") else f"{group}s": group for group in GROUPS}
    group = plurals.get(words[0], words[0])
    if group not in GROUPS:
        raise ConfigError("list", f"there is no group {words[0]!r}", suggest(words[0], GROUPS))
    return group_page(group)


def help_page() -> str:
    """Return the page of ``gantrain --help``."""
    groups = "\n\n".join(group_page(group) for group in GROUPS if choices(group))
    return f"{HEAD}\nconfig groups: group=option, then group.key=value\n\n{groups}\n\n{TAIL}"
