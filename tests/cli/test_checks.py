"""The checks of ``gantrain doctor``: libraries, threads, speeds, disk."""

from importlib import metadata

import pytest
from packaging.requirements import Requirement

from gantrain.cli.checks import (
    FAIL,
    NOTE,
    OK,
    WARN,
    best_precision,
    check_speed,
    check_threads,
    check_version,
    check_writable,
    requirements_of,
)


def requirements(*texts: str) -> list[tuple[str, Requirement]]:
    return [("gantrain", Requirement(text)) for text in texts]


def test_check_version_against_every_requirement():
    assert check_version("torch", "2.14.1+cu130", requirements("torch>=2.10")).mark == OK
    assert check_version("torch", "2.14.0rc1", requirements("torch>=2.10")).mark == OK
    old = check_version("torch", "2.9.1", requirements("torch>=2.10"))
    assert (old.mark, "pip install 'torch>=2.10'" in old.text) == (WARN, True)
    absent = check_version("torch", None, requirements("torch>=2.10"))
    assert (absent.mark, "pip install 'torch>=2.10'" in absent.text) == (FAIL, True)


def test_check_version_of_hydra_lines_that_do_not_match():
    required = [("hydra-core", one) for one in requirements_of("hydra-core") if one.name == "omegaconf"]
    here = metadata.version("omegaconf")
    other = "2.4.1" if here.startswith("2.3") else "2.3.1"
    assert check_version("omegaconf", here, required).mark == OK
    assert check_version("omegaconf", other, required).mark == WARN


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
    assert [one.name for one in requirements_of("demo")] == ["torch"]
    assert [one.name for one in requirements_of("demo", "more")] == ["absent-thing"]
    assert requirements_of("not-there-at-all") == []


@pytest.mark.parametrize(
    ("threads", "usable", "mark"),
    [(4, 4, OK), (8, 4, WARN), (2, 4, NOTE), (1, 1, OK), (2, 1, WARN)],
)
def test_check_threads_against_the_usable_cores(threads, usable, mark):
    found = check_threads(threads, usable, None)
    assert found.mark == mark
    assert (f"export OMP_NUM_THREADS={usable}" in found.text) == (mark != OK)


def test_check_writable_of_a_folder_yet_to_be_made(tmp_path):
    assert check_writable("outputs", tmp_path / "not" / "yet", FAIL, "move").mark == OK
    (tmp_path / "file").write_text("")
    found = check_writable("outputs", tmp_path / "file" / "outputs", FAIL, "move")
    assert (found.mark, found.text.endswith("; move")) == (FAIL, True)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_best_precision_is_bfloat16_only_if_clearly_faster():
    plain = (100.0, 100.0)
    for half, precision in [
        ((90, 90), "float32"),
        ((110, 200), "float32"),
        ((300, 300), "bfloat16"),
        ((300, 50), "float32"),
    ]:
        assert best_precision({"float32": plain, "bfloat16": half}) == precision


@pytest.mark.gpu
def test_check_speed_of_a_gpu():
    assert check_speed("cuda:0").mark == OK
