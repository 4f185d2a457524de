"""The one sentence in which the thermometer says what its numbers mean."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gantrain.core.estimate import Estimate
from gantrain.verdicts.thermometer.divergence import FEW_DIMENSIONS
from gantrain.verdicts.thermometer.reading import Reading

SPREADS = 3.0  # of a floor, beyond which a number counts as another one than that of real data
MARKED = 0.05  # and at least so much
BLURRED, NOISY, COPIED, REPEATED = 0.7, 1.4, 0.5, 0.9
REASONS = 2  # that are named at most


def verdict(reading: Reading) -> str:
    """Return whether FAKE and REAL differ, by how much at least, and what shows it; or that this cannot be told."""
    found, n = reading.divergence, reading.n
    jsd, sizes = found.jsd, f"{n:,} samples of {found.dimensions:,} number{'s' * (found.dimensions != 1)}"
    reasons = [*_reasons(reading)][:REASONS]
    why = f"; {', and '.join(reasons)}" if reasons else ""
    if found.is_different:
        low, high = _nats(jsd.low), _nats(jsd.high)
        share = f"a fresh D is right {_percent(0.5 + found.total_variation / 2)} of the time"
        if found.is_close:
            return f"They differ: JSD is {_nats(jsd)} nats ({low} to {high} at 95 %; 0.693 is the most), {share}{why}."
        more = "how much more cannot be told" if jsd + 0.02 < math.log(2) else "which is all there can be"
        return f"They differ: JSD is at least {low} of 0.693 nats, {more} from {sizes}, {share}{why}."
    if reasons:
        return f"Cannot tell from D, which sees no difference in {sizes}, but other numbers do{why}."
    if found.is_close:
        return (
            f"No difference found: JSD is at most {_nats(jsd.high)} nats at 95 %, "
            f"for differences that {sizes} can show."
        )
    cause = "many numbers for so few samples" if found.dimensions > FEW_DIMENSIONS else "few samples"
    return (
        f"Cannot tell: a fresh D finds no difference in {sizes}, {cause}, "
        "and that it finds none does not prove that there is none."
    )


def _reasons(reading: Reading) -> Iterator[str]:
    """Yield what is amiss with FAKE beside the divergence, the worst kinds first."""
    fakes, reals = reading.distinct
    if fakes < REPEATED * reals:
        yield f"FAKE repeats itself, only {fakes:,} of {reading.n:,} are distinct"
    nearest, sharp = (reading.value(f"fidelity/{name}") for name in ("nearest_distance", "sharpness"))
    if nearest is not None and nearest < COPIED:
        yield f"FAKE copies REAL, {_round(nearest)} of the usual distance to the nearest one"
    if sharp is not None and sharp < BLURRED:
        yield f"FAKE is blurred, its sharpness is {_round(sharp)} of that of REAL"
    elif sharp is not None and sharp > NOISY:
        yield f"FAKE is noisy, its sharpness is {_round(sharp)} times that of REAL"
    for tag, what in (
        ("diversity/coverage", "FAKE covers {} of REAL where REAL covers {}"),
        ("fidelity/precision", "{} of FAKE lies among REAL where {} of REAL does"),
    ):
        value, floor = reading.value(tag), reading.floor(tag)
        if value is not None and floor is not None and _is_below(value, floor):
            yield what.format(_percent(value), _percent(floor))
    kl, floor = reading.value("diversity/class_kl"), reading.floor("diversity/class_kl")
    if kl is not None and floor is not None and _is_below(floor, kl, spread=floor.error):
        yield f"its classes are out of balance by {_nats(kl)} nats"


def _is_below(value: float, floor: Estimate, spread: float | None = None) -> bool:
    known = floor.error if spread is None else spread
    return float(floor) - value > max(SPREADS * (known or 0.0), MARKED)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _nats(value: float | None) -> str:
    return f"{max(value or 0.0, 0.0):.3f}"


def _round(value: float) -> str:
    return f"{value:.2g}"
