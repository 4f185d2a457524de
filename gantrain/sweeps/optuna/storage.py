"""Where the trials of a search are: its record ``optuna.json``, and Optuna's storage."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Any

from gantrain.config.resume import RESUMABLE_KEYS
from gantrain.core.files import MAX_PLAN_BYTES, read_json
from gantrain.core.new_folder import ensure_empty
from gantrain.core.override import Override
from gantrain.core.sweep_folder import SEARCH
from gantrain.errors import CheckpointError, ConfigError
from gantrain.sweeps.optuna.search import Search, import_optuna
from gantrain.sweeps.optuna.space import Dimension

JOURNAL = "optuna.journal"
SQLITE = "sqlite:///"
# Overrides that may differ between two attempts at one search: where and how its runs work. A run's length may not,
# since the study compares trials by their last step.
MAY_DIFFER = (
    "run.",
    "hydra",
    "device=",
    *(f"{key}=" for key in RESUMABLE_KEYS if not key.startswith(("train.", "optimizer."))),
)


def study_record(search: Search, space: Sequence[Dimension], fixed: Sequence[str]) -> dict[str, Any]:
    """Return the content of ``optuna.json``: what identifies a search, and what its jobs need for pruning."""
    return {
        "metric": search.metrics,
        "direction": search.directions,
        "space": [asdict(dimension) | {"choices": list(dimension.choices)} for dimension in space],
        "fixed": sorted(word for word in fixed if not word.startswith(MAY_DIFFER)),
        "storage": search.storage,
        "url": _absolute_url(search.storage),
        "study": "gantrain",
        "pruner": search.pruner,
        "startup_trials": search.startup_trials,
        "warmup": search.warmup,
    }


def _absolute_url(url: str | None) -> str | None:
    """Return a URL that does not depend on the working directory."""
    if url is None or not url.startswith(SQLITE):
        return url
    path = url.removeprefix(SQLITE)
    if path in ("", ":memory:"):
        what = f"{url} is kept in memory, where the jobs cannot reach it"
        raise ConfigError("hydra.sweeper.storage", what, "name a file, as in sqlite:///study.db")
    return f"{SQLITE}{Path(os.path.expanduser(path)).absolute()}"


def with_absolute_url(word: str) -> str:
    """Return an override in which the path of an SQLite storage is absolute, for a sweep resumed from elsewhere."""
    typed = Override.parse(word) if "=" in word else None
    if typed is None or typed.key != "hydra.sweeper.storage" or not typed.value.startswith(SQLITE):
        return word
    return str(typed._replace(value=str(_absolute_url(typed.value))).quoted())


def merge_record(folder: Path, now: dict[str, Any]) -> dict[str, Any]:
    """Return the record ``now`` with the storage of an earlier attempt. Raises ConfigError for another search."""
    before = read_json(folder / SEARCH, most=MAX_PLAN_BYTES)
    if not before:
        ensure_empty(folder)
        if now["url"]:  # one database may hold many searches
            now["study"] = str(folder.absolute())
    else:
        # n_trials, sampler and pruner may change: values stay comparable.
        same = ("metric", "direction", "space")
        differ = [key for key in same if before.get(key) != now[key]]
        differ += sorted(set(before.get("fixed", ())) ^ set(now["fixed"]))
        if differ:
            what = f"{folder} holds a search with another {', '.join(differ)}"
            raise ConfigError("run.dir", what, "choose another folder")
        # A storage is opened because it was typed, not because a file names it.
        if (url := before.get("url")) != now["url"]:
            remedy = (
                f"if it is yours, give hydra.sweeper.storage={quote(str(url))}" if url else "leave it out"
            )
            what = f"the trials of {folder} are in {url or folder / JOURNAL}"
            raise ConfigError("hydra.sweeper.storage", what, remedy)
        now["study"] = str(before.get("study"))
    return now


def load_study(folder: Path, record: Mapping[str, Any], pruner: Any = None) -> Any:
    """Load Optuna's study of a sweep's folder by its ``optuna.json``, or create it.

    Raises:
        ConfigError: For a storage that cannot be used.
        CheckpointError: For a journal that cannot be read.
    """
    optuna = import_optuna()
    try:
        return optuna.create_study(
            storage=_storage(record["url"], folder),
            study_name=record["study"],
            directions=record["direction"],
            pruner=pruner,
            load_if_exists=True,
        )
    except Exception as error:  # each database driver has its own exceptions
        why = " ".join(str(error).split()) or type(error).__name__
        if record["url"] is None:
            what, remedy = f"cannot be read ({why})", "restore it, or search anew elsewhere"
            raise CheckpointError(folder / JOURNAL, what, remedy) from error
        what = f"{record['storage']} cannot be used ({why})"
        remedy = "give an Optuna URL such as sqlite:///study.db, or leave it out"
        raise ConfigError("hydra.sweeper.storage", what, remedy) from error


def _storage(url: str | None, folder: Path) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    if url is None:
        path = str(folder / JOURNAL)
        # A lock that is a file: Optuna's usual one is a link.
        return JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path)))
    # SQLite locks the whole file for a write: jobs that report at the same moment wait up to 60 s for each other.
    engine = {"connect_args": {"timeout": 60}} if url.startswith(SQLITE) else None
    return RDBStorage(url, engine_kwargs=engine)
