"""Whether a folder is free for a new run or sweep."""

import os
from pathlib import Path
from shlex import quote

from gantrain.core.atomic import PREFIX
from gantrain.core.folder_lock import LOCK
from gantrain.core.run_folder import RunFolder, is_sweep
from gantrain.errors import ConfigError


def ensure_empty(folder: Path) -> None:
    """Raise ConfigError unless a folder is new or empty."""
    if os.path.isfile(folder):
        raise ConfigError("run.dir", f"{folder} is a file", "give a folder that is new or empty")
    # Of a name that is too long, Path.exists raises where os.path says no; making the folder reports it.
    # What a killed process leaves before it made a run of the folder is its lock, and a part of the config.
    if os.path.isdir(folder) and any(
        p.name != LOCK and not p.name.startswith(PREFIX) for p in folder.iterdir()
    ):
        run = RunFolder(folder)
        is_resumable = not run.is_locked and (run.checkpoints or run.can_begin_anew or is_sweep(folder))
        resume = f", or go on with: gantrain resume {quote(str(folder))}" if is_resumable else ""
        raise ConfigError("run.dir", f"{folder} is not empty", f"choose another{resume}")
