"""The thermometer in a training loop of another program: its numbers over time, in a run folder like gantrain's own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gantrain.core.atomic import replace_file
from gantrain.core.files import write_json
from gantrain.core.new_folder import ensure_empty
from gantrain.core.run_folder import RunFolder
from gantrain.datasets.base import Split
from gantrain.datasets.files.image_arrays import in_order, in_range
from gantrain.datasets.files.sample_set import Samples
from gantrain.errors import ConfigError, DataError, writing
from gantrain.reports.tail import tail_errors, tail_means
from gantrain.sampling.images import encode, grid
from gantrain.tracking.tracker import Means, Tracker
from gantrain.verdicts.thermometer.reading import take_reading
from gantrain.verdicts.thermometer.verdict import verdict

log = logging.getLogger("gantrain")
CELLS = 64  # samples of a picture
FEWEST, SAMPLES = 20, 1000  # of a reading on each side
LOGS = 10  # means of losses between two readings


class Watch:
    """Called after each step of a loop; reads the samples of a generator from time to time.

    Attributes:
        folder: The run folder, which ``gantrain show``, ``compare``, ``report`` and TensorBoard read.
        step: Steps so far.
        verdict: The sentence of the last reading; "" before the first.

    Args:
        sample: ``sample(n)`` returns n samples, an array or a tensor.
        data: Real samples of the same kind: points [N, d], or pictures in the order and range of the samples.
        every: Steps from one reading to the next.
        n: Samples of each side in a reading.
        folder: A new folder; None for one under ``outputs/``, by date and time.
        name: In the folder's name, tables and reports.
        seed: Of the readings.

    Raises:
        ConfigError: For numbers that are too small, or a folder that is not empty.
        DataError: For data of another shape.
        OutputError: For a folder that cannot be written.
    """

    def __init__(
        self,
        sample: Callable[[int], Any],
        data: Any,
        every: int = 1000,
        n: int = SAMPLES,
        folder: str | Path | None = None,
        name: str = "watch",
        seed: int = 0,
    ):
        for key, value, least in (("every", every, 1), ("n", n, FEWEST)):
            if value < least:
                raise ConfigError(key, f"is {value}", f"give {least} at least")
        self._sample, self._every, self._seed = sample, every, seed
        array = _array(data, "data")
        self._is_image, self._shape = array.ndim > 2, tuple(array.shape[1:])
        self._real = self._samples_of(array, "data", is_first=True)
        self._n = min(n, len(self._real.split))
        self.step, self.verdict, self._means, self._began = 0, "", Means(), time.monotonic()
        default = Path("outputs", time.strftime("%Y-%m-%d"), f"{time.strftime('%H-%M-%S')}_{name}")
        self.folder = Path(folder).expanduser() if folder is not None else default
        ensure_empty(self.folder)
        run = RunFolder(self.folder)
        with writing(self.folder, "choose another folder"):
            run.samples.mkdir(parents=True, exist_ok=True)
            config = {"name": name, "seed": seed, "watch": {"every": every, "n": self._n}}
            write_json(run.config_file, config)
        self._tracker = Tracker(self.folder, -1)

    def __call__(self, **losses: Any) -> str | None:
        """Count a step, log its losses as ``loss/<name>``, and return the verdict where a reading is due, else None."""
        self.step += 1
        if losses:
            self._means.add({f"loss/{key}": torch.as_tensor(float(value)) for key, value in losses.items()})
        if self.step % max(1, self._every // LOGS) == 0 and (means := self._means.flush()):
            self._tracker.scalars(self.step, means)
        return self.read() if self.step % self._every == 0 else None

    def read(self) -> str:
        """Read samples now, log the numbers, write the result, and return the verdict."""
        with torch.inference_mode(False), torch.enable_grad():
            fake = self._samples_of(_array(self._sample(self._n), "sample"), "sample")
            reading = take_reading(fake, self._real, self._n, self._seed)
        self.verdict, result = verdict(reading), reading.result
        self._tracker.scalars(self.step, result.metrics)
        self._tracker.text(self.step, "run/verdict", self.verdict)
        if self._is_image:
            picture = grid(fake.split.take(torch.arange(min(CELLS, len(fake.split))))[0], 8)
            png = encode(picture)
            self._tracker.image(self.step, "samples/ema", png, picture.size)
            replace_file(RunFolder(self.folder).samples / f"{self.step:06d}.png", png)
        log.info("step %d: %s", self.step, self.verdict)
        self._write_result(result.description())
        return self.verdict

    def _write_result(self, found: Mapping[str, Any]) -> None:
        history, tags = self._tracker.history(), found["metrics"]
        seconds = round(time.monotonic() - self._began, 2)
        content = {
            "status": "finished",
            "step": self.step,
            "seconds": seconds,
            **found,
            "verdict": self.verdict,
            "tail": tail_means(history, self.step),
            "tail_errors": tail_errors(history, self.step, {*tags}, {}),
        }
        with writing(self.folder, "make room"):
            write_json(RunFolder(self.folder).result_file, content)

    def close(self) -> Path:
        """Close the files and return the folder; what was read is there without it too."""
        self._tracker.close()
        return self.folder

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _samples_of(self, array: np.ndarray, what: str, is_first: bool = False) -> Samples:
        """Return an array as samples: the data decide what is a picture, its order and its range."""
        if tuple(array.shape[1:]) != self._shape:
            shape = ", ".join(map(str, self._shape))
            raise DataError(
                "watch", f"sample(n) returns {array.shape}, and the data are N x ({shape})", "return such"
            )
        if not self._is_image:
            x = array[:, None] if array.ndim == 1 else array
            if is_first:
                std = x.std(0)
                self._scale = x.mean(0), np.where(std > 0, std, 1.0)
            middle, scale = self._scale
            split = Split(torch.from_numpy(np.clip((x - middle) / scale, -1e6, 1e6)).float())
            return Samples(split, (), f"{len(x):,} points")
        path = Path(what)
        pictures, _ = in_order(array, path)
        if is_first:
            in_range(pictures, path)  # refuses what is neither bytes nor in [-1, 1] or [0, 1]
            is_bytes = array.dtype.kind in "ui"
            self._low, self._high = (0.0, 255.0) if is_bytes else (-1.0 if array.min() < 0 else 0.0, 1.0)
        unit = (np.asarray(pictures, np.float32) - self._low) / (self._high - self._low)
        return Samples(Split(torch.from_numpy(unit.clip(0, 1) * 2 - 1)), (), f"{len(unit):,} pictures")


def _array(values: Any, what: str) -> np.ndarray:
    """Return numbers as a finite array [N, ...]. Raises DataError."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().float().numpy() if values.is_floating_point() else values.cpu().numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2, 3, 4):
        raise DataError(
            "watch", f"{what} has the shape {array.shape} of {array.dtype}", "give N x d, or pictures"
        )
    array = array.astype(np.float64) if array.ndim < 3 else array
    if not np.isfinite(array).all():
        raise DataError("watch", f"{what} holds numbers that are not finite", "leave such samples out")
    return array


def watch(sample: Callable[[int], Any], data: Any, every: int = 1000, **options: Any) -> Watch:
    """Return what reads the samples of a training loop: call it after each step.

        watch = gantrain.watch(lambda n: G(torch.randn(n, 64)), data, every=1000)
        for batch in batches:
            d_loss, g_loss = train_step(batch)
            watch(d=d_loss, g=g_loss)

    Args:
        sample: ``sample(n)`` returns n samples.
        data: Real samples, of the same shape and range.
        every: Steps from one reading to the next.
        options: ``n``, ``folder``, ``name`` and ``seed``, as ``Watch`` has them.

    Raises:
        ConfigError, DataError, OutputError: As ``Watch``.
    """
    return Watch(sample, data, every, **options)
