"""The import path of the ``gantrain`` command, without the folder in which it was typed; imported before all else."""

import os
import sys

LIBRARY = os.path.dirname(os.__file__)  # Python's own
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))  # holds the package


def is_command() -> bool:
    """Whether this process is the ``gantrain`` command, and not a program that imports the package."""
    if sys.argv[0] == "-m":  # as long as Python looks for the module
        return any(word == "gantrain" or word.endswith("mgantrain") for word in sys.orig_argv)
    return os.path.basename(sys.argv[0]) == "gantrain"


def leave_out_working_folder() -> None:
    """Take the working folder off the import path of this process and of those that it starts.

    ``python -m`` puts it there, and so does an empty entry of PYTHONPATH, which ``PYTHONPATH=$PYTHONPATH:/my/code``
    leaves; a stranger's ``random.py`` would be imported from it. A folder that PYTHONPATH names stays.
    """
    try:
        folder = os.path.realpath(os.getcwd())
    except OSError:  # it was removed, and nothing is in it
        return
    named = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    kept = {os.path.abspath(entry) for entry in named}
    first = sys.path[: sys.path.index(LIBRARY)] if LIBRARY in sys.path else []
    sys.path[: len(first)] = [path for path in first if path in kept or os.path.realpath(path) != folder]
    if ROOT not in map(os.path.realpath, sys.path):  # gantrain is not installed but run from its checkout
        sys.path.append(ROOT)
        named.append(ROOT)
    os.environ["PYTHONPATH"] = os.pathsep.join(named)


if is_command():
    leave_out_working_folder()
