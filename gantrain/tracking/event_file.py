"""TensorBoard's event file of a folder: read, and put in the place of the one before."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gantrain.core.run_folder import EVENTS, RunFolder


def write_events(folder: Path, events: Iterable[Any]) -> Any:
    """Put an event file in the place of a folder's earlier ones, and return its open writer.

    Raises:
        OSError: When the folder cannot be written.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    earlier = RunFolder(folder).event_files
    path = folder / EVENTS.replace("*", f"{time.time_ns() // 1000:017d}.gantrain.{os.getpid()}")
    part = folder / f".{path.name}.part"
    writer = RecordWriter(part.open("wb"))
    for event in [Event(wall_time=time.time(), file_version="brain.Event:2"), *events]:
        writer.write(event.SerializeToString())
    writer.flush()
    part.replace(path)
    left = folder.glob(f".{EVENTS}.part")  # by a killed process
    for old in [*earlier, *left]:
        old.unlink()
    return writer


def read_events(path: Path) -> Iterator[Any]:
    """Yield the events of a file that hold a summary, up to a record that was cut short."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    for record in RawEventFileLoader(str(path)).Load():
        event = Event.FromString(record)
        if event.HasField("summary"):
            yield event
