"""Everything a run does besides training: log, sample, evaluate, save, and stop when a signal arrives."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import NoReturn

from gantrain.config.moving import schedule_tags
from gantrain.config.options import Config
from gantrain.core.run_folder import RunFolder
from gantrain.core.signals import StopRequest
from gantrain.datasets.base import Data
from gantrain.errors import writing
from gantrain.metrics.js import JS
from gantrain.tracking.health.check import Health
from gantrain.tracking.progress import SPEED, ProgressBar
from gantrain.tracking.tracker import Means, Tracker
from gantrain.training.best import BestSoFar
from gantrain.training.checkpoint import Checkpoint, save_checkpoint
from gantrain.training.due import Due
from gantrain.training.equal_states import check_equal_states
from gantrain.training.evaluate import compute, draw_figures, has_figures, view
from gantrain.training.evaluation_result import EvaluationResult
from gantrain.training.evaluations import Evaluations
from gantrain.training.forecast import Forecast
from gantrain.training.gallery import Gallery
from gantrain.training.restore import describe
from gantrain.training.runtime import Runtime
from gantrain.training.session import Session
from gantrain.training.state import TrainState
from gantrain.training.stop_signal import StopSignal
from gantrain.training.vitals import VitalSigns

log = logging.getLogger("gantrain")


class Housekeeping:
    """Called after each step, or at least after those with something due, with the state.

    Attributes:
        last_evaluation: Empty before the first.
        best: The best evaluation, by ``train.keep_best``.
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
        stop_signal: StopSignal,
        now: Callable[[], float] = time.perf_counter,
    ):
        self.folder, self.config, self.data, self._now = folder, config, data, now
        self.runtime, self.tracker, self.session, self.stop_signal = runtime, tracker, session, stop_signal
        self.means, self._moving = Means(), schedule_tags(config)
        self._evaluate = Evaluations(config, data, runtime)
        self.metrics = self._evaluate.metrics
        self.last_evaluation, self._evaluated_step = EvaluationResult(), -1
        self.signs = VitalSigns(config, data, self.metrics, runtime)
        self.health = Health(self.signs.subject)
        self._latest: dict[str, float] = {}  # of each tag
        self.gallery = Gallery(folder, config, data, runtime, tracker)
        self.best = BestSoFar(config.train.keep_best)
        self._saved, self._saving = (state.step, self.best.plain()), threading.Lock()
        self.seconds, self._since = 0.0, now()
        self._window = (state.batches, 0.0)  # at the last log point: the speed is that of the steps since
        # A bar needs a terminal; without one, each evaluation writes a line, and so does a minute without any.
        self.bar = ProgressBar(config.train, state.step, state.seconds, session.bar)
        self.forecast = Forecast(config, runtime.device.type)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on with the means, the latest scalars and the health of a checkpoint, as if the run had not stopped."""
        self.means.load_state_dict(checkpoint.tensors, self.runtime.device)
        self.health.load(checkpoint.health)
        self.best.load(checkpoint.best)
        self._saved = checkpoint.step, self.best.plain()
        for row in self.tracker.history():
            self._latest |= {tag: v for tag, v in row.items() if tag != "step" and v is not None}

    def begin(self, state: TrainState) -> None:
        """Show real images and samples of the untrained generator; log the networks' initial scalars."""
        if scalars := state.network_scalars():
            self.tracker.scalars(state.step, scalars)
        self.gallery.begin(state)
        self.runtime.group.wait()
        self._since = self._now()

    def __call__(self, state: TrainState) -> None:
        """Do what is due after the state's step; after a signal, save and raise Interrupted."""
        # Training time is what passed since the last call returned; a GPU may have some of it still before it.
        options, step = self.config.train, state.step
        if Due.after(step, 0.0, options).anything:
            self.runtime.wait()
        elapsed = self._now() - self._since
        self.seconds += elapsed
        state.seconds = self.stop_signal.agree(state.seconds + elapsed, options.time)
        due = Due.after(step, state.seconds, options)
        self.bar.advance(step, state.seconds)
        self.forecast(step, self.seconds)
        if step == 1:
            self.health.first_step = self.signs.distances_from_start(state)

        if due.checkpoint:
            check_equal_states(state, self.runtime.group)
        # Log the means; an evaluation computes its own divergence, so none is added then.
        if due.log or due.checkpoint:
            self.gallery.draw_untrained()  # a run that goes on from a checkpoint does not have these networks
        if due.log:
            self.log_scalars(state, live=not due.evaluation)
            if not due.evaluation and self.signs.is_checkup_due(state):
                self.health.report(self.signs.measure(state, self._latest))
        # Save the last step first: what follows may take long, and a resume can make up for it.
        if due.is_last:
            self.save(state)

        # Evaluate, show samples (the title has only metrics of this very step) and save.
        if due.evaluation:
            self.evaluate(state)
        elif self.bar.is_report_due:
            self.report(state)
        if due.samples:
            self.gallery.sample(state, self.last_evaluation.metrics if step == self._evaluated_step else {})
        if self.session.draw and (due.samples or due.evaluation):
            self.session.draw(self.folder)
        if due.checkpoint or self.best.step == step:
            self.save(state, is_only_best=not due.checkpoint)
        self.stop_if_requested(state)
        if due.takes_long:
            self.runtime.group.wait()
        self._since = self._now()

    def catch_up(self, state: TrainState) -> None:
        """Compute the metrics and samples of a checkpoint's step, if they are due and an earlier process did not."""
        if self.runtime.group.share(self.needs_evaluation(state)):
            self.evaluate(state)
            if Due.after(state.step, state.seconds, self.config.train).samples:
                self.gallery.sample(state, self.last_evaluation.metrics)
            if self.best.step == state.step:
                self.save(state)
        self.stop_if_requested(state)
        self.runtime.group.wait()
        self._since = self._now()

    def needs_evaluation(self, state: TrainState) -> bool:
        """Return whether metrics are due at a checkpoint's step: those of the result, or those that are not logged."""
        due = Due.after(state.step, state.seconds, self.config.train)
        return due.is_last or (due.evaluation and self.health.step != state.step)

    def is_over(self, state: TrainState) -> bool:
        """Return whether the run's budget is used up."""
        return self.config.train.is_over(state.step, state.seconds)

    def log_scalars(self, state: TrainState, live: bool) -> None:
        """Log means since the last log point, schedules, speed; if ``live``, the divergence of four batches too."""
        tags = self.means.flush()
        # What moves, as it was in the step that is over.
        tags |= {tag: ramp.at(state.step - 1) for tag, ramp in self._moving.items()}
        tags |= state.network_scalars()
        batches, seconds = self._window
        images = (state.batches - batches) * self.config.train.batch_size
        tags[SPEED] = images / max(self.seconds - seconds, 1e-9)
        self._window = (state.batches, self.seconds)
        if live and any(isinstance(metric, JS) for metric in self.metrics):
            quick = view(self.config, self.data, state, self.runtime, n=4 * self.config.train.batch_size)
            tags |= compute([JS()], quick).metrics
        self._latest |= tags
        self.bar.show(state.step, self._latest)
        self.tracker.scalars(state.step, tags)

    def evaluate(self, state: TrainState) -> None:
        """Compute the metrics, with floors after the last step, and report how far the run is.

        Raises:
            Interrupted: When a signal breaks it off, after the state is saved; ``catch_up`` computes it then.
        """
        try:
            self.compute_metrics(state)
        except StopRequest:
            if self.stop_signal.number:
                self.stop(state)
            raise  # of a dry run, which has nothing to save
        self.bar.show(state.step, self._latest)
        self.report(state)
        if self.metrics and self.session.watch:
            length = self.config.train.estimated_steps(state.step, state.seconds)
            share = 1.0 if self.is_over(state) else state.step / length
            self.session.watch(state.step, self.last_evaluation.metrics, share)

    def compute_metrics(self, state: TrainState) -> None:
        """Compute the metrics and their figures, log them, and check the run's health."""
        with self.stop_signal.interruptible(lambda: self.save(state)):
            evaluation, computed = self._evaluate(state)
            drawing = filter(has_figures, self.metrics)
            figures = [draw_figures(metric, evaluation, self.tracker.history()) for metric in drawing]
        # From here on a signal waits: all of it is logged, or nothing.
        self.last_evaluation, self._evaluated_step = computed, state.step
        self.best.add(state.step, computed.metrics)
        if computed.metrics:
            self.tracker.scalars(state.step, computed.metrics)
            self.gallery.table(state.step, computed.description())
        self._latest |= self.last_evaluation.metrics
        self.health.report(self.signs.measure(state, self._latest, computed))
        for images in figures:
            self.gallery.figures(state.step, images)

    def report(self, state: TrainState) -> None:
        """Log how far the run is, unless a bar shows it."""
        metrics = self.last_evaluation.metrics if self._evaluated_step == state.step else {}
        self.bar.report(state.step, state.seconds, self._latest | self.means.read(), metrics)

    def stop_if_requested(self, state: TrainState) -> None:
        """After a signal that all processes know of, save and raise Interrupted."""
        if self.stop_signal.agreed_number:
            self.save(state)
            self.runtime.group.wait()
            self.stop(state)

    def stop(self, state: TrainState) -> NoReturn:
        """Save and raise Interrupted."""
        self.save(state)
        self.gallery.draw_untrained()
        raise self.stop_signal.interruption(state.step, is_over=self.is_over(state))

    def save(self, state: TrainState, is_only_best: bool = False) -> None:
        """Write a checkpoint, or one for ``train.keep_best`` alone, unless this step has one that knows the best.

        Raises:
            OutputError: When it cannot be written; earlier ones are untouched.
        """
        with self._saving:  # a thread saves while the main one is stuck in an evaluation
            best = self.best.plain()
            if self._saved == (state.step, best):
                return
            tensors = state.tensors() | self.means.state_dict()
            description = describe(self.config, self.data, self.runtime)
            description |= {"seconds": state.seconds, "health": self.health.state()}
            description |= {"best": best, "is_only_best": is_only_best} if best else {}
            path = RunFolder(self.folder).checkpoint(state.step)
            with writing(path, then=f"gantrain resume {quote(str(self.folder))}"):
                keep = self.config.train.keep_checkpoints
                save_checkpoint(self.folder, state.step, tensors, description, keep)
            self._saved = state.step, best
