"""Everything a run does besides playing the game: it logs, draws, evaluates, saves and stops when told to."""

from __future__ import annotations

import itertools
import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from gantrain.config.options import ENDLESS, Config
from gantrain.core.schedules import due
from gantrain.core.system import handle_signals
from gantrain.datasets.base import Data
from gantrain.errors import Interrupted, OutputError
from gantrain.metrics.base import Metric
from gantrain.metrics.js import JS
from gantrain.tracking.health import Health
from gantrain.tracking.progress import Bar, headline
from gantrain.tracking.tracker import Means, Tracker
from gantrain.training.checkpoint import save_checkpoint
from gantrain.training.device import Runtime
from gantrain.training.evaluate import Reading, drawn, fitting, read, view
from gantrain.training.gallery import Gallery
from gantrain.training.restore import describe
from gantrain.training.state import TrainState, rate_factor

log = logging.getLogger("gantrain")


@dataclass(frozen=True)
class Session:
    """How a run was asked for, beside its config.

    Attributes:
        command: What the user typed, for the record.
        given: The keys that were set by hand, with their values as typed: what varies among the jobs of a sweep.
        bar: Whether this run may draw a progress bar; jobs side by side write lines.
        watch: Called after each evaluation with the step, the metrics by tag, and the share of the run that is over;
            what it raises ends the run.
    """

    command: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    bar: bool = True
    watch: Callable[[int, Mapping[str, float], float], None] | None = None


class Housekeeping:
    """Called once after each step with the state.

    Args:
        folder: The run's folder.
        config: The run.
        data: For pictures and metrics.
        runtime: Where the networks are.
        tracker: Receives scalars and images.
        state: The players as this process finds them.
        session: How the run was asked for.

    Attributes:
        seconds: Time that this process spent in training, without what is done here.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        data: Data,
        runtime: Runtime,
        tracker: Tracker,
        state: TrainState,
        session: Session,
    ):
        self.folder, self.config, self.data = folder, config, data
        self.runtime, self.tracker, self.session = runtime, tracker, session
        self.means = Means()
        self.reading, self._read_at = Reading({}, {}, {}), -1
        self.metrics = fitting(config, data)
        density = data.density
        self.health = Health(
            config.objective, 0 if density is None else len(density.modes), config.train.steps
        )
        self._latest: dict[str, float] = {}
        self.gallery = Gallery(folder, config, data, runtime, tracker)
        self.saved = state.step
        self.signal, self._closing = 0, False
        self.seconds, self._since = 0.0, time.perf_counter()
        self._window = (state.batches, 0.0)
        # A bar needs a terminal; elsewhere plain lines are written as often as the metrics are read.
        self.bar = Bar(config.train, state.step, state.seconds, session.bar)

    def recall(self, state: TrainState) -> None:
        """Look at what earlier processes read, so that advice does not depend on when a run was stopped."""
        for step, rows in itertools.groupby(self.tracker.history(), key=lambda row: int(row["step"])):
            for row in rows:
                self._latest |= {tag: v for tag, v in row.items() if tag != "step" and v is not None}
            again = step == state.step and self.over(state)  # ``conclude`` reads it anew
            if due(step, self.config.train.evaluate_every, self.config.train.steps) and not again:
                self.health.check(step, self._latest)

    def first(self, state: TrainState) -> None:
        """Draw what the data and the untrained generator look like, and log where players of few numbers start."""
        self.gallery.real()
        if known := own_readings(state):
            self.tracker.scalars(state.step, known)
        if self.config.train.sample_every:
            self.gallery.sample(state, {})
        self._since = time.perf_counter()

    def __call__(self, state: TrainState) -> None:
        """Do what is due after the state's step; after a signal, save and raise Interrupted."""
        spent = time.perf_counter() - self._since
        self.seconds += spent
        state.seconds += spent
        options, step, over = self.config.train, state.step, self.over(state)
        last = step if over else options.steps
        self.bar.advance(step, state.seconds)
        evaluate = due(step, options.evaluate_every, last) or over
        if due(step, options.log_every, last):
            self.log_scalars(state, live=not evaluate)
        if over:  # what follows may take long, and can be made up for
            self.save(state)
            self._closing = True
            if self.signal:
                self.stop(state)
        if evaluate:
            self.evaluate(state)
        if due(step, options.sample_every, last):
            # An older reading is not of this picture.
            self.gallery.sample(state, self.reading.metrics if step == self._read_at else {})
        if due(step, options.checkpoint_every, last):
            self.save(state)
        if over and (rest := self.undecayed(state)):
            log.warning(
                "train.seconds ended the run while the rates were at %.0f %% of their start", 100 * rest
            )
        if self.signal:
            self.stop(state)
        self._since = time.perf_counter()

    def conclude(self, state: TrainState) -> None:
        """Read and draw what an earlier process, stopped after the last step, did not come to."""
        self._closing = True
        self.evaluate(state)
        if self.config.train.sample_every:
            self.gallery.sample(state, self.reading.metrics)

    def over(self, state: TrainState) -> bool:
        """Say whether the run's budget is used up."""
        return self.config.train.is_over(state.step, state.seconds)

    def undecayed(self, state: TrainState) -> float:
        """Return the share of the rates that is left at the end of the seconds, 0 where they are not to decay."""
        rule = self.config.optimizer
        decays = rule.schedule != "constant" and rule.horizon < ENDLESS
        return rate_factor(rule, state.step) if decays and self.config.train.budget == "seconds" else 0.0

    def log_scalars(self, state: TrainState, live: bool) -> None:
        """Write the means of the last steps, the rates and the speed, and a quick reading of the divergence."""
        tags = self.means.flush()
        rule, before = self.config.optimizer, state.step - 1
        factor = rate_factor(rule, before)
        tags |= {"schedule/d_lr": rule.d_lr * factor, "schedule/g_lr": rule.g_lr * factor}
        tags |= {f"schedule/{name}": value for name, value in self.config.noise.scheduled(before).items()}
        tags |= own_readings(state)
        batches, seconds = self._window
        images = (state.batches - batches) * self.config.train.batch_size
        tags["speed/images_per_second"] = images / max(self.seconds - seconds, 1e-9)
        self._window = (state.batches, self.seconds)
        if live and any(isinstance(metric, JS) for metric in self.metrics):
            quick = view(self.config, self.data, state, self.runtime, n=4 * self.config.train.batch_size)
            tags |= read([JS()], quick).metrics
        self._latest |= tags
        self.bar.show(state.step, self._latest)
        self.tracker.scalars(state.step, tags)

    def evaluate(self, state: TrainState) -> None:
        """Read the suite, with floors after the last step, and say how far the run is."""
        if self.metrics:
            self.read_suite(state)
        self.bar.show(state.step, self._latest)
        if not self.bar.is_drawn:
            log.info("%s", self.line(state))
        if self.metrics and self.session.watch:
            length = self.config.train.estimated_steps(state.step, state.seconds)
            share = 1.0 if self.over(state) else state.step / length
            self.session.watch(state.step, self.reading.metrics, share)

    def read_suite(self, state: TrainState) -> None:
        """Read the metrics, log them, look at the run's health, and draw the figures."""
        evaluation = view(self.config, self.data, state, self.runtime)
        self.reading = read(self.metrics, evaluation, floors=self.over(state))
        self._read_at = state.step
        self.tracker.scalars(state.step, self.reading.metrics)
        self._latest |= self.reading.metrics
        self.health.steps = self.config.train.estimated_steps(state.step, state.seconds)
        for line in self.health.check(state.step, self._latest):
            log.warning("step %d: %s", state.step, line)
        for metric in self.metrics:
            if type(metric).figures is not Metric.figures:
                self.gallery.figures(state.step, drawn(metric, evaluation, self.tracker.history()))

    def line(self, state: TrainState) -> str:
        """Return how far the run is, how fast, and what was read of it, for a log."""
        options, over = self.config.train, self.over(state)
        length = options.estimated_steps(state.step, state.seconds)
        words = [f"step {state.step} of {'about ' if options.seconds and not over else ''}{length}"]
        if (speed := self._latest.get("speed/images_per_second")) is not None:
            words.append(f"{speed:,.0f} images/s")
        if not over:
            words.append(f"{self.bar.left(state.step, state.seconds)} left")
        read = self.reading.metrics if self._read_at == state.step else {}
        values = [f"{key} {read[key]:.3f}" for key in headline(read)]
        return ", ".join(words) + (f": {', '.join(values)}" if values else "")

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
                describe(self.config, self.data, self.runtime) | {"seconds": state.seconds},
                self.config.train.keep_checkpoints,
            )
        except OSError as error:
            raise OutputError(
                self.folder / "checkpoints",
                f"the checkpoint of step {state.step} cannot be written ({error.strerror or error})",
                f"free space, or lower train.keep_checkpoints, then: gantrain resume {quote(str(self.folder))}",
            ) from error
        self.saved = state.step

    def stop(self, state: TrainState) -> None:
        """Save and leave, as a signal asked for. Raises Interrupted."""
        self.save(state)
        name = signal.Signals(self.signal).name
        raise Interrupted(
            self.folder,
            f"stopped by {name} at step {state.step}",
            f"go on with: gantrain resume {quote(str(self.folder))}",
            exit_code=128 + self.signal,
        )

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Finish the step under way at SIGINT, SIGTERM or SIGHUP; a second signal leaves at once.

        So does one after the last step: what is left to do then takes long, and ``gantrain resume`` does it.
        """

        def note(number: int) -> None:
            if self.signal or self._closing:
                raise Interrupted(
                    self.folder,
                    "stopped at once" if self.signal else "stopped after the last step, before its metrics",
                    f"go on with: gantrain resume {quote(str(self.folder))}",
                    exit_code=128 + number,
                )
            self.signal = number

        with handle_signals(note), closing(self.bar):
            yield


def own_readings(state: TrainState) -> dict[str, float]:
    """Return what both players say of themselves, by tag."""
    players = {"generator": state.G, "discriminator": state.D}
    return {
        f"{kind}/{name}": float(value)
        for kind, player in players.items()
        for name, value in player.scalars().items()
    }
