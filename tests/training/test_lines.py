"""Two segments that never meet: the minimax game stalls, noise moves it, the other game moves with huge gradients."""

import json

import pytest


@pytest.fixture
def play(run_cli, tmp_path):
    """Return ``play(*words)``: the last 40 of 120 steps as means of theta, G's gradient and the read js."""

    def run(*words: str) -> dict[str, float]:
        folder = tmp_path / "-".join(words).replace("=", "_")
        code, _, err = run_cli(
            "dataset=lines",
            *words,
            "train.steps=120",
            "train.sample_every=0",
            "metric=js",
            f"run.dir={folder}",
        )
        assert code == 0, err
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        tail = [line for line in lines if line["step"] > 80]
        return {
            tag: sum(found) / len(found)
            for tag in ("generator/theta", "gradient/g", "divergence/js")
            if (found := [line[tag] for line in tail if tag in line])
        }

    return run


@pytest.mark.slow
def test_lines_minimax_stalls_and_non_saturating_explodes(play):
    stalled, other = play("objective=minimax"), play("objective=non_saturating")
    assert stalled["gradient/g"] < 1e-3
    assert stalled["generator/theta"] > 0.9
    assert 0.68 <= stalled["divergence/js"] <= 0.6932
    assert other["generator/theta"] < stalled["generator/theta"] - 0.1
    assert other["gradient/g"] > 1000 * stalled["gradient/g"]
    assert 0.68 <= other["divergence/js"] <= 0.6932  # the divergence itself says nothing of the distance


@pytest.mark.slow
def test_lines_noise_moves_minimax_by_less_than_non_saturating(play):
    stalled, other = play("objective=minimax"), play("objective=non_saturating")
    noisy = play("objective=minimax", "noise=instance", "noise.instance_std=0.4", "noise.anneal_steps=0")
    assert noisy["generator/theta"] < stalled["generator/theta"] - 0.1
    assert noisy["gradient/g"] > 100 * stalled["gradient/g"]
    assert other["gradient/g"] > 10 * noisy["gradient/g"]
