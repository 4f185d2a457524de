"""Folders of pictures made to harm: links, pipes, archives, names and tables run nothing and print one line."""

import gzip
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from picture_files import noise, png
from refusals import assert_printable, check_refusal

from gantrain.datasets.files.image_file import Target, read
from gantrain.datasets.image_folder import ImageFolder
from gantrain.errors import DataError


def fill(folder: Path, *names: str | bytes) -> Path:
    for i, name in enumerate(names):
        path = Path(os.fsdecode(os.path.join(os.fsencode(folder), os.fsencode(name))))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png((noise(12, 12, 3) + 30 * i).astype(np.uint8)))
    return folder


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder of five good pictures."""
    return fill(tmp_path / "root", *(f"{i}.png" for i in range(5)))


def state(root: Path) -> dict[str, tuple[int, int, int]]:
    """Kind, size and last change of each path; a link is not followed."""
    found = ((path, path.lstat()) for path in root.rglob("*"))
    return {str(path): (info.st_mode, info.st_size, info.st_mtime_ns) for path, info in found}


def load(root: Path, **options: object) -> int:
    """The number of pictures that a folder gives; nothing in it changes."""
    before = state(root)
    data = ImageFolder(root=str(root), resolution=8, **options).load(0)
    assert_printable(data.summary)
    assert state(root) == before
    return len(data.train) + len(data.holdout)


def refuse(root: Path, words: str, **options: object) -> str:
    """The one error line of a folder that cannot be read."""
    with pytest.raises(DataError) as fault:
        ImageFolder(**{"root": str(root), "resolution": 8} | options).load(0)
    return check_refusal(3, "", f"gantrain: error: {fault.value}\n", 3, (words,))


# Links -----------------------------------------------------------------------------------------------------------


def mesh(root: Path) -> None:
    """Folders that lead to each other: more paths than atoms."""
    for i in range(20):
        (root / f"d{i}").mkdir()
        for j in range(20):
            (root / f"d{i}" / f"l{j}").symlink_to(f"../d{j}")


def two_loops(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    (root / "self").symlink_to("self")
    (root / "up").symlink_to("..")
    (root / "top").symlink_to("/")


def hard_links(root: Path) -> None:
    for i in range(100):
        os.link(root / "0.png", root / f"again{i}.png")


def special(root: Path) -> None:
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(".", os.O_RDONLY)
        os.chdir(root)  # a socket's whole path may have about a hundred letters
        server.bind("socket.png")
        os.fchdir(here)
        os.close(here)
    for device in ("null", "zero", "full", "random", "tty"):
        (root / f"{device}.png").symlink_to(f"/dev/{device}")


def devices(root: Path) -> None:
    (root / "dev").symlink_to("/dev")


QUIET = {
    "links to each other": mesh,
    "loops": two_loops,
    "hard links": hard_links,
    "special": special,
    "/dev": devices,
}


@pytest.mark.parametrize("case", QUIET)
def test_links_and_special_files_add_no_picture(case, root):
    QUIET[case](root)
    assert load(root) == 5


LINKS = {  # what a link under a picture's name leads to, and words of the refusal
    "/etc/passwd": "is not a PNG",
    "/proc/self/environ": "is not a PNG",
    "/proc/kmsg": "",
    "/proc/self/mem": "",
    "gone.png": "No such file",
    "x.png": "Too many levels of symbolic links",
}


@pytest.mark.parametrize("target", LINKS)
def test_link_under_the_name_of_a_picture_is_one_line(target, root):
    if target.startswith("/proc") and not os.path.exists(target):
        pytest.skip("no such file here")
    (root / "x.png").symlink_to(target)
    line = refuse(root, LINKS[target])
    assert line.startswith(f"gantrain: error: {root / 'x.png'}: ")
    assert load(root, bad_files="skip") == 5


def test_link_out_of_the_tree_is_read_and_never_written(root, victim):
    (root / "out").symlink_to(victim)
    (root / "notes.png").symlink_to(victim / "notes.txt")
    refuse(root, "is not a PNG")
    assert load(root, bad_files="skip", memory_limit=0) == 5  # what is mapped lies in the cache


def test_pipe_that_takes_the_place_of_a_file_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(DataError, match="is empty"):
        read(str(tmp_path / "x.png"), Target(3, (8, 8)))


def test_folders_deeper_than_a_path_can_be_are_left_out(root):
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(root)
        for _ in range(20):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
        os.fchdir(here)
        data = ImageFolder(root=str(root), resolution=8).load(0)  # nothing lies where no path leads
        assert len(data.train) + len(data.holdout) == 5
    finally:
        os.fchdir(here)
        os.close(here)
        shutil.rmtree(root)


# Names -----------------------------------------------------------------------------------------------------------

NAMES = {
    "newline": b"two\nlines",
    "escape": b"\x1b[2J\x1b]0;title\x07",
    "not UTF-8": b"\xff\xfe",
    "255 bytes": b"x" * 251,
    "dash": b"-rf",
    "braces": b"{root}{0}",
    "percent": b"%s%n%999999d",
    "shell": b"$(touch CANARY);`id`|",
    "interpolation": b"${oc.env:HOME}",
    "override": b"train.steps=1e9",
    "right to left": "\u202egnp.exe".encode(),
    "drive": b"C:\\..\\..\\x",
}


@pytest.mark.parametrize("case", NAMES)
def test_name_of_a_picture_or_class_is_only_a_name(case, tmp_path, canary, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = NAMES[case]
    classes = tmp_path / "classes"
    fill(
        classes, *(os.path.join(name, b"%d.png" % i) for i in range(3)), *(b"a/%d.png" % i for i in range(3))
    )
    assert load(classes) == 6
    flat = fill(tmp_path / "flat", name + b".png", *(b"%d.png" % i for i in range(4)))
    assert load(flat) == 5
    assert load(flat, memory_limit=0) == 5
    os.unlink(os.path.join(os.fsencode(flat), name + b".png"))
    Path(os.fsdecode(os.path.join(os.fsencode(flat), name + b".png"))).write_bytes(b"broken")
    refuse(flat, "is not a PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"classes", "flat"}


@pytest.mark.slow
def test_run_on_classes_of_hostile_names_prints_and_logs_text(tmp_path, run_cli, canary):
    root = tmp_path / "classes"
    for name in NAMES.values():
        fill(root, *(os.path.join(name, b"%d.png" % i) for i in range(3)))
    words = [
        "objective=conditional",
        "debug=tiny",
        "train.steps=2",
        "train.batch_size=4",
        "device=cpu",
        "run.dir=run",
    ]
    code, out, err = run_cli("dataset=image_folder", f"dataset.root={root}", "dataset.resolution=16", *words)
    assert code == 0, err
    assert_printable(out + err)
    assert_printable((tmp_path / "run" / "gantrain.log").read_text())
    assert {path.name for path in tmp_path.iterdir()} == {"classes", "run"}


# What is no folder ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["/dev/zero", "pipe"])
def test_root_that_is_no_folder_is_not_read(place, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refuse(tmp_path / place, "is neither a folder nor a ZIP or tar archive")


# The table next to the pictures ----------------------------------------------------------------------------------

TABLE = b"file,age\n" + b"".join(b"%d.png,%d\n" % (i, i) for i in range(5))
TABLES = {  # contents of dataset.attributes, and words of the refusal
    "pickle": (b"\x80\x04cposix\nsystem\n(S'touch CANARY'\ntR.", "is not text"),
    "formula": (TABLE.replace(b"4\n", b"=cmd|' /C calc'!A0\n"), "no finite number"),
    "escapes": (TABLE.replace(b"4\n", b"\x1b[2J\n").replace(b"age", b"\x1b]0;x\x07"), "no finite number"),
    "zero bytes": (TABLE.replace(b"4\n", b"\0\n"), "zero byte"),
    "overflow": (TABLE.replace(b"4\n", b"1e400\n"), "no finite number"),
    "a long cell": (TABLE.replace(b"4\n", b"9" * 10**6 + b"\n"), ""),
    "an open quote": (TABLE + b'"' + b"x" * 10**6, ""),
    "a zip": (b"PK\x03\x04" + bytes(60), "ZIP archive"),
    "a bomb": (gzip.compress(bytes(2 * 10**7)), "unpacks to more than"),
    "a script": (b"#!/bin/sh\ntouch CANARY\n", ""),
}


@pytest.mark.parametrize("case", TABLES)
def test_table_next_to_the_pictures_is_one_line(case, root, canary, tmp_path, monkeypatch):
    monkeypatch.setattr("gantrain.datasets.files.table_bytes.MAX_UNPACKED", 2**20)
    content, words = TABLES[case]
    (tmp_path / "rows.csv").write_bytes(content.replace(b"CANARY", os.fsencode(canary)))
    line = refuse(root, words, attributes=str(tmp_path / "rows.csv"))
    assert line.startswith(f"gantrain: error: {tmp_path / 'rows.csv'}: ")


@pytest.mark.parametrize("place", ["/dev/zero", "pipe", "folder", "loop", "gone", "sparse"])
def test_table_that_is_no_file_is_not_read(place, root, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**42)  # takes no place on the disk
    refuse(root, "", attributes=str(tmp_path / place))


def test_rows_of_files_out_of_the_tree_read_nothing(root, tmp_path, victim):
    rows = f"{TABLE.decode()}../../../etc/passwd,1\n/etc/shadow,2\n{victim}/notes.txt,3\n"
    (tmp_path / "rows.csv").write_text(rows)
    assert load(root, attributes=str(tmp_path / "rows.csv")) == 5
