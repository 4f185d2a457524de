"""``gantrain tensorboard [DIR]``."""

import itertools
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from gantrain.cli.command import Command
from gantrain.errors import CheckpointError, ConfigError

USUAL_PORT = 6006
PRINT_FLAGS = ("--inspect", "--version_tb", "--helpfull")  # TensorBoard prints and leaves


def tensorboard(argv: list[str]) -> int:
    """Start TensorBoard on 127.0.0.1 for a folder, keeping the images of every step, and print the link.

    The link pins the cards that a reader wants first, of those that the runs have. TensorBoard's own flags win.

    Raises:
        CheckpointError: When there is no such folder, or nothing in it that TensorBoard shows.
        ConfigError: For words that are neither the folder nor flags.
    """
    from gantrain.tracking.pinned_cards import pinned_query, runs_under

    has_folder = bool(argv) and not argv[0].startswith("-")
    flags = argv[has_folder:]  # TensorBoard's own, some of which take a value
    if flags and not flags[0].startswith("-"):
        raise ConfigError(
            "tensorboard", f"takes one folder, got {' '.join(argv)}", "give the folder above them"
        )
    folder = Path(os.path.expanduser(argv[0] if has_folder else "outputs"))
    if not folder.is_dir():
        raise CheckpointError(
            folder, "there is no such folder", "train first, or give the folder of your runs"
        )
    runs = runs_under(folder)
    if not runs:
        what = "holds no runs: there is no event file under it"
        raise CheckpointError(folder, what, "train first, or give the folder of your runs")
    # TensorBoard alone keeps 10 images of each tag; its address is set so that the link below is right.
    words = ["--logdir", str(folder), "--samples_per_plugin", "images=500"]
    if "--bind_all" not in flags:
        words += ["--host", "127.0.0.1"]
    port = _value(flags, "--port")
    if port is None:
        port = str(free_port())
        words += ["--port", port]
    if not any(word in PRINT_FLAGS for word in flags):  # else there is no server to link to
        host, prefix = _value(flags, "--host") or "127.0.0.1", _value(flags, "--path_prefix") or ""
        print(f"http://{f'[{host}]' if ':' in host else host}:{port}{prefix}/{pinned_query(folder, runs)}")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "tensorboard.main", *words, *flags])


def free_port() -> int:
    """Return TensorBoard's usual port on 127.0.0.1, or the next one that is free."""
    import socket

    for port in itertools.chain(range(USUAL_PORT, USUAL_PORT + 20), [0]):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ConfigError("tensorboard", "no port of this machine is free", "give one with --port")


def _value(flags: Iterable[str], name: str) -> str | None:
    """Return the value of a flag, ``--name=value`` or ``--name value``; the last one counts."""
    words, found = list(flags), None
    for word, after in itertools.zip_longest(words, words[1:], fillvalue=""):
        if word == name:
            found = after
        elif word.startswith(f"{name}="):
            found = word.partition("=")[2]
    return found


COMMAND = Command(
    tensorboard,
    usage=(("[DIR]", "the dashboard, on 127.0.0.1, with every image step kept"),),
    order=80,
    folder="sweep",
)
