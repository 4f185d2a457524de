"""What a run computed, so that two of them can be compared bit for bit."""

import json
from pathlib import Path

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from gantrain.training.checkpoint import load_checkpoint


def fingerprint(where: Path) -> dict[str, tuple]:
    """Return step and every tensor of the newest checkpoint as bytes."""
    read = load_checkpoint(where)
    found = {
        name: (t.dtype, t.shape, t.reshape(-1).view(torch.uint8).numpy().tobytes())
        for name, t in read.tensors.items()
    }
    assert {name.split("/")[0] for name in found} >= {"G", "D", "G_ema"}  # gradient descent has no moments
    return found | {"step": read.step}


def lines(folder: Path) -> dict[tuple[int, str], float]:
    """Return metrics.jsonl by (step, tag), each of which may be there once; the speed is a clock's, not the run's."""
    found: dict[tuple[int, str], float] = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        values = json.loads(line)
        for tag, value in values.items():
            assert (values["step"], tag) not in found or tag == "step", (values["step"], tag)
            if tag != "step" and not tag.startswith("speed/"):
                found[values["step"], tag] = value
    return found


def events(folder: Path) -> dict[tuple[int, str], object]:
    """Return the event file's records by (step, tag), each of which may be there once."""
    (path,) = folder.glob("events.out.tfevents.*")
    found: dict[tuple[int, str], object] = {}
    for record in RawEventFileLoader(str(path)).Load():
        event = Event.FromString(record)
        for value in event.summary.value:
            key = (event.step, value.tag)
            assert key not in found, key
            if not value.tag.startswith(("speed/", "run/", "_hparams_/", "custom_scalars_")):
                value.ClearField("metadata")  # each process describes a tag at its first value
                found[key] = value.SerializeToString()
    shown = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()
    tags = [(shown.Scalars, tag) for tag in shown.Tags()["scalars"]]
    tags += [(shown.Images, tag) for tag in shown.Tags()["images"]]
    seen = [(event.step, tag) for read, tag in tags for event in read(tag) if not tag.startswith("speed/")]
    assert sorted(seen) == sorted(found)  # the dashboard shows each record, and each once
    return found
