"""Several runs of one shape trained at once, by one stacked step for all of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial

from gantrain.config.device import AUTO
from gantrain.config.options import Config
from gantrain.core.run_folder import RunFolder
from gantrain.core.schedules import due
from gantrain.core.signals import leave
from gantrain.core.system import allow_open_files, physical_memory
from gantrain.core.text import count, format_size
from gantrain.datasets.base import Data
from gantrain.errors import ConfigError
from gantrain.tracking.progress import SPEED, ProgressBar
from gantrain.tracking.run_log import logging_to
from gantrain.tracking.tracker import Means
from gantrain.training.loop import CHECK_EVERY
from gantrain.training.open_run import failure
from gantrain.training.replicas.checks import StackedChecks
from gantrain.training.replicas.inputs import InputsOfAll
from gantrain.training.replicas.replica import Member, Replica, SharedCost, SharedSignal
from gantrain.training.replicas.stacked_step import StackedStep
from gantrain.training.runtime import Runtime
from gantrain.training.threads import set_threads

log = logging.getLogger("gantrain")
SAVED_SECONDS = 7e-5  # by a compiled step, for each update of each run
FILES_OF_A_RUN = 6  # open at once: its lock, log, rows and events, and what it is writing


class Clock:
    """Seconds in which the steps ran: it stands still while the runs do anything else."""

    def __init__(self) -> None:
        self._seconds, self._since = 0.0, 0.0

    def __call__(self) -> float:
        """Return the seconds so far."""
        return self._seconds + (time.perf_counter() - self._since if self._since else 0.0)

    def go(self) -> None:
        """Run on."""
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Stand still."""
        self._seconds, self._since = self(), 0.0


def train_together(members: Sequence[Member]) -> None:
    """Train runs of one shape at once, each in its own folder, where its result says how it ended.

    Args:
        members: Runs that ``why_not_together`` has no reason against.

    Raises:
        GantrainError: What ended all of them, as a second signal.
    """
    allow_open_files(FILES_OF_A_RUN * len(members))
    runtime, stop_signal = Runtime(members[0].config.device), SharedSignal(members[0].folder)
    runtime.replicas = len(members)
    with runtime.settings(), logging_to(None), ExitStack() as stack:
        for member in members:
            stack.enter_context(RunFolder(member.folder).lock())
        cost = SharedCost(len(members))
        replicas = [Replica(member, runtime, stop_signal, cost) for member in members]
        try:
            with stop_signal.listening():
                for number, replica in enumerate(replicas):
                    replica.attend(replica.load)
                    if number == 0 and not replica.is_over:
                        check_memory(replica.data, len(replicas))
                if alive := [replica for replica in replicas if not replica.is_over]:
                    prepare_runtime(alive, runtime)
                    clock = Clock()
                    for replica in alive:
                        replica.attend(partial(replica.open, clock))
                    with stop_signal.waiting():
                        play(alive, runtime, clock, stop_signal)
                        leave()
        except BaseException as error:
            leave()
            for replica in replicas:
                replica.end(failure(error, replica.files))
            raise


def check_memory(data: Data, runs: int) -> None:
    """Check that the data of several runs, each with a split of its own, fit into half of the memory.

    Raises:
        ConfigError: If they do not.
    """
    parts = [part for part in (data.train, data.holdout) if part.file is None]
    size = sum(
        tensor.nbytes for part in parts for tensor in (part.x, part.y, part.rows) if tensor is not None
    )
    if runs * size > physical_memory() / 2:
        what = f"{runs} runs at once would hold {format_size(runs * size)} of data in memory"
        raise ConfigError(
            "sweep.replicas", what, "set sweep.replicas=false, or sweep over fewer seeds at a time"
        )


def prepare_runtime(replicas: Sequence[Replica], runtime: Runtime) -> None:
    """Choose the threads, and whether the step is compiled, for runs that have their data and networks."""
    first, resumed = replicas[0], replicas[0].member.resumed
    config, environment = first.member.config, resumed.environment if resumed else None
    set_threads(config, first.data, first.state, environment, len(replicas))
    seconds = first.play().compile_seconds
    saved = config.train.steps * first.play().updates * len(replicas) * SAVED_SECONDS
    wish = config.device.compile
    runtime.is_compiled = wish == "true" or (wish == AUTO and saved >= seconds)
    if runtime.is_compiled:
        log.info("compiling the step of all runs: about %.0f s; device.compile=false spares it", seconds)
    what = "%s at once on %s, %s"
    log.info(what, count(len(replicas), "run"), runtime.device, count(runtime.threads, "thread"))


def play(replicas: Sequence[Replica], runtime: Runtime, clock: Clock, stop_signal: SharedSignal) -> None:
    """Play the steps of runs that are open, and let each keep house when something is due."""
    config, states = replicas[0].member.config, [replica.state for replica in replicas]
    options, start = config.train, states[0].step
    seen = start  # by the runs: what they do besides is called when something is due
    advance = StackedStep(states, replicas[0].play(), runtime)
    batches, plays = [one.batches() for one in replicas], [one.play() for one in replicas]
    inputs, sums, checks = InputsOfAll(states, batches, plays, runtime.device), Means(), StackedChecks()
    for replica in replicas:
        replica.attend(replica.opened.begin)
    progress = Progress(config, start, len(replicas), clock, replicas[0].member.session.bar)
    clock.go()
    with closing(progress.bar):
        for step in range(start + 1, options.steps + 1):
            reports, finite = advance(inputs(step - 1))
            for tags in reports:
                sums.add(tags)
            checks.add(reports, finite)
            is_due = something_is_due(config, step) or step == start + 1 or stop_signal.number > 0
            if is_due or finite.device.type == "cpu" or step % CHECK_EVERY == 0:
                for row, error in checks.read().items():
                    replicas[row].end(failure(error, replicas[row].files))
            progress.bar.advance(step, 0.0)
            if is_due:
                runtime.wait()
                clock.stop()
                sums.deal([replica.opened.housekeeping.means for replica in replicas])
                for replica in replicas:
                    replica.state.step = step
                    replica.state.d_updates += (step - seen) * config.train.d_steps
                    replica.attend(replica.keep_house)
                if stop_signal.number:  # it may have come when some of them were done with this step
                    for replica in replicas:
                        replica.attend(replica.stop)
                seen = step
                progress.report(step)
                clock.go()
            elif progress.bar.is_report_due:
                progress.report(step)
            if all(replica.is_over for replica in replicas):
                return


class Progress:
    """How far several runs are, on the terminal.

    Args:
        config: Of one of them.
        step: Of all of them, at the beginning.
        runs: How many they are.
        clock: Of their training.
        has_bar: Whether there may be a bar.
    """

    def __init__(self, config: Config, step: int, runs: int, clock: Clock, has_bar: bool):
        self._options, self._first, self._clock = config.train, step, clock
        self._images = runs * config.train.images_per_step(has_game=True)  # of a step
        self.bar = ProgressBar(config.train, step, 0.0, has_bar)

    def report(self, step: int) -> None:
        """Write the speed of all runs together, as often as one of them would."""
        speed = {SPEED: (step - self._first) * self._images / max(self._clock(), 1e-9)}
        self.bar.show(step, speed)
        if due(step, self._options.evaluate_every, self._options.steps) or self.bar.is_report_due:
            self.bar.report(step, 0.0, speed, {})


def something_is_due(config: Config, step: int) -> bool:
    """Return whether runs log, sample, evaluate or save after a step."""
    options = config.train
    intervals = (
        options.log_every,
        options.sample_every,
        options.evaluate_every,
        options.checkpoint_every,
    )
    return step == options.steps or any(due(step, every, options.steps) for every in intervals)
