"""The wheel stands alone, and the documents say what is so."""

from __future__ import annotations

import ast
import email
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from composed import composed
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

import gantrain
from gantrain import errors
from gantrain.cli import help as pages
from gantrain.cli.command import command_names
from gantrain.config.compose import compose
from gantrain.config.replicas import with_seeds
from gantrain.config.resolve import plain_data, resolve
from gantrain.core.spec import Spec
from gantrain.datasets.digits import Digits
from gantrain.metrics.nearest import nearest
from gantrain.metrics.prdc import prdc
from gantrain.metrics.sharpness import sharpness
from gantrain.registry import build, parse
from gantrain.sampling.options import SampleOptions
from hydra_plugins.gantrain_sweepers.optuna_sweeper import parse_dimension

ROOT = Path(__file__).resolve().parents[1]
README, CONTRIBUTING, ESTIMATES, FIRST_RUN, CONFIGURATION = (
    ROOT / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/estimates.md",
        "docs/first-run.md",
        "docs/configuration.md",
    )
)
DOCUMENTS = [
    README,
    CONTRIBUTING,
    ROOT / "CHANGELOG.md",
    ROOT / "outputs" / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
]
# The pages that tell a reader what to type; the commands of the reference are those of the YAML files.
GUIDES = [README, CONTRIBUTING, *sorted(set(ROOT.glob("docs/*.md")) - {CONFIGURATION})]


FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the fenced code blocks of a Markdown page that are in one of the languages; "" is none."""
    fenced = FENCED.findall(page.read_text(encoding="utf-8"))
    return [text for language, text in fenced if language in languages]


def prose(page: Path) -> str:
    """Return a Markdown page without its fenced code blocks."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def rows(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the first table whose head starts with ``heading``, without its head."""
    lines = iter(page.read_text(encoding="utf-8").splitlines())
    next(line for line in lines if line.startswith(f"| {heading} |"))
    next(lines)
    table = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


# ------------------------------------------------------------------------------------------- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return a wheel built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def unpack(wheel: Path, folder: Path) -> Path:
    """Unpack a wheel as an installer would, and return the folder for PYTHONPATH."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def python(site: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python elsewhere than in the checkout, with the unpacked wheel before it."""
    env = os.environ | {"PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )


def test_the_wheel_holds_every_module_and_yaml_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {
        path.relative_to(ROOT).as_posix()
        for folder in ("gantrain", "hydra_plugins")
        for path in ROOT.glob(f"{folder}/**/*.py")
    }
    files = [*ROOT.glob("configs/**/*.yaml"), ROOT / "configs" / "keys.json"]
    configs = {f"gantrain/{path.relative_to(ROOT).as_posix()}" for path in files}
    pages = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("gantrain/reports/*.[hcj][ts]*")}
    templates = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("gantrain/cli/templates/*.txt")}
    assert (len(pages), len(templates)) == (6, 8)
    read = [path for path in ROOT.glob("docs/**/*") if path.is_file() and "__pycache__" not in path.parts]
    documentation = {
        f"gantrain/{path.relative_to(ROOT).as_posix()}"
        for path in (*read, CONTRIBUTING, ROOT / "SECURITY.md")
    }
    weights = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("gantrain/features/weights/*")}
    assert sorted(Path(name).name for name in weights) == ["digits.safetensors", "mnist.safetensors"]
    assert names == modules | configs | pages | templates | weights | documentation | {
        "gantrain/py.typed",
        "gantrain/core/synonyms.toml",
    }


def test_the_wheel_carries_its_metadata_and_console_script(wheel):
    with zipfile.ZipFile(wheel) as archive:
        info = f"gantrain-{gantrain.__version__}.dist-info"
        metadata = email.message_from_bytes(archive.read(f"{info}/METADATA"))
        script = archive.read(f"{info}/entry_points.txt").decode()
        licence = archive.read(f"{info}/licenses/LICENSE")
    assert metadata["Version"] == gantrain.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_payload(decode=True) == README.read_bytes()
    assert "gantrain = gantrain.cli.main:main" in script.splitlines()
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert b"TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in licence


def test_every_library_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = [
        *project["dependencies"],
        *(one for extra in ("sweeps", "onnx", "parquet", "hub", "ray") for one in extras[extra]),
    ]
    assert all(">=" in one for one in declared)  # so that .ci/bounds can install the oldest
    names = {re.split("[<>=]", one)[0].lower() for one in declared}
    imported = set()
    for path in (path for folder in ("gantrain", "hydra_plugins") for path in ROOT.glob(f"{folder}/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported |= {module.partition(".")[0] for module in modules}
    own = {"gantrain", "hydra_plugins", "_typeshed", "IPython"}  # the last is where a notebook runs
    outside = imported - sys.stdlib_module_names - own
    distributions = packages_distributions()
    assert len(outside) > 15
    for name in outside:
        assert names & {one.lower().replace("_", "-") for one in distributions.get(name, [name])}, name


# --------------------------------------------------------------- the worked example, and what a run is


@pytest.fixture(scope="module")
def example(wheel, tmp_path_factory):
    """Follow CONTRIBUTING's worked example in a copy, train with it and on conditional points.

    Returns the folder that holds the copy and both runs, and what was printed.
    """
    folder = tmp_path_factory.mktemp("example")
    site = unpack(wheel, folder)
    module, law = blocks(CONTRIBUTING, "python")
    (option,) = blocks(CONTRIBUTING, "yaml")
    (site / "gantrain" / "objectives" / "exponential.py").write_text(module, encoding="utf-8")
    (site / "gantrain" / "configs" / "objective" / "exponential.yaml").write_text(option, encoding="utf-8")
    (folder / "law.py").write_text(law, encoding="utf-8")
    script = """
import law
from gantrain.cli.main import main
law.test_exponential_reads_the_squared_hellinger_distance_at_the_best_logits()
assert main(["--cfg", "job", "objective=exponential"]) == 0
print("---")
images = ["objective=exponential", "metric=full", "metric.n=100"]
assert main([*images, "debug=tiny", "train.steps=6", "run.dir=images"]) == 0
points = ["dataset=ring", "objective=conditional", "penalty=r1", "noise=both", "noise.label_flip=0.05"]
points += ["metric=full", "metric.n=100"]
assert main([*points, "debug=tiny", "train.steps=6", "run.dir=points"]) == 0
"""
    (folder / "follow.py").write_text(script)
    done = python(site, folder, "follow.py")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_unpacked_wheel_composes_from_its_own_yaml(example):
    folder, said = example
    page = python(folder / "site", folder, "-m", "gantrain", "list")
    assert (page.returncode, page.stderr) == (0, "")
    assert "The exponential loss of boosting" in page.stdout  # a choice that the checkout does not have
    read = python(folder / "site", folder, "-m", "gantrain", "docs")
    assert read.stdout.startswith(f"the pages are in {folder}/site/gantrain/docs;")
    job = yaml.safe_load(said.split("---")[0])
    assert job["objective"] == {"name": "exponential"}
    assert set(pages.GROUPS) - {"experiment", "sweep", "debug"} <= set(job)


def tags(folder: Path) -> set[str]:
    """Return the tag of every scalar and picture of a run's event file."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    (path,) = folder.glob("events.out.tfevents.*")
    events = map(Event.FromString, RawEventFileLoader(str(path)).Load())
    values = [value for event in events for value in event.summary.value]
    return {value.tag for value in values if value.WhichOneof("value") in ("simple_value", "image")}


def test_the_worked_example_needs_its_two_files_and_no_edit(example):
    result = json.loads((example[0] / "images" / "result.json").read_text())
    assert result["status"] == "finished"
    assert {"divergence/squared_hellinger", "divergence/squared_hellinger_se"} <= set(result["metrics"])
    assert result["metrics"]["divergence/squared_hellinger"] <= 2


def test_the_first_run_lists_what_a_run_folder_holds(example):
    folder = example[0] / "images"
    listing = FIRST_RUN.read_text(encoding="utf-8").split("## A run's folder")[1].split("```")[1]
    named = [line.split()[0].rstrip("/") for line in listing.strip().splitlines()]
    found = {path for path in folder.iterdir() if path.name != ".lock"}
    assert {path for name in named for path in folder.glob(name)} == found
    assert all(any(folder.glob(name)) for name in named)


def test_tags_written_are_the_tags_explained(example):
    written = tags(example[0] / "images") | tags(example[0] / "points")
    options = [composed(f"objective={stem}")["objective"] for stem in pages.choices("objective")]
    objectives = [build("objective", option) for option in options]
    of_objectives = {f"divergence/{getattr(objective, 'quantity', 'game')}" for objective in objectives}
    known = written | of_objectives | {"divergence/js_batch"}  # the last is what a packed D reads
    sections = "|".join(sorted({tag.partition("/")[0] for tag in written}))
    explained = set(re.findall(rf"\b(?:{sections})/[a-z_0-9]+", ESTIMATES.read_text(encoding="utf-8")))
    assert {tag.removesuffix("_se") for tag in written} | of_objectives <= explained
    # Metrics outside these two runs' suites say their tags in their own source.
    source = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "gantrain").rglob("*.py")))
    known |= set(re.findall(rf"\b(?:{sections})/[a-z_0-9]+", source))
    examples = "".join(block for page in GUIDES for block in blocks(page, "python"))
    known |= {f"divergence/{name}" for name in re.findall(r'quantity = "(\w+)"', examples)}
    for page in (
        page for page in GUIDES if not page.name.startswith("theory")
    ):  # the lecture's have their own test
        named = set(re.findall(rf"`((?:{sections})/[a-z_0-9]+)`", page.read_text(encoding="utf-8")))
        assert {tag.removesuffix("_se") for tag in named} <= known, page.name


# ----------------------------------------------------------------------------- commands that are named


def commands(text: str) -> list[str]:
    """Return the ``gantrain`` command lines of a text, without comments and what stands beside them."""
    whole = re.sub(r" *\\\n *", " ", text)  # a line that goes on in the next
    lines = (re.split(" {2,}", part.strip())[0] for line in whole.splitlines() for part in line.split("&&"))
    return [" ".join(shlex.split(line, comments=True)) for line in lines if re.match(r"gantrain( |$)", line)]


def said(page: Path) -> list[str]:
    """Return the command lines in a page's sentences, which may break them across lines."""
    return [" ".join(code.split()) for code in re.findall(r"`(gantrain [^`]+)`", prose(page))]


def named_commands(guides: Sequence[Path]) -> list[str]:
    """Return the command lines of guides, in blocks and in sentences, and of the help page's examples."""
    texts = [block for page in guides for block in [*blocks(page, "bash", ""), *said(page)]]
    texts.append(pages.EXAMPLES.split("Every key")[0])
    # What is not there, or is the reader's. Commands with plug-ins are run in test_docs.
    of_example = ("exponential", "RUN", "SWEEP", "NAME", "=mine", "--plugins")
    named = {c for text in texts for c in commands(text) if not any(word in c for word in of_example)}
    # The command that a choice's first line shows is composed where every choice is.
    shown = {
        f"gantrain{t.rpartition(': gantrain')[2]}" for g in pages.GROUPS for t in pages.choices(g).values()
    }
    return sorted(named - {command for command in shown if " -m " not in command})


def overrides(words: list[str]) -> list[list[str]]:
    """Return the overrides of the runs that a command line of training starts: of a sweep, the first and the last."""
    flags = ("-m", "--help", "--version", "--cfg", "job", "hydra", "-p", "train", "hydra.launcher")
    given = with_seeds([word for word in words if word not in flags])
    if any(
        word.startswith("sweep=") for word in given
    ):  # a space to search, of which one point speaks for all
        parsed = OverridesParser.create().parse_overrides(given)
        first = {o.get_key_element(): parse_dimension(o).ends[0] for o in parsed if o.is_sweep_override()}
        return [
            [f"{key}={first[key]}" if (key := word.partition("=")[0]) in first else word for word in given]
        ]
    if "-m" not in words and not any(word.startswith("train.replicas=") for word in words):
        return [given]
    parsed = OverridesParser.create().parse_overrides(given)
    jobs = BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]
    for key, _, value in (word.partition("=") for job in jobs for word in job):
        assert key not in pages.GROUPS or value in pages.choices(key), (key, value)
    # Jobs that differ in their seed alone compose alike, so one of them speaks for all.
    alike = {tuple(word for word in job if not word.startswith("seed=")): list(job) for job in jobs}
    found = list(alike.values())
    return found if len(found) == 1 else [found[0], found[-1]]


FIRST_READ = named_commands([README, FIRST_RUN])


@pytest.mark.parametrize(
    "command",
    [
        command if command in FIRST_READ else pytest.param(command, marks=pytest.mark.slow)
        for command in named_commands(GUIDES)
    ],
)
def test_every_command_that_is_named_composes_and_resolves(command, tmp_path):
    words = command.split()[1:]
    if words and words[0] in ("train", *command_names()):
        return
    searched = []
    if "--config-dir" in words:
        at = words.index("--config-dir")
        (option,) = blocks(FIRST_RUN, "yaml")
        path = tmp_path / words[at + 1] / "experiment" / "twelve.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(option, encoding="utf-8")
        searched = [f"hydra.searchpath=[file://{tmp_path / words[at + 1]}]"]
        del words[at : at + 2]
    if "hydra/launcher=ray" in words and find_spec("hydra_plugins.hydra_ray_launcher") is None:
        words = [word for word in words if not re.match(r"\+?hydra.launcher", word)]
    for given in overrides(words):
        config = compose([*given, *searched])
        # Files that are looked for at a path or under a root need not be here for a command to be right.
        resolve(plain_data(config), Spec((1, 28, 28), 10) if {"root", "path"} & set(config.dataset) else None)


def test_the_readme_names_every_verb_and_no_other_word():
    lines = [line for block in blocks(README, "bash") for line in commands(block)]
    first = {line.split()[1] for line in lines if len(line.split()) > 1}
    assert {word for word in first if "=" not in word and not word.startswith("-")} <= {
        "train",
        *command_names(),
    }
    named = set(re.findall(r"`?gantrain ([a-z-]+)\b(?!=)", README.read_text(encoding="utf-8")))
    assert set(command_names()) <= named


def test_sample_takes_the_words_that_the_readme_gives_it():
    lines = [line for block in blocks(README, "bash") for line in block.splitlines()]
    words = [shlex.split(line, comments=True)[3:] for line in lines if line.startswith("gantrain sample ")]
    assert words
    for given in words:
        pairs = dict(word.split("=", 1) for word in given)
        parse(SampleOptions, "", {k: v if k == "condition" else yaml.safe_load(v) for k, v in pairs.items()})


@pytest.mark.parametrize("page", GUIDES, ids=lambda path: path.name)
def test_a_shell_can_read_every_command_block(page):
    for block in [*blocks(page, "bash"), *said(page)]:
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), block


def test_the_ci_script_runs_what_readme_and_contributing_say():
    path = ROOT / ".ci" / "run"
    script = path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o111
    (start,) = (block for block in blocks(README, "bash") if "pip install" in block)
    (test,) = (block for block in blocks(README, "bash") if "pytest" in block)
    install, _, train = start.partition(" && ")
    assert train.strip() == "gantrain"
    lines = script.splitlines()
    words = install.removeprefix("pip install")
    assert any(line.startswith("pip install ") and line.endswith(words) for line in lines)
    assert test.strip() in lines
    assert [line.strip() for line in blocks(CONTRIBUTING, "bash")[0].splitlines()] == [install, test.strip()]


# ------------------------------------------------------------------------------------- claims in words


def test_the_documented_exit_codes_are_those_of_the_errors():
    kinds = [errors.GantrainError, *errors.GantrainError.__subclasses__()]
    kinds = [kind for kind in kinds if kind.__module__ == errors.__name__]  # another may be imported by now
    found = {kind.__name__: kind.exit_code for kind in kinds if kind is not errors.Interrupted}
    table = rows(CONTRIBUTING, "exit code")
    in_contributing = {name.strip("`"): code for code, name, _ in table if name}
    signals = in_contributing.pop("Interrupted")
    assert {name: int(code) for name, code in in_contributing.items()} == found
    codes = {cells[0] for cells in rows(FIRST_RUN, "code")}
    assert codes == {"0", signals, *map(str, found.values())}


def test_contributing_shows_the_tree_that_is_there():
    tree = blocks(CONTRIBUTING, "")[0]
    inside = re.findall(r"^  ([a-z_]+(?:/|\.py)) ", tree, re.M)
    folders = {f"{path.name}/" for path in (ROOT / "gantrain").iterdir() if (path / "__init__.py").is_file()}
    modules = {path.name for path in (ROOT / "gantrain").glob("[a-z]*.py")}
    assert set(inside) == folders | modules
    assert all((ROOT / name).is_dir() for name in re.findall(r"^([a-z_]+)/ ", tree, re.M))
    places = [cells[1].strip("`") for cells in rows(CONTRIBUTING, "…")]
    assert len(places) >= 30
    assert [place for place in places if not (ROOT / place).exists()] == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_and_picture_exists(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [target.partition("#")[0] for target in targets if "://" not in target]
    assert [target for target in local if target and not (page.parent / target).is_file()] == []


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_to_a_heading_finds_it(page):
    targets = re.findall(r"\]\(([^)\s]+#[^)\s]*|#[^)\s]*)\)", prose(page))
    split = [target.split("#", 1) for target in targets if "://" not in target]
    assert [
        f"{path}#{anchor}"
        for path, anchor in split
        if anchor not in anchors(page.parent / path if path else page)
    ] == []


def test_every_picture_of_the_documents_is_shown_by_one():
    pictures = {path.resolve() for path in ROOT.glob("docs/images/*")}
    linked = re.compile(r"!\[[^]]*\]\(([^)\s]+)\)")
    shown = {(page.parent / target).resolve() for page in DOCUMENTS for target in linked.findall(prose(page))}
    assert pictures <= shown


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/theory*.md")), ids=lambda path: path.name)
def test_every_tag_of_the_lecture_is_explained(page):
    tag = re.compile(
        r"\b(?:divergence|diversity|fidelity|generator|gradient|logits|loss|schedule)/[a-z_0-9]+"
    )
    named, explained = (set(tag.findall(prose(path))) for path in (page, ESTIMATES))
    assert named
    assert named <= explained


def kept(page: Path) -> tuple[list, ...]:
    """Return what a translation leaves alone: code blocks, pictures, display formulas, levels of headings."""
    text = prose(page)
    return (
        FENCED.findall(page.read_text(encoding="utf-8")),
        re.findall(r"!\[[^]]*\]\(([^)\s]+)\)", text),
        re.findall(r"\$\$.+?\$\$", text, re.S),
        re.findall(r"^#+ (?:\d+\.)?", text, re.M),
    )


def test_both_editions_of_the_lecture_have_the_same_parts():
    english, chinese = (kept(ROOT / "docs" / name) for name in ("theory.md", "theory.zh-TW.md"))
    assert all(english)
    assert chinese == english


def test_blur_and_copies_read_as_the_table_says():
    data = Digits().load(0)
    train, _ = data.train.take(torch.arange(len(data.train)))
    real, some = (
        part.take(torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:300])[0]
        for part in (data.holdout, data.train)
    )
    near = torch.cdist(some.flatten(1), train.flatten(1)).topk(4, largest=False).indices[:, 1:]
    table = rows(ESTIMATES, "in the place of samples")
    names = ("precision", "recall", "density", "coverage", "sharpness", "nearest")
    for (_, *said), samples in zip(table, (some, train[near].mean(1)), strict=True):
        found = prdc(real, samples, 5) | {
            "sharpness": sharpness(samples) / sharpness(real),
            "nearest": float(
                nearest(samples, data.train)[0].median() / nearest(real, data.train)[0].median()
            ),
        }
        torch.testing.assert_close(
            torch.tensor([float(cell) for cell in said]),
            torch.tensor([found[name] for name in names]),
            atol=4e-3,  # one sample of 300, should another machine round a tie of distances otherwise
            rtol=0,
        )
