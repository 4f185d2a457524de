"""The TensorBoard event file of a folder: reading and replacing it."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event

from gantrain.core.atomic import append_to, replacement
from gantrain.core.run_folder import EVENTS, RunFolder


def write_events(folder: Path, events: Iterable[Any]) -> Any:
    """Replace the event files of a folder by a new one, and return its open writer. Raises OSError."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    earlier = RunFolder(folder).event_files
    # Named by the time in microseconds, so that the names sort by age.
    path = folder / EVENTS.replace("*", f"{time.time_ns() // 1000:017d}.gantrain.{os.getpid()}")
    with replacement(path) as file:  # TensorBoard never sees a file without its first events
        writer = RecordWriter(file)
        for event in [Event(wall_time=time.time(), file_version="brain.Event:2"), *events]:
            writer.write(event.SerializeToString())
    for old in earlier:
        old.unlink()
    return RecordWriter(append_to(path))


def read_events(path: Path) -> Iterator[Any]:
    """Yield the events of a file that hold a summary, up to a truncated record."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

    events = map(Event.FromString, RawEventFileLoader(str(path)).Load())
    return (event for event in events if event.HasField("summary"))
