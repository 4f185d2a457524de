"""What Python does before and after the command: fewer searches for garbage, and a quick end. Imports little."""

import gc
import sys


def collect_less() -> None:
    """Search for garbage after 10,000 new objects in place of Python's 700.

    Imports make half a million objects, all of which stay; to search them took a seventh of the time to the first step.
    """
    gc.set_threshold(10_000)


def end_quickly() -> None:
    """Let this process, once Python has ended, end without the destructors of torch's libraries.

    On every machine they read 125 MB of CUDA's libraries, to free what the system frees anyhow. Only glibc lets a
    program ask for this; elsewhere the process ends as usual.
    """
    if "torch" not in sys.modules:
        return
    import ctypes

    gc.freeze()  # Python's own last search for garbage then ends at once
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)  # called with the exit code, before handlers that are older
