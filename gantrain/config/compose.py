"""Compose a config with Hydra from the shipped YAML files, the user's own, and overrides; run it as Hydra's job."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import hydra
import yaml
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gantrain.config.overrides import CommandLine, check_override
from gantrain.config.sources import load_plugins
from gantrain.core.device import check_precision, resolve_device
from gantrain.core.folder_lock import ELSEWHERE
from gantrain.core.groups import yaml_dir
from gantrain.core.hydra_errors import translate_error
from gantrain.core.override import values_by_key
from gantrain.errors import ConfigError, writing

if TYPE_CHECKING:
    from gantrain.config.options import Config

T = TypeVar("T")
HYDRA_1_3 = hydra.__version__.startswith("1.3")
VERSION_BASE: dict[str, Any] = {"version_base": "1.3"} if HYDRA_1_3 else {}
TRUSTED = ("gantrain.*", "hydra.*", "hydra_plugins.*")  # what Hydra 1.4 and later may instantiate
HYDRA_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError, RecursionError)


def run_folder(exact: str | None, default: str) -> str:
    """Return the folder of a run or sweep, with ~ as the user's home."""
    return os.path.expanduser(exact or default)


# OmegaConf 2.4 renames the function and warns about its old name.
register_resolver: Any = OmegaConf.register_new_resolver if HYDRA_1_3 else OmegaConf.register_resolver
register_resolver("gantrain.folder", run_folder, replace=True)
register_resolver("gantrain.ranks", lambda gpus: max(1, gpus or 0), replace=True)
register_resolver("gantrain.pick", lambda key, table: table.get(key, {}), replace=True)


@contextmanager
def translate_hydra_errors() -> Iterator[None]:
    """Raise an error of Hydra, OmegaConf or YAML as a ConfigError of one line."""
    try:
        yield
    except HYDRA_ERRORS as error:
        raise translate_error(error) from error


@contextmanager
def initialize_hydra(config_path: str | None = None, config_dir: str | None = None) -> Iterator[Hydra]:
    """Yield Hydra's compose API, initialized.

    Args:
        config_path: The folder of the primary config; None for gantrain's own.
        config_dir: A folder with the user's own choices.
    """
    with hydra.initialize_config_dir(config_path or str(yaml_dir()), job_name="gantrain", **VERSION_BASE):
        app = GlobalHydra.instance().hydra
        assert app is not None  # initialized
        if config_dir:  # --config-dir of hydra.main, for which the compose API has no argument
            search_path = app.config_loader.get_search_path()
            search_path.prepend("command-line", f"file://{config_dir}", SearchPathQuery(provider="schema"))
            app.config_loader = ConfigLoaderImpl(search_path)
        yield app


def compose(overrides: Sequence[str]) -> DictConfig:
    """Return the config that overrides give, without running it. Raises ConfigError."""
    load_plugins()
    with translate_hydra_errors(), initialize_hydra():
        line = values_by_key(overrides)
        words = [check_override(word, line) for word in overrides]
        for word in words:
            if word.override.is_sweep_override():
                raise ConfigError(word.override.key_or_group, "has several values", "give one of them")
        return hydra.compose("config", [word.text for word in words])


def check(composed: DictConfig) -> Config:
    """Return a composed config as a resolved run that its device can compute. Raises GantrainError."""
    from gantrain.config.resolve import plain_data, resolve

    config = resolve(plain_data(composed))
    device = config.device
    check_precision(device.precision, resolve_device(device.kind, device.index))
    return config


@contextmanager
def compose_job(line: CommandLine) -> Iterator[DictConfig]:
    """Yield the composed config of a single run, with the node ``hydra``; restore Hydra's state afterwards.

    Raises:
        ConfigError: For a config that cannot be composed.
    """
    before = HydraConfig.instance().cfg
    with initialize_hydra(line.config_path, line.config_dir) as app:
        try:
            with translate_hydra_errors():
                # As hydra.compose, but with Hydra's own log as hydra.verbose and hydra.hydra_logging set it.
                overrides = [*line.overrides, "hydra.mode=RUN"]
                composed = app.compose_config(
                    line.config_name, overrides, run_mode=RunMode.RUN, with_log_configuration=True
                )
                HydraConfig.instance().set_config(composed)  # for ${hydra:...} in keys of the run
            yield composed
        finally:
            HydraConfig.instance().cfg = before


def job_folder(composed: DictConfig) -> Path:
    """Return the folder in which ``run_in_job_folder`` runs a config. Raises ConfigError."""
    with translate_hydra_errors():
        return Path(composed.hydra.run.dir)


def run_in_job_folder(composed: DictConfig, task: Callable[[Path, dict[str, str]], T]) -> T:
    """Make a run's folder and call a task as Hydra calls a job: in its environment, log and working directory.

    Args:
        composed: A config from ``compose_job``.
        task: Called with the folder and the values of the overrides by key, ``hydra.*`` left out; its result is
            returned, and its exceptions propagate.
    """
    utils: Any = hydra.utils
    whitelist = contextlib.nullcontext() if HYDRA_1_3 else utils.execution_whitelist(TRUSTED)
    context = {} if HYDRA_1_3 else {"execution_whitelist": TRUSTED}
    overrides = values_by_key(composed.hydra.overrides.task)
    name = composed.hydra.job.config_name
    # An OSError here is Hydra's, which cannot write the run's folder; the task's own are kept in ``job``.
    with writing(job_folder(composed), ELSEWHERE), whitelist, translate_hydra_errors():
        callbacks = Callbacks(composed)
        callbacks.on_run_start(config=composed, config_name=name)
        job = run_job(
            lambda _: task(Path(HydraConfig.get().runtime.output_dir), overrides),
            composed,
            job_dir_key="hydra.run.dir",
            job_subdir_key=None,
            hydra_context=HydraContext(GlobalHydra.instance().config_loader(), callbacks, **context),
        )
        callbacks.on_run_end(config=composed, config_name=name, job_return=job)
    with contextlib.redirect_stderr(io.StringIO()):  # where Hydra prints the overrides of a failed job
        return job.return_value
