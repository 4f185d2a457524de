"""Means over the last fifth of a run, for games that circle, with their errors, next to published values."""

import math
import operator
import statistics
from collections.abc import Iterable, Mapping, Sequence

from gantrain.core.estimate import Estimate
from gantrain.core.text import format_estimate, format_number

History = Sequence[Mapping[str, float | None]]
Estimates = Mapping[str, Estimate]
FEWEST = 10  # readings that show how they depend on each other
NOTE = (
    "±: standard error of the mean over the steps of this run, of fewer than ten readings their standard deviation; "
    "where a reading has an error over samples, with that of one reading, since all share the held-out points"
)


def tail_values(history: History, last: int) -> dict[str, list[float]]:
    """Return the values of each scalar over the last fifth of ``last`` steps, oldest first."""
    tail: dict[str, list[float]] = {}
    for row in history:
        for tag, value in row.items():
            if tag != "step" and value is not None and (row["step"] or 0) > 0.8 * last:
                tail.setdefault(tag, []).append(value)
    return tail


def tail_means(history: History, last: int) -> dict[str, float]:
    """Return the mean of each scalar over the last fifth of ``last`` steps."""
    return {tag: sum(values) / len(values) for tag, values in tail_values(history, last).items()}


def tail_errors(history: History, last: int, tags: Iterable[str], final: Estimates) -> dict[str, float]:
    """Return the standard errors of ``tail_means`` of some tags, where they are known; ``final`` are the last readings.

    An error over samples counts as that of one reading: the readings share the held-out points, which do not average
    out. Their samples do, so it is too large rather than too small. One that is not reliable leaves the mean without.
    """
    tail, errors = tail_values(history, last), {}
    for tag in tags:
        if tag not in tail or (tag in final and not _is_usual(final[tag])):
            continue
        parts = [series_error(tail[tag]), final[tag].error if tag in final else None]
        if known := [part for part in parts if part is not None and math.isfinite(part)]:
            errors[tag] = math.hypot(*known)
    return errors


def _is_usual(reading: Estimate) -> bool:
    """Whether nothing says that ± the error of a reading is not what it seems."""
    return not reading.caveat and (reading.interval is None or reading.is_symmetric)


def series_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean of readings that depend on each other; None for one alone.

    By the initial positive sequence of autocovariances (Geyer 1992, sec. 3.3), at least that of independent ones. Of
    fewer than ten readings, whose dependence is not known, it is their standard deviation.
    """
    n = len(values)
    if n < 2 or not all(map(math.isfinite, values)):
        return None
    if n < FEWEST:
        return statistics.stdev(values)
    mean = sum(values) / n
    centred = [value - mean for value in values]

    def autocovariance(lag: int) -> float:
        return sum(map(operator.mul, centred, centred[lag:])) / n

    # Sums of autocovariances at lags 2k and 2k + 1, as long as they are positive.
    total, first = 0.0, autocovariance(0)
    for lag in range(0, n - 1, 2):
        pair = autocovariance(lag) + autocovariance(lag + 1)
        if pair <= 0:
            break
        total += pair
    return math.sqrt(max(2 * total - first, first) / (n - 1))


def published_table(tail: Mapping[str, float], published: Mapping[str, float]) -> str:
    """Return each published value next to the measured one with its error, a line each; "" without any."""
    if not published:
        return ""
    first, second = "mean of the last fifth", "published or exact"
    measured = {tag: _measurement(tail.get(tag)) for tag in published}
    width, last = (max(len(first), *map(len, published)), max(10, *map(len, measured.values())))
    lines = [f"{first:{width}}  {second}  {'measured':>{last}}"]
    for tag, value in published.items():
        lines.append(f"{tag:{width}}  {format_number(value, 4):>{len(second)}}  {measured[tag]:>{last}}")
    if any("±" in text for text in measured.values()):
        lines.append(NOTE)
    return "\n".join(lines)


def _measurement(value: float | None) -> str:
    if value is None:
        return "missing"
    known = Estimate.of(value)
    has_error = known.error is not None or known.caveat
    return format_estimate(known, is_short=True) if has_error else format_number(value, 4)
