"""The config groups, and the YAML files that are their choices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gantrain.core.plugins import config_folders
from gantrain.errors import ConfigError, GantrainError

if TYPE_CHECKING:
    import yaml


class Group(NamedTuple):
    """A row of the table of config groups; without ``family`` and ``cls`` its choices are presets of other groups."""

    name: str  # and its folder in ``configs``
    about: str  # one line for the help page
    family: str = ""  # the package of its classes, one for each registered name
    cls: str = ""  # or the one class of all its choices, ``module:Class`` in gantrain
    absent: str = ""  # the choice of configs written before the group was added; "" if it is required


# A new group is a row here, a folder in ``configs``, and its class or package; the order is that of the help page.
GROUPS = {
    group.name: group
    for group in (
        Group("dataset", "the data: images, or points of any dimension", family="datasets"),
        Group("model", "both networks, the generator G and the discriminator D", family="models"),
        Group("objective", "the game: what D estimates and what G descends", family="objectives"),
        Group("penalty", "a cost on D, most often on its slope, or on G", family="penalties"),
        Group("noise", "noise on D's inputs and labels; metrics are computed without it", cls="noise:Noise"),
        Group(
            "augment", "random transformation of D's inputs, real and fake", family="augment", absent="none"
        ),
        Group("optimizer", "the update rule, with a learning rate for each network", family="optimizers"),
        Group("device", "where to train; an unavailable device is an error", cls="config.device:Device"),
        Group(
            "features",
            "what metrics compare samples with data by",
            family="features",
            absent="auto",
        ),
        Group(
            "metric",
            "the metrics; those that the data do not support are left out",
            cls="metrics.suite:Suite",
        ),
        Group("experiment", "presets of several groups; none by default"),
        Group("sweep", "sweeps; by default `grid`, every combination of the given values"),
        Group("debug", "presets for a quick trial; none by default"),
    )
}

STUDY = "study"  # a folder of YAML files too, each of which plans many runs and is no part of one's config


def yaml_dir() -> Path:
    """Return the folder of the shipped YAML files: inside the package in a wheel, next to it in a checkout."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "configs", here.parent / "configs"):
        if (folder / "config.yaml").is_file():
            return folder
    raise GantrainError("configs", "gantrain's own YAML files are missing", "install gantrain again")


def choices(group: str) -> dict[str, str]:
    """Return the choices of a config group, shipped and of plug-ins, each with the first comment line of its YAML."""
    about = {}
    for folder in (yaml_dir(), *config_folders()):
        for path in sorted(folder.glob(f"{group}/*.yaml")):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            # Hydra's package directive must be the first line; the description is then the second.
            about[path.stem] = next((line[1:].strip() for line in lines if not line.startswith("# @")), "")
    return about


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
        if (yaml_dir() / group / path.name).is_file():  # Hydra would silently use the shipped one
            raise ConfigError(path, f"gantrain has its own {group}={path.stem}", "give the file another name")
        try:
            with path.open("rb") as file:
                node = yaml.compose(file)  # the syntax tree: no tag is resolved and no object made
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
