"""The interval of each metric holds the truth in 93 to 97 % of repetitions, as far as so few of them show."""

import pytest
from interval_coverage import CASES, Case, frechet_of, is_honest, table

REPETITIONS = 60
# Near its end a range of shares or counts has intervals that hold more than they promise, never less.
CAUTIOUS = ("precision", "recall", "coverage", "modes", "mode_kl", "kernel")


def assert_holds(case: Case, name: str) -> None:
    """Check all tags of a case on both sides, those of ``CAUTIOUS`` from below."""
    for tag, found in case.coverages(REPETITIONS).items():
        if not tag.endswith(CAUTIOUS) or found.holds < 0.95:
            assert is_honest(found, REPETITIONS), (name, tag, found)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_interval_of_a_metric_holds_the_truth(name):
    assert_holds(CASES[name], name)


def test_frechet_at_infinite_n_has_less_bias_than_at_n():
    """Of Gaussians 8 (0.1^2) apart; n of them read it by the bias law, (d + d (d + 1) / 4) 2/n, too far."""
    case = frechet_of(8, shift=0.1)
    truth = case.truths["divergence/frechet_infinite"]
    plain, infinite = (found for found in case.readings(30).values())
    means = [sum(found) / len(found) - truth for found in (plain, infinite)]
    assert means[0] == pytest.approx((8 + 8 * 9 / 4) * 2 / 300, rel=0.3)
    assert abs(means[1]) < 0.3 * means[0]
    assert sum(one.low <= truth <= one.high for one in infinite) >= 26  # of 30, by chance once in 100 fewer


def test_table_of_coverages_has_a_line_for_each_tag():
    case = Case("spread", CASES["spread, d=2"].draw, 50, density=CASES["spread, d=2"].density)
    found = {("spread, d=2", tag): one for tag, one in case.coverages(3).items()}
    (line,) = table(found).splitlines()[2:]
    assert line.startswith("| spread, d=2 | diversity/spread | ")
