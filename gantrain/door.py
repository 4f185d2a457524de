"""Hydra behind the door: compose, check before anything is written, run, and say every fault in one line."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gantrain.errors import ConfigError, GantrainError, Interrupted, suggest
from gantrain.pages import GROUPS, check_options, options, yaml_dir
from gantrain.registry import translated

TRUSTED = ("gantrain.*", "hydra.*", "hydra_plugins.*")
_HYDRA_1_3 = hydra.__version__.startswith("1.3")
_LINE: dict[str, Any] = {"version_base": "1.3"} if _HYDRA_1_3 else {"execution_whitelist": TRUSTED}


def expanded(exact: str | None, default: str) -> str:
    """Return the folder of a run or sweep, with ~ as the user's home."""
    return os.path.expanduser(exact or default)


def slug(overrides: Any, constant: Any) -> str:
    """Return a short folder name for what varies among jobs: the values, with the last word of a dotted key."""
    words = []
    for override in overrides:
        key, _, value = override.partition("=")
        if key.lstrip("+") in constant:
            continue
        words.append(value if "." not in key and key != "seed" else key.split(".")[-1] + value)
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", "-".join(words))[:48].strip("-_.") or "job"


# The newer line of OmegaConf has another name for it, and warns of the older one's.
_register: Any = OmegaConf.register_new_resolver if _HYDRA_1_3 else OmegaConf.register_resolver
_register("gantrain.folder", expanded, replace=True)
_register("gantrain.slug", slug, replace=True)
_register("gantrain.pick", lambda key, table: table.get(key, {}), replace=True)


_ready: list[Any] = []  # config and data of a single run, from Preflight to the task in the same process


class Preflight(Callback):
    """Checks a run before Hydra makes its folder; only SystemExit gets through its callbacks, and carries the fault."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Resolve the run, see that its folder is free, and load its data."""
        from gantrain.checkpoint import load_checkpoint
        from gantrain.run import prepare

        with _leaving():
            checked = _check(config)
            _free(Path(config.hydra.run.dir))
            if checked.train.init_from:
                load_checkpoint(checked.train.init_from)
            _ready[:] = [(checked, prepare(checked))]

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """See that the sweep's folder is free."""
        with _leaving():
            _free(Path(config.hydra.sweep.dir))


@contextlib.contextmanager
def _leaving() -> Iterator[None]:
    try:
        yield
    except OmegaConfBaseException as error:
        raise SystemExit(translated(error)) from error
    except Exception as error:
        raise SystemExit(error) from error


def _check(composed: DictConfig) -> Any:
    from gantrain.config import plain_data, resolve
    from gantrain.runtime import Runtime

    config = resolve(plain_data(composed))
    Runtime(config.device)
    return config


def _free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError("run.dir", f"{folder} is a file", "give a folder that is new or empty")
    if folder.exists() and any(folder.iterdir()):
        remedy = f"choose another, or go on with: gantrain resume {folder}"
        raise ConfigError("run.dir", f"{folder} is not empty", remedy)


def train(argv: list[str]) -> int:
    """Compose what the command line says and train it, once or as a sweep.

    Args:
        argv: Overrides and Hydra's flags.

    Returns:
        0, or 1 when a job of a sweep failed.

    Raises:
        GantrainError: For every fault of the user's.
    """
    import gantrain.config  # noqa: F401  (registers every schema; here, so that importing the door stays light)

    command = " ".join(["gantrain", *map(shlex.quote, argv)])
    argv, package = _flags_first(argv)
    _ready.clear()
    failed: list[GantrainError] = []
    folders: list[Path] = []

    def task(composed: DictConfig) -> None:
        from gantrain.housekeeping import Session
        from gantrain.run import run
        from gantrain.summary import end_table

        running = HydraConfig.get()
        folder = Path(running.runtime.output_dir)
        folders.append(folder)
        try:
            config, data = _ready.pop() if _ready else (_check(composed), None)
            given = dict(word.lstrip("+").split("=", 1) for word in running.overrides.task)
            result = run(config, folder, session=Session(command, given), data=data)
        except GantrainError as error:
            if running.mode is RunMode.RUN or isinstance(error, Interrupted):
                raise SystemExit(error) from error
            failed.append(error)
            print(f"gantrain: job {running.job.num}: {error}", file=sys.stderr)
        else:
            print(end_table(result, folder))

    with _hydra_argv(argv), _absent(package):
        # Hydra then raises what it would print, and this door prints one line.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        try:
            hydra.main(config_path=str(yaml_dir()), config_name="config", **_LINE)(task)()
        except (
            HydraException,
            OmegaConfBaseException,
            yaml.YAMLError,
            UnicodeDecodeError,
            RecursionError,
        ) as error:
            raise translated(error) from error
    if len(folders) > 1:
        from gantrain.sweep import summarise

        print(summarise(folders[0].parent, folders))
    if failed:
        raise GantrainError(
            folders[0].parent, f"{len(failed)} of {len(folders)} jobs failed", "read each one's result.json"
        )
    return 0


def compose(overrides: list[str]) -> DictConfig:
    """Return the config that overrides give, without running it. Raises ConfigError."""
    import gantrain.config  # noqa: F401

    try:
        line = {key: value for key, value in _LINE.items() if key == "version_base"}
        with hydra.initialize_config_dir(str(yaml_dir()), **line):
            return hydra.compose("config", overrides=[_override(word) for word in overrides])
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise translated(error) from error


def _flags_first(argv: list[str]) -> tuple[list[str], str | None]:
    """Check Hydra's flags and the overrides, and put the flags first, which Hydra 1.3 demands.

    Returns:
        The words for Hydra, and the part of the config that ``--package`` asks for.
    """
    overrides = [word for word in argv if _is_override(word)]
    flags = [word for word in argv if not _is_override(word)]
    if any(word.startswith("--experimental-rerun") for word in flags):
        raise ConfigError(
            "--experimental-rerun", "reads a pickle, which can run code", "use gantrain resume RUN"
        )
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            known = get_args_parser().parse_args([*flags, *overrides])
    except SystemExit as error:
        what = complaint.getvalue().strip().splitlines()[-1].split("error: ")[-1]
        raise ConfigError("usage", what, "see gantrain --help") from error
    modes = (known.run, known.multirun, known.cfg, known.info, known.shell_completion)
    if sum(map(bool, modes)) > 1:
        raise ConfigError("usage", "--run, --multirun, --cfg, --info exclude each other", "give one of them")
    if (known.package or known.resolve) and not known.cfg:
        raise ConfigError("usage", "--package and --resolve go with --cfg", "add --cfg job")
    if known.config_path and not (Path(known.config_path).is_absolute() and Path(known.config_path).is_dir()):
        raise ConfigError(
            "--config-path", "is not the absolute path of a folder", "add options with --config-dir DIR"
        )
    if known.config_dir:
        check_options(Path(known.config_dir))
    overrides = [_override(word) for word in overrides]
    if known.multirun:  # a job's folder is named by what varies, so tell Hydra what does not
        parsed = OverridesParser.create().parse_overrides(overrides)
        constant = ",".join(o.key_or_group for o in parsed if not o.is_sweep_override())
        overrides.append(f"hydra.job.config.override_dirname.exclude_keys=[{constant}]")
    return [*flags, *overrides], known.package


def _is_override(word: str) -> bool:
    return word.startswith("~") or ("=" in word and not word.startswith("-"))


def _override(word: str) -> str:
    """Return an override as Hydra's grammar can read it. Raises ConfigError for one that no config can take."""
    key, _, text = word.partition("=")
    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException as error:
        if re.search(r"[~\x80-\U0010ffff]", text) and "'" not in text:
            return _override(f"{key}='{text}'")  # a bare ~ or é is not in the grammar
        remedy = "write key=value, and quote a value that holds any of , = [ ] { }"
        raise ConfigError(word, "is not an override", remedy) from error
    key, value = str(override.key_or_group), override.value()
    group, _, name = key.partition(".")
    if override.is_delete():
        raise ConfigError(key, "cannot be removed", "leave it out for the default")
    if not key:
        raise ConfigError(word, "has no key", "write key=value")
    if "/" in key and not key.startswith("hydra/"):
        raise ConfigError(key, "there is no such config group", f"did you mean '{key.replace('/', '.')}'?")
    if override.is_range_sweep() and next(override.sweep_iterator(), None) is None:
        raise ConfigError(key, "sweeps over nothing", "give a range with numbers in it")
    if group in GROUPS and (name == "name" or (not name and isinstance(value, dict) and "name" in value)):
        raise ConfigError(f"{group}.name", "is not set by hand", f"choose an option: {group}=OPTION")
    if isinstance(value, str | dict) or override.is_sweep_override():
        return word
    if key in GROUPS and isinstance(value, list):
        raise ConfigError(
            key, "takes one option", f"write {key}=OPTION, or sweep with -m {key}=OPTION,OPTION"
        )
    if key in GROUPS or key.startswith("hydra/") or key == "hydra":
        text = "null" if value is None else str(value)
        raise ConfigError(key, f"has no option '{text}'", suggest(text, options(key)))
    return word


@contextlib.contextmanager
def _absent(package: str | None) -> Iterator[None]:
    """Say that ``--package`` names nothing as every other fault is said; Hydra prints a line and leaves."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint) if package else contextlib.nullcontext():
            yield
    except SystemExit as error:
        if "not found in config" in complaint.getvalue():
            raise ConfigError(
                str(package), "there is no such key", "see the keys with: gantrain --cfg job"
            ) from error
        raise


@contextlib.contextmanager
def _hydra_argv(argv: list[str]) -> Iterator[None]:
    before, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = ["gantrain", *argv]
    try:
        yield
    finally:
        sys.argv = before
        os.environ.pop("HYDRA_FULL_ERROR", None)
        if full is not None:
            os.environ["HYDRA_FULL_ERROR"] = full
