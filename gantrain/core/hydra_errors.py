"""Translate errors of Hydra, OmegaConf and YAML into one line with the key and a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, GrammarParseError, OmegaConfBaseException

from gantrain.core.groups import GROUPS, choices, yaml_error
from gantrain.core.scalars import SET_OR_OMIT
from gantrain.core.suggestions import choices_with_key, did_you_mean, nearest, suggest
from gantrain.errors import ConfigError

if TYPE_CHECKING:
    from hydra.errors import MissingConfigException

LAUNCHER_EXTRAS = {"joblib": "sweeps", "submitit_local": "sweeps", "submitit_slurm": "sweeps", "ray": "ray"}
NO_GROUP = "there is no such config group"
PRESETS = ("experiment", "debug")  # groups whose choices set keys of others
NO_PACKAGE = ("sets keys of its own group only", "make '# @package _global_' its first line")
SET_VALUE = "give the value itself"
# Each row: a pattern of the library's message, our wording with its groups, and the remedy.
OMEGACONF_MESSAGES = (
    (r"Value (.*) of type '\w+' could not be converted to Integer", "{0} is not a whole number", SET_OR_OMIT),
    (r"Value (.*) of type '\w+' could not be converted to Float", "{0} is not a number", SET_OR_OMIT),
    (r"Value (.*) of type '\w+' could not be converted to Bool", "{0} is not true or false", SET_OR_OMIT),
    (r"Cannot convert '\w+' to string: (.*)", "{0} is not a word", SET_OR_OMIT),
    (r"is not Optional|Incompatible value 'None'", "cannot be null", "give a value, or leave it out"),
    (r"is not a ListConfig", "must be a list", "write {key}=[a,b]"),
    (r"is not a subclass of|Cannot merge DictConfig with", "is a group of keys", "set {key}.KEY=VALUE"),
    (r"Interpolation key '(.*)' not found", "refers to {0}, which does not exist", SET_VALUE),
    (r"Recursive interpolation", "refers to itself", SET_VALUE),
    (r"raised while resolving interpolation: (.*)", "cannot be resolved ({0})", SET_VALUE),
    (r"Unsupported interpolation type (\S+)", "calls {0}, which does not exist", SET_VALUE),
    (r"[Mm]issing mandatory value", "has no value", "set {key}=VALUE"),
)
# The same, where the pattern's group is the key.
HYDRA_MESSAGES = (
    (r"(?:Ambiguous value for argument|Sweep parameters) '([^=']+)=", "has several values", "add -m"),
    (r"(hydra\.searchpath) must be a list", "must be a list", "write {key}=[file:///FOLDER]"),
    (r"An item is already at '([^']+)'", "is there already, so + cannot add it", "write {key}=VALUE"),
    (r"Multiple values for ([^.]+)\.", "has a choice already, so + cannot add one", "write {key}=CHOICE"),
    (r"force-add of config groups .*'\+*([^=]+)=", "is a group, which ++ cannot add", "write {key}=CHOICE"),
    (r"You must specify '([^']+)'", "has no value", "make a choice: {key}=CHOICE"),
    (r"(?:Could not|Defaults List) override '/?([^':]+)", NO_GROUP, f"choose from {', '.join(GROUPS)}"),
)


def translate_error(error: BaseException) -> ConfigError:
    """Return an error of Hydra, OmegaConf or YAML as one line with the key and a remedy."""
    from hydra.errors import MissingConfigException  # here, as errors of OmegaConf occur without Hydra too

    message = " ".join(str(error).split())
    file = f"{match[1]}.yaml" if (match := re.search(r"^In '([^']+)'", message)) else ""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    # The cause has the file and line, or the key, that Hydra's own message lacks.
    for link in chain:
        if isinstance(link, yaml.MarkedYAMLError):
            return yaml_error(link)
        if isinstance(link, MissingConfigException):
            return _missing_choice(link)
        if isinstance(link, ConfigKeyError) and link.full_key in PRESETS and file:
            return ConfigError(link.full_key if file.startswith("schema/") else file, *NO_PACKAGE)
    if file and re.search(rf"override '[^']*@({'|'.join(PRESETS)})\.", message):
        return ConfigError(file, *NO_PACKAGE)
    for link in chain:
        if isinstance(link, OmegaConfBaseException) and (link.full_key or link.key):
            return translate_omegaconf_error(link, file=file)
    if isinstance(error, RecursionError):
        return ConfigError("config", "is nested too deeply", "flatten it")
    for pattern, what, remedy in HYDRA_MESSAGES:
        if match := re.search(pattern, message):
            return ConfigError(match[1], what, remedy.format(key=match[1]))
    # A message that no row covers is passed on, with the first quoted word as the key.
    key = re.search(r"'([\w./@+~-]+)'", message)
    message = re.sub(r"^In .* composing config: | full_key: .*$", "", message)
    return ConfigError(file or (key[1] if key else "config"), message.rstrip(". "), "see gantrain --help")


def _missing_choice(error: MissingConfigException) -> ConfigError:
    from hydra.core.config_store import ConfigStore

    group, _, name = str(error.missing_cfg_file).rpartition("/")
    if not group:
        return ConfigError("--config-name", f"there is no config {name!r}", "leave it out")
    if group == "hydra/launcher" and name in LAUNCHER_EXTRAS:
        return ConfigError(
            group, f"{name} is not installed", f"pip install 'gantrain[{LAUNCHER_EXTRAS[name]}]'"
        )
    # Hydra lists the YAML files only; classes and the choices of plug-ins are legal too.
    names = {option for option in error.options or () if option != "schema"} | set(choices(group))
    if group.startswith("schema/"):
        names |= {name.removesuffix(".yaml") for name in ConfigStore.instance().list(group)}
    inner = group.rpartition("/")[2]
    if not names and inner in GROUPS and inner != group:  # a defaults list names groups from where it stands
        remedy = f"write 'override /{inner}: {name}' in the defaults"
        return ConfigError(group, NO_GROUP, remedy)
    return ConfigError(group, f"{name!r} is not one of its choices", suggest(name, names, group))


def translate_omegaconf_error(error: OmegaConfBaseException, prefix: str = "", file: str = "") -> ConfigError:
    """Return an error of OmegaConf as one line with the key and a remedy.

    Args:
        error: The error.
        prefix: The path of the config in which ``error`` names a key.
        file: The YAML file that sets the key, if known.
    """
    place = f" in {file}" if file else ""
    key = prefix + str(error.full_key or error.key or "config")
    message = str(error).splitlines()[0].rstrip(". ")
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        node = error.parent_node
        if isinstance(node, DictConfig) and not node and OmegaConf.get_type(node) is dict:  # takes any key
            parent, _, name = key.rpartition(".")
            return ConfigError(key + place, "is not there yet", f"write '+{parent}={{{name}: VALUE}}'")
        tree = OmegaConf.to_container(node, resolve=False) if isinstance(node, DictConfig) else {}
        return unknown_key(key, tree, place)  # type: ignore[arg-type]
    if isinstance(error, GrammarParseError):
        what = "holds an interpolation that cannot be read"
        return ConfigError(key + place, what, "close it with }, or give the value itself")
    for pattern, what, remedy in OMEGACONF_MESSAGES:
        if match := re.search(pattern, message):
            return ConfigError(key + place, what.format(*match.groups()), remedy.format(key=key))
    return ConfigError(key + place, message, "see the keys with: gantrain --cfg job")


def unknown_key(key: str, known: Iterable[str], place: str = "") -> ConfigError:
    """Return the error for a key that is not among ``known``: the names of its siblings, or a mapping of them."""
    parent, _, word = key.rpartition(".")
    names = [str(name) for name in known if name != "hydra" and not (parent and name == "name")]
    groups = known.items() if isinstance(known, Mapping) else ()
    deeper = [
        f"{parent}.{group}.{word}".lstrip(".")
        for group, keys in groups
        if isinstance(keys, Mapping) and word in keys
    ]
    meant = deeper or [f"{parent}.{name}".lstrip(".") for name in nearest(word, names)]
    remedy = did_you_mean(meant) or suggest(word, names)
    if not meant and (having := choices_with_key(parent, word)):
        remedy += f"; it is a key of {', '.join(f'{parent}={choice}' for choice in having)}"
    return ConfigError(key + place, "there is no such key", remedy)
