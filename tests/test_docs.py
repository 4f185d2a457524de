"""The pages of docs/ that are made, or followed, by a program: the reference, the worked examples, the notebook."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import textwrap
import tomllib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml
from composed import composed
from idx_files import write_idx

from gantrain.config.compose import compose
from gantrain.config.resolve import plain_data, resolve
from gantrain.core.groups import GROUPS, choices
from gantrain.registry import REGISTERED
from gantrain.training.evaluate import expected_tags

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def blocks(name: str, language: str) -> list[str]:
    """Return the fenced code blocks of a page that are in a language."""
    fenced = FENCED.findall((DOCS / name).read_text(encoding="utf-8"))
    return [text for kind, text in fenced if kind == language]


# ----------------------------------------------------------------------------------------- the commands


@pytest.mark.parametrize("source", ["z", "dropout", "both"])
def test_theory_command_on_sources_has_the_tag_it_compares(source):
    (line,) = (line for line in "".join(blocks("theory.md", "bash")).splitlines() if "model.source=" in line)
    words = [word for word in shlex.split(line)[2:] if not word.startswith("model.source=")]
    config = resolve(composed(*words, f"model.source={source}"))
    assert "diversity/per_condition_std" in expected_tags(config)


# ----------------------------------------------------------------------------------------- the reference


def test_the_generated_files_are_up_to_date():
    for path, text in runpy.run_path(str(DOCS / "configuration.py"))["generated"]().items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is stale; run: python docs/configuration.py"


def test_the_reference_has_every_choice_and_every_key():
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    sections = {part.split("\n", 1)[0]: part for part in re.split(r"^## ", page, flags=re.M)}
    for group in GROUPS:
        assert set(choices(group)) == set(re.findall(r"^\| `(\w+)` \|", sections[group], re.M))
    keys = set(re.findall(r"^\| `([\w.]+)` \|", page, re.M))
    for group, found in REGISTERED.items():
        for cls in found.values() if group != "metric" else ():
            assert {f"{group}.{field.name}" for field in fields(cls) if field.name != "name"} <= keys
    plain = plain_data(compose([]))
    leaves = {f"{group}.{key}" for group, tree in plain.items() if isinstance(tree, dict) for key in tree}
    # A metric's keys are a group in that of the suite.
    for leaf in list(leaves):
        group, _, key = leaf.partition(".")
        if group == "metric" and key in REGISTERED["metric"]:
            leaves = leaves - {leaf} | {f"{leaf}.{own}" for own in plain[group][key]}
    assert {leaf for leaf in leaves if not leaf.endswith(".name")} <= keys
    assert set(plain) <= keys | {leaf.partition(".")[0] for leaf in leaves}


# ------------------------------------------------------------------------------------- the worked examples

# What makes a command of the pages short, by the kind of word that it must not have a second time.
SHORT = {"debug": "debug=tiny", "train.steps": "train.steps=2", "metric": "metric=js", "device": "device=cpu"}


def typed(page: str) -> list[list[str]]:
    """Return the words of each command of the blocks of a page that use plug-ins."""
    found = [block.splitlines() for block in blocks(page, "bash") if "--plugins" in block]
    return [shlex.split(line)[1:] for lines in found for line in lines]


def short(words: list[str], folder: str) -> list[str]:
    """Return a command of training that takes seconds, and writes to a folder."""
    given = {word.partition("=")[0] for word in words}
    return [*words, *(word for key, word in SHORT.items() if key not in given), f"run.dir={folder}"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder outside the checkout as a reader of the two pages would fill it."""
    folder = tmp_path_factory.mktemp("desk")
    module, law, energy = blocks("own-objective.md", "python")
    (data,) = blocks("own-data.md", "python")
    choice, preset, suite = blocks("own-objective.md", "yaml")
    (data_choice,) = blocks("own-data.md", "yaml")
    files = {
        "my-plugins/chernoff.py": module,
        "my-plugins/test_chernoff.py": law,
        "my-plugins/energy.py": energy,
        "my-plugins/arrays.py": data,
        "my-plugins/configs/objective/chernoff.yaml": choice,
        "my-plugins/configs/objective/chernoff_third.yaml": preset,
        "my-plugins/configs/metric/energy.yaml": suite,
        "my-plugins/configs/dataset/arrays.yaml": data_choice,
        "site/chernoff_gan/__init__.py": "from chernoff_gan import chernoff",
        "site/chernoff_gan/chernoff.py": module,
        "site/chernoff_gan/configs/objective/chernoff.yaml": choice,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def followed(folder: Path, script: str, timeout: int = 300) -> str:
    """Run a script in a folder, in a fresh process that knows the checkout only as it is installed."""
    path = folder / "follow.py"
    path.write_text(script, encoding="utf-8")
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, path.name], cwd=folder, env=env, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Commands as a shell would start them, in one process, so that torch is imported once.
FOLLOW = """
import pytest
from gantrain.cli.main import main
def start(words, code=0):
    assert main(words) == code, words
if __name__ == "__main__":
"""


@pytest.mark.slow
def test_plugins_of_the_pages_run(desk):
    lines = [
        "assert pytest.main(['-q', '-p', 'no:cacheprovider', '-p', 'no:xdist', 'my-plugins']) == 0",
        "start(['objective=conditional', 'debug=tiny', 'train.steps=2', 'metric=none', 'run.dir=digits'])",
        "start(['sample', 'digits', 'n=200', 'out=pictures.npz'])",
    ]
    runs: dict[str, list[str]] = {"own-objective.md": [], "own-data.md": []}
    for page, own in runs.items():
        for words in typed(page):
            if "-m" in words:  # each of its jobs imports torch anew: the slow test follows these
                continue
            if "RUN" in words:
                run = own[0] if page == "own-objective.md" else own[-1]
                words = [
                    run if w == "RUN" else re.sub(r"^train\.steps=.*", "train.steps=4", w) for w in words
                ]
            elif "list" not in words:
                own.append(f"{Path(page).stem}{len(own)}")
                words = short(words, own[-1])
            lines.append(f"start({words!r})")
    lines.append("start(['--plugins', 'my-plugins', 'objective=chernoff', 'objective.order=2'], 2)")
    followed(desk, FOLLOW + textwrap.indent("\n".join(lines), "    "))

    for page, own in runs.items():
        assert len(own) == (3 if page == "own-objective.md" else 2)
        for name in own:
            result = json.loads((desk / name / "result.json").read_text())
            config = json.loads((desk / name / "config.json").read_text())
            assert result["status"] == "finished"
            assert [folder["path"] for folder in result["plugins"]["folders"]] == [str(desk / "my-plugins")]
            if page == "own-objective.md":
                assert result["step"] == (4 if name.endswith("0") else 2)  # one was resumed
                assert {"divergence/chernoff", "divergence/chernoff_se", "divergence/js"} <= set(
                    result["metrics"]
                )
                assert result["metrics"]["divergence/chernoff"] <= 1
                is_metric = name.endswith("2")
                assert ("divergence/energy" in result["metrics"]) == is_metric
                assert not is_metric or result["protocol"]["energy"]["power"] == 0.5
            else:
                assert config["dataset"] == {
                    "name": "arrays",
                    "path": str(desk / "pictures.npz"),
                    "holdout": 0.1,
                    "allow_changed": False,
                }
                wanted = "conditional" if name.endswith("1") else "non_saturating"
                assert config["objective"]["name"] == wanted
    with np.load(desk / "pictures.npz") as given, np.load(desk / "more.npz") as more:
        assert more["x"].shape[1:] == given["x"].shape[1:] == (8, 8, 1)


def test_plugin_package_of_the_page_is_listed(desk):
    (project,) = blocks("own-objective.md", "toml")
    known = tomllib.loads(project)["project"]
    (entry,) = known["entry-points"]["gantrain.plugins"].items()
    info = desk / "site" / f"chernoff_gan-{known['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {known['name']}\nVersion: {known['version']}\n"
    )
    (info / "entry_points.txt").write_text("[gantrain.plugins]\n" + " = ".join(entry) + "\n")
    site = f"import sys\nsys.path.insert(0, {str(desk / 'site')!r})\n"
    script = f"{site}from gantrain.cli.main import main\nmain(['list', 'objective'])"
    assert re.search(r"^  chernoff +Chernoff's coefficient", followed(desk, script), re.M)


@pytest.mark.slow
def test_plugin_sweep_of_the_page_runs(desk):
    (words,) = (words for words in typed("own-objective.md") if "-m" in words)
    words = [word for word in words if not word.startswith("metric=")]
    followed(desk, FOLLOW + f"    start({short(words, 'swept')!r})")
    found = [json.loads(path.read_text()) for path in sorted((desk / "swept").glob("*/result.json"))]
    assert [result["status"] for result in found] == ["finished"] * 6
    assert sum("divergence/chernoff" in result["metrics"] for result in found) == 3


def test_a_starter_script_registers_a_class(desk):
    starter = (
        "import sys\nimport chernoff\nfrom gantrain.cli.main import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    (desk / "my-plugins" / "conftest.py").write_text("")  # never imported as a plug-in
    (desk / "starter.py").write_text(starter)
    words = short(["--config-dir", "my-plugins/configs", "objective=chernoff", "dataset=ring"], "started")
    script = f"import sys\nsys.path.insert(0, 'my-plugins')\nsys.argv = ['starter.py', *{words!r}]\n"
    (
        desk / "my-plugins/configs/dataset/arrays.yaml"
    ).unlink()  # of the class that the starter does not import
    followed(desk, script + "import runpy\nrunpy.run_path('starter.py', run_name='__main__')\n")
    result = json.loads((desk / "started" / "result.json").read_text())
    assert (result["status"], "plugins" in result) == ("finished", False)


def test_the_sweep_of_ones_own_composes(tmp_path):
    (option,) = blocks("sweeps.md", "yaml")
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "penalties.yaml").write_text(option, encoding="utf-8")
    compose([f"hydra.searchpath=[file://{tmp_path}]", "sweep=penalties", "dataset=ring"])
    given = yaml.safe_load(option)["hydra"]["sweeper"]["params"]
    assert set(given["penalty"].split(",")) <= set(choices("penalty"))


# ------------------------------------------------------------------------------------ what names our keys


def of_ours(page: str) -> list[str]:
    """Return the words in the second column of a page's tables that are overrides."""
    rows = [
        line.split("|")[2] for line in (DOCS / page).read_text(encoding="utf-8").splitlines() if "|" in line
    ]
    found = [code for row in rows for code in re.findall(r"`([^`]+)`", row)]
    return [code for code in found if re.match(r"[a-z_]+(\.[a-z_0-9]+)*=|[a-z]+\.[a-z_0-9]+$", code)]


@pytest.mark.parametrize("code", of_ours("studiogan.md"))
def test_every_key_that_stands_beside_one_of_studiogan_is_there(code):
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    keys = set(re.findall(r"^\| `([\w.]+)` \|", page, re.M))
    for word in shlex.split(code):
        key, _, value = word.partition("=")
        assert value in choices(key) if key in GROUPS else key in keys, word


def test_the_index_lists_every_page():
    linked = set(re.findall(r"\]\(([\w.-]+)\)", (DOCS / "README.md").read_text(encoding="utf-8")))
    pages = {path.name for kind in ("*.md", "*.ipynb") for path in DOCS.glob(kind)}
    assert linked == pages - {"README.md"}


# ------------------------------------------------------------------------------------------- the notebook


def cells() -> list[dict]:
    """Return the code cells of the notebook, with their source as one text."""
    book = json.loads((DOCS / "colab.ipynb").read_text(encoding="utf-8"))
    assert (book["nbformat"], book["metadata"]["kernelspec"]["language"]) == (4, "python")
    return [
        cell | {"source": "".join(cell["source"])} for cell in book["cells"] if cell["cell_type"] == "code"
    ]


def as_python(source: str) -> str:
    """Return a cell as Python: a line with ! is a command of the shell, with the values of names in braces."""
    lines = []
    for line in source.splitlines():
        line = f"sh(f{line[1:]!r})" if line.startswith("!") else line
        lines.append("pass" if line.startswith("%") else line)
    return "\n".join(lines)


def test_the_notebook_is_clean_and_says_which_cells_are_of_colab():
    for cell in cells():
        compile(as_python(cell["source"]), "cell", "exec")
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        elsewhere = re.search(r"google\.colab|IPython|^%|/content", cell["source"], re.M) is not None
        assert ("colab" in cell["metadata"].get("tags", [])) == elsewhere
    magics = [line for cell in cells() for line in cell["source"].splitlines() if "%tensorboard" in line]
    assert magics == ["%tensorboard --logdir runs --samples_per_plugin images=500"]


@pytest.mark.parametrize(
    "line", [line for cell in cells() for line in cell["source"].splitlines() if line.startswith("!gantrain")]
)
def test_a_command_of_the_notebook_composes(line):
    words = shlex.split(line.removeprefix("!gantrain").format(device="cpu", mnist_steps=2))
    if all("=" in word for word in words):
        compose(words)


@pytest.mark.slow
def test_the_notebook_runs_on_a_cpu(tmp_path):
    write_idx(tmp_path / "data" / "MNIST" / "raw", 200, 60)
    shell = "import subprocess\ndef sh(line): subprocess.run(line, shell=True, check=True)\n"
    parts = [shell]
    for cell in cells():
        tags = cell["metadata"].get("tags", [])
        if tags == ["parameters"]:
            names = re.findall(r"^(\w+) =", cell["source"], re.M)
            assert names == ["device", "steps", "mnist_steps"]
            parts.append("device, steps, mnist_steps = 'cpu', 4, 2")
        elif not tags:
            parts.append(as_python(cell["source"]))
    followed(tmp_path, "\n".join(parts))
    for name in ("digits", "mnist"):
        assert json.loads((tmp_path / "runs" / name / "result.json").read_text())["status"] == "finished"
    assert (tmp_path / "walk.gif").stat().st_size > 0
    assert (tmp_path / "runs.zip").stat().st_size > 0


def test_every_picture_of_the_docs_is_made_by_the_script():
    script = runpy.run_path("docs/screenshots.py")
    pages = [page.read_text() for page in (Path("README.md"), *Path("docs").glob("*.md"))]
    shown = {name for page in pages for name in re.findall(r"images/(\w+)\.png", page)}
    # Of measurements that take minutes, each drawn by the program that makes them.
    measured = {"intervals": "tests/interval_coverage.py", "thermometer": "benchmarks/thermometer.py"}
    measured |= {"study": "gantrain/sweeps/study/verdict.py", "useful": "gantrain/verdicts/useful/report.py"}
    assert all(Path(program).is_file() for program in measured.values())
    assert (
        shown == {*script["PICTURES"], *measured} == {path.stem for path in Path("docs/images").glob("*.png")}
    )
    assert {run for picture in script["PICTURES"].values() for run in picture.runs} == set(script["RUNS"])
    for run, page in (("six", "dashboards"), ("ring_run", "reports")):
        assert f"\ngantrain {script['RUNS'][run]}\n" in Path(f"docs/{page}.md").read_text()
