"""The Dirac-GAN on the command line: the radii of its recurrence to the digits that are known, and the way there."""

from __future__ import annotations

import json
import math

import pytest
from composed import composed
from PIL import Image

from gantrain.core.text import format_number
from gantrain.reports.tail import published_table

RADII = {  # after 500 steps at rate 0.2 from (1, -1), of the recurrence in double precision
    ("minimax", "none", "simultaneous"): 3.097,
    ("minimax", "none", "alternating"): 1.413,
    ("non_saturating", "none", "simultaneous"): 0.6402,
    ("non_saturating", "none", "alternating"): 0.2706,
    ("minimax", "r1_weak", "simultaneous"): 2.643e-6,
    ("minimax", "r1_weak", "alternating"): 2.383e-7,
    ("non_saturating", "r1_weak", "simultaneous"): 2.212e-6,
    ("non_saturating", "r1_weak", "alternating"): 1.639e-7,
}


def words(objective: str, penalty: str, update: str) -> list[str]:
    return ["experiment=dirac", f"objective={objective}", f"penalty={penalty}", f"train.update={update}"]


def recurrence(objective: str, gamma: float, update: str, steps: int) -> list[tuple[float, float]]:
    """Return (theta, psi) after each step, in double precision, the start first."""
    theta, psi, way = 1.0, -1.0, [(1.0, -1.0)]
    for _ in range(steps):
        before = psi
        psi -= 0.2 * (theta / (1 + math.exp(-psi * theta)) + gamma * psi)
        seen = psi if update == "alternating" else before
        # The slope of log(1 - D) in the logit is -sigmoid(logit), of -log D it is -sigmoid(-logit).
        turn = -1 if objective == "minimax" else 1
        theta -= 0.2 * -seen / (1 + math.exp(turn * seen * theta))
        way.append((theta, psi))
    return way


# The others take as long, and the loop alone plays them elsewhere.
SOON = [("non_saturating", "r1_weak", "simultaneous")]


@pytest.mark.parametrize("case", RADII)
def test_the_radius_in_print_is_that_of_the_recurrence(case):
    objective, penalty, update = case
    theta, psi = recurrence(objective, 0.3 if penalty == "r1_weak" else 0.0, update, 500)[-1]
    assert math.hypot(theta, psi) == pytest.approx(RADII[case], rel=5e-4)
    assert composed(*words(*case))["metric"]["published"] == {"generator/radius": RADII[case]}


@pytest.mark.parametrize(
    "case", [case if case in SOON else pytest.param(case, marks=pytest.mark.slow) for case in RADII]
)
def test_trajectory_experiment_ends_at_the_known_radius(case, run_cli, tmp_path):
    """Single precision rounds each of 500 steps by 6e-8 at most, far less than the four digits that are known."""
    code, _, err = run_cli(*words(*case), "device=cpu", f"run.dir={tmp_path / 'run'}")
    assert code == 0, err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    radius = RADII[case]
    digit = 10.0 ** (math.floor(math.log10(radius)) - 3)
    assert result["metrics"]["generator/radius"] == pytest.approx(radius, abs=0.5 * digit)
    assert result["published"] == {"generator/radius": radius}
    assert result["tail"]["generator/radius"] == result["metrics"]["generator/radius"]

    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    way = {
        row["step"]: (row["generator/theta"], row["discriminator/psi"])
        for row in rows
        if "generator/theta" in row
    }
    gamma = 0.3 if case[1] == "r1_weak" else 0.0
    expected = recurrence(case[0], gamma, case[2], 500)
    assert sorted(way) == list(range(501))
    for step in (0, 1, 2, 50, 500):
        assert way[step] == pytest.approx(
            expected[step], rel=1e-3, abs=2e-5 * math.hypot(*expected[step]) + 1e-12
        )
    with Image.open(tmp_path / "run" / "figures" / "trajectory.png") as picture:
        assert picture.width > 1.5 * picture.height


def test_other_gammas_and_games_have_no_number_in_print():
    for other in (["penalty=r1"], ["objective=hinge"], ["penalty=r1_weak", "penalty.gamma=0.2"]):
        assert composed("experiment=dirac", *other)["metric"]["published"] == {}


def test_players_of_more_numbers_have_no_trajectory(run_cli, tmp_path):
    code, _, err = run_cli(
        "dataset=dirac",
        "model=mlp",
        "model.width=4",
        "train.steps=2",
        "device=cpu",
        f"run.dir={tmp_path / 'run'}",
    )
    assert code == 0, err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["metrics"] == {}
    assert not (tmp_path / "run" / "figures").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ["dataset=gaussian", "dataset.dim=2"],
        ["dataset=dirac", "model.packing=2"],
        ["dataset=dirac", "model.spectral_norm=true"],
    ],
)
def test_what_one_number_cannot_do_is_refused_in_a_line(wrong, run_cli, tmp_path):
    code, _, err = run_cli(*wrong, "model=dirac", f"run.dir={tmp_path / 'run'}")
    assert code == 2
    assert "dirac" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3.097, "3.097"),
        (0.0, "0.000"),
        (-0.25, "-0.250"),
        (2.643e-6, "2.643e-06"),
        (1e-4, "1.000e-04"),
        (6e-4, "0.001"),
    ],
)
def test_trajectory_small_radius_is_in_powers_of_ten(value, shown):
    assert format_number(value) == shown
    assert float(format_number(value, 4)) == pytest.approx(value, abs=1e-4 * max(abs(value), 0.5))
    line = published_table({"generator/radius": value}, {"generator/radius": value}).splitlines()[1]
    assert line.split()[1:] == [format_number(value, 4)] * 2
