"""The list of a dataset's files: what is stored reads back, and equal content alone counts as unchanged."""

import random
from pathlib import Path

import pytest

from gantrain.core.data_files import DataFile, DataFiles, named_files
from gantrain.errors import DataError

ODD = ("two\nlines.png", "bad\udcff.png", '"[,]".png', "é.png", " ", "a" * 300)


def listing(*rows: tuple[str, int]) -> DataFiles:
    return DataFiles(tuple(DataFile(name, size) for name, size in rows))


def stored(files: DataFiles, folder: Path) -> DataFiles | None:
    path = folder / "list"
    path.write_bytes(files.content)
    return DataFiles.read(path, files.summary["sha256"])


def test_stored_files_read_back_equal(tmp_path):
    files = listing(*((name, i - 1) for i, name in enumerate(ODD)))
    assert stored(files, tmp_path) == files
    files = DataFiles((*files.entries, DataFile("dataset.path", 3, "ab" * 32)))
    assert stored(files, tmp_path) == files
    assert files.content.count(b"\n") == len(files.entries)


def test_changes_are_told_exactly_for_random_edits():
    dice = random.Random(0)
    for _ in range(50):
        before = {f"{i}.png": dice.randrange(9) for i in range(dice.randrange(1, 9))}
        after = {name: size if dice.random() < 0.7 else size + 1 for name, size in before.items()}
        after = {name: size for name, size in after.items() if dice.random() < 0.8} | {
            f"new{i}": 1 for i in range(dice.randrange(3))
        }
        changes = listing(*after.items()).changes_since(
            listing(*before.items()).summary, listing(*before.items())
        )
        counts = {
            "added": len(after.keys() - before.keys()),
            "removed": len(before.keys() - after.keys()),
            "of another size": sum(before[name] != after[name] for name in before.keys() & after.keys()),
        }
        assert (changes == "") == (before == after)
        for kind, count in counts.items():
            assert (f"{count} {kind} (first " in changes) == (count > 0)


def test_content_counts_where_it_was_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    before = named_files([("dataset.path", path)])
    path.write_text("a\n2\n")
    after = named_files([("dataset.path", path)])
    other = "1 of the same size with other content (first dataset.path)"
    assert after.changes_since(before.summary, before) == other
    assert before.changes_since(before.summary, None) == ""
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read .*; "):
        named_files([("dataset.path", tmp_path / "gone.csv")])


@pytest.mark.parametrize("content", [b"", b"[]\n", b"null\n", b'{"a": 1}\n', b"[[[[", b"\xff", b'["x", 1]\n'])
def test_list_that_is_not_that_of_the_digest_is_no_list(content, tmp_path):
    files = listing(("a", 1), ("b", 2))
    (tmp_path / "list").write_bytes(content)
    assert DataFiles.read(tmp_path / "list", files.summary["sha256"]) is None
    assert DataFiles.read(tmp_path / "absent", files.summary["sha256"]) is None
    assert DataFiles.read(tmp_path, files.summary["sha256"]) is None
    now = listing(("a", 1))
    assert now.changes_since(files.summary, None) == "2 files of 3 B then, 1 file of 1 B now"
    assert now.changes_since({"files": "many"}, None) == "other files then, 1 file of 1 B now"
