"""Images decoded once: into the cache, by several processes, and found there by their content wherever they lie."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from archive_files import zip_bytes
from picture_files import noise, png

from gantrain.datasets.files import image_cache, image_dataset, image_decoding
from gantrain.datasets.files.image_decoding import Decoding
from gantrain.datasets.image_folder import ImageFolder
from gantrain.errors import DataError

COUNT = 24
FILES = {f"{i:02}.png": png(noise(9 + i, 9, 3)) for i in range(COUNT)}


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A folder of pictures that is worth storing, in a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_cache, "STORED_FILES", COUNT)
    (tmp_path / "photos").mkdir()
    for name, content in FILES.items():
        (tmp_path / "photos" / name).write_bytes(content)
    return tmp_path / "photos"


@pytest.fixture
def runs(monkeypatch) -> list[int]:
    """The processes of each decoding."""
    found: list[int] = []

    def run(self: Decoding, processes: int = 1) -> None:
        found.append(processes)
        original(self, processes)

    original = Decoding.run
    monkeypatch.setattr(Decoding, "run", run)
    return found


@pytest.fixture
def forks(monkeypatch) -> Callable[[int], None]:
    """Return ``f(count)``, after which few files are decoded by so many processes."""

    def use(count: int) -> None:
        monkeypatch.setattr(image_cache, "most_processes", lambda: count)

    monkeypatch.setattr(image_decoding, "MIN_FILES", 4)
    monkeypatch.setattr(image_decoding, "CHUNK", 3)
    monkeypatch.setattr(image_decoding, "POLL_SECONDS", 0.005)
    return use


def pixels(root: Path, **options: object) -> torch.Tensor:
    data = ImageFolder(root=str(root), resolution=8, **options).load(0)
    return torch.cat([part.take(torch.arange(len(part)))[0] for part in (data.train, data.holdout)])


def stored(root: Path) -> list[Path]:
    return [*(root.parent / "cache" / "gantrain").glob("pixels-*")]


# By the content ---------------------------------------------------------------------------------------------------


def test_many_files_are_decoded_once_and_few_are_not_stored(root, runs):
    first = pixels(root)
    assert torch.equal(pixels(root), first)
    assert len(runs) == len(stored(root)) == 1
    (root / "00.png").unlink()  # one fewer than what is stored
    pixels(root)
    assert (len(runs), len(stored(root))) == (2, 1)


def test_folder_that_is_moved_copied_or_packed_is_found_again(root, runs, tmp_path):
    first = pixels(root)
    shutil.copytree(root, tmp_path / "copy")
    (tmp_path / "photos.zip").write_bytes(zip_bytes(FILES))
    root.rename(tmp_path / "moved")
    for name in ("moved", "copy", "photos.zip"):
        assert torch.equal(pixels(tmp_path / name), first)
    assert len(runs) == len(stored(root)) == 1


def test_change_that_keeps_size_and_time_is_seen(root, runs):
    first = pixels(root)
    path, content = root / "00.png", bytearray(FILES["00.png"])
    status = path.stat()
    content[-20:-12] = content[-20:-12][::-1]  # a damaged end
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(DataError, match=r"00\.png"):
        pixels(root)
    path.write_bytes(FILES["00.png"])
    assert torch.equal(pixels(root), first)
    assert len(stored(root)) == 1


def test_touched_folder_is_read_but_not_decoded(root, runs, monkeypatch):
    read: list[str] = []
    source = ImageFolder(root=str(root)).content.source
    original = type(source).digest
    monkeypatch.setattr(
        type(source), "digest", lambda self, file: read.append(file.name) or original(self, file)
    )
    pixels(root)
    pixels(root, channels=1)  # other options of files that are known
    assert (len(read), len(runs)) == (COUNT, 2)
    for path in root.iterdir():
        path.touch()
    pixels(root)
    assert (len(read), len(runs)) == (2 * COUNT, 2)


@pytest.mark.parametrize("memory", [2**40, 2 * COUNT * 192 - 2])
def test_pixels_stay_on_disk_above_half_of_the_memory(memory, root, monkeypatch):
    monkeypatch.setattr(image_dataset, "physical_memory", lambda: memory)
    data = ImageFolder(root=str(root), resolution=8).load(0)
    assert (data.train.file is None) == (memory == 2**40)


# Several processes ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
@pytest.mark.parametrize("bad", [(), ("03.png", "20.png")])
def test_several_processes_decode_the_same_bits(bad, root, forks, capfd):
    for name in bad:
        (root / name).write_bytes(b"broken")
    options = dict(bad_files="skip")
    forks(1)
    first = pixels(root, **options)
    stored(root)[0].unlink()
    forks(3)
    assert torch.equal(pixels(root, **options), first)
    said = [line for line in capfd.readouterr().err.splitlines() if "cannot be read" in line]
    assert len(said) == 2 * bool(bad)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
def test_several_processes_report_the_first_bad_file(root, forks):
    for name in ("07.png", "08.png", "23.png"):
        (root / name).write_bytes(b"broken")
    for count in (1, 2, 3):
        forks(count)
        with pytest.raises(DataError, match=r"07\.png: is not a PNG"):
            pixels(root)
    assert stored(root) == []


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
def test_process_that_dies_leaves_its_images_to_the_first(root, forks, monkeypatch, capfd):
    forks(1)
    first = pixels(root)
    stored(root)[0].unlink()
    parent, fill = os.getpid(), Decoding.fill

    def die(self: Decoding, row: int) -> object:
        return os.kill(os.getpid(), signal.SIGKILL) if os.getpid() != parent and row == 5 else fill(self, row)

    monkeypatch.setattr(Decoding, "fill", die)
    forks(2)
    assert torch.equal(pixels(root), first)
    assert "1 of 2 processes that decode images have died (exit status -9)" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
def test_interrupt_ends_the_processes_and_leaves_no_file(root, forks, monkeypatch):
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    forks(2)
    monkeypatch.setattr(Decoding, "fill", lambda *_: time.sleep(60))
    monkeypatch.setattr(image_decoding, "time", type("clock", (), {"sleep": staticmethod(interrupt)}))
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pixels(root)
    assert time.monotonic() - began < 30
    assert [path.suffix for path in (root.parent / "cache" / "gantrain").iterdir()] == [".txt"]


# Several commands -------------------------------------------------------------------------------------------------


def test_second_of_two_builders_waits_for_the_first(root, runs, monkeypatch, capfd):
    is_decoding, original = threading.Event(), Decoding.fill

    def fill(self: Decoding, row: int) -> object:
        is_decoding.set()
        time.sleep(0.01)
        return original(self, row)

    monkeypatch.setattr(Decoding, "fill", fill)
    found: list[torch.Tensor] = []
    first = threading.Thread(target=lambda: found.append(pixels(root)))
    first.start()
    is_decoding.wait(30)
    found.append(pixels(root))
    first.join()
    assert torch.equal(*found)
    assert len(runs) == 1
    assert "another gantrain decodes these images: waiting for it" in capfd.readouterr().err


def test_cache_that_cannot_be_written_costs_one_line(root, runs, monkeypatch, capfd):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    expected = pixels(root)
    stored(root)[0].unlink()
    monkeypatch.setattr(os, "posix_fallocate", full)
    capfd.readouterr()
    assert torch.equal(pixels(root), expected)
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(r"pixels-\w+\.u8: cannot be written \(No space left on device\); free space", line)
    assert line.endswith("images are decoded into memory, at each start")
    assert stored(root) == []


def test_cache_of_an_earlier_version_is_named(root, capfd):
    home = root.parent / "cache" / "gantrain"
    home.mkdir(parents=True)
    (home / f"images-{'0' * 20}.u8").write_bytes(b"old")
    pixels(root)
    (line,) = capfd.readouterr().err.splitlines()
    assert "images-*.u8 are of an earlier version, and can be deleted" in line
    pixels(root)
    assert capfd.readouterr().err == ""


KILLED = """
import sys, time
from gantrain.datasets.files import image_cache, image_decoding
from gantrain.datasets.image_folder import ImageFolder
image_cache.STORED_FILES = image_decoding.MIN_FILES = 4
image_cache.most_processes = lambda: 2
fill = image_decoding.Decoding.fill
def slow(self, row):
    time.sleep(0.5)
    return fill(self, row)
image_decoding.Decoding.fill = slow
ImageFolder(root=sys.argv[1], resolution=8).load(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_decoding_leaves_no_process_and_begins_anew(number, root):
    with subprocess.Popen([sys.executable, "-c", KILLED, str(root)], stderr=subprocess.PIPE) as run:
        children, deadline = [], time.monotonic() + 60
        while len(children) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
            children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        assert len(children) == 2
        run.send_signal(number)
        run.wait(30)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert stored(root) == []
    assert np.isfinite(pixels(root).numpy()).all()
    assert {path.suffix for path in stored(root)[0].parent.iterdir()} == {".u8", ".txt"}
