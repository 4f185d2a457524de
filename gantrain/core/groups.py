"""The config groups, and the YAML files that are their choices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gantrain.core.plugins import config_folders
from gantrain.errors import ConfigError, GantrainError

if TYPE_CHECKING:
    import yaml


class Group(NamedTuple):
    """A row of the table of config groups.

    Attributes:
        name: The group, and its folder in ``configs``.
        about: What its choices decide, in one line.
        family: The package of ``gantrain`` that holds its classes, one for each registered name.
        cls: Where one class serves every choice: its module in ``gantrain`` and its name, ``module:Class``.
            A group with neither holds presets, which only set keys of other groups.
        absent: The registered name that a config without the group stands for, as those written before it was
            added; without one the group is required.
    """

    name: str
    about: str
    family: str = ""
    cls: str = ""
    absent: str = ""


# A new group is a row here, a folder in ``configs``, and its class or package; the order is that of the help page.
GROUPS = {
    group.name: group
    for group in (
        Group("dataset", "where data come from; images, or points of any dimension", family="datasets"),
        Group("model", "both networks, the generator G and the discriminator D", family="models"),
        Group("objective", "the game: what D estimates and what G descends", family="objectives"),
        Group("penalty", "a cost on D, most often on its slope", family="penalties"),
        Group("noise", "noise on D's inputs and labels; estimates are read without it", cls="noise:Noise"),
        Group(
            "augment",
            "a random transformation of D's inputs, data and samples alike; metrics are computed without it",
            family="augment",
            absent="none",
        ),
        Group("optimizer", "the update rule, with a learning rate for each network", family="optimizers"),
        Group(
            "device",
            "the machine; a device that is not there is an error, never replaced by another",
            cls="config.options:Device",
        ),
        Group(
            "metric",
            "which metrics are computed; those that do not fit the data are left out",
            cls="metrics.suite:Suite",
        ),
        Group("experiment", "several settings under one name; not set unless chosen"),
        Group(
            "sweep",
            "ready sweeps; `grid`, every combination of the values that are given, unless another is chosen",
        ),
        Group("debug", "presets to try whether a setting runs; not set unless chosen"),
    )
}


def yaml_dir() -> Path:
    """Return the folder of the shipped YAML files: next to the package in a checkout, inside it in a wheel."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here.parent / "configs", here / "configs"):
        if (folder / "config.yaml").is_file():
            return folder
    raise GantrainError("configs", "gantrain's own YAML files are missing", "install gantrain again")


def choices(group: str) -> dict[str, str]:
    """Return the choices of a config group, shipped and of plug-ins, each with the first comment line of its YAML."""
    found = {}
    for path in (
        path for folder in (yaml_dir(), *config_folders()) for path in sorted(folder.glob(f"{group}/*.yaml"))
    ):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        # Hydra wants its package directive on the very first line; the description is the first line after it.
        found[path.stem] = next((line[1:].strip() for line in lines if not line.startswith("# @")), "")
    return found


def overrides_choosing(word: str) -> list[str]:
    """Return the overrides that a bare word may stand for: ``objective=hinge`` for ``hinge``; none for most words."""
    found = [f"{group}={word}" for group in GROUPS if word in choices(group)]
    return found or [f"{word}=VALUE"] * (word in GROUPS or "." in word)


def yaml_error(error: yaml.MarkedYAMLError) -> ConfigError:
    """Return an error of the YAML parser as one line with file, line and column."""
    mark = error.problem_mark or error.context_mark
    where = f"{mark.name}:{mark.line + 1}:{mark.column + 1}" if mark else "config"
    return ConfigError(where, f"is not YAML ({error.problem or error.context})", "fix the line")


def check_choices(folder: Path) -> None:
    """Check that each YAML file in a user's folder is readable, has a new name, and sets keys.

    Raises:
        ConfigError: Naming the file that does not.
    """
    import yaml

    if not folder.is_dir():
        raise ConfigError("--config-dir", f"there is no folder {folder}", "give a folder of YAML files")
    for path in sorted(path for group in GROUPS for path in folder.glob(f"{group}/*.yaml")):
        group = path.parent.name
        if (yaml_dir() / group / path.name).is_file():  # Hydra would take the shipped one without a word
            raise ConfigError(path, f"gantrain has its own {group}={path.stem}", "give the file another name")
        try:
            with path.open("rb") as file:
                node = yaml.compose(file)
        except yaml.MarkedYAMLError as error:
            raise yaml_error(error) from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            what = " ".join(str(error).split())
            raise ConfigError(path, f"cannot be read ({what})", "write YAML in UTF-8") from error
        keys = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        if not keys:
            raise ConfigError(path, "holds no keys", "write key: value lines")
        if not isinstance(keys.get("defaults", yaml.SequenceNode("", [])), yaml.SequenceNode):
            raise ConfigError(path, "has defaults that are not a list", "write defaults: [CHOICE, _self_]")
