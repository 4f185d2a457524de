"""No file of the folder in which a command is typed is imported, by it or by a process that it starts."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

LIBRARIES = (
    "numpy torch yaml hydra hydra_plugins omegaconf joblib tensorboard submitit optuna cloudpickle ray"
)
PYTHON_M = [sys.executable, "-m", "gantrain"]
SWEEP = ["-m", "dataset=ring", "debug=tiny", "metric=none", "seed=0,1", "run.dir=sweep"]


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> list[str]:
    """The command as pip installs it."""
    path = tmp_path_factory.mktemp("bin") / "gantrain"
    path.write_text("import sys\nfrom gantrain.cli.main import main\nsys.exit(main())\n")
    return [sys.executable, str(path)]


@pytest.fixture(scope="module")
def python_itself(tmp_path_factory) -> set[str]:
    """The modules that ``python -m`` imports before it looks for the one that is named."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.py").write_text("import sys; print(*sys.modules)")
    return set(run(folder, sys.executable, "-m", "own").stdout.split())


@pytest.fixture
def traps(tmp_path, canary, python_itself) -> Path:
    """A working folder with a file in the place of every module that a command could import."""
    names = set(sys.stdlib_module_names) | {"sitecustomize", "usercustomize", *LIBRARIES.split()}
    for name in names - python_itself:
        (tmp_path / f"{name}.py").write_text(f"open({str(canary)!r}, 'a').write(__name__ + ' ')\n")
    return tmp_path


def run(traps: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    own = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    return subprocess.run(command, cwd=traps, env=own | variables, text=True, capture_output=True)


@pytest.mark.parametrize("verb", ["--version", "list", "--help"])
def test_command_imports_nothing_from_the_working_folder(traps, verb):
    done = run(traps, *PYTHON_M, verb)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("variable", [":/nowhere", "/nowhere:", "/nowhere::", ":"])
def test_empty_entry_of_pythonpath_imports_nothing(traps, script, variable):
    (traps / "sitecustomize.py").unlink(
        missing_ok=True
    )  # these two Python imports before the command's first line
    (traps / "usercustomize.py").unlink(missing_ok=True)
    for command in (script, PYTHON_M):
        done = run(traps, *command, "--version", PYTHONPATH=variable)
        assert (done.returncode, done.stderr) == (0, "")


def test_folder_that_pythonpath_names_is_imported_from(tmp_path):
    (tmp_path / "mine.py").write_text("")
    script = "import sys; sys.argv = ['gantrain']; import gantrain, mine"
    for variable in (str(tmp_path), "."):
        assert run(tmp_path, sys.executable, "-c", script, PYTHONPATH=variable).returncode == 0
    assert run(tmp_path, sys.executable, "-c", script).returncode == 1


def test_program_that_imports_the_package_keeps_its_path(tmp_path):
    (tmp_path / "mine.py").write_text("")
    assert run(tmp_path, sys.executable, "-c", "import gantrain, mine").returncode == 0


@pytest.mark.parametrize("is_imported", [False, True])
def test_figures_take_no_settings_of_the_working_folder(tmp_path, is_imported):
    # With text.usetex matplotlib runs LaTeX, whose preamble is a program; what a program has set stays.
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    script = "import matplotlib\n" * is_imported
    script += "import gantrain.core.figures as f; f.load_matplotlib(); import matplotlib as m\n"
    done = run(tmp_path, sys.executable, "-c", script + "print(m.rcParams['text.usetex'])")
    assert done.stdout.strip() == str(is_imported)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local", "ray"])
def test_jobs_of_a_sweep_import_nothing_from_it(traps, launcher):
    if launcher == "ray" and find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'gantrain[ray]'")
    done = run(traps, *PYTHON_M, *SWEEP, f"hydra/launcher={launcher}")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_jobs_of_a_search_import_nothing_from_it(traps):
    words = ["metric=compare", "hydra.sweeper.n_trials=2", "run.dir=search", "dataset=ring", "debug=tiny"]
    done = run(traps, *PYTHON_M, "sweep=optuna", *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_tensorboard_imports_nothing_from_the_working_folder(traps):
    assert run(traps, *PYTHON_M, "dataset=ring", "debug=tiny", "run.dir=run").returncode == 0
    done = run(traps, *PYTHON_M, "tensorboard", "run", "--version_tb")
    assert done.returncode == 0, done.stderr
