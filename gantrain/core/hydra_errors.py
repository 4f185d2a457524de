"""What Hydra, OmegaConf and YAML complain of, each in one line of this program's words with a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import yaml
from hydra.core.config_store import ConfigStore
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from gantrain.core.groups import GROUPS, choices, yaml_error
from gantrain.errors import ConfigError, suggest

ONE = "give one, or leave it out for the default"
# What OmegaConf says, then the same in this program's words, then what to do.
COMPLAINTS = (
    (r"Value (.*) of type '\w+' could not be converted to Integer", "{0} is not a whole number", ONE),
    (r"Value (.*) of type '\w+' could not be converted to Float", "{0} is not a number", ONE),
    (r"Value (.*) of type '\w+' could not be converted to Bool", "{0} is not true or false", ONE),
    (r"Cannot convert '\w+' to string: (.*)", "{0} is not a word", ONE),
    (
        r"is not Optional|Incompatible value 'None'",
        "cannot be null",
        "give a value, or leave it out for the default",
    ),
    (r"is not a ListConfig", "must be a list", "write {key}=[a,b]"),
    (
        r"is not a subclass of|Cannot merge DictConfig with",
        "is a group of keys",
        "set one of them: {key}.KEY=VALUE",
    ),
    (r"Interpolation key '(.*)' not found", "refers to {0}, which is not there", "give the value itself"),
    (r"Recursive interpolation", "refers to itself", "give the value itself"),
    (r"raised while resolving interpolation: (.*)", "cannot be resolved ({0})", "give the value itself"),
    (r"Unsupported interpolation type (\S+)", "calls {0}, which is not there", "give the value itself"),
    (r"[Mm]issing mandatory value", "has no value", "set {key}=VALUE"),
)
# What Hydra says of the key in brackets, then the same in this program's words, then what to do.
SAID_BY_HYDRA = (
    (
        r"(?:Ambiguous value for argument|Sweep parameters) '([^=']+)=",
        "has several values",
        "add -m to sweep",
    ),
    (r"You must specify '([^']+)'", "has no value", "make a choice: {key}=CHOICE"),
    (
        r"(?:Could not override|Defaults List override) '/?([^':]+)",
        "there is no such config group",
        "choose from {groups}",
    ),
)


def translate_error(error: BaseException) -> ConfigError:
    """Return Hydra's, OmegaConf's or YAML's complaint as one line with the key and a remedy."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    said = " ".join(str(error).split())
    file = f"{found[1]}.yaml" if (found := re.search(r"^In '([^']+)'", said)) else ""
    for link in chain:
        if isinstance(link, yaml.MarkedYAMLError):
            return yaml_error(link)
        if isinstance(link, MissingConfigException):
            return _no_option(link)
        if isinstance(link, ConfigKeyError) and link.full_key in ("experiment", "debug") and file:
            return ConfigError(
                file, "sets keys of its own group only", "make '# @package _global_' its first line"
            )
    for link in chain:
        if isinstance(link, OmegaConfBaseException) and (link.full_key or link.key):
            return translate_omegaconf_error(link, file=file)
    if isinstance(error, RecursionError):
        return ConfigError("config", "is nested too deeply", "flatten it")
    for pattern, what, remedy in SAID_BY_HYDRA:
        if found := re.search(pattern, said):
            return ConfigError(found[1], what, remedy.format(key=found[1], groups=", ".join(GROUPS)))
    key = re.search(r"'([\w./@+~-]+)'", said)
    said = re.sub(r"^In .* composing config: | full_key: .*$", "", said)
    return ConfigError(file or (key[1] if key else "config"), said.rstrip(". "), "see gantrain --help")


def _no_option(error: MissingConfigException) -> ConfigError:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    if not group:
        return ConfigError("--config-name", f"there is no config {name!r}", "leave it out")
    if group == "hydra/launcher" and re.fullmatch("joblib|submitit_(local|slurm)", name):
        return ConfigError(group, f"{name} is not installed", "pip install 'gantrain[sweeps]'")
    names = {option for option in error.options or () if option != "schema"} | set(choices(group))
    if group.startswith("schema/"):
        names |= {name.removesuffix(".yaml") for name in ConfigStore.instance().list(group)}
    inner = group.rpartition("/")[2]
    if not names and inner in GROUPS and inner != group:  # a defaults list names groups from where it stands
        return ConfigError(
            group, "there is no such config group", f"write 'override /{inner}: {name}' in the defaults"
        )
    return ConfigError(group, f"{name!r} is not one of its choices", suggest(name, names))


def translate_omegaconf_error(error: OmegaConfBaseException, prefix: str = "", file: str = "") -> ConfigError:
    """Return OmegaConf's complaint as this program's.

    Args:
        error: What OmegaConf raised.
        prefix: The config path of what it looked at.
        file: The YAML file that is at fault, if one is.
    """
    place = f" in {file}" if file else ""
    key = prefix + str(error.full_key or error.key or "config")
    said = str(error).splitlines()[0].rstrip(". ")
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        node = error.parent_node
        tree = OmegaConf.to_container(node, resolve=False) if isinstance(node, DictConfig) else {}
        return unknown_key(key, tree, place)  # type: ignore[arg-type]
    for pattern, what, remedy in COMPLAINTS:
        if found := re.search(pattern, said):
            return ConfigError(key + place, what.format(*found.groups()), remedy.format(key=key))
    return ConfigError(key + place, said, "see the keys with: gantrain --cfg job")


def unknown_key(key: str, known: Iterable[str], place: str = "") -> ConfigError:
    """Return the error for a key that is not among ``known``, a mapping of the keys beside it or their names."""
    parent, _, word = key.rpartition(".")
    names = [str(name) for name in known if name != "hydra" and not (parent and name == "name")]
    groups = known.items() if isinstance(known, Mapping) else ()
    deeper = [f"{group}.{word}" for group, keys in groups if isinstance(keys, Mapping) and word in keys]
    if deeper:
        return ConfigError(
            key + place, "there is no such key", f"did you mean {' or '.join(map(repr, deeper))}?"
        )
    return ConfigError(key + place, "there is no such key", suggest(word, names))
