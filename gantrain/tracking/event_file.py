"""The TensorBoard event file of a folder: reading and replacing it."""

import os
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event

from gantrain.core.atomic import append_to, replacement
from gantrain.core.run_folder import EVENTS, RunFolder

MAX_RECORD = 2**26  # bytes of one event


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


def read_events(path: Path, is_verified: bool = True) -> Iterator[Any]:
    """Yield the events of a file that hold a summary, up to a record that is truncated or corrupt.

    Args:
        path: The file. Each record of it is a length, its checksum, the event, and its checksum.
        is_verified: Whether the events' checksums are computed, which takes a second for 8 MB.

    Raises:
        OSError: When it cannot be read.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    with path.open("rb") as file:
        while len(head := file.read(12)) == 12:
            size, checksum = struct.unpack("<QI", head)
            if masked_crc32c(head[:8]) != checksum or size > MAX_RECORD:
                return
            record = file.read(size + 4)
            if len(record) < size + 4:
                return
            if is_verified and masked_crc32c(record[:-4]) != struct.unpack("<I", record[-4:])[0]:
                return
            try:
                event = Event.FromString(record[:-4])
            except DecodeError:
                return
            if event.HasField("summary"):
                yield event
