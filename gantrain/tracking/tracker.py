"""What a run writes while it trains: one TensorBoard event file, ``metrics.jsonl``, and its log."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gantrain.core.files import replace_file
from gantrain.core.run_folder import RunFolder
from gantrain.core.tags import CEILING, JENSEN_SHANNON
from gantrain.tracking.event_file import read_events, write_events

log = logging.getLogger("gantrain")


class Means:
    """Running means of 0-dim tensors, kept on their device and read once per log point."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add one value to each tag."""
        for tag, value in values.items():
            value = value.detach()
            self._sums[tag] = self._sums[tag] + value if tag in self._sums else value
            self._counts[tag] = self._counts.get(tag, 0) + 1

    def flush(self) -> dict[str, float]:
        """Return the mean of each tag since the last flush, and forget them."""
        means = {tag: float(total) / self._counts[tag] for tag, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means

    def tensors(self) -> dict[str, Tensor]:
        """Return what was added since the last flush, as a checkpoint stores it: sum and count of each tag."""
        counts = {f"means/{tag}/count": torch.tensor(count) for tag, count in self._counts.items()}
        return {f"means/{tag}/sum": total for tag, total in self._sums.items()} | counts

    def load(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Take over the sums and counts of a checkpoint, so that a mean over its step is that of an unbroken run."""
        for name, value in tensors.items():
            part, _, rest = name.partition("/")
            tag, _, what = rest.rpartition("/")
            if part == "means" and what == "sum":
                self._sums[tag] = value.to(device)
            elif part == "means" and what == "count":
                self._counts[tag] = int(value)


class Tracker:
    """Writes scalars, images and text of one run. Training goes on when a write fails: one warning says so.

    Args:
        folder: The run's folder; the event file lies directly in it.
        step: Keep what earlier processes wrote up to this step, and drop what they wrote beyond it.
    """

    def __init__(self, folder: Path, step: int = 0):
        self._events = _Sink("TensorBoard's event file", lambda: _reopen_events(folder, step))
        self._path = RunFolder(folder).metrics_file
        self._lines = _Sink(self._path.name, lambda: _reopen_lines(self._path, step))
        self._rows: list[dict[str, Any]] | None = None

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write tags at a step: one event, with the ceiling of JSD beside its estimates, and one line, without it."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        shown = dict(values) | ({CEILING: math.log(2)} if values.keys() & set(JENSEN_SHANNON) else {})
        self.record(step, Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in shown.items()]))
        row = {"step": step} | {tag: v if math.isfinite(v) else None for tag, v in values.items()}
        self._lines.write(lambda file: file.write(json.dumps(row).encode() + b"\n"))
        if self._rows is not None:
            self._rows.append(row)

    def image(self, step: int, tag: str, png: bytes, size: tuple[int, int]) -> None:
        """Write a PNG of ``size`` (width, height)."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        image = Summary.Image(width=size[0], height=size[1], colorspace=3, encoded_image_string=png)
        self.record(step, Summary(value=[Summary.Value(tag=tag, image=image)]))

    def text(self, step: int, tag: str, markdown: str) -> None:
        """Write Markdown for the TEXT tab."""
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.text.metadata import create_summary_metadata
        from tensorboard.util.tensor_util import make_tensor_proto

        metadata = create_summary_metadata(display_name=tag, description="")
        value = Summary.Value(tag=tag, metadata=metadata, tensor=make_tensor_proto([markdown]))
        self.record(step, Summary(value=[value]))

    def history(self) -> list[dict[str, Any]]:
        """Return every scalar so far: ``{"step": …, tag: value}`` for each line of ``metrics.jsonl``, oldest first."""
        if self._rows is None:
            try:
                self._rows = [json.loads(line) for line in self._path.read_bytes().splitlines()]
            except OSError as error:
                log.warning("%s cannot be read (%s)", self._path.name, error)
                return []
        return self._rows

    def close(self) -> None:
        """Close both files."""
        self._events.close()
        self._lines.close()

    def record(self, step: int, summary: Any) -> None:
        """Write a ``tensorboard.compat.proto.summary_pb2.Summary`` for TensorBoard alone."""
        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(step=step, wall_time=time.time(), summary=summary).SerializeToString()
        self._events.write(lambda writer: (writer.write(event), writer.flush()))


class _Sink:
    """An open writer that is given up, with one warning, at its first failure."""

    def __init__(self, what: str, open_it: Any):
        self._what, self._writer = what, None
        self.write(lambda _: setattr(self, "_writer", open_it()))

    def write(self, action: Any) -> None:
        if self._what:
            try:
                action(self._writer)
            except OSError as error:
                log.warning("%s cannot be written (%s); training goes on without it", self._what, error)
                self._what = ""

    def close(self) -> None:
        if self._writer is not None:
            self.write(lambda writer: writer.close())


def _reopen_lines(path: Path, step: int) -> Any:
    if path.exists():
        kept = [line + b"\n" for line in path.read_bytes().splitlines() if _line_step(line) <= step]
        replace_file(path, b"".join(kept))
    return path.open("ab", buffering=0)


def _line_step(line: bytes) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf  # a line that a killed process left half written


def _reopen_events(folder: Path, step: int) -> Any:
    """Open a new event file that begins with what the last one holds up to ``step``, and remove the earlier ones.

    The last one began so too, and holds them all. A fresh file, rather than an append, is what a dashboard that is
    already open follows; purging by a session record is not honoured by all of its loaders.
    """
    earlier = RunFolder(folder).event_files
    return write_events(folder, [e for path in earlier[-1:] for e in read_events(path) if e.step <= step])
