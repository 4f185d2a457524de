"""The list of a run's data files is a stranger's text: read within bounds, never followed, never obeyed."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gantrain
from gantrain.training.checkpoint import _digest, load_checkpoint


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run on a folder of pictures, of which one was added since."""
    home = tmp_path_factory.mktemp("forged")
    (home / "photos").mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(home / "photos" / f"{i}.png")
    gantrain.train(
        [
            *(
                "dataset=image_folder",
                f"dataset.root={home / 'photos'}",
                "dataset.resolution=8",
                "device=cpu",
            ),
            *("model.width=4", "train.batch_size=2", "train.steps=1", "train.sample_every=0", "metric=none"),
            f"run.dir={home / 'run'}",
        ]
    )
    (home / "photos" / "9.png").write_bytes((home / "photos" / "1.png").read_bytes())
    return home


def forge(run: Path, listed: bytes, **summary: object) -> None:
    """Write a list, and the checkpoint's summary of it with all checksums right."""
    state_file = load_checkpoint(run).path / "state.json"
    state = json.loads(state_file.read_text())
    state["data"] = {"files": 1, "bytes": 1, "sha256": hashlib.sha256(listed).hexdigest()} | summary
    state["state_sha256"] = _digest(state)
    state_file.write_text(json.dumps(state))
    (run / "data_files.jsonl").unlink(missing_ok=True)
    (run / "data_files.jsonl").write_bytes(listed)


LISTS = {
    "control letters": (
        json.dumps([1, "\x1b[31m\r\n\x07x.png"]).encode() + b"\n",
        "1 removed (first \\x1b[31m",
    ),
    "a long name": (json.dumps([1, "x" * 10**6]).encode() + b"\n", "1 removed (first xxx"),
    "another type": (b'{"name": "x"}\n', "1 file of 1 B then"),
    "deep": (b"[" * 10**5, "1 file of 1 B then"),
    "no number": (b'["x", "y"]\n', "1 file of 1 B then"),
    "huge number": (b"[" + b"9" * 4000 + b', "y"]\n', "7 added"),
}
SUMMARIES: dict[str, dict[str, object]] = {
    "text": {"files": "many", "sha256": "x"},
    "negative": {"files": -1, "sha256": "x"},
    "huge": {"files": 10**19, "bytes": 10**19, "sha256": "x"},
    "null": {"files": None, "bytes": [], "sha256": {}},
}


@pytest.mark.parametrize("case", [*LISTS, *SUMMARIES])
def test_forged_list_of_data_gives_one_clean_line(case, trained, refuse):
    listed, words = LISTS.get(case, (b"", "other files then"))
    forge(trained / "run", listed, **SUMMARIES.get(case, {}))
    verb = ["resume", trained / "run", "train.steps=2"] if case in LISTS else ["evaluate", trained / "run"]
    line = refuse(*verb, code=3, words=("is not the data that the run was trained on",))
    assert words in line


@pytest.mark.parametrize("kind", ["pipe", "endless", "outside", "folder"])
def test_link_in_place_of_the_list_is_not_followed(kind, trained, refuse, victim):
    listed = trained / "run" / "data_files.jsonl"
    forge(trained / "run", b"")
    listed.unlink()
    if kind == "pipe":  # whose reader would wait for ever
        os.mkfifo(listed)
    elif kind == "folder":
        listed.mkdir()
    else:
        listed.symlink_to("/dev/zero" if kind == "endless" else victim / "notes.txt")
    refuse("evaluate", trained / "run", "metric=js", code=3, words=("1 file of 1 B then",))
    if kind == "folder":
        listed.rmdir()
        return
    # Nor is it written through.
    words = ("train.steps=2", "dataset.allow_changed=true")
    refuse("resume", trained / "run", *words, code=5, words=("data_files.jsonl",))
    listed.unlink()
