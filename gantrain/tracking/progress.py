"""Progress of a run: a bar on a terminal, and its parts as text for the log."""

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from gantrain.config.options import Train
from gantrain.core.streams import redraws_lines
from gantrain.tracking.notebook import CellText, in_notebook

log = logging.getLogger("gantrain")
REPORT_SECONDS = 60.0  # after which a run without a bar writes how far it is
SPEED = "speed/images_per_second"  # of each log point, and of no evaluation
COUNT, COUNT_OF_SECONDS = "{n_fmt}/{total_fmt}", "{n:.0f}/{total:.0f} s"
CLOCK = " [{elapsed}<{remaining}]"  # elapsed time, and time left at the mean speed so far
MIN_BAR_LETTERS, CELL_LETTERS = 5, 100
# After the estimates of divergences, in this order.
HEADLINES = (
    "divergence/game",
    "diversity/coverage",
    "diversity/modes",
    "fidelity/precision",
    "fidelity/high_quality",
    "fidelity/gan_test",
)


class _FittedBar(tqdm):
    """A bar that fits the terminal: on a narrow one it leaves out cells from the left, then the clock and itself.

    Args:
        count: Format of what is done and the total.
        options: Of tqdm.

    Attributes:
        cells: What stands after the clock, the most important last.
    """

    cells: Sequence[str] = ()

    def __init__(self, count: str, **options: Any):
        self._count = count  # before the first line is drawn
        super().__init__(**options)

    @property
    def format_dict(self) -> Any:
        state = super().format_dict
        for layout, first in self._layouts():
            desc = "".join(f"  {cell}" for cell in self.cells[first:])
            shortest = layout.replace("{bar}", " " * MIN_BAR_LETTERS)
            width = len(self.format_meter(**state | {"prefix": desc, "bar_format": shortest, "ncols": None}))
            if state["ncols"] is None or width <= state["ncols"]:
                break
        return state | {"prefix": desc, "bar_format": layout}

    def _layouts(self) -> Iterator[tuple[str, int]]:
        """Yield formats with the number of cells that each leaves out, the longest first."""
        last = max(0, len(self.cells) - 1)
        for first in range(last + 1):
            yield f"|{{bar}}| {self._count}{CLOCK}{{desc}}", first
        yield f"|{{bar}}| {self._count}{{desc}}", last
        yield f"{self._count}{{desc}}", last
        yield "{desc}", last


class ProgressBar:
    """A bar in a notebook's cell, or on standard error if that is a terminal which can draw a line anew.

    Args:
        options: The budget of training is the bar's length.
        step: Steps finished by earlier processes.
        seconds: Training time of earlier processes.
        is_enabled: Whether to draw; False for runs in parallel.
    """

    def __init__(self, options: Train, step: int, seconds: float, is_enabled: bool):
        self.options = options
        self._total = options.steps if options.time is None else options.time
        self._initial, self._start = self._done(step, seconds), time.perf_counter()
        self._reported = self._start
        cell = CellText() if is_enabled and in_notebook() else None
        self._tqdm = _FittedBar(
            COUNT if options.time is None else COUNT_OF_SECONDS,
            total=self._total,
            initial=self._initial,
            smoothing=0,  # the mean speed, metrics and images included
            file=cell,
            ncols=CELL_LETTERS if cell else None,
            dynamic_ncols=cell is None,
            disable=not (cell or (is_enabled and redraws_lines(sys.stderr))),
        )

    @property
    def is_visible(self) -> bool:
        """Whether there is a bar."""
        return not self._tqdm.disable

    def advance(self, step: int, seconds: float) -> None:
        """Move to a number of finished steps and seconds of training."""
        self._tqdm.update(self._done(step, seconds) - self._tqdm.n)

    def show(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write the latest speed, losses and divergence next to the bar."""
        steps = [] if self.options.time is None else [f"step {step:>6}"]
        self._tqdm.cells = steps + scalar_cells(scalars)

    @property
    def is_report_due(self) -> bool:
        """Whether a minute has passed without a line or a bar."""
        return not self.is_visible and time.perf_counter() - self._reported >= REPORT_SECONDS

    def report(
        self, step: int, seconds: float, latest: Mapping[str, float], metrics: Mapping[str, float]
    ) -> None:
        """Log how far the run is and how fast, unless there is a bar.

        Args:
            step: Finished steps.
            seconds: Of training.
            latest: The last value of every tag, of which the losses are shown where there are no ``metrics``.
            metrics: Of this very step.
        """
        self._reported = time.perf_counter()
        if self.is_visible:
            return
        over, length = self.options.is_over(step, seconds), self.options.estimated_steps(step, seconds)
        # With a budget of time the length is an estimate until the end.
        parts = [f"step {step} of {'about ' if self.options.time and not over else ''}{length}"]
        if SPEED in latest:
            parts.append(f"{latest[SPEED]:,.0f} images/s")
        if not over and self._done(step, seconds) > self._initial:  # at the start there is no speed yet
            parts.append(f"{self.time_left(step, seconds)} left")
        losses = ["loss/d", "loss/g", *headline_tags(latest)[:1]]
        shown = {tag: metrics[tag] for tag in headline_tags(metrics)}
        shown = shown or {tag: latest[tag] for tag in losses if tag in latest}
        values = [f"{tag} {value:.3f}" for tag, value in shown.items()]
        log.info("%s", ", ".join(parts) + (f": {', '.join(values)}" if values else ""))

    def time_left(self, step: int, seconds: float) -> str:
        """Return the time left at the mean speed of this process, as 01:23 or 1:23:45."""
        # Resumed runs: the speed is that of this process alone.
        done = self._done(step, seconds)
        elapsed = time.perf_counter() - self._start
        return tqdm.format_interval(elapsed * (self._total - done) / max(done - self._initial, 1e-9))

    def close(self) -> None:
        """Stop updating the bar; its last state stays on the terminal."""
        self._tqdm.close()

    def _done(self, step: int, seconds: float) -> float:
        return step if self.options.time is None else min(seconds, self._total)


def scalar_cells(scalars: Mapping[str, float]) -> list[str]:
    """Return the known ones of speed, losses and divergence, from scalars by tag, as texts of constant width."""
    speed = [f"{scalars[tag]:>7,.0f} images/s" for tag in (SPEED,) if tag in scalars]
    losses, estimate = (
        "  ".join(f"{tag.rpartition('/')[2]} {format_short(scalars[tag])}" for tag in tags if tag in scalars)
        for tags in (("loss/d", "loss/g"), headline_tags(scalars)[:1])
    )
    return [*speed, *filter(None, (losses, estimate))]


def format_short(value: float) -> str:
    """Return a number in six characters, with up to three decimals."""
    for places in (3, 2, 1, 0):  # fewer decimals for larger numbers, so that columns do not move
        if len(text := f"{value:.{places}f}") <= 6:
            return f"{text:>6}"
    return f"{value:6.0e}"


def headline_tags(scalars: Mapping[str, float]) -> list[str]:
    """Return the tags to print on the terminal, the estimated divergence first."""
    # An estimate is a divergence with a standard error; that of the game, the first, may have too heavy tails for one.
    divergences = [tag for tag in scalars if tag.startswith("divergence/") and not tag.endswith("_se")]
    estimates = [tag for tag in divergences if tag == divergences[0] or f"{tag}_se" in scalars]
    return list(dict.fromkeys([*estimates, *(tag for tag in HEADLINES if tag in scalars)]))
