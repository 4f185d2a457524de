"""``gantrain tensorboard [DIR]``."""

import os
import sys

from gantrain.cli.command import Command
from gantrain.errors import CheckpointError, ConfigError


def tensorboard(argv: list[str]) -> int:
    """Become TensorBoard on 127.0.0.1 for a folder, keeping the images of every step; its own flags win.

    Raises:
        CheckpointError: When there is no such folder, or nothing in it that TensorBoard shows.
        ConfigError: For words that are neither the folder nor flags.
    """
    from gantrain.core.run_address import path_of
    from gantrain.tracking.pinned_cards import runs_under

    has_folder = bool(argv) and not argv[0].startswith("-")
    flags = argv[has_folder:]  # TensorBoard's own, some of which take a value
    if flags and not flags[0].startswith("-"):
        raise ConfigError(
            "tensorboard", f"takes one folder, got {' '.join(argv)}", "give the folder above them"
        )
    folder = path_of(argv[0] if has_folder else "outputs")
    if not folder.is_dir():
        raise CheckpointError(
            folder, "there is no such folder", "train first, or give the folder of your runs"
        )
    if not runs_under(folder):
        what = "holds no runs: there is no event file under it"
        raise CheckpointError(folder, what, "train first, or give the folder of your runs")
    # TensorBoard alone keeps 10 images of each tag. The last one of a repeated flag counts, which is the user's.
    words = ["--samples_per_plugin", "images=500"]
    if "--bind_all" not in flags:  # TensorBoard refuses both
        words += ["--host", "127.0.0.1"]
    sys.stdout.flush()
    # -P: a file of the working folder must not stand in for a module.
    server = [sys.executable, "-P", "-m", "gantrain.tracking.board_server"]
    os.execv(sys.executable, [*server, str(folder), *words, *flags])


COMMAND = Command(
    tensorboard,
    usage=(("[DIR]", "the dashboard, on 127.0.0.1, with every image step kept"),),
    order=80,
    folder="sweep",
)
