"""Faults of one network's own training: it stands still, or its updates are too large or too small."""

from gantrain.tracking.health.case import Case
from gantrain.tracking.health.detector import detector
from gantrain.tracking.health.finding import Finding

# Distances from the initial weights, in their norm. In runs that learn one update makes about 0.01, all 0.3 to 2.
TOO_LARGE, TOO_FAR, TOO_NEAR = 0.3, 5.0, 0.02
FAR_ABOVE = 30  # times the default, from which on a rate is too high whatever the samples look like yet
TENTH = 10  # of a run after which a network that stands still is one
BELOW = 100  # times below the default a rate alone explains that nothing moves


@detector(
    normal="0.3 to 2 times the norm of the initial weights", cause="a learning rate that rounds to nothing"
)
def frozen_player(case: Case) -> Finding | None:
    """A network whose weights are those that it began with."""
    chosen = [p for p in case.players if case.rate(p) == 0]
    stuck = [p for p in case.players if p not in chosen and case.vitals.moved.get(p) == 0]
    frozen = stuck or chosen
    if not frozen:
        return None
    names = " and ".join(p.upper() for p in frozen)
    name, sentence = f"{names} frozen", f"{names} {'is' if len(frozen) == 1 else 'are'} frozen"
    if stuck:
        words = [f"optimizer.{p}_lr={case.default_rate(p):g}" for p in stuck]
        return Finding(name, f"{sentence}: no update has changed a weight", words, is_certain=True)
    # A rate of 0 is meant, but whatever else the numbers show follows from it.
    rates = " and ".join(f"optimizer.{p}_lr=0" for p in chosen)
    sentence += f", as {rates} {'says' if len(frozen) == 1 else 'say'}; its game is not checked"
    return Finding(name, sentence, is_certain=True, is_fault=False)


@detector(
    normal=f"1% of the norm by one update, at most {TOO_LARGE:.0%}; below {TOO_FAR:.0%} by all",
    cause="a rate for another optimizer or model",
)
def rate_too_high(case: Case) -> Finding | None:
    """A network that one update threw far, or that many took far beyond its scale, while samples are poor."""
    high = [
        p
        for p in case.players
        if case.rate(p) > case.default_rate(p)
        and (case.first_update(p) > TOO_LARGE or case.vitals.moved.get(p, 0.0) > TOO_FAR)
    ]
    # An update that replaces the weights is a fault whatever the samples look like.
    above = max((case.rate(p) / case.default_rate(p) for p in high), default=0.0)
    if not high or not (case.poor or above >= FAR_ABOVE or max(map(case.first_update, high)) > 1):
        return None
    worst = max(high, key=case.first_update)
    name, lower = worst.upper(), max(case.default_rate(worst), case.rate(worst) / 100)
    sentence = (
        f"{name}'s learning rate is too high (optimizer.{worst}_lr={case.rate(worst):g}: one update moved its weights "
        f"by {case.first_update(worst):.0%} of their norm, all by {case.vitals.moved.get(worst, 0.0):.0%}"
        f"{case.poor and '; '}{case.poor})"
    )
    return Finding(f"{name}'s rate too high", sentence, (f"optimizer.{worst}_lr={lower:g}",))


@detector(normal=f"above {TOO_NEAR:.0%} after a tenth of the run", cause="a slip in the exponent")
def rate_too_low(case: Case) -> Finding | None:
    """Updates so small that a network is still as it was drawn after a tenth of the run."""
    slow = [
        p
        for p in case.players
        if case.vitals.moved.get(p, 1.0) < TOO_NEAR and case.rate(p) * BELOW <= case.default_rate(p)
    ]
    if not slow or TENTH * case.vitals.step < case.vitals.steps:
        return None
    names = " and ".join(p.upper() for p in slow)
    causes = [
        f"optimizer.{p}_lr={case.rate(p):g} moved {p.upper()} by {case.vitals.moved[p]:.1e} of its norm"
        for p in slow
    ]
    words = [f"optimizer.{p}_lr={case.default_rate(p):g}" for p in slow]
    name = f"{names} rate{'s' * (len(slow) > 1)} too low"
    return Finding(
        name, f"the learning rate is too low ({', '.join(causes)}{case.poor and '; '}{case.poor})", words
    )
