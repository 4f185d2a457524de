"""From overrides to a composed config, by Hydra."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import hydra
import yaml
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gantrain.config.overrides import checked
from gantrain.core.groups import yaml_dir
from gantrain.core.hydra_errors import translated
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


def check(composed: DictConfig) -> Config:
    """Return a composed config as the run that it is, on a device that is there. Raises GantrainError."""
    from gantrain.config.resolve import plain_data, resolve

    config = resolve(plain_data(composed))
    resolve_device(config.device.kind, config.device.index)
    return config


def compose(overrides: list[str]) -> DictConfig:
    """Return the config that overrides give, without running it. Raises ConfigError."""
    import gantrain.config.resolve  # noqa: F401

    try:
        line = {key: value for key, value in _LINE.items() if key == "version_base"}
        with hydra.initialize_config_dir(str(yaml_dir()), **line):
            return hydra.compose("config", overrides=[checked(word) for word in overrides])
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise translated(error) from error
