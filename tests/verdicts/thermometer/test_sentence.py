"""The thermometer's sentence, from numbers that are made up."""

import pytest

from gantrain.core.estimate import Estimate
from gantrain.training.evaluation_result import EvaluationResult
from gantrain.verdicts.thermometer.divergence import Divergence
from gantrain.verdicts.thermometer.reading import Reading
from gantrain.verdicts.thermometer.verdict import verdict

EQUAL = {
    "diversity/coverage": Estimate(0.97, 0.01),
    "fidelity/precision/pixels": Estimate(0.75, 0.02),
    "fidelity/nearest_distance": Estimate(1.0, 0.02),
    "fidelity/sharpness": Estimate(1.0, 0.02),
}


def reading(
    jsd: float = 0.0,
    error: float = 0.002,
    up_to: float = 0.004,
    unexplained: float = 0.0,
    dimensions: int = 2,
    distinct: int = 2000,
    **numbers: float,
) -> Reading:
    """Return a reading of 2,000 samples whose divergence has an interval up to ``up_to`` above it."""
    values = EQUAL | {tag.replace("__", "/"): Estimate(value, 0.01) for tag, value in numbers.items()}
    found = Divergence(
        Estimate(jsd, error, 2000, interval=(max(jsd - 1.96 * error, 0.0), jsd + up_to)),
        Estimate(min(1.0, 1.2 * jsd**0.5), 0.01),
        Estimate(0.0, 0.001),
        Estimate(unexplained, 0.001),
        dimensions,
        {},
    )
    return Reading(EvaluationResult(estimates=values, floors=EQUAL), found, 2000, (distinct, 2000))


@pytest.mark.parametrize(
    ("numbers", "begins", "has"),
    [
        (dict(jsd=0.05), "They differ: JSD is 0.050 nats (0.046 to 0.054 at 95 %", ""),
        (dict(jsd=0.05, up_to=0.1), "They differ: JSD is at least 0.046 of 0.693", "cannot be told"),
        (dict(jsd=0.05, unexplained=0.2), "They differ: JSD is at least 0.046", "cannot be told"),
        (dict(jsd=0.69, up_to=0.1), "They differ: JSD is at least 0.686", "all there can be"),
        (dict(), "No difference found: JSD is at most 0.004 nats at 95 %", "2,000 samples of 2 numbers"),
        (dict(up_to=0.1), "Cannot tell: a fresh D finds no difference", "few samples"),
        (dict(up_to=0.1, dimensions=64), "Cannot tell: ", "many numbers for so few samples"),
        (dict(diversity__coverage=0.5), "Cannot tell from D", "covers 50 % of REAL where REAL covers 97 %"),
        (dict(jsd=0.05, fidelity__sharpness=0.4), "They differ", "FAKE is blurred, its sharpness is 0.4"),
        (dict(jsd=0.05, fidelity__sharpness=2.5), "They differ", "FAKE is noisy, its sharpness is 2.5"),
        (dict(jsd=0.05, fidelity__nearest_distance=0.2), "They differ", "FAKE copies REAL"),
        (dict(jsd=0.3, distinct=100), "They differ", "FAKE repeats itself, only 100 of 2,000 are distinct"),
    ],
)
def test_sentence_says_no_more_than_the_numbers(numbers, begins, has):
    sentence = verdict(reading(**numbers))
    assert sentence.startswith(begins)
    assert has in sentence
    assert sentence.endswith(".")


def test_sentence_names_two_reasons_at_most():
    numbers = dict(fidelity__sharpness=0.1, fidelity__nearest_distance=0.1, diversity__coverage=0.1)
    sentence = verdict(reading(jsd=0.3, distinct=50, **numbers))
    assert "repeats itself" in sentence
    assert "copies" in sentence
    assert "blurred" not in sentence
