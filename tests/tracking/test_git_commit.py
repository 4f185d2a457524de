"""The commit of a folder is that which git names, however its repository is laid out."""

import os
import subprocess
from pathlib import Path

import pytest

from gantrain.tracking.git_commit import git_commit


def git(folder: Path, *words: str) -> str:
    own = {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}
    names = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", *names, *words], cwd=folder, env=own, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository with two commits."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q")
    assert git_commit(root) is None  # there is no commit yet
    for i in "12":
        git(root, "commit", "-q", "--allow-empty", "-m", i)
    return root


def test_folder_without_a_repository_has_no_commit(tmp_path):
    assert git_commit(tmp_path) is None
    assert git_commit(tmp_path / "gone") is None


def test_commit_is_that_of_git_however_it_is_stored(repository, tmp_path):
    head, before = git(repository, "rev-parse", "HEAD"), git(repository, "rev-parse", "HEAD~")
    (repository / "inner").mkdir()
    assert git_commit(repository) == git_commit(repository / "inner") == head
    git(repository, "pack-refs", "--all")
    assert git_commit(repository) == head
    git(repository, "checkout", "-q", "-b", "topic/a", before)
    assert git_commit(repository) == before
    git(repository, "symbolic-ref", "refs/heads/alias", "refs/heads/topic/a")
    git(repository, "symbolic-ref", "HEAD", "refs/heads/alias")
    assert git_commit(repository) == before
    git(repository, "checkout", "-q", "--detach", head)
    assert git_commit(repository) == head
    git(repository, "checkout", "-q", "--orphan", "new")
    assert git_commit(repository) is None


def test_commit_of_a_worktree_and_of_a_submodule_is_their_own(repository, tmp_path):
    head, before = git(repository, "rev-parse", "HEAD"), git(repository, "rev-parse", "HEAD~")
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "side", before)
    git(repository, "pack-refs", "--all")
    assert (git_commit(tmp_path / "tree"), git_commit(repository)) == (before, head)
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "add", "-q", str(repository), "part")
    git(outer, "commit", "-q", "-m", "outer")
    assert git_commit(outer / "part") == git(outer / "part", "rev-parse", "HEAD") != git_commit(outer)


@pytest.mark.parametrize(
    "text", ["", "ref: refs/heads/../../../secret", "ref: HEAD", "f" * 39, "g" * 40, "\0"]
)
def test_head_that_names_no_commit_gives_none(tmp_path, text):
    (tmp_path / ".git").mkdir()
    (tmp_path / "secret").write_text("f" * 40)
    (tmp_path / ".git/HEAD").write_text(text)
    assert git_commit(tmp_path) is None


def test_references_in_a_circle_and_pipes_give_none(tmp_path):
    heads = tmp_path / ".git/refs/heads"
    heads.mkdir(parents=True)
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/a\n")
    (heads / "a").write_text("ref: refs/heads/b\n")
    (heads / "b").write_text("ref: refs/heads/a\n")
    assert git_commit(tmp_path) is None
    (heads / "a").unlink()
    os.mkfifo(heads / "a")  # reading it would wait for ever
    assert git_commit(tmp_path) is None
    (heads / "a").unlink()
    (heads / "a").symlink_to("/dev/zero")
    assert git_commit(tmp_path) is None
