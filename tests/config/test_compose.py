"""A single run is a job of Hydra: what a Hydra user expects of one works, and nothing of it is carried in globals."""

from __future__ import annotations

import ast
import logging
import os
import re
import sys
from pathlib import Path

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import gantrain
from gantrain.config.compose import HYDRA_1_3

TINY = ["dataset=ring", "debug=tiny", "train.steps=1", "metric=none", "train.sample_every=0", "device=cpu"]
CALLBACK = """
import os
from hydra.experimental.callback import Callback


class Recorder(Callback):
    calls = []

    def on_run_start(self, config, **_):
        self.calls.append("on_run_start")

    def on_job_start(self, config, **_):
        self.calls.append(("on_job_start", os.environ.get("JOB_VARIABLE"), os.getcwd()))

    def on_job_end(self, config, job_return, **_):
        self.calls.append(("on_job_end", job_return.status.name))

    def on_run_end(self, config, job_return, **_):
        self.calls.append(("on_run_end", job_return.status.name))
"""


def hydra_files(run: Path, folder: str = ".hydra") -> dict[str, object]:
    return {path.stem: yaml.safe_load(path.read_text()) for path in (run / folder).iterdir()}


@pytest.fixture
def recorder(tmp_path, monkeypatch):
    """The list of calls of a callback that the user has on the path."""
    (tmp_path / "recorder.py").write_text(CALLBACK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "recorder", raising=False)
    import recorder

    return recorder.Recorder.calls


def test_job_writes_its_config_and_overrides_as_hydra_does(run_cli, tmp_path):
    words = [*TINY, "hydra.run.dir=run", "hydra.job.name=mine", "hydra.output_subdir=.mine"]
    assert run_cli(*words, 'name="${hydra:job.name}"')[0] == 0
    found = hydra_files(tmp_path / "run", ".mine")
    assert set(found) == {"config", "hydra", "overrides"}
    assert found["overrides"] == [*TINY, 'name="${hydra:job.name}"']
    assert "hydra" not in found["config"]
    assert found["config"]["train"]["steps"] == 1
    hydra = found["hydra"]["hydra"]
    assert hydra["mode"] == "RUN"
    assert hydra["job"]["name"] == "mine"
    assert hydra["runtime"]["output_dir"] == str(tmp_path / "run")
    assert hydra["overrides"]["hydra"][0] == "hydra.run.dir=run"


def test_job_runs_in_its_folder_and_environment(run_cli, tmp_path, recorder):
    before = os.getcwd(), dict(os.environ), sys.argv[:], HydraConfig.instance().cfg
    job = ["hydra.job.chdir=true", "+hydra.job.env_set.JOB_VARIABLE=1", "run.dir=run"]
    callback = ["+hydra.callbacks.mine._target_=recorder.Recorder"] if HYDRA_1_3 else []
    assert run_cli(*TINY, *job, *callback)[0] == 0
    assert (os.getcwd(), dict(os.environ), sys.argv, HydraConfig.instance().cfg) == before
    assert not GlobalHydra.instance().is_initialized()
    assert (tmp_path / "run/result.json").is_file()
    if HYDRA_1_3:  # later versions instantiate only what the program trusts
        start = ("on_job_start", "1", str(tmp_path / "run"))
        assert recorder == ["on_run_start", start, ("on_job_end", "COMPLETED"), ("on_run_end", "COMPLETED")]


@pytest.mark.skipif(not HYDRA_1_3, reason="later versions instantiate only what the program trusts")
def test_job_that_fails_tells_callbacks_and_prints_one_error(run_cli, recorder):
    words = [*TINY, "train.steps=60", "optimizer=sgd", "optimizer.d_lr=1000", "optimizer.schedule=constant"]
    code, _, err = run_cli(*words, "run.dir=run", "+hydra.callbacks.mine._target_=recorder.Recorder")
    assert code == 6
    assert "Error executing job" not in err
    assert err.strip().splitlines()[-1].startswith("gantrain: error: ")
    assert recorder[-2:] == [("on_job_end", "FAILED"), ("on_run_end", "FAILED")]


def test_job_follows_hydra_verbose_and_job_logging(run_cli, tmp_path):
    before = logging.root.level, logging.root.handlers[:]
    try:
        words = [*TINY, "hydra/job_logging=default", "hydra.job.name=mine", "run.dir=run"]
        assert run_cli(*words, "hydra.verbose=[gantrain.verbose]")[0] == 0
        assert logging.getLogger("gantrain.verbose").level == logging.DEBUG
        assert (tmp_path / "run/mine.log").is_file()
    finally:
        for handler in set(logging.root.handlers) - set(before[1]):
            handler.close()
        logging.root.handlers[:] = before[1]
        logging.root.setLevel(before[0])


@pytest.mark.parametrize("how", ["--config-dir", "hydra.searchpath"])
def test_job_takes_config_folder_and_config_name(how, run_cli, tmp_path):
    (tmp_path / "mine/optimizer").mkdir(parents=True)
    (tmp_path / "mine/optimizer/brisk.yaml").write_text(
        "# My own.\ndefaults: [/schema/optimizer/adam@_here_, _self_]\ng_lr: 0.25\n"
    )
    (tmp_path / "mine/other.yaml").write_text("defaults: [config, _self_]\nseed: 77\n")
    place = [how, "mine", "--config-name", "other"]
    if how == "hydra.searchpath":
        place = [f"hydra.searchpath=[file://{tmp_path / 'mine'}]"]
    assert run_cli(*TINY, "optimizer=brisk", "run.dir=run", *place)[0] == 0
    config = hydra_files(tmp_path / "run")["config"]
    assert config["optimizer"]["g_lr"] == 0.25
    assert config["seed"] == (77 if how == "--config-dir" else 0)


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("++train.steps=5", "train.steps", "5"),
        ("seed=int(3.7)", "seed", "3"),
        ("train.images=null", "train.images", "null"),
        ("metric.title='it\\'s a,b'", "metric.title", "it's a,b"),
        ("+metric.published={divergence/js: 1e-2}", "metric.published.divergence/js", "0.01"),
        ("hydra.job.name=1e3", "hydra.job.name", "1e3"),
    ],
)
def test_word_of_hydra_does_what_its_documentation_says(word, key, value, run_cli):
    kind = "hydra" if key.startswith("hydra") else "job"
    code, out, err = run_cli(word, "--cfg", kind, "--package", key)
    assert (code, out.strip()) == (0, value), err


@pytest.mark.slow
def test_sweep_takes_keys_of_the_choices_and_values_of_hydra(run_cli, tmp_path):
    words = [
        "dataset=ring,grid",
        "dataset.std=0.05",
        "penalty=r1",
        "penalty.gamma=1",
        "debug=tiny",
        "metric=none",
    ]
    places = ["run.root=${hydra:runtime.cwd}/x", "name=job${hydra:job.num}", "train.dry_run=true"]
    code, out, err = run_cli("-m", *words, *places)
    assert (code, list(tmp_path.iterdir())) == (0, []), err
    assert re.findall(r"^(\d-\S+) +(job\d): ", out, re.MULTILINE) == [("0-ring", "job0"), ("1-grid", "job1")]


@pytest.mark.parametrize(
    "words",
    [
        ["--cfg", "hydra", "dataset=ring"],
        ["--info", "searchpath"],
        pytest.param(["--hydra-help"], marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_hydra_flags_print_and_write_nothing(words, run_cli, tmp_path):
    code, out, err = run_cli(*words)
    assert (code, bool(out), list(tmp_path.iterdir())) == (0, True, []), err


def test_single_run_has_no_callback_global_or_exit():
    root = Path(gantrain.__file__).parent
    yaml_text = (root.parent / "configs/config.yaml").read_text()
    assert "callbacks" not in yaml_text
    for module in ("config/overrides", "config/compose", "training/start", "api", "cli/main"):
        tree = ast.parse((root / f"{module}.py").read_text())
        text = ast.unparse(tree)
        assert "hydra.main" not in text.replace("of hydra.main", "")
        assert "Callback)" not in text
        assert "global " not in text
        assert not [
            n for n in ast.walk(tree) if isinstance(n, ast.Raise) and n.exc and "SystemExit" in ast.unparse(n)
        ]
        stores = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)]
        assert "sys.argv" not in map(ast.unparse, stores)
        values = [n.value for n in tree.body if isinstance(n, ast.Assign | ast.AnnAssign)]
        assert not [v for v in values if isinstance(v, ast.List) and not v.elts], (
            f"{module} has an empty global list"
        )
