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
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from gantrain.errors import ConfigError, GantrainError, Interrupted, suggest
from gantrain.pages import yaml_dir

TRUSTED = ("gantrain.*", "hydra.*", "hydra_plugins.*")
_LINE: dict[str, Any] = (
    {"version_base": "1.3"} if hydra.__version__.startswith("1.3") else {"execution_whitelist": TRUSTED}
)


OmegaConf.register_new_resolver("gantrain.folder", lambda exact, default: exact or default, replace=True)
OmegaConf.register_new_resolver("gantrain.slug", lambda overrides: slug(overrides), replace=True)


def slug(overrides: list[str]) -> str:
    """Return a short folder name for a job's overrides: the values, with the last word of a dotted key."""
    words = []
    for override in overrides:
        key, _, value = override.partition("=")
        words.append(value if "." not in key and key != "seed" else key.split(".")[-1] + value)
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", "-".join(words))[:48].strip("-_.") or "job"


class Preflight(Callback):
    """Checks a run before Hydra makes its folder. Only SystemExit gets through Hydra's callbacks, so it carries the fault."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Resolve the run and see that its folder is free."""
        with _leaving():
            _check(config)
            _free(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """See that the sweep's folder is free."""
        with _leaving():
            _free(Path(config.hydra.sweep.dir))


@contextlib.contextmanager
def _leaving() -> Iterator[None]:
    try:
        yield
    except GantrainError as error:
        raise SystemExit(error) from error  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        raise SystemExit(translated(error)) from error  # type: ignore[arg-type]


def _check(composed: DictConfig) -> Any:
    from gantrain.config import plain_data, resolve
    from gantrain.runtime import Runtime

    config = resolve(plain_data(composed))
    Runtime(config.device)
    return config


def _free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError("run.dir", f"{folder} is not empty", f"choose another, or go on with: gantrain resume {folder}")


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

    argv = _flags_first(argv)
    command = " ".join(["gantrain", *map(shlex.quote, argv)])
    failed: list[GantrainError] = []
    folders: list[Path] = []

    def task(composed: DictConfig) -> None:
        from gantrain.run import run
        from gantrain.summary import end_table

        running = HydraConfig.get()
        folder = Path(running.runtime.output_dir)
        folders.append(folder)
        try:
            result = run(_check(composed), folder, command=command)
        except GantrainError as error:
            if running.mode is RunMode.RUN or isinstance(error, Interrupted):
                raise SystemExit(error) from error  # type: ignore[arg-type]
            failed.append(error)
            print(f"gantrain: job {running.job.num}: {error}", file=sys.stderr)
        else:
            print(end_table(result, folder))

    with _hydra_argv(argv):
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would print, and this door prints one line
        try:
            hydra.main(config_path=str(yaml_dir()), config_name="config", **_LINE)(task)()
        except (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            raise translated(error) from error
    if failed:
        raise GantrainError(
            folders[0].parent, f"{len(failed)} of {len(folders)} jobs failed", "read each one's result.json"
        )
    return 0


def compose(overrides: list[str]) -> DictConfig:
    """Return the config that overrides give, without running it. Raises ConfigError."""
    import gantrain.config  # noqa: F401

    try:
        with hydra.initialize_config_dir(str(yaml_dir()), **({"version_base": "1.3"} if "version_base" in _LINE else {})):
            return hydra.compose("config", overrides=overrides)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise translated(error) from error


def _flags_first(argv: list[str]) -> list[str]:
    """Put Hydra's flags before the overrides, which Hydra 1.3 demands, and check them."""
    overrides = [word for word in argv if not word.startswith("-") and "=" in word]
    flags = [word for word in argv if word not in overrides]
    if any(word.startswith("--experimental-rerun") for word in flags):
        raise ConfigError("--experimental-rerun", "reads a pickle, which can run code", "use gantrain resume RUN")
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            known = get_args_parser().parse_args([*flags, *overrides])
    except SystemExit as error:
        what = complaint.getvalue().strip().splitlines()[-1].split("error: ")[-1]
        raise ConfigError("usage", what, "see gantrain --help") from error
    if known.config_dir and not Path(known.config_dir).is_dir():
        raise ConfigError("--config-dir", f"there is no folder {known.config_dir}", "give a folder of YAML files")
    return [*flags, *overrides]


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


def translated(error: BaseException) -> ConfigError:
    """Return Hydra's, OmegaConf's or YAML's complaint as one line with the key and a remedy."""
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    for link in chain:
        if isinstance(link, yaml.MarkedYAMLError) and link.problem_mark is not None:
            mark = link.problem_mark
            where = f"{mark.name}:{mark.line + 1}:{mark.column + 1}"
            return ConfigError(where, f"is not YAML ({link.problem})", "mend the line")
        if isinstance(link, MissingConfigException) and link.options is not None:
            group, _, name = str(link.missing_cfg_file).rpartition("/")
            what = f"has no option {name!r}" if group else f"there is no config {name!r}"
            return ConfigError(group or "config", what, suggest(name, [o for o in link.options if o != "schema"]))
        if isinstance(link, OverrideParseException):
            return ConfigError(link.override, "is not an override", "write key=value, and quote values with , = [ ] { }")
    for link in chain:
        if isinstance(link, ConfigKeyError):
            return _unknown_key(link)
        if isinstance(link, OmegaConfBaseException) and link.full_key:
            what = str(link).splitlines()[0]
            return ConfigError(link.full_key, what, f"see the keys with: gantrain --cfg job -p {link.full_key.split('.')[0]}")
    if isinstance(error, RecursionError):
        return ConfigError("config", "is nested too deeply", "flatten it")
    what = " ".join(str(error).split())
    key = re.search(r"'([\w./@+~-]+)'", what)
    return ConfigError(key[1] if key else "config", what.rstrip(". "), "see gantrain --help")


def _unknown_key(error: ConfigKeyError) -> ConfigError:
    node = error.parent_node
    known = [str(key) for key in node] if isinstance(node, DictConfig) else []
    known = [key for key in known if key != "hydra"]
    key = str(error.full_key or error.key)
    if not known:
        return ConfigError(key, "there is no such key", "see the keys with: gantrain --cfg job")
    return ConfigError(key, "there is no such key", suggest(str(error.key), known))
