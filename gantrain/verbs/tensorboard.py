"""``gantrain tensorboard [DIR]``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gantrain.errors import CheckpointError, ConfigError


def tensorboard(argv: list[str]) -> int:
    """Start TensorBoard on 127.0.0.1 for a folder, keeping the images of every step."""
    named = bool(argv) and not argv[0].startswith("-")
    flags = argv[named:]  # TensorBoard's own, some of which take a value
    if flags and not flags[0].startswith("-"):
        raise ConfigError(
            "tensorboard", f"takes one folder, got {' '.join(argv)}", "give the folder above them"
        )
    folder = Path(argv[0] if named else "outputs").expanduser()
    if not folder.is_dir():
        raise CheckpointError(
            folder, "there is no such folder", "train first, or give the folder of your runs"
        )
    words = ["--logdir", str(folder), "--host", "127.0.0.1", "--samples_per_plugin", "images=500", *flags]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "tensorboard.main", *words])
