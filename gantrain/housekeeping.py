"""Everything a run does besides playing the game: it logs, draws, evaluates, saves and stops when told to."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from gantrain.checkpoint import save_checkpoint
from gantrain.config import Config
from gantrain.datasets.base import Data
from gantrain.errors import Interrupted, OutputError
from gantrain.evaluate import Reading, fitting, in_eval, read, view
from gantrain.metrics.js import JS
from gantrain.runtime import Runtime
from gantrain.sample import Picture, beside_nearest, by_class, draw, encode, grid, landscape, layout
from gantrain.schedule import due
from gantrain.state import TrainState, rate_factor
from gantrain.tracker import Means, Tracker

log = logging.getLogger("gantrain")


class Housekeeping:
    """Called once after each step with the state.

    Args:
        folder: The run's folder.
        config: The run.
        data: For pictures and metrics.
        runtime: Where the networks are.
        tracker: Receives scalars and images.
        start: The step at which this process began.
    """

    def __init__(
        self, folder: Path, config: Config, data: Data, runtime: Runtime, tracker: Tracker, start: int
    ):
        self.folder, self.config, self.data, self.runtime, self.tracker = (
            folder,
            config,
            data,
            runtime,
            tracker,
        )
        self.means = Means()
        self.reading, self._read_at = Reading({}, {}, {}), -1
        self.metrics = fitting(config, data)
        self.conditional = bool(config.model.classes(data.spec))
        self.saved = start
        self.signal = 0
        self._seconds, self._since = 0.0, time.perf_counter()
        self._window = (start, 0.0)
        self._last_line = time.perf_counter()
        total = config.train.steps
        # A bar needs a terminal; elsewhere plain lines are written as often as the metrics are read.
        self.bar = tqdm(
            total=total, initial=start, unit="step", dynamic_ncols=True, disable=not sys.stderr.isatty()
        )

    @property
    def seconds(self) -> float:
        """Seconds of training so far, without what is done here."""
        return self._seconds

    def first(self, state: TrainState) -> None:
        """Draw what the untrained generator and the data look like."""
        if self.data.spec.is_image:
            count, columns = layout(self.data.spec, self.conditional)
            x, y = self.data.train.take(torch.arange(min(count, len(self.data.train))))
            self._image(
                0, "samples/real", encode(grid(by_class(x, y if self.conditional else None), columns))
            )
        if self.config.train.sample_every:
            self.sample(state)
        self._since = time.perf_counter()

    def __call__(self, state: TrainState) -> None:
        """Do what is due after the state's step; after a signal, save and raise Interrupted."""
        self._seconds += time.perf_counter() - self._since
        options, step, last = self.config.train, state.step, self.config.train.steps
        self.bar.update(1)
        evaluate = due(step, options.evaluate_every, last) or step == last
        if due(step, options.log_every, last):
            self.log_scalars(state, live=not evaluate)
        if evaluate and self.metrics:
            self.evaluate(state)
        if due(step, options.sample_every, last):
            self.sample(state)
        if due(step, options.checkpoint_every, last) or step == last:
            self.save(state)
        if self.signal:
            self.stop(state)
        self._since = time.perf_counter()

    def log_scalars(self, state: TrainState, live: bool) -> None:
        """Write the means of the last steps, the rates and the speed, and a quick reading of the divergence."""
        tags = self.means.flush()
        rule, before = self.config.optimizer, state.step - 1
        factor = rate_factor(rule, before)
        tags |= {"schedule/d_lr": rule.d_lr * factor, "schedule/g_lr": rule.g_lr * factor}
        tags |= {f"schedule/{name}": value for name, value in self.config.noise.scheduled(before).items()}
        tags |= {f"generator/{name}": float(value) for name, value in state.G.readings().items()}
        step, seconds = self._window
        images = (state.step - step) * self.config.train.batch_size * self.config.train.d_steps
        tags["speed/images_per_second"] = images / max(self._seconds - seconds, 1e-9)
        self._window = (state.step, self._seconds)
        if live and any(isinstance(metric, JS) for metric in self.metrics):
            quick = view(self.config, self.data, state, self.runtime, n=4 * self.config.train.batch_size)
            tags |= read([JS()], quick).metrics
        shown = {key: tags[key] for key in ("loss/d", "loss/g", "divergence/js") if key in tags}
        self.bar.set_postfix(
            {key.split("/")[-1]: f"{value:.3f}" for key, value in shown.items()}, refresh=False
        )
        self.tracker.scalars(state.step, tags)

    def evaluate(self, state: TrainState) -> None:
        """Read the suite, with floors after the last step."""
        last = state.step >= self.config.train.steps
        with self.runtime.autocast():
            self.reading = read(self.metrics, view(self.config, self.data, state, self.runtime), floors=last)
        self._read_at = state.step
        self.tracker.scalars(state.step, self.reading.metrics)
        if self.bar.disable:
            shown = {key: self.reading.metrics[key] for key in headline(self.reading.metrics)}
            words = ", ".join(f"{key} {value:.3f}" for key, value in shown.items())
            log.info("step %d of %d: %s", state.step, self.config.train.steps, words)

    def sample(self, state: TrainState) -> None:
        """Draw the fixed latents with the averaged generator, and write the picture to the folder and the tracker."""
        config, spec, step = self.config, self.data.spec, state.step
        count, columns = layout(spec, self.conditional) if spec.is_image else (2000, 0)
        with in_eval(state.G_ema, state.D):
            x, y = draw(state.G_ema, config.model, spec, count, config.seed, None, self.runtime.device)
            if spec.is_image:
                picture = encode(grid(by_class(x, y), columns))
                self._image(step, "samples/ema", picture)
                pairs = encode(beside_nearest(x[:32], self.data.train))
                self._image(step, "samples/nearest", pairs)
            elif spec.shape == (2,):
                title = f"step {step}" + "".join(
                    f", {k.split('/')[1]} {v:.3g}" for k, v in self._known(step).items()
                )
                picture = encode(landscape(x, self.data, lambda at: self._logits(state, at), title))
                self._image(step, "samples/density", picture)
            else:
                return
        samples = self.folder / "samples"
        try:
            samples.mkdir(exist_ok=True)
            (samples / f"{step:06d}.png").write_bytes(picture.png)
        except OSError as error:
            log.warning("samples/%06d.png cannot be written (%s); training goes on", step, error)

    def _known(self, step: int) -> dict[str, float]:
        found = (
            self.reading.metrics if step == self._read_at else {}
        )  # an older reading is not of this picture
        return {key: found[key] for key in ("divergence/js", "diversity/modes") if key in found}

    def _logits(self, state: TrainState, points: Tensor) -> Tensor:
        """Return log of p / q as D sees it at points [M, 2]: the mean over conditions where there are any."""
        # A D that judges packs is shown packs of equal points.
        points = points.to(self.runtime.device).repeat_interleave(self.config.model.packing, 0)
        classes = self.config.model.classes(self.data.spec)
        if not classes:
            return state.D(points, None)
        total = [state.D(points, torch.full((len(points),), c, device=points.device)) for c in range(classes)]
        return torch.stack(total).mean(0)

    def _image(self, step: int, tag: str, picture: Picture) -> None:
        self.tracker.image(step, tag, picture.png, picture.size)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: When it cannot be written; earlier ones are untouched.
        """
        if self.saved == state.step:
            return
        try:
            save_checkpoint(
                self.folder,
                state.step,
                state.tensors() | self.means.tensors(),
                describe(self.config, self.data, self.runtime),
                self.config.train.keep_checkpoints,
            )
        except OSError as error:
            raise OutputError(
                self.folder / "checkpoints",
                f"the checkpoint of step {state.step} cannot be written ({error.strerror or error})",
                f"free space, or lower train.keep_checkpoints, then: gantrain resume {self.folder}",
            ) from error
        self.saved = state.step

    def stop(self, state: TrainState) -> None:
        """Save and leave, as a signal asked for. Raises Interrupted."""
        if state.step >= self.config.train.steps:
            return
        self.save(state)
        name = signal.Signals(self.signal).name
        raise Interrupted(
            self.folder,
            f"stopped by {name} at step {state.step}",
            f"go on with: gantrain resume {self.folder}",
            exit_code=128 + self.signal,
        )

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Finish the step under way at SIGINT, SIGTERM or SIGHUP; a second signal leaves at once."""

        def note(number: int, _: Any) -> None:
            if self.signal:
                raise Interrupted(
                    self.folder,
                    "stopped at once",
                    f"go on with: gantrain resume {self.folder}",
                    exit_code=128 + number,
                )
            self.signal = number

        names = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])
        try:
            before = {number: signal.signal(number, note) for number in names}
        except ValueError:  # signals belong to the main thread; a notebook may train in another
            before = {}
        try:
            with self.bar or nullcontext():
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def headline(metrics: dict[str, float]) -> list[str]:
    """Return the tags worth a line in a terminal, the divergence first."""
    wanted = (
        "divergence/js",
        "divergence/game",
        "diversity/coverage",
        "diversity/modes",
        "fidelity/precision",
        "fidelity/high_quality",
        "fidelity/class_accuracy",
    )
    return [key for key in wanted if key in metrics]


def describe(config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
    """Return what a checkpoint says of its run beside the tensors, as plain data."""
    return {"config": config.plain(), "environment": runtime.environment(), "spec": data.spec.plain()}
