"""Archives of pictures made to harm: nothing leaves them, no bomb goes off, and each fault is one line or a count."""

import os
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from archive_files import LINK, tar_bytes, zip_bytes
from picture_files import noise, png
from refusals import assert_printable, check_refusal

from gantrain.datasets.image_folder import ImageFolder
from gantrain.errors import DataError

GOOD = {f"{i}.png": png(noise(12 + i, 12, 3)) for i in range(5)}
WRITERS = {"zip": zip_bytes, "tar": tar_bytes}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gantrain"


@pytest.fixture
def root(tmp_path) -> Path:
    """Where the archive goes."""
    return tmp_path / "photos"


def load(root: Path, **options: object) -> str:
    """The first line of a run on five pictures of an archive; nothing is written next to it."""
    data = ImageFolder(root=str(root), resolution=8, **options).load(0)
    assert len(data.train) + len(data.holdout) == 5
    assert_printable(data.summary)
    assert {path.name for path in root.parent.iterdir()} <= {"photos", "cache", "canary", "victim"}
    return data.summary


def refuse(root: Path, words: str, **options: object) -> str:
    with pytest.raises(DataError) as fault:
        ImageFolder(**{"root": str(root), "resolution": 8} | options).load(0)
    return check_refusal(3, "", f"gantrain: error: {fault.value}\n", 3, (words,))


# What is left out, with a count -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WRITERS)
def test_paths_out_of_an_archive_are_left_out(kind, root, canary):
    hostile = {f"../../../../..{canary}.png": b"x", f"{canary}.png": b"x", "a/../../b.png": b"x", "..": b"x"}
    root.write_bytes(WRITERS[kind](hostile | GOOD))
    assert load(root).endswith("left out: 4 with a path out of the archive")


@pytest.mark.parametrize("kind", WRITERS)
def test_links_in_an_archive_are_left_out(kind, root, canary):
    links = {"l.png": LINK + os.fsencode(canary), "top": LINK + b"/", "up/x.png": LINK + b"../0.png"}
    root.write_bytes(WRITERS[kind](GOOD | links))
    assert load(root).endswith("left out: 3 links")


def test_devices_and_hard_links_of_a_tar_are_left_out(root):
    with tarfile.open(root, "w") as archive:
        kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, tarfile.LNKTYPE)
        for i, kind in enumerate(kinds):
            info = tarfile.TarInfo(f"x{i}.png")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    end = root.read_bytes()[: 5 * 512]
    root.write_bytes(end + tar_bytes(GOOD))
    assert "left out: 4 devices, 1 links" in load(root)


@pytest.mark.parametrize("kind", WRITERS)
def test_last_of_two_files_of_one_name_counts(kind, root):
    first = WRITERS[kind]({"./0.png": b"broken"} | GOOD)
    root.write_bytes(first)
    assert load(root).endswith("left out: 1 repeated by name")


NAMES = [
    "two\nlines",
    "\x1b[2J",
    "-rf",
    "{root}",
    "%s%n",
    "$(touch CANARY)",
    "C:\\..\\x",
    "x" * 300,
    "\u202egnp",
]


@pytest.mark.parametrize("kind", WRITERS)
def test_names_in_an_archive_are_only_names(kind, root, canary):
    root.write_bytes(
        WRITERS[kind]({f"{name}/{i}.png": GOOD[f"{i % 5}.png"] for i in range(2) for name in NAMES})
    )
    data = ImageFolder(root=str(root), resolution=8).load(0)
    assert data.spec.classes == len(NAMES)
    assert_printable(data.summary)


# What is one line -------------------------------------------------------------------------------------------------


def altered(content: bytes, field: int, kind: str, value: int) -> bytes:
    """A ZIP whose last member declares another value in its place of the table of contents."""
    at = content.rindex(b"PK\x01\x02") + field
    return content[:at] + struct.pack(kind, value) + content[at + struct.calcsize(kind) :]


BIG = zip_bytes(GOOD | {"x.png": bytes(10**7)})
ZIPS: dict[str, tuple[bytes, str]] = {  # contents, and words of the refusal of the file x.png
    "an encrypted file": (altered(BIG, 8, "<H", 1), "is encrypted"),
    "a bomb that declares 100 bytes": (altered(BIG, 24, "<I", 100), "another size than its archive says"),
    "one that declares more": (altered(BIG, 24, "<I", 10**7 + 1), "another size than its archive says"),
    "one that declares 4 GB": (altered(BIG, 24, "<I", 2**32 - 2), "more than dataset.max_pixels"),
    "one packed in 4 GB": (altered(BIG, 20, "<I", 2**32 - 2), "more than dataset.max_pixels"),
    "another checksum": (altered(BIG, 16, "<I", 1), "is damaged"),
    "an unknown method": (altered(BIG, 10, "<H", 77), "is packed by method 77"),
    "bzip2": (zip_bytes(GOOD | {"x.png": b"x"}, zipfile.ZIP_BZIP2), "is packed by bzip2"),
    "another place": (altered(BIG, 42, "<I", 7), "is not where its archive says"),
    "a place behind its end": (altered(BIG, 42, "<I", 2**31), "has become shorter"),
    "an empty file": (zip_bytes(GOOD | {"x.png": b""}), "is empty"),
    "a zip in the zip": (zip_bytes(GOOD | {"x.png": zip_bytes(GOOD)}), "is not a PNG"),
}


@pytest.mark.parametrize("case", ZIPS)
def test_damaged_file_of_a_zip_is_one_line_or_skipped(case, root):
    content, words = ZIPS[case]
    root.write_bytes(content)
    line = refuse(root, words)
    assert line.startswith(f"gantrain: error: {root}/")
    if case != "bzip2":
        assert "left out: 1 that cannot be read" in load(root, bad_files="skip")


CUT_TAR = tar_bytes(GOOD)
END = CUT_TAR.rstrip(b"\0")
ARCHIVES: dict[str, tuple[bytes, str]] = {
    "no bytes": (b"", "is neither a folder nor"),
    "a picture": (GOOD["0.png"], "is neither a folder nor"),
    "zeros": (bytes(10_240), "is neither a folder nor"),
    "a ZIP cut in half": (BIG[: len(BIG) // 2], "cannot be read as a ZIP archive"),
    "a ZIP without its last byte": (BIG[:-1], "cannot be read as a ZIP archive"),
    "a ZIP of nothing": (zip_bytes({}), "holds no image"),
    "a table of contents cut": (BIG[:-60] + BIG[-22:], "cannot be read as a ZIP archive"),
    "a tar cut in a file": (CUT_TAR[: 512 + 100], "cannot be read as a tar archive"),
    "a tar cut in a header": (CUT_TAR[: CUT_TAR.index(b"3.png") + 100], "without its end"),
    "a tar cut between files": (CUT_TAR[: CUT_TAR.index(b"3.png")], "without its end"),
    "a tar with a damaged header": (CUT_TAR.replace(b"3.png\0", b"4.png\0"), "without its end"),
    "a tar.gz cut": (tar_bytes(GOOD, "w:gz")[:-40], "cannot be unpacked"),
    "a tar.xz cut": (tar_bytes(GOOD, "w:xz")[:-40], "cannot be unpacked"),
    "a tar.bz2 cut": (tar_bytes(GOOD, "w:bz2")[:-40], "cannot be unpacked"),
    "gzip of no tar": (b"\x1f\x8b" + b"x" * 600, "cannot be unpacked"),
    "a tar without a picture": (tar_bytes({"a.txt": b"x"}), "holds no image (files ending in"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_damaged_archive_is_one_line(case, root, cache):
    content, words = ARCHIVES[case]
    root.write_bytes(content)
    assert refuse(root, words).startswith(f"gantrain: error: {root}: ")
    assert not cache.exists() or not [*cache.iterdir()]


def test_tar_that_is_packed_small_and_unpacks_large_is_refused(root, monkeypatch, cache):
    monkeypatch.setattr("gantrain.datasets.files.packed_tar.MAX_UNPACKED", 2**22)
    root.write_bytes(tar_bytes({"x.png": bytes(2 * 10**7)}, "w:gz"))
    refuse(root, "unpacks to more than")
    assert [*cache.iterdir()] == []


def test_archive_that_nobody_may_read_is_one_line(root):
    root.write_bytes(BIG)
    root.chmod(0)
    if os.access(root, os.R_OK):
        pytest.skip("root reads everything")
    refuse(root, "cannot be read")


def test_archive_among_pictures_is_no_picture(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in GOOD.items():
        (folder / name).write_bytes(content)
    (folder / "more.zip").write_bytes(BIG)
    data = ImageFolder(root=str(folder), resolution=8).load(0)
    assert data.summary.endswith("left out: 1 .zip")
    (folder / "x.png").write_bytes(BIG)
    refuse(folder, "is not a PNG")
