"""The commit that is checked out in a folder, read from the files of its repository."""

import re
from itertools import pairwise
from pathlib import Path

MAX_BYTES = 2**24  # of a file of references, which holds about 200,000
MAX_SYMBOLIC_REFS = 5  # in a row, as git follows them
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")  # SHA-1 or SHA-256


def git_commit(folder: Path) -> str | None:
    """Return the commit that a folder's repository has checked out, in full; None without a repository or commit.

    ``git`` itself is not run: with it come the filters, hooks and monitors that the repository configures, which may
    be a stranger's. Whether files were changed since the commit is therefore unknown.
    """
    try:
        here = folder.resolve()
        private = next(filter(None, map(_git_folder, (here, *here.parents))), None)
        return _resolve(private) if private else None
    except (OSError, ValueError):  # ValueError: a path with a zero byte
        return None


def _git_folder(root: Path) -> Path | None:
    """Return the folder that holds the HEAD of a checkout; in one that ``git worktree`` made, .git is a file."""
    git = root / ".git"
    link = re.match("gitdir: (.+)", _read(git))
    folder = root / link[1] if link else git
    return folder if _read(folder / "HEAD") else None


def _resolve(private: Path) -> str | None:
    """Return the commit of HEAD: itself, or what the reference that it names holds."""
    shared = private / (_read(private / "commondir").strip() or ".")  # that of all worktrees
    name = "HEAD"
    for _ in range(MAX_SYMBOLIC_REFS):
        text = (_read(private / name) or _read(shared / name)).strip()
        if COMMIT.fullmatch(text):
            return text
        symbolic = re.fullmatch(r"ref: *(refs/\S+)", text)
        if symbolic and ".." not in symbolic[1]:
            name = symbolic[1]
            continue
        packed = _read(shared / "packed-refs").split()
        return next(
            (commit for commit, ref in pairwise(packed) if ref == name and COMMIT.fullmatch(commit)), None
        )
    return None


def _read(path: Path) -> str:
    """Return the text of a regular file; empty without one."""
    # A pipe would never end, nor would some files of /proc, whose size is 0.
    if not path.is_file() or not path.stat().st_size:
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(MAX_BYTES)
