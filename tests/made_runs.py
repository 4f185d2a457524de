"""Folders of runs that never ran: what a table, a comparison or a report reads, written in a moment."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image


def made(
    folder: Path,
    overrides: Sequence[str] = (),
    result: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    pictures: Mapping[int, Any] | None = None,
) -> Path:
    """Return a run's folder with the files that are given: pictures are colours of 40 by 30 pixels by step."""
    folder.mkdir(parents=True, exist_ok=True)
    if overrides:
        (folder / ".hydra").mkdir()
        (folder / ".hydra" / "overrides.yaml").write_text(json.dumps(list(overrides)))
    if result is not None:
        finished = {"status": "finished", "seconds": 2.0, "metrics": {}}
        (folder / "result.json").write_text(json.dumps(finished | dict(result)))
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if history:
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in history))
    if pictures:
        (folder / "samples").mkdir()
    for step, colour in (pictures or {}).items():
        Image.new("RGB", (40, 30), colour).save(folder / "samples" / f"{step:06d}.png")
    return folder
