"""``gantrain doctor``: what it looks at, and what it says of what it finds."""

import os
import re
from importlib import metadata
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

from gantrain.cli.commands import doctor
from gantrain.cli.commands.doctor import FAIL, NOTE, OK, WARN, advised, judged, judged_threads, writable
from gantrain.core.system import usable_cores


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr(doctor, "BUSY", 0.01)


def test_this_machine_is_ready_and_every_line_has_its_mark(run_cli):
    code, page, err = run_cli("doctor")
    *lines, last = page.splitlines()
    assert (code, err, last) == (0, "", "ready to train")
    assert all(re.match(r"(ok|warn|-) +\S", line) for line in lines)
    told = {line[6:].split(" ", 1)[0]: line for line in lines}
    assert metadata.version("torch") in told["torch"]
    assert {"python", "hydra-core", "omegaconf", "tensorboard", "threads", "outputs", "memory"} <= set(told)
    assert f"{os.cpu_count()} cores" in told["processor"]
    assert re.search(r"float32 [\d.e+]+ GFLOP/s.* bfloat16 [\d.e+]+ GFLOP/s.*; device.precision=", page)
    assert ("cuda:0" in told) == torch.cuda.is_available()
    assert not (Path.cwd() / "outputs").exists()


def test_where_nothing_can_be_written_training_is_impossible(run_cli, tmp_path):
    (tmp_path / "outputs").write_text("a file stands where the folder should")
    code, page, err = run_cli("doctor")
    assert (code, err) == (1, "")
    (line,) = [line for line in page.splitlines() if line.startswith(FAIL)]
    assert "outputs" in line
    assert "run.root" in line


def test_it_takes_no_words(run_cli):
    code, out, err = run_cli("doctor", "now")
    assert (code, out, err.count("\n")) == (2, "", 1)


def asked(*demands: str) -> list[tuple[str, Requirement]]:
    return [("gantrain", Requirement(demand)) for demand in demands]


def test_a_library_is_judged_by_what_each_asker_wants():
    assert judged("torch", "2.14.1+cu130", asked("torch>=2.10")).mark == OK
    assert judged("torch", "2.14.0rc1", asked("torch>=2.10")).mark == OK
    old = judged("torch", "2.9.1", asked("torch>=2.10"))
    assert (old.mark, "pip install 'torch>=2.10'" in old.text) == (WARN, True)
    absent = judged("torch", None, asked("torch>=2.10"))
    assert (absent.mark, "pip install 'torch>=2.10'" in absent.text) == (FAIL, True)


def test_the_lines_of_hydra_and_omegaconf_that_do_not_go_together_are_told():
    demands = [
        ("hydra-core", demand) for demand in doctor._demands("hydra-core") if demand.name == "omegaconf"
    ]
    here = metadata.version("omegaconf")
    other = "2.4.1" if here.startswith("2.3") else "2.3.1"
    assert judged("omegaconf", here, demands).mark == OK
    assert judged("omegaconf", other, demands).mark == WARN


def test_an_extra_adds_its_own_demands(tmp_path, monkeypatch):
    lines = [
        "Metadata-Version: 2.1",
        "Name: demo",
        "Version: 1.0",
        "Requires-Dist: torch",
        "Provides-Extra: more",
    ]
    lines += ["Requires-Dist: absent-thing>=2; extra == 'more'", "Requires-Dist: old; python_version < '3'"]
    folder = tmp_path / "demo-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [demand.name for demand in doctor._demands("demo")] == ["torch"]
    assert [demand.name for demand in doctor._demands("demo", "more")] == ["absent-thing"]
    assert doctor._demands("not-there-at-all") == []


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "nonsense"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "25000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.25),
        ({"cpu.max": "100000000 1000\n"}, None),
    ],
)
def test_the_quota_of_a_container_limits_the_cores(files, limit, tmp_path):
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    mask = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert usable_cores(tmp_path) == (limit or mask)


@pytest.mark.parametrize(
    ("threads", "usable", "mark"),
    [(4, 4.0, OK), (8, 4.0, WARN), (2, 4.0, NOTE), (1, 0.5, OK), (2, 1.5, WARN)],
)
def test_threads_are_judged_by_the_whole_cores_that_may_be_used(threads, usable, mark):
    found = judged_threads(threads, usable, None)
    assert found.mark == mark
    assert ("device.threads=" in found.text) == (mark != OK)


def test_bfloat16_is_advised_only_where_it_is_clearly_faster():
    plain = (100.0, 100.0)
    for half, precision in [
        ((90, 90), "float32"),
        ((110, 200), "float32"),
        ((300, 300), "bfloat16"),
        ((300, 50), "float32"),
    ]:
        assert advised({"float32": plain, "bfloat16": half}) == precision


def test_a_place_is_writable_when_a_file_can_be_made_in_it_or_where_it_would_be_made(tmp_path):
    assert writable("outputs", tmp_path / "not" / "yet", FAIL, "move").mark == OK
    (tmp_path / "file").write_text("")
    found = writable("outputs", tmp_path / "file" / "outputs", FAIL, "move")
    assert (found.mark, found.text.endswith("; move")) == (FAIL, True)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.gpu
def test_a_gpu_is_measured_in_both_precisions():
    assert doctor.speed("cuda:0").mark == OK
