"""``gantrain show RUN|SWEEP|CHECKPOINT``."""

from pathlib import Path

from gantrain.cli.arguments import single_folder, split_arguments
from gantrain.cli.command import Command, Word
from gantrain.errors import CheckpointError, ConfigError

MAX_LETTERS = 2000  # of a line


def show(argv: list[str]) -> int:
    """Print what a run, a sweep or a checkpoint is, how it went, where its files are, and what to type next."""
    from gantrain.core.run_folder import is_checkpoint, is_run, is_sweep
    from gantrain.core.text import cut_middle
    from gantrain.reports.description import checkpoint_page, run_page, sweep_page

    path, full = _path_and_full(argv)
    try:
        if is_checkpoint(path):
            page = checkpoint_page(path, full)
        elif is_sweep(path):
            page = sweep_page(path)
        elif is_run(path):
            page = run_page(path, full)
        else:
            raise CheckpointError(path, "is not a run, a sweep or a checkpoint", _nearest(path))
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"does not hold what gantrain writes ({type(error).__name__}: {error})"
        raise CheckpointError(path, what, "restore it, or train again") from error
    print("\n".join(cut_middle(line, MAX_LETTERS) for line in page.split("\n")))
    return 0


def _path_and_full(argv: list[str]) -> tuple[Path, bool]:
    folders, words = split_arguments("show", argv)
    path = single_folder("show", folders)
    for key, value in words.items():
        if key != "full" or value not in ("true", "false"):
            raise ConfigError(key, f"show takes no {key}={value}", "write full=true, or leave it out")
    if not path.is_dir():
        raise CheckpointError(path, "there is no such folder", "give a folder under outputs/")
    return path, words.get("full") == "true"


def _nearest(path: Path) -> str:
    """Return which folder may have been meant: the newest run or sweep below."""
    from gantrain.core.run_folder import is_run, is_sweep

    below = [
        child for pattern in ("*", "*/*") for child in path.glob(pattern) if is_run(child) or is_sweep(child)
    ]
    if not below:
        return "give a folder under outputs/"
    return f"the newest below it is {max(below, key=lambda child: child.stat().st_mtime)}"


COMMAND = Command(
    show,
    usage=(("RUN [full=true]", "what a run or a sweep is, how it went, and what to type next"),),
    order=50,
    folder="sweep",
    words={"full": Word("the whole config", choices=("true",))},
    prints=True,
)
