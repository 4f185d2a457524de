"""The numbers of one run, read back from its result: with their errors, in the order of all tables, by their source."""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gantrain.core.directions import OWN_D_COLUMNS, is_of_own_d
from gantrain.core.estimate import ERROR_SUFFIX, Estimate
from gantrain.core.text import one_line

# The order of tags in every table; others follow by name, and those of the run's own D come last.
COLUMNS = (
    "divergence/js_refit",
    "divergence/js_exact",
    "divergence/js_density",
    "divergence/frechet",
    "divergence/kernel",
    "divergence/intra_frechet",
    "divergence/wasserstein",
    "diversity/coverage",
    "fidelity/high_quality",
    "diversity/modes",
    "diversity/mode_kl",
    "fidelity/precision",
    "fidelity/gan_test",
    "diversity/gan_train",
    "fidelity/sharpness",
    "diversity/per_condition_std",
    *OWN_D_COLUMNS,
)
LIVE, AVERAGED, OWN_D = "live generator", "averaged generator", "own D, live generator"
FILES = "samples of files"  # of no generator that is known
OF_LIVE = ("_refit", "_exact", "_density")  # ends of tags in results that do not name the tags of a metric
INTERVAL = "95 % interval"
LOPSIDED = "the interval of one reading is not symmetric"
ERROR_NOTE = (
    "±: one standard error over these samples, not over seeds; of real data: the spread of one reading"
)
BOUND_NOTE = "≥: a lower bound"
MAX_CAVEAT = 160  # letters


def finite_numbers(values: Any) -> dict[str, float]:
    """Return the finite numbers of a mapping by tag."""
    return {tag: value for tag, value in _numbers(values).items() if math.isfinite(value)}


def _numbers(values: Any) -> dict[str, float]:
    """Return the numbers of a mapping by tag; JSON has null for one that was not finite."""
    if not isinstance(values, Mapping):
        return {}
    known = {tag: math.nan if value is None else value for tag, value in values.items()}
    real = {tag: v for tag, v in known.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    return {str(tag): _float(value) for tag, value in real.items()}


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # of an integer in a forged file
        return math.inf


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a value of a result or config that should be a mapping; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def estimates(
    result: Mapping[str, Any], values: str = "metrics", errors: str = "errors", intervals: str = "intervals"
) -> dict[str, Estimate]:
    """Return the numbers of a part of a result with what is known of their errors, of old and broken results too."""
    numbers, known, ends = (
        _numbers(result.get(values)),
        mapping(result.get(errors)),
        mapping(result.get(intervals)),
    )
    return {
        tag: _estimate(
            value, mapping(known.get(tag)), mapping(ends.get(tag)), numbers.get(tag + ERROR_SUFFIX)
        )
        for tag, value in numbers.items()
        if not tag.endswith(ERROR_SUFFIX)
    }


def floors(result: Mapping[str, Any]) -> dict[str, Estimate]:
    """Return what each metric reads of real data against real data, with the spread of one such reading."""
    return estimates(result, "floors", "floor_errors", "")


def tail_estimates(result: Mapping[str, Any]) -> dict[str, Estimate]:
    """Return the means over the last fifth of a run with their errors, and with the caveats of its last readings."""
    last, errors, found = estimates(result), finite_numbers(result.get("tail_errors")), {}
    for tag, value in _numbers(result.get("tail")).items():
        if not tag.endswith(ERROR_SUFFIX):
            reading, error = last.get(tag, Estimate(value)), errors.get(tag, -1.0)
            known = error if error >= 0 else None
            caveat = reading.caveat or (LOPSIDED if reading.interval and not reading.is_symmetric else "")
            found[tag] = Estimate(value, known, None, reading.is_lower_bound, caveat)
    return found


def _estimate(
    value: float, known: Mapping[str, Any], ends: Mapping[str, Any], logged: float | None
) -> Estimate:
    numbers, interval = finite_numbers(known), finite_numbers(ends)
    low, high = interval.get("low", -math.inf), interval.get("high", math.inf)
    # Of a checkpoint's page the value may be another one than the interval is of.
    is_own = low <= value <= high and interval.keys() & {"low", "high"}
    error, n, caveat = numbers.get("se", logged), numbers.get("n", 0.0), known.get("caveat")
    return Estimate(
        value,
        error if error is not None and error >= 0 else None,
        int(n) if 0 < n < 1e15 else None,
        known.get("lower_bound") is True,
        one_line(caveat, MAX_CAVEAT) if isinstance(caveat, str) else "",
        (interval.get("low"), interval.get("high")) if is_own else None,
    )


def own_d_tags(results: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the tags that a run's own D estimates, which are not one scale for all runs."""
    tags = set(OWN_D_COLUMNS)
    for result in results:
        for entry in mapping(result.get("protocol")).values():
            if str(mapping(entry).get("D")).startswith("playing, eval mode"):
                tags |= _texts(mapping(entry).get("tags"))
            tags |= _texts(
                mapping(entry).get("estimates")
            )  # of results that do not name the tags of a metric
    return tags


def _texts(values: Any) -> set[str]:
    return {str(value) for value in values} if isinstance(values, list) else set()


def order(tag: str, own_d: Collection[str] = OWN_D_COLUMNS) -> tuple[bool, int, str]:
    """Return the sort key of a tag, by how much it tells of a run."""
    place = COLUMNS.index(tag) if tag in COLUMNS else len(COLUMNS)
    return is_of_own_d(tag, own_d), place, tag


def sections(result: Mapping[str, Any], tags: Iterable[str]) -> dict[str, list[str]]:
    """Return tags in order by what they are numbers of: the live or the averaged generator, files, the run's own D."""
    own_d, live, files = own_d_tags([result]), set[str](), set[str]()
    named: set[str] = set()
    for entry in mapping(result.get("protocol")).values():
        own = _texts(mapping(entry).get("tags"))
        named |= own
        live |= own if str(mapping(entry).get("G")).startswith("live") else set()
        files |= own if mapping(entry).get("G") == FILES else set()

    def source(tag: str) -> str:
        if is_of_own_d(tag, own_d):
            return OWN_D
        if tag in files:
            return FILES
        is_live = tag in live or (
            tag not in named and (tag.endswith(OF_LIVE) or tag.startswith("generator/"))
        )
        return LIVE if is_live else AVERAGED

    found: dict[str, list[str]] = {LIVE: [], AVERAGED: [], FILES: [], OWN_D: []}
    for tag in sorted(tags, key=lambda tag: order(tag, own_d)):
        found[source(tag)].append(tag)
    return {title: own for title, own in found.items() if own}


def notes(*shown: Iterable[Estimate]) -> list[str]:
    """Return what "±" and "≥" mean, where these estimates have them."""
    known = [estimate for part in shown for estimate in part]
    has_error = any(estimate.error is not None and not estimate.caveat for estimate in known)
    return [ERROR_NOTE] * has_error + [BOUND_NOTE] * any(estimate.is_lower_bound for estimate in known)
