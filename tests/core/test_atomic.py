"""Files and folders are written whole or not at all, and never through a link."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gantrain.core.atomic import (
    append_to,
    check_entries,
    check_place,
    replace_file,
    replacement,
    replacement_folder,
)
from gantrain.errors import OutputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def tear_file(path: Path, fault: BaseException) -> None:
    with replacement(path) as file:
        file.write(b"torn")
        raise fault


def fill(folder: Path, content: bytes, fault: bool = False) -> None:
    with replacement_folder(folder) as part:
        for name in ("0.png", "1.png"):
            (part / name).write_bytes(content)
        if fault:
            raise OSError(errno.ENOSPC, "full", str(part / "2.png"))


@pytest.mark.parametrize(
    "fault", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError()], ids=repr
)
def test_replacement_that_fails_leaves_the_old_file_alone(tmp_path, fault):
    path = tmp_path / "page.html"
    replace_file(path, b"old")
    with pytest.raises(type(fault)) as found:
        tear_file(path, fault)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["page.html"]
    if isinstance(fault, OSError):
        assert found.value.filename == str(path)


@pytest.mark.parametrize(("where", "name"), [(os, "fsync"), (os, "open"), (Path, "replace")])
def test_replace_file_fails_at_any_call_without_a_trace(tmp_path, monkeypatch, where, name):
    def fail(*_, **__):
        raise OSError(errno.EIO, "fault")

    path = tmp_path / "result.json"
    replace_file(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(where, name, fail)
        with pytest.raises(OSError, match="fault"):
            replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["result.json"]


def test_replacement_folder_moves_its_files_or_none(tmp_path):
    folder = tmp_path / "samples"
    with pytest.raises(OSError, match="full"):
        fill(folder, b"torn", fault=True)
    assert not folder.exists()
    folder.mkdir()
    for name in ("0.png", "mine.txt"):
        (folder / name).write_bytes(b"old")
    with pytest.raises(OSError, match="full") as found:
        fill(folder, b"torn", fault=True)
    assert found.value.filename == str(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "0.png": b"old",
        "mine.txt": b"old",
    }
    fill(folder, b"new")
    assert names(folder) == ["0.png", "1.png", "mine.txt"]
    assert (folder / "0.png").read_bytes() == b"new"


def test_parts_of_dead_processes_are_removed_by_the_next_write(tmp_path):
    replace_file(tmp_path / "other", b"")
    dead, dead_folder = tmp_path / ".gantrain-1-aaaa.part", tmp_path / ".gantrain-1-bbbb.part"
    dead.write_bytes(b"half")
    dead_folder.mkdir()
    (dead_folder / "0.png").write_bytes(b"half")
    with replacement(tmp_path / "one") as file:  # alive: another thread's write leaves it
        other = threading.Thread(target=replace_file, args=(tmp_path / "two", b"2"))
        other.start()
        other.join()
        file.write(b"1")
    assert names(tmp_path) == ["one", "other", "two"]
    assert (tmp_path / "one").read_bytes() == b"1"


def test_replace_file_by_two_processes_at_once(tmp_path):
    write = "import sys, pathlib, gantrain.core.atomic as f; p = pathlib.Path(sys.argv[1])\n"
    write += "for _ in range(200): f.replace_file(p, sys.argv[2].encode() * 50)"
    command = [sys.executable, "-c", write, str(tmp_path / "page.html")]
    both = [subprocess.Popen([*command, word]) for word in ("first", "second")]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "page.html").read_bytes() in (b"first" * 50, b"second" * 50)
    assert names(tmp_path) == ["page.html"]


def link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def dangling_link(path: Path, victim: Path) -> None:
    path.symlink_to(victim.parent / "created")


def hard_link(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def device(path: Path, victim: Path) -> None:
    path.symlink_to("/dev/full")


def loop(path: Path, victim: Path) -> None:
    path.symlink_to(path)


def folder(path: Path, victim: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("plant", [link, dangling_link, hard_link, pipe, device, loop, folder])
@pytest.mark.parametrize("write", [replace_file, check_place, append_to], ids=lambda write: write.__name__)
def test_nothing_is_written_through_what_is_no_file(tmp_path, plant, write):
    victim, path = tmp_path / "outside" / "notes.txt", tmp_path / "gantrain.log"
    victim.parent.mkdir()
    victim.write_bytes(b"precious")
    plant(path, victim)
    kept = os.lstat(path)
    if plant is hard_link and write is not append_to:  # replaced by a file of its own
        write(path, *[b"new"] * (write is replace_file))
    else:
        with pytest.raises(OSError) as found:  # noqa: PT011
            write(path, *[b"new"] * (write is replace_file))
        assert found.value.filename == str(path)
        assert os.lstat(path).st_ino == kept.st_ino
    assert victim.read_bytes() == b"precious"
    assert names(victim.parent) == ["notes.txt"]
    assert names(tmp_path) == ["gantrain.log", "outside"]


def test_append_to_makes_a_file_and_goes_on_in_it(tmp_path):
    for content in (b"a", b"b"):
        with append_to(tmp_path / "log") as file:
            file.write(content)
    assert (tmp_path / "log").read_bytes() == b"ab"


def test_replacement_honours_mode_umask_and_long_names(tmp_path):
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "open", b"")
        replace_file(tmp_path / "private", b"", mode=0o600)
        replace_file(tmp_path / ("n" * 255), b"")  # the part's name does not depend on it
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"open": 0o640, "private": 0o600, "n" * 255: 0o640}


@pytest.mark.parametrize("plant", [link, dangling_link, pipe, loop])
def test_check_entries_refuses_links_and_pipes_of_any_name(tmp_path, plant):
    (tmp_path / "run" / "samples").mkdir(parents=True)
    check_entries(tmp_path / "run", tmp_path / "run" / "samples", tmp_path / "absent")
    plant(tmp_path / "run" / "samples" / "x", tmp_path / "victim")
    check_entries(tmp_path / "run")
    with pytest.raises(OutputError, match=r"/samples/x: is a (link|pipe)"):
        check_entries(tmp_path / "run", tmp_path / "run" / "samples")


def test_check_place_looks_at_the_nearest_folder_that_exists(tmp_path):
    check_place(tmp_path / "a" / "b" / "c.npz")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as found:
        check_place(tmp_path / "file" / "c.npz")
    assert found.value.filename == str(tmp_path / "file" / "c.npz")
    assert names(tmp_path) == ["file"]
