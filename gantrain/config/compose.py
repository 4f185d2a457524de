"""Compose a config with Hydra from the shipped YAML files, the user's own, and overrides."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import hydra
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gantrain.config.overrides import check_override
from gantrain.core.groups import yaml_dir
from gantrain.core.hydra_errors import translate_error
from gantrain.core.plugins import config_folders
from gantrain.core.system import resolve_device

if TYPE_CHECKING:
    from gantrain.config.options import Config

HYDRA_1_3 = hydra.__version__.startswith("1.3")
VERSION_BASE: dict[str, Any] = {"version_base": "1.3"} if HYDRA_1_3 else {}
TRUSTED = ("gantrain.*", "hydra.*", "hydra_plugins.*")  # what Hydra may instantiate, from its version 1.4 on


def run_folder(exact: str | None, default: str) -> str:
    """Return the folder of a run or sweep, with ~ as the user's home."""
    return os.path.expanduser(exact or default)


# OmegaConf 2.4 renames the function, and warns of its older name.
register_resolver: Any = OmegaConf.register_new_resolver if HYDRA_1_3 else OmegaConf.register_resolver
register_resolver("gantrain.folder", run_folder, replace=True)
register_resolver("gantrain.pick", lambda key, table: table.get(key, {}), replace=True)


@contextmanager
def translate_hydra_errors() -> Iterator[None]:
    """Raise an error of Hydra, OmegaConf or YAML as a ConfigError of one line."""
    try:
        yield
    except (
        HydraException,
        OmegaConfBaseException,
        yaml.YAMLError,
        UnicodeDecodeError,
        RecursionError,
    ) as error:
        raise translate_error(error) from error


@contextmanager
def initialize_hydra(config_path: str | None = None, config_dir: str | None = None) -> Iterator[Hydra]:
    """Initialize Hydra's compose API for a while, and give it.

    Args:
        config_path: The folder of the primary config; None for gantrain's own.
        config_dir: A folder with choices of the user's own.
    """
    with hydra.initialize_config_dir(config_path or str(yaml_dir()), job_name="gantrain", **VERSION_BASE):
        app = GlobalHydra.instance().hydra
        assert app is not None  # initialized
        if config_dir:  # as --config-dir of hydra.main, for which the compose API has no argument
            search_path = app.config_loader.get_search_path()
            search_path.prepend("command-line", f"file://{config_dir}", SearchPathQuery(provider="schema"))
            app.config_loader = ConfigLoaderImpl(search_path)
        yield app


def compose(overrides: Sequence[str]) -> DictConfig:
    """Return the config that overrides give, without running it. Raises ConfigError."""
    load_plugins()
    with translate_hydra_errors(), initialize_hydra():
        return hydra.compose("config", [check_override(word) for word in overrides])


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
    """Return a composed config as a resolved run, on a device that is there. Raises GantrainError."""
    from gantrain.config.resolve import plain_data, resolve

    config = resolve(plain_data(composed))
    resolve_device(config.device.kind, config.device.index)
    return config
