"""Plays the runs and records what the detectors read of them, so that these can be judged without the runs."""

from __future__ import annotations

import copy
import functools
import json
import lzma
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.diagnosis.cases import FAULTS, Case
from benchmarks.diagnosis.changes import change_data, change_networks
from gantrain.config.compose import compose
from gantrain.config.resolve import plain_data, resolve
from gantrain.core.estimate import Estimate
from gantrain.core.spec import Spec
from gantrain.errors import Diverged, GantrainError
from gantrain.tracking.health.check import Health
from gantrain.tracking.health.finding import Finding
from gantrain.tracking.health.vitals import Subject, Vitals
from gantrain.training import housekeeping
from gantrain.training.run import prepare, run

ESTIMATES = ("estimates", "floors", "on_training")


@functools.cache
def _composed(*words: str) -> dict[str, Any]:
    return plain_data(compose(list(words)))


class Enough(GantrainError):
    """As much of a run as is recorded is over."""


def record(case: Case, data_root: Path, photos: Path) -> dict[str, Any]:
    """Play a run, a faulty one for a fifth of its length, and return what the detectors read of it, as plain data."""
    config = resolve(copy.deepcopy(_composed(*case.overrides(data_root, photos))) | {"seed": case.seed})
    fault = FAULTS.get(case.fault)
    change, share = (fault.change, fault.share) if fault else ("", 2.0)
    seen: list[Vitals] = []
    made: list[Health] = []

    class Recorder(Health):
        def __init__(self, subject: Subject) -> None:
            super().__init__(subject)
            made.append(self)

        def check(self, vitals: Vitals) -> list[Finding]:
            seen.append(vitals)
            if vitals.step >= share * vitals.steps:
                raise Enough("run", "enough of it is over", "")
            return []

    began, error = time.process_time(), ""
    data = change_data(change, prepare(config), case.seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(housekeeping, "Health", Recorder),
        change_networks(change, config, data),
    ):
        try:
            run(config, Path(folder) / "run", data=data)
        except Enough:
            pass
        except Diverged as problem:
            error = str(problem)
    subject = made[0].subject
    return {
        "fault": case.fault,
        "data": case.data,
        "words": case.words,
        "seed": case.seed,
        "seconds": round(time.process_time() - began, 2),
        "error": error,
        "config": config.plain(),
        "spec": config.spec.plain(),
        "subject": {f.name: getattr(subject, f.name) for f in fields(subject) if f.name != "config"},
        "first_step": dict(made[0].first_step),
        "vitals": [_plain(vitals) for vitals in seen],
    }


def _plain(vitals: Vitals) -> dict[str, Any]:
    plain = {f.name: getattr(vitals, f.name) for f in fields(vitals)}
    for name in ESTIMATES:
        plain[name] = {tag: Estimate.of(value).plain() for tag, value in plain[name].items()}
    rounded: dict[str, Any] = _rounded(plain)
    return rounded


def _rounded(value: Any) -> Any:
    """Return plain data with six digits of each number."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def read_file(path: Path) -> Iterator[tuple[dict[str, Any], Subject, list[Vitals]]]:
    """Yield the records of a file of JSON lines, which may be compressed as ``.xz``."""
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as lines:
        yield from read(lines)


def read(lines: Iterable[str]) -> Iterator[tuple[dict[str, Any], Subject, list[Vitals]]]:
    """Yield each record with its subject and vitals."""
    for line in lines:
        row = json.loads(line)
        config = resolve(row["config"], Spec.from_plain(row["spec"]))
        facts = row["subject"]
        facts |= {key: tuple(facts[key]) for key in ("metrics", "class_counts")}
        vitals = []
        for one in row["vitals"]:
            for name in ESTIMATES:
                one[name] = {tag: Estimate(*value) for tag, value in one[name].items()}
            vitals.append(Vitals(**one))
        yield row, Subject(config=config, **facts), vitals
