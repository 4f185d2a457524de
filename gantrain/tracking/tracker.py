"""What a run writes while it trains: one TensorBoard event file, ``metrics.jsonl``, and its log."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import (
    DATA_CLASS_BLOB_SEQUENCE,
    DATA_CLASS_SCALAR,
    Summary,
    SummaryMetadata,
)
from torch import Tensor

from gantrain.core.atomic import append_to, replace_file
from gantrain.core.history import parse_row
from gantrain.core.run_folder import RunFolder
from gantrain.core.tags import axis_ends, meaning
from gantrain.tracking.event_file import read_events, write_events

log = logging.getLogger("gantrain")


class Means:
    """Running means of 0-dim tensors, kept on their device and read once per log point."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor], count: int = 1) -> None:
        """Add one value to each tag, or the sum of ``count`` of them."""
        # Summed on the device: reading a value here would wait for it.
        for tag, value in values.items():
            total = self._sums.get(tag)
            # A copy, since the next replay of a CUDA graph overwrites what this one returned.
            self._sums[tag] = value.detach().clone() if total is None else total.add_(value.detach())
            self._counts[tag] = self._counts.get(tag, 0) + count

    def flush(self) -> dict[str, float]:
        """Return the mean of each tag since the last flush, and reset them."""
        means = self.read()
        self._sums, self._counts = {}, {}
        return means

    def read(self) -> dict[str, float]:
        """Return the mean of each tag since the last flush."""
        # One transfer from each device; they have the same type.
        totals: dict[str, float] = dict.fromkeys(self._sums, 0.0)
        for device in {total.device for total in self._sums.values()}:
            tags = [tag for tag, total in self._sums.items() if total.device == device]
            totals |= zip(tags, torch.stack([self._sums[tag] for tag in tags]).tolist(), strict=True)
        return {tag: total / self._counts[tag] for tag, total in totals.items()}

    def deal(self, others: Sequence[Means]) -> None:
        """Add the sums, each with one row for each of ``others``, to theirs, and reset them."""
        for tag, total in self._sums.items():
            for other, value in zip(others, total.unbind(), strict=True):
                other.add({tag: value}, self._counts[tag])
        self._sums, self._counts = {}, {}

    def state_dict(self) -> dict[str, Tensor]:
        """Return sum and count of each tag since the last flush, as a checkpoint stores them."""
        counts = {f"means/{tag}/count": torch.tensor(count) for tag, count in self._counts.items()}
        return {f"means/{tag}/sum": total for tag, total in self._sums.items()} | counts

    def load_state_dict(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Restore the sums and counts of a checkpoint, so that means equal those of an uninterrupted run."""
        # Names are means/<tag>/sum and means/<tag>/count; a tag has a slash itself.
        for name, value in tensors.items():
            part, _, rest = name.partition("/")
            tag, _, kind = rest.rpartition("/")
            if part == "means" and kind == "sum":
                self._sums[tag] = value.to(device, copy=True)  # which is added to
            elif part == "means" and kind == "count":
                self._counts[tag] = int(value)


class Tracker:
    """Writes scalars, images and text of one run. A write that fails costs one warning, and training goes on.

    Args:
        folder: The run's folder; the event file is directly in it.
        step: Rows and events of earlier processes are kept up to this step; later ones are dropped. What they hold of
            this very step, as the metrics of a run that was killed before its result, is not written again.
    """

    def __init__(self, folder: Path, step: int = 0):
        self._path, self._resumed = RunFolder(folder).metrics_file, step
        self._in_events, self._in_lines = set[str](), set[str]()  # tags of that step
        self._last: dict[str, Any] = {}  # the row of the last line
        self._events = _Output(
            "TensorBoard's event file", lambda: _reopen_events(folder, step, self._in_events)
        )
        self._lines = _Output(self._path.name, self._reopen_lines)
        self._rows: list[dict[str, Any]] | None = None
        self._described = set[str]()  # tags

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Write values by tag at a step: one event, and one line, to which later values of the same step are added."""
        ends = {end: value for tag in values for end, value in axis_ends(tag).items()}
        content = [
            Summary.Value(
                tag=tag, simple_value=v, metadata=self._description(tag, "scalars", DATA_CLASS_SCALAR)
            )
            for tag, v in (values | ends).items()
        ]
        self.record(step, Summary(value=content))
        logged = self._in_lines if step == self._resumed else ()
        # JSON has no NaN or infinity: null stands for both.
        row = {tag: v if math.isfinite(v) else None for tag, v in values.items() if tag not in logged}
        if not row:
            return
        before = self._last if self._last.get("step") == step else {}
        self._last = {"step": step, **before, **row}
        self._lines.write(_line(self._last), replaced=len(_line(before)) if before else 0)
        if self._rows is not None:
            self._rows[-1 if before else len(self._rows) :] = [self._last]

    def _description(self, tag: str, plugin: str, data_class: int) -> SummaryMetadata | None:
        """Return the metadata with which a tag's first value says what it means; None for the others."""
        text = "" if tag in self._described else meaning(tag)
        self._described.add(tag)
        if not text:
            return None
        # Without a class of data TensorBoard's fast loader drops the description.
        plugin_data = SummaryMetadata.PluginData(plugin_name=plugin)
        return SummaryMetadata(summary_description=text, data_class=data_class, plugin_data=plugin_data)

    def image(self, step: int, tag: str, png: bytes, size: tuple[int, int]) -> None:
        """Write a PNG of ``size`` (width, height)."""
        rgb = 3  # of the event format's enumeration of colour spaces
        image = Summary.Image(width=size[0], height=size[1], colorspace=rgb, encoded_image_string=png)
        metadata = self._description(tag, "images", DATA_CLASS_BLOB_SEQUENCE)
        self.record(step, Summary(value=[Summary.Value(tag=tag, image=image, metadata=metadata)]))

    def text(self, step: int, tag: str, markdown: str) -> None:
        """Write Markdown for the TEXT tab."""
        from tensorboard.plugins.text.metadata import create_summary_metadata
        from tensorboard.util.tensor_util import make_tensor_proto

        metadata = create_summary_metadata(display_name=tag, description="")
        value = Summary.Value(tag=tag, metadata=metadata, tensor=make_tensor_proto([markdown]))
        self.record(step, Summary(value=[value]))

    def history(self) -> list[dict[str, Any]]:
        """Return all scalars so far, oldest first: ``{"step": …, tag: value}`` for each line of ``metrics.jsonl``."""
        # Read once, when it is first needed; after that rows are added as they are written.
        if self._rows is None:
            try:
                lines = self._path.read_bytes().splitlines()
                self._rows = [row for row in map(parse_row, lines) if row is not None]
            except OSError as error:
                log.warning("%s cannot be read (%s)", self._path.name, error)
                return []
        return self._rows

    def _reopen_lines(self) -> BinaryIO:
        """Open ``metrics.jsonl`` with its lines up to the step of the checkpoint, one a step."""
        if self._path.exists():
            rows: dict[int, dict[str, Any]] = {}
            for row in map(parse_row, self._path.read_bytes().splitlines()):
                if row is not None and row["step"] <= self._resumed:
                    rows[row["step"]] = (
                        rows.get(row["step"], {}) | row
                    )  # an older version wrote several lines
            replace_file(self._path, b"".join(map(_line, rows.values())))
            self._in_lines.update(rows.get(self._resumed, ()))
            self._last = next(reversed(rows.values()), {})
        return append_to(self._path)

    def close(self) -> None:
        """Close both files."""
        self._events.close()
        self._lines.close()

    def record(self, step: int, summary: Summary) -> None:
        """Write a summary to the event file alone."""
        if step == self._resumed and self._in_events:
            summary = Summary(value=[value for value in summary.value if value.tag not in self._in_events])
            if not summary.value:
                return
        self._events.write(Event(step=step, wall_time=time.time(), summary=summary).SerializeToString())


class _Output:
    """An open file that is abandoned, with one warning, at its first failure."""

    def __init__(self, name: str, open_file: Callable[[], Any]):
        self._name = name
        self._file = self._attempt(open_file)

    def write(self, content: bytes, replaced: int = 0) -> None:
        """Append to the file, in place of its last ``replaced`` bytes."""
        if self._file is not None:
            self._attempt(lambda: self._append(content, replaced))

    def _append(self, content: bytes, replaced: int) -> None:
        if replaced:
            self._file.truncate(os.fstat(self._file.fileno()).st_size - replaced)
        self._file.write(content)
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._attempt(self._file.close)

    def _attempt(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except OSError as error:
            log.warning("%s cannot be written (%s); training goes on without it", self._name, error)
            self._file = None


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row).encode() + b"\n"


def _reopen_events(folder: Path, step: int, tags: set[str]) -> Any:
    """Open a new event file that starts with the last one's events up to ``step``, and add the tags of that step.

    The earlier files are removed: the last one started with the events of the file before it, so it holds them all.
    """
    # A new file, since an open TensorBoard follows it; not all of its loaders honour a purge by a session record.
    earlier = RunFolder(folder).event_files
    kept = [event for path in earlier[-1:] for event in read_events(path) if event.step <= step]
    tags.update(value.tag for event in kept if event.step == step for value in event.summary.value)
    return write_events(folder, kept)
