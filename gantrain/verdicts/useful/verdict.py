"""The sentence that says whether synthetic samples help."""

from collections.abc import Sequence

from gantrain.verdicts.useful.arms import AUGMENTED, BOTH
from gantrain.verdicts.useful.compare import Case

SMALL_GAIN = 0.005  # of accuracy or recall: a gain that is surely less is called none


def verdict(cases: Sequence[Case]) -> list[str]:
    """Return for each comparison whether added synthetic samples help, do not, or whether nothing can be said."""
    return [_sentence(case) for case in cases]


def _sentence(case: Case) -> str:
    gain = case.gain(BOTH.name)
    what = "accuracy" if case.rare is None else f"the recall of class {case.rare}"
    change = f"{points(gain.value)} points (95 %: {points(gain.low)} to {points(gain.high)})"
    sentence = f"added synthetic samples change {what} by {change}"
    if gain.low > 0:
        answer = f"yes: {sentence}"
    elif gain.high < SMALL_GAIN:
        answer = f"no: {sentence}"
    else:
        answer = f"cannot tell: {sentence}; more seeds= may decide"
    if AUGMENTED.name in case.hits:
        answer += f"; flips and shifts of real ones by {points(case.gain(AUGMENTED.name).value)}"
    if case.rare is not None:
        answer += f"; G was trained on all {case.before:,} samples of that class, arms on {case.counts[case.rare]:,}"
    return answer


def points(share: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return f"{100 * share:+.1f}"
