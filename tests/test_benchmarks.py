"""The benchmarks: that all of them run, that a trick leaves the mathematics alone, that what is counted is right."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, hand_loop, tutorials, worker
from benchmarks.__main__ import PARTS
from benchmarks.cases import PLUGINS, all_cases
from benchmarks.ceilings import Cost
from benchmarks.clock import Stopwatch, Turn, own_cpu_seconds, spread
from benchmarks.contest import Options, ratios
from benchmarks.parts import loops
from benchmarks.table import Table
from gantrain.config.compose import check, compose
from gantrain.core.plugins import use

ROOT = Path(__file__).resolve().parents[1]
CASES = all_cases()
SMALL = ("dataset.n=200", "train.batch_size=8")

pytestmark = pytest.mark.usefixtures("separate_plugins")


def config_of(name: str):
    """Return the checked config of a game on few images."""
    use([PLUGINS])
    few = [word for word in SMALL if "ring" not in name or word != SMALL[0]]
    return check(compose([*CASES[name].words, *few]))


def weights_after(config, steps: int, tricks: frozenset[str]) -> torch.Tensor:
    """Return all weights after steps of the lean loop, from the same draws each time."""
    torch.manual_seed(1)
    *_, (G, D) = itertools.islice(hand_loop.play(config, tricks), steps)
    return torch.cat([w.detach().flatten() for net in (G, D) for w in net.parameters()])


@pytest.mark.parametrize("name", ["mlp_gan", "wgan_gp", "ring_r1"])
def test_tricks_leave_the_weights_as_they_are(name):
    config = config_of(name)
    config.train.d_steps = 1
    every = frozenset(hand_loop.TRICKS) - {"allocator"}  # which stays with the process
    before, after = (weights_after(config, steps, every) for steps in (1, 2))
    moved = (after - before).abs().mean()
    assert moved > 1e-5
    for trick in every - {"memory"}:  # which has other batches
        # Not the largest difference: where a gradient is 0 but for rounding, Adam makes a whole step of it.
        difference = (weights_after(config, 2, every - {trick}) - after).abs().mean()
        assert difference < 0.01 * moved, trick


def test_folded_networks_make_the_same_images():
    images = []
    for name in ("upsampling_32", "upsampling_32_folded"):
        config = config_of(name)
        torch.manual_seed(0)
        G = config.model.generator(config.spec)
        images.append(G(torch.randn(4, config.model.z_dim), None))
    assert images[0].std() > 0.1
    assert torch.allclose(*images, atol=1e-4)


def test_product_has_the_operations_it_is_counted_with():
    assert worker.operations(worker.multiply()) == loops.MATRIX
    assert worker.operations(worker.multiply(64)) == 2 * 64**3


def test_ratio_is_of_steps_not_of_turns():
    ours, its = Turn(units=10, wall=1.0, cpu=2.0, others=0.0), Turn(units=5, wall=1.5, cpu=1.5, others=0.0)
    assert ratios([its], [ours]) == [pytest.approx(3.0)]
    assert spread([1.0, 3.0, 2.0]) == "2.00 (1.00-3.00)"


def test_stopwatch_leaves_own_work_out_of_others():
    watch, cpu = Stopwatch(), own_cpu_seconds()
    while own_cpu_seconds() - cpu < 0.2:
        pass
    turn = watch.stop(1, own_cpu_seconds() - cpu)
    assert turn.cpu >= 0.2
    assert turn.wall >= 0.19


def test_table_prints_the_same_cells_in_both_forms():
    table = Table("Speed", ("game", "a step"), [["ring", "1.00"]], "a note")
    assert table.text() == "Speed\ngame  a step\n----  ------\nring  1.00\na note"
    assert "| game | a step |\n| ---- | ------ |\n| ring | 1.00   |" in table.text(is_markdown=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.has_tutorial])
def test_tutorial_plays_and_prints_each_step(name, capsys):
    config = config_of(name)
    if hasattr(config.model, "width"):
        config.model.width = 4
    list(itertools.islice(tutorials.TUTORIALS[config.objective.name](config), 2))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("loss_D" in line and "nan" not in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_part_runs_through_at_its_smallest(part):
    command = [sys.executable, "-m", "benchmarks", part, "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") > 5


def test_unknown_part_is_refused(capsys):
    from benchmarks.__main__ import main

    with pytest.raises(SystemExit):
        main(["loop"])
    assert "there is no part loop; choose from loops" in capsys.readouterr().err


def test_options_of_a_quick_run():
    from benchmarks.__main__ import parse_options

    assert parse_options(["loops", "--quick"])[1] == Options(1, 0.0, True, None, (), 0)


def test_gpu_benchmark_is_refused_without_a_gpu(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 2
    assert capsys.readouterr() == (
        "",
        "benchmarks.gpu: there is no CUDA device; python -m benchmarks measures this machine\n",
    )


def test_gpu_games_are_right_whole_and_tiny():
    use([PLUGINS])
    assert set(gpu.TINY) == set(gpu.CASES)
    for name in gpu.CASES:
        for words in (CASES[name].words, (*CASES[name].words, *gpu.TINY[name])):
            check(compose(list(words)))


@pytest.mark.slow
def test_gpu_benchmark_runs_through_on_the_cpu(capsys):
    words = ["--device", "cpu", "--quick", "--case", "ring", "--case", "mnist_r1", "--precision", "float32"]
    assert gpu.main([*words, "--seconds", "60"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if " float32  " in line]
    assert [row[0] for row in rows] == ["ring", "mnist_r1"]
    for row in rows:
        assert float(row[4]) > 0  # ms a step
        assert all(0 < float(share.rstrip("%")) < 100 for share in row[6:])


def test_cost_counts_operations_and_bytes():
    a, b = torch.ones(3, 4), torch.ones(4, 5)
    with Cost() as cost:
        (a @ b).t()
    assert cost.flop == 2 * 3 * 4 * 5
    assert cost.moved == 4 * (12 + 20 + 15)
