"""Files that are written whole or not at all."""

import os
import subprocess
import sys

import pytest

from gantrain.core.files import replace_file


def test_replace_file_leaves_the_old_or_the_new_content(tmp_path):
    path = tmp_path / "page.html"
    replace_file(path, b"old")
    path.with_name(f".page.html.{os.getpid()}.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_replace_file_by_two_processes_at_once(tmp_path):
    write = "import sys, pathlib, gantrain.core.files as f; p = pathlib.Path(sys.argv[1])\n"
    write += "for _ in range(200): f.replace_file(p, sys.argv[2].encode() * 50)"
    command = [sys.executable, "-c", write, str(tmp_path / "page.html")]
    both = [subprocess.Popen([*command, word]) for word in ("first", "second")]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "page.html").read_bytes() in (b"first" * 50, b"second" * 50)
    assert list(tmp_path.iterdir()) == [tmp_path / "page.html"]
