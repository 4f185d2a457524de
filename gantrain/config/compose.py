"""From overrides to a composed config, by Hydra."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import hydra
import yaml
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gantrain.config.overrides import checked
from gantrain.core.groups import yaml_dir
from gantrain.core.hydra_errors import translated
from gantrain.core.plugins import config_folders
from gantrain.core.system import resolve_device

if TYPE_CHECKING:
    from gantrain.config.options import Config


TRUSTED = ("gantrain.*", "hydra.*", "hydra_plugins.*")
_HYDRA_1_3 = hydra.__version__.startswith("1.3")
_LINE: dict[str, Any] = {"version_base": "1.3"} if _HYDRA_1_3 else {"execution_whitelist": TRUSTED}


def expanded(exact: str | None, default: str) -> str:
    """Return the folder of a run or sweep, with ~ as the user's home."""
    return os.path.expanduser(exact or default)


# The newer line of OmegaConf has another name for it, and warns of the older one's.
_register: Any = OmegaConf.register_new_resolver if _HYDRA_1_3 else OmegaConf.register_resolver
_register("gantrain.folder", expanded, replace=True)
_register("gantrain.pick", lambda key, table: table.get(key, {}), replace=True)


class PluginSearchPath(SearchPathPlugin):
    """Has Hydra look for choices in the folders of plug-ins too."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add each plug-in's folder of YAML files behind gantrain's own."""
        for folder in config_folders():
            search_path.append("gantrain-plugins", f"file://{folder}")


def load_plugins() -> None:
    """Load the plug-ins of this command before it is composed. Raises ConfigError."""
    from gantrain.config.resolve import refresh_suite  # which registers what is shipped
    from gantrain.core.plugin_loading import check_plugin_choices, load

    load()
    refresh_suite()
    check_plugin_choices()
    Plugins.instance().register(PluginSearchPath)


def check(composed: DictConfig) -> Config:
    """Return a composed config as the run that it is, on a device that is there. Raises GantrainError."""
    from gantrain.config.resolve import plain_data, resolve

    config = resolve(plain_data(composed))
    resolve_device(config.device.kind, config.device.index)
    return config


def compose(overrides: list[str]) -> DictConfig:
    """Return the config that overrides give, without running it. Raises ConfigError."""
    load_plugins()
    try:
        line = {key: value for key, value in _LINE.items() if key == "version_base"}
        with hydra.initialize_config_dir(str(yaml_dir()), **line):
            return hydra.compose("config", overrides=[checked(word) for word in overrides])
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise translated(error) from error
