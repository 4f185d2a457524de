"""Looking up the commit of a stranger's repository runs nothing that the repository names."""

import os
import stat

import pytest

from gantrain.tracking.git_commit import git_commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILTER = '[filter "x"]\n\tclean = {0}\n\tsmudge = {0}\n\tprocess = {0}\n\trequired = true\n'
CONFIGS = {
    "fsmonitor": "[core]\n\tfsmonitor = {0}\n",
    "filter": FILTER,
    "hooks": "[core]\n\thooksPath = hooks\n",
    "ssh": "[core]\n\tsshCommand = {0}\n",
    "pager": "[core]\n\tpager = {0}\n[pager]\n\tdescribe = {0}\n",
    "alias": "[alias]\n\tdescribe = !{0}\n\trev-parse = !{0}\n",
    "include": "[include]\n\tpath = inner\n",
    "includeif": '[includeIf "gitdir:**"]\n\tpath = inner\n',
    "promisor": '[extensions]\n\tpartialClone = origin\n[remote "origin"]\n\tpromisor = true\n\turl = ext::{0}\n'
    '\tuploadpack = {0}\n[protocol "ext"]\n\tallow = always\n',
    "credential": "[credential]\n\thelper = !{0}\n",
    "diff": '[diff]\n\texternal = {0}\n[diff "x"]\n\ttextconv = {0}\n',
    "alternates": "[core]\n\talternateRefsCommand = {0}\n",
    "worktree": "[core]\n\tworktree = /\n\tfsmonitor = {0}\n",
}


@pytest.fixture
def repository(tmp_path, canary, monkeypatch):
    """A checkout of a stranger's with a program that writes the canary, in its hooks, as git, and for every filter."""
    git = tmp_path / ".git"
    for folder in ("objects", "refs/heads", "hooks"):
        (git / folder).mkdir(parents=True)
    program = f"#!/bin/sh\necho ran >> {canary}\n"
    hooks = (
        "post-index-change",
        "reference-transaction",
        "post-checkout",
        "fsmonitor-watchman",
        "pre-auto-gc",
    )
    for path in (tmp_path / "git", tmp_path / "evil", *(git / "hooks" / name for name in hooks)):
        path.write_text(program)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (tmp_path / ".gitattributes").write_text("* filter=x diff=x\n")
    (tmp_path / "data.txt").write_text("changed\n")
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "refs/heads/main").write_text(f"{COMMIT}\n")
    (git / "inner").write_text(f"[core]\n\tfsmonitor = {tmp_path / 'evil'}\n")
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("name", CONFIGS)
def test_commit_is_read_without_running_the_repository(repository, monkeypatch, name):
    (repository / ".git/config").write_text(CONFIGS[name].format(repository / "evil"))
    monkeypatch.chdir(repository)
    assert git_commit(repository) == COMMIT


@pytest.mark.parametrize(
    "name", ["GIT_EXTERNAL_DIFF", "GIT_SSH_COMMAND", "GIT_PAGER", "GIT_CONFIG_PARAMETERS"]
)
def test_commit_is_read_whatever_the_environment_names(repository, monkeypatch, name):
    text = "'core.fsmonitor'='./evil'" if name == "GIT_CONFIG_PARAMETERS" else "./evil"
    monkeypatch.setenv(name, text)
    monkeypatch.chdir(repository)
    assert git_commit(repository) == COMMIT


def test_run_in_a_repository_runs_nothing_of_it(repository, run_cli):
    (repository / ".git/config").write_text("".join(CONFIGS.values()).format(repository / "evil"))
    code, _, err = run_cli("dataset=ring", "debug=tiny", "metric=none", "run.dir=run")
    assert code == 0, err
    events = b"".join(path.read_bytes() for path in (repository / "run").glob("events*"))
    assert COMMIT.encode() in events
