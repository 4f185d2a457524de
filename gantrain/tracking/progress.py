"""Progress of a run: a bar on a terminal, and its parts as text for the log."""

import sys
import time
from collections.abc import Mapping

from tqdm import tqdm

from gantrain.config.options import Train

# Progress, elapsed time, time left at the mean speed so far, and the latest scalars.
BY_STEPS = "|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]{desc}"
BY_SECONDS = "|{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]{desc}"
# After the estimates of divergences, in this order.
HEADLINES = (
    "divergence/game",
    "diversity/coverage",
    "diversity/modes",
    "fidelity/precision",
    "fidelity/high_quality",
    "fidelity/class_accuracy",
)


class ProgressBar:
    """A bar on standard error if that is a terminal, and nothing otherwise.

    Args:
        options: The budget of training is the bar's length.
        step: Steps finished by earlier processes.
        seconds: Training time of earlier processes.
        is_enabled: Whether to draw; False for runs in parallel.
    """

    def __init__(self, options: Train, step: int, seconds: float, is_enabled: bool):
        self.options = options
        self._total = options.steps if options.seconds is None else options.seconds
        self._initial, self._start = self._done(step, seconds), time.perf_counter()
        self._tqdm = tqdm(
            total=self._total,
            initial=self._initial,
            bar_format=BY_STEPS if options.seconds is None else BY_SECONDS,
            smoothing=0,  # the mean speed, metrics and images included
            dynamic_ncols=True,
            disable=not (is_enabled and sys.stderr.isatty()),
        )

    @property
    def is_visible(self) -> bool:
        """Whether there is a bar on a terminal."""
        return not self._tqdm.disable

    def advance(self, step: int, seconds: float) -> None:
        """Move to a number of finished steps and seconds of training."""
        self._tqdm.update(self._done(step, seconds) - self._tqdm.n)

    def show(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write the latest speed, losses and divergence next to the bar."""
        prefix = "" if self.options.seconds is None else f"  step {step:>6}"
        self._tqdm.set_description_str(prefix + format_scalars(scalars), refresh=False)

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
        return step if self.options.seconds is None else min(seconds, self._total)


def format_scalars(scalars: Mapping[str, float]) -> str:
    """Return the known ones of speed, losses and divergence, from scalars by tag, in columns of constant width."""
    cells = [f"{scalars[t]:>7,.0f} images/s" for t in ("speed/images_per_second",) if t in scalars]
    for tag in ("loss/d", "loss/g", *headline_tags(scalars)[:1]):
        if tag in scalars:
            cells.append(f"{tag.rpartition('/')[2]} {format_short(scalars[tag])}")
    return "".join(f"  {cell}" for cell in cells)


def format_short(value: float) -> str:
    """Return a number in six characters, with up to three decimals."""
    for places in (3, 2, 1, 0):  # fewer decimals for larger numbers, so that columns do not move
        if len(text := f"{value:.{places}f}") <= 6:
            return f"{text:>6}"
    return f"{value:6.0e}"


def headline_tags(scalars: Mapping[str, float]) -> list[str]:
    """Return the tags to print on the terminal, the estimated divergence first."""
    # An estimate is a divergence with a standard error.
    estimates = [tag for tag in scalars if tag.startswith("divergence/") and f"{tag}_se" in scalars]
    return list(dict.fromkeys([*estimates, *(tag for tag in HEADLINES if tag in scalars)]))
