"""The ``gantrain`` command: verbs, one line for every error, exit codes."""

import logging
import os
import re
import sys
import traceback

import gantrain
from gantrain.cli.command import command_names, load_command
from gantrain.core.groups import overrides_choosing
from gantrain.core.plugins import split_plugins, use
from gantrain.core.streams import check_output, tolerant_streams
from gantrain.errors import ConfigError, suggest, to_user_error


def dispatch(argv: list[str]) -> int:
    """Run a verb, or without one train what the overrides describe; return the exit code."""
    is_verb = bool(argv) and argv[0] in ("train", *command_names())
    verb, rest = (argv[0], argv[1:]) if is_verb else ("train", argv)
    if any(word in ("--help", "-h") for word in rest):
        from gantrain.cli.help import command_page, help_page

        print(help_page() if verb == "train" else command_page(verb))
        check_output()
        return 0
    if "--version" in rest:
        print(f"gantrain {gantrain.__version__}")
        check_output()
        return 0
    if verb in ("train", "resume"):
        from gantrain.core.system import check_single_process

        check_single_process()
    if verb != "train":
        command = load_command(verb)
        code = command.run(rest)
        if command.prints:
            check_output()
        return code
    if not is_verb and argv and re.fullmatch("[^-~=][^=]*", argv[0]):
        raise ConfigError(argv[0], "is neither a verb nor key=value", _remedy_for(argv[0]))
    from gantrain.cli import train  # imports hydra and torch, which a help page does without

    return train.start(rest)


def _remedy_for(word: str) -> str:
    if meant := overrides_choosing(word):
        return f"did you mean {' or '.join(map(repr, meant))}?"
    return suggest(word, ["train", *command_names(), "--help", "--version"])


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 done, 1 a run failed, 2 config or usage, 3 data, 4 checkpoint, 5 disk or permission, 6 diverged, 130 and 143
    stopped by a signal, 141 when the reader of a pipe has closed it.
    """
    with tolerant_streams():
        return _run(list(sys.argv[1:] if argv is None else argv))


def _run(argv: list[str]) -> int:
    """Run the command line, report its error, and return its exit code."""
    logging.raiseExceptions = False  # a log whose reader has gone does not fail the run
    os.environ["PYTHONSAFEPATH"] = "1"  # a process started from here imports nothing from the working folder
    show = "--traceback" in argv or os.environ.get("GANTRAIN_DEBUG") == "1"
    try:
        # Plug-ins first: they may add choices and keys to every command.
        words, folders = split_plugins(word for word in argv if word != "--traceback")
        use(folders)
        code = dispatch(words)
        sys.stdout.flush()  # here, where a reader who left is not yet an error at exit
        return code
    except BaseException as error:
        return _report(error, show)


def _report(error: BaseException, show: bool) -> int:
    """Print an error as one line, after its traceback where ``show`` is set, and return its exit code."""
    if isinstance(error, SystemExit):  # argparse and Hydra exit with a code, a message, or None for success
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    if show:
        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError):
        # What is still in the buffer must not raise again while Python shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    user_error = to_user_error(error)
    print(f"gantrain: error: {user_error}", file=sys.stderr)
    return user_error.exit_code
