"""Tables of commands that must fail: each error is one line with where, what and remedy, and changes no file."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

RANGE = "is out of range"
Setup = Callable[[Path], object]


@dataclass(frozen=True)
class Row:
    """A command, how its folder is prepared, and what its error says."""

    command: str
    where: str
    words: tuple[str, ...]
    code: int
    setup: Setup


def nothing(_: object) -> None:
    """Change nothing."""


def row(command: str, where: str, *words: str, code: int = 2, setup: Setup = nothing) -> Row:
    return Row(command, where, words, code, setup)


def check(row: Row, run_cli, folder: Path) -> None:
    """Check that a row's command reports one line that names the culprit, and changes no file."""
    row.setup(folder)
    before = contents(folder)
    code, out, err = run_cli(*shlex.split(row.command))
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    (line,) = lines
    assert code == row.code, line
    assert "Traceback" not in out + err
    start = f"gantrain: error: {row.where.replace('DIR', str(folder))}" + ": " * (not row.where.endswith("/"))
    assert line.startswith(start), line
    assert re.fullmatch(r".*\S; \S.+", line.removeprefix(start)), line  # what is wrong; what to do
    for word in row.words:
        assert word in line, line
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, object]:
    """Every path below a folder, with the bytes of each file."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else path.is_symlink()
        for path in folder.rglob("*")
    }


def ids(rows: list[Row]) -> list[str]:
    return [row.command for row in rows]


def own(path: str, content: str | bytes) -> Setup:
    """Write one file into the user's folder of choices."""

    def setup(folder: Path) -> None:
        file = folder / "mine" / path
        file.parent.mkdir(parents=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    return setup
