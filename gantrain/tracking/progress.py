"""How far a run is: a bar on a terminal, and the same in words for a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from tqdm import tqdm

from gantrain.config.options import Train

# Done of all, time so far and, as the pace so far has it, time left; then what was read last.
BY_STEPS = "|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]{desc}"
BY_SECONDS = "|{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]{desc}"


class Bar:
    """Draws on standard error where that is a terminal, and nothing elsewhere.

    Args:
        options: The loop, whose budget is the bar's length.
        step: Steps that an earlier process finished.
        seconds: Seconds of training that it took for them.
        wanted: Whether this run may draw; of several side by side none does.
    """

    def __init__(self, options: Train, step: int, seconds: float, wanted: bool):
        self.options = options
        self._total = options.steps if options.seconds is None else options.seconds
        self._first, self._began = self._done(step, seconds), time.perf_counter()
        self._tqdm = tqdm(
            total=self._total,
            initial=self._first,
            bar_format=BY_STEPS if options.seconds is None else BY_SECONDS,
            smoothing=0,  # the mean pace, in which metrics and pictures have their share
            dynamic_ncols=True,
            disable=not (wanted and sys.stderr.isatty()),
        )

    @property
    def is_drawn(self) -> bool:
        """Whether there is a terminal to draw on."""
        return not self._tqdm.disable

    def advance(self, step: int, seconds: float) -> None:
        """Move to where the run is, after so many steps and seconds of training."""
        self._tqdm.update(self._done(step, seconds) - self._tqdm.n)

    def show(self, step: int, read: Mapping[str, float]) -> None:
        """Write beside the bar what was read last: speed, losses, divergence."""
        at = "" if self.options.seconds is None else f"  step {step:>6}"
        self._tqdm.set_description_str(at + readings(read), refresh=False)

    def left(self, step: int, seconds: float) -> str:
        """Return the time that the run still takes at its mean pace in this process, as 01:23 or 1:23:45."""
        done = self._done(step, seconds)
        passed = time.perf_counter() - self._began
        return tqdm.format_interval(passed * (self._total - done) / max(done - self._first, 1e-9))

    def close(self) -> None:
        """Leave the bar as it is."""
        self._tqdm.close()

    def _done(self, step: int, seconds: float) -> float:
        return step if self.options.seconds is None else min(seconds, self._total)


def readings(read: Mapping[str, float]) -> str:
    """Return speed, losses and divergence in columns that keep their width; what was not read has none.

    Args:
        read: The latest value of each tag.
    """
    speed = [f"{read[tag]:>7,.0f} images/s" for tag in ("speed/images_per_second",) if tag in read]
    tags = ["loss/d", "loss/g", *headline(read)[:1]]
    return "".join(f"  {cell}" for cell in speed + [f"{name(t)} {short(read[t])}" for t in tags if t in read])


def name(tag: str) -> str:
    """Return a tag without its section."""
    return tag.rpartition("/")[2]


def short(value: float) -> str:
    """Return a number in six places, with as many decimals as they hold, three at most."""
    for places in (3, 2, 1, 0):
        if len(text := f"{value:.{places}f}") <= 6:
            return f"{text:>6}"
    return f"{value:6.0e}"


def headline(read: Mapping[str, float]) -> list[str]:
    """Return the tags worth a line in a terminal, the divergence first."""
    estimates = [tag for tag in read if tag.startswith("divergence/") and f"{tag}_se" in read]
    wanted = (
        "divergence/game",
        "diversity/coverage",
        "diversity/modes",
        "fidelity/precision",
        "fidelity/high_quality",
        "fidelity/class_accuracy",
    )
    return list(
        dict.fromkeys([*estimates, *(key for key in wanted if key in read)])
    )  # a game may be the estimate
