"""Plug-ins from outside the package: folders and installed packages, and what may never run."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import gantrain.config.resolve  # noqa: F401  (registers what is shipped)
from gantrain.cli.completion import offers
from gantrain.core import plugin_loading, plugin_trust, plugins
from gantrain.core.groups import choices
from gantrain.errors import CheckpointError, ConfigError
from gantrain.registry import REGISTERED

TANH = '''
"""A game of bounded logits."""
from dataclasses import dataclass
from gantrain.objectives.cross_entropy import NonSaturating
from gantrain.registry import option, register


@register("objective")
@dataclass
class {cls}(NonSaturating):
    """A bounded game."""

    name: str = option("{name}", "registered name")
    ceiling: float = option(3.0, "largest logit", above=0)
'''
YAML = "# Bounded logits: gantrain objective={name}\ndefaults: [/schema/objective/{name}@_here_]\n"


pytestmark = pytest.mark.usefixtures("separate_plugins")


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files into a folder, and return it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def bounded(tmp_path) -> Path:
    """A folder with an objective of the user's."""
    files = {
        "bounded.py": TANH.format(cls="Bounded", name="bounded"),
        "configs/objective/bounded.yaml": YAML.format(name="bounded"),
    }
    return write(tmp_path / "mine", files)


def remembered(folder: Path) -> dict:
    """Return what a run that used a folder remembers, as JSON keeps it."""
    plugins.use([folder])
    found = json.loads(json.dumps(plugins.provenance()))
    plugins.use([])
    return found


# ------------------------------------------------------------------------------------------ loading a folder


def test_plugin_words_are_taken_from_a_command_line():
    argv = ["--plugins", "a", "sample", "RUN", "--plugins=b", "n=3"]
    assert plugins.split_plugins(argv) == (["sample", "RUN", "n=3"], ["a", "b"])
    assert plugins.split_plugins(["n=3"]) == (["n=3"], [])
    for words in (["--plugins"], ["--plugins="]):
        with pytest.raises(ConfigError, match="--plugins: names no folder"):
            plugins.split_plugins(words)


def test_plugin_folder_registers_once_and_shows_its_choices(bounded):
    plugins.use([bounded, bounded])
    assert choices("objective")["bounded"] == "Bounded logits: gantrain objective=bounded"
    assert "bounded" not in REGISTERED["objective"]  # a list runs nothing
    plugin_loading.load()
    cls = REGISTERED["objective"]["bounded"]
    plugin_loading.load()
    assert REGISTERED["objective"]["bounded"] is cls
    plugin_loading.check_plugin_choices()
    assert len(plugins.active_folders()) == 1
    plugins.use([])
    assert "bounded" not in choices("objective")


def test_plugin_folder_that_was_edited_is_loaded_anew(bounded):
    plugins.use([bounded])
    plugin_loading.load()
    text = (bounded / "bounded.py").read_text()
    (bounded / "bounded.py").write_text(text.replace("3.0", "5.0"))
    plugins.use([bounded])
    plugin_loading.load()
    assert REGISTERED["objective"]["bounded"]().ceiling == 5


def test_plugin_files_import_siblings_and_share_names(tmp_path):
    for folder in ("one", "two"):
        files = {"helper.py": f"NAME = {folder!r}\n", "test_it.py": "1 / 0\n", ".hidden.py": "1 / 0\n"}
        files["own.py"] = "from .helper import NAME\n" + TANH.format(cls="Own", name=folder)
        write(tmp_path / folder, files)
    plugins.use([tmp_path / "one", tmp_path / "two"])
    plugin_loading.load()
    modules = [sys.modules[REGISTERED["objective"][name].__module__] for name in ("one", "two")]
    assert [module.NAME for module in modules] == ["one", "two"]
    assert [Path(module.__file__) for module in modules] == [tmp_path / "one/own.py", tmp_path / "two/own.py"]


def test_plugin_byte_code_and_sub_folders_are_never_run(tmp_path):
    import py_compile

    folder = write(tmp_path / "mine", {"own.py": "raise RuntimeError('canary')\n", "sub/deep.py": "1 / 0\n"})
    py_compile.compile(str(folder / "own.py"))
    stat = (folder / "own.py").stat()
    harmless = "A = 'the same length, whole'[:23]".ljust(stat.st_size - 1)[: stat.st_size - 1] + "\n"
    (folder / "own.py").write_text(harmless)
    os.utime(folder / "own.py", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the stale byte code looks fresh
    plugins.use([folder])
    plugin_loading.load()
    write(folder, {"own.py": "from .sub import deep\n"})
    plugins.use([folder])
    with pytest.raises(ConfigError, match=r"own\.py:1: cannot be imported \(ModuleNotFoundError"):
        plugin_loading.load()


FAULTS = {
    "syntax": ("a = 1\ndef f(:\n", r"own\.py:2: is not Python"),
    "import": ("\nimport not_there\n", r"own\.py:2: cannot be imported \(ModuleNotFoundError.*not_there"),
    "exit": ("import sys\nsys.exit()\n", r"own\.py:2: cannot be imported \(SystemExit"),
    "shipped": (TANH.format(cls="Hinge", name="hinge"), r"own\.py:\d+: .*hinge is gantrain's own"),
    "twice": (
        TANH.format(cls="A", name="own") + "\nfrom . import again\n",
        r"again\.py:\d+: .*own is that of gantrain_plugins_\w+\.own",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_plugin_fault_names_file_and_line(fault, tmp_path):
    text, message = FAULTS[fault]
    files = {"own.py": text}
    if fault == "twice":
        files["again.py"] = TANH.format(cls="A", name="own")
        files["__init__.py"] = "from . import own\n"
    plugins.use([write(tmp_path / "mine", files)])
    before = dict(REGISTERED["objective"])
    with pytest.raises(ConfigError, match=message):
        plugin_loading.load()
    assert REGISTERED["objective"] == before


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"configs/objective/own.yaml": YAML.format(name="own")}, "no plug-in registers a class"),
        ({"configs/objective/hinge.yaml": YAML.format(name="hinge")}, "gantrain has its own objective=hinge"),
        ({"configs/objective/own.yaml": "a: [\n"}, "is not YAML"),
        ({"configs/objectives/own.yaml": "a: 1\n"}, "no config group 'objectives'; did you mean 'objective'"),
    ],
)
def test_plugin_yaml_fault_names_the_file(files, message, tmp_path):
    plugins.use([write(tmp_path / "mine", files)])
    plugin_loading.load()
    with pytest.raises(ConfigError, match=f"{next(iter(files))}.*{message}"):
        plugin_loading.check_plugin_choices()


def test_plugin_choice_of_two_folders_is_refused(tmp_path, bounded):
    other = write(tmp_path / "other", {"configs/objective/bounded.yaml": YAML.format(name="bounded")})
    plugins.use([bounded, other])
    plugin_loading.load()
    with pytest.raises(ConfigError, match="is objective=bounded, and so is"):
        plugin_loading.check_plugin_choices()


def test_plugin_folder_has_any_name(tmp_path, bounded):
    odd = bounded.rename(tmp_path / os.fsdecode(b"a'b c\xff"))
    plugins.use([odd])
    plugin_loading.load()
    known = remembered(odd)
    plugin_trust._loaded_before.clear()
    plugin_loading.load_plugins_of(known, "run")
    assert plugins.active_folders()[0].path == str(odd)


def test_plugin_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=f"--plugins: there is no folder {tmp_path}/gone"):
        plugins.use([tmp_path / "gone"])
    with pytest.raises(ConfigError, match="contains no plug-ins"):
        plugins.use([tmp_path])


# --------------------------------------------------------------------------------------------------- trust


def test_plugins_of_a_run_are_loaded_where_the_user_loaded_them(bounded):
    known = remembered(bounded)
    with pytest.raises(ConfigError, match=r"run: was trained with plug-ins of .*not loaded before"):
        plugin_loading.load_plugins_of(known, "run")
    plugins.use([bounded])
    plugin_loading.load()
    plugin_trust._loaded_before.clear()  # another process
    plugins.use([])
    plugin_loading.load_plugins_of(known, "run")
    assert [folder.path for folder in plugins.active_folders()] == [str(bounded)]
    record = plugin_trust._record_path()
    assert record is not None
    assert record.stat().st_mode & 0o777 == 0o600


def test_plugins_of_a_run_that_changed_or_went_are_named(bounded, tmp_path):
    plugins.use([bounded])
    plugin_loading.load()
    known = remembered(bounded)
    with (bounded / "bounded.py").open("a") as file:
        file.write("\n")
    for loaded_since in (False, True):
        if loaded_since:
            plugins.use([bounded])
            plugin_loading.load()
            plugins.use([])
        message = f"have changed since the run: bounded.py; .*--plugins {bounded}"
        with pytest.raises(ConfigError, match=message):
            plugin_loading.load_plugins_of(known, "run")
    plugins.use([bounded])
    plugin_loading.load_plugins_of(known, "run")  # which the user accepts by naming it
    plugins.use([])
    bounded.rename(tmp_path / "moved")
    with pytest.raises(ConfigError, match="that folder does not exist; restore it, or give its new place"):
        plugin_loading.load_plugins_of(known, "run")


def test_plugins_need_no_home(bounded, monkeypatch):
    for home, state in (("", ""), ("/proc/nowhere", ""), ("relative", "relative")):
        monkeypatch.setenv("HOME", home)
        monkeypatch.setenv("XDG_STATE_HOME", state)
        known = remembered(bounded)
        plugins.use([bounded])
        plugin_loading.load()
        plugins.use([])
        plugin_loading.load_plugins_of(known, "run")  # in this process the user has named it
    assert not Path("relative").exists()


def test_plugin_record_that_is_broken_trusts_nothing(bounded):
    known = remembered(bounded)
    record = plugin_trust._record_path()
    assert record is not None
    record.parent.mkdir(parents=True)
    known_key = plugin_trust._key(known["folders"][0]["path"], known["folders"][0]["sha256"])
    for content in ("", "[1]", '{"a": ', "[" * 100_000, json.dumps({known_key: ""})):
        record.write_text(content)
        record.chmod(0o666)  # where anybody could have written it, not even what it says counts
        with pytest.raises(ConfigError, match="not loaded before"):
            plugin_loading.load_plugins_of(known, "run")
    plugins.use([bounded])
    plugin_loading.load()
    plugin_trust._loaded_before.clear()
    plugins.use([])
    plugin_loading.load_plugins_of(known, "run")  # the record is whole again


def test_plugin_attacks_run_nothing(tmp_path, bounded, monkeypatch):
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w')\n" + TANH.format(cls="Bounded", name="bounded")
    evil = write(tmp_path / "evil", {"bounded.py": code, "state/gantrain/plugins.json": "{}"})
    plugins.use([bounded])
    plugin_loading.load()  # this one the user trusts
    good = remembered(bounded)["folders"][0]
    evil_digests = remembered(evil)["folders"][0]["sha256"]
    (tmp_path / "link").symlink_to(evil)
    monkeypatch.chdir(evil)
    attacks = [
        {"path": str(evil), "sha256": evil_digests},
        {"path": str(evil), "sha256": good["sha256"]},
        {"path": str(bounded), "sha256": evil_digests},
        {"path": f"{bounded}/../evil", "sha256": good["sha256"]},
        {"path": f"{bounded}/../evil", "sha256": evil_digests},
        {"path": str(tmp_path / "link"), "sha256": evil_digests},
        {"path": ".", "sha256": evil_digests},
        {"path": str(evil), "sha256": {}},
        {"path": "/dev", "sha256": {}},
    ]
    for attack in attacks:
        with pytest.raises(ConfigError, match="not loaded before"):
            plugin_loading.load_plugins_of({"folders": [attack]}, "run")
    for nonsense in ([], {"folders": 1}, {"folders": [1]}, {"folders": [{"path": "a"}]}, {"packages": "ab"}):
        with pytest.raises(CheckpointError, match="does not record which plug-ins"):
            plugin_loading.load_plugins_of(nonsense, "run")
    bounded.rename(tmp_path / "kept")  # a link and a copy in the place of what is trusted
    bounded.symlink_to(evil)
    with pytest.raises(ConfigError, match="have changed since the run"):
        plugin_loading.load_plugins_of({"folders": [good]}, "run")
    bounded.unlink()
    bounded.symlink_to(tmp_path / "kept")
    with pytest.raises(ConfigError, match="have changed since the run: it is a link"):
        plugin_loading.load_plugins_of({"folders": [good]}, "run")
    assert not canary.exists()
    assert plugins.active_folders() == ()


# ----------------------------------------------------------------------------------------- installed packages


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Path:
    """A folder of installed packages, with one that has an entry point."""
    files = {
        "bounded_gan/__init__.py": "",
        "bounded_gan/plugins/__init__.py": TANH.format(cls="Bounded", name="bounded"),
        "bounded_gan/plugins/configs/objective/bounded.yaml": YAML.format(name="bounded"),
        "bounded_gan-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: bounded-gan\nVersion: 1.2\n",
        "bounded_gan-1.2.dist-info/entry_points.txt": "[gantrain.plugins]\nbounded = bounded_gan.plugins\n",
    }
    folder = write(tmp_path / "site", files)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "bounded_gan"]:
        del sys.modules[name]


def test_plugin_package_is_listed_without_running_it(installed):
    assert choices("objective")["bounded"] == "Bounded logits: gantrain objective=bounded"
    assert "bounded_gan" not in sys.modules
    plugin_loading.load()
    plugin_loading.check_plugin_choices()
    assert REGISTERED["objective"]["bounded"].__module__ == "bounded_gan.plugins"


def test_plugin_package_is_remembered_by_runs_that_use_it(installed, monkeypatch):
    plugin_loading.load()
    assert plugin_loading.packages_of({"objective": {"name": "hinge"}, "list": ["a", 1, None]}) == []
    used = plugin_loading.packages_of({"objective": {"name": "bounded"}})
    known = plugins.provenance(used)
    assert known == {"packages": [{"name": "bounded-gan", "version": "1.2"}]}
    plugin_loading.load_plugins_of(known, "run")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(installed)])
    with pytest.raises(ConfigError, match="the plug-in package bounded-gan, not installed here"):
        plugin_loading.load_plugins_of(known, "run")


def test_plugin_package_in_the_working_folder_is_not_run(installed, monkeypatch):
    write(installed, {"bounded_gan/plugins/__init__.py": "raise RuntimeError('canary')\n"})
    monkeypatch.chdir(installed)
    for place in ("", ".", str(installed)):  # as python -m and PYTHONPATH=. put it first
        monkeypatch.setattr(sys, "path", [place, *(one for one in sys.path if one != str(installed))])
        assert plugins.installed_packages() == ()
        plugin_loading.load()
        assert "bounded" not in choices("objective")
    assert "bounded_gan.plugins" not in sys.modules


def test_plugin_package_that_is_broken_is_named(installed):
    write(installed, {"bounded_gan/plugins/__init__.py": "import not_there\n"})
    with pytest.raises(ConfigError, match=r"bounded-gan 1\.2: cannot be imported .*pip uninstall"):
        plugin_loading.load()


# ----------------------------------------------------------------------------------------------- the command


TINY = ("debug=tiny", "train.steps=2", "device=cpu", "metric=none", "dataset=ring")


def in_new_process() -> None:
    """Forget all that this process knows of plug-ins, as a new one would; the user's record stays."""
    plugins.use([])
    plugin_trust._loaded_before.clear()
    for name in list(plugin_loading._loaded):
        plugin_loading._unload(name)


def test_plugin_objective_trains_and_its_run_finds_it_again(run_cli, bounded, tmp_path, monkeypatch):
    words = ("objective=bounded", "objective.ceiling=4", "run.dir=run", *TINY)
    assert run_cli("--plugins", bounded, "list", "objective")[1].count("bounded") == 2
    code, _, err = run_cli(*words)
    assert (code, "objective: 'bounded' is not one of its choices" in err) == (2, True), err
    code, _, err = run_cli(*words, "--plugins", bounded)
    assert code == 0, err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    (folder,) = result["plugins"]["folders"]
    assert folder["path"] == str(bounded)
    assert sorted(folder["sha256"]) == ["bounded.py", "configs/objective/bounded.yaml"]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["objective"]["ceiling"] == 4
    for verb in (
        ["sample", "run"],
        ["evaluate", "run", "metric=js"],
        ["resume", "run", "train.steps=4"],
        ["export", "run"],
    ):
        in_new_process()
        code, _, err = run_cli(*verb)
        assert code == 0, err
    assert json.loads((tmp_path / "run" / "result.json").read_text())["plugins"] == result["plugins"]

    (tmp_path / "state").mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # another user
    in_new_process()
    code, _, err = run_cli("sample", "run")
    assert (code, "not loaded before" in err) == (2, True), err
    page = run_cli("show", "run")[1]
    assert (
        f"plug-ins   {bounded}\ncaution    was trained with plug-ins of {bounded}, which you have not" in page
    )
    words = [w for w in words if not w.startswith(("objective", "run.dir"))]
    for verb in (
        ["show", "run"],
        ["compare", "run"],
        ["report", "run", "out=report.html"],
        ["train.init_from=run", *words, "run.dir=heir"],
    ):
        assert run_cli(*verb)[0] == 0  # none of which needs its classes
    assert "bounded" not in REGISTERED["objective"]
    with (bounded / "bounded.py").open("a") as file:
        file.write("\n")
    code, _, err = run_cli("resume", "run", "train.steps=6", f"--plugins={bounded}")
    assert code == 0, err
    assert "this run will not continue bit for bit: bounded.py" in err


def test_show_prints_a_command_that_repeats_a_plugin_run(run_cli, bounded, tmp_path, monkeypatch):
    own = "# @package _global_\n# Mine: gantrain experiment=own\ntrain: {batch_size: 8}\n"
    write(tmp_path, {"own configs/experiment/own.yaml": own, "rows.csv": "a\n" + "1\n2\n" * 20})
    words = ["--plugins", "mine", "--config-dir", "own configs", "experiment=own", "objective=bounded"]
    words += ["dataset=table", "dataset.path=rows.csv", "run.dir=run", *TINY[:-1]]
    assert run_cli(*words)[0] == 0
    write(tmp_path, {"elsewhere/outputs/README.md": ""})
    monkeypatch.chdir(tmp_path / "elsewhere")
    page = run_cli("show", "../run")[1]
    assert "caution" not in page
    (command,) = (line for line in page.splitlines() if line.startswith("command    gantrain"))
    in_new_process()
    assert run_cli(*shlex.split(command)[2:])[0] == 0
    (again,) = Path("outputs").glob("*/*/config.json")
    first, second = (json.loads(path.read_text()) for path in (tmp_path / "run" / "config.json", again))
    assert first | {"run": None} == second | {"run": None}


FAMILIES = {
    "objective": (
        "from gantrain.objectives.cross_entropy import NonSaturating as Base",
        "ceiling: float = option(3.0, 'largest logit', above=0)",
    ),
    "penalty": (
        "from gantrain.penalties.r1 import R1 as Base",
        "gamma: float = option(0.5, 'weight', minimum=0)",
    ),
    "optimizer": (
        "from gantrain.optimizers.sgd import SGD as Base",
        "momentum: float = option(0.25, 'share', minimum=0)",
    ),
    "model": (
        "from gantrain.models.mlp import MLP as Base",
        "depth: int = option(1, 'layers', minimum=1)",
    ),
    "dataset": (
        """import torch
from gantrain.core.spec import Spec
from gantrain.datasets.base import Split, Synthetic as Base""",
        """length: float = option(2.0, "of the segment", above=0)

    def spec(self):
        return Spec(shape=(2,))

    def sample(self, n, generator):
        return Split(self.length * torch.rand(n, 2, generator=generator), None)""",
    ),
    "metric": (
        "from gantrain.metrics.base import Metric as Base",
        """factor: float = option(1.0, "of the tag", above=0)
    tags = ("fidelity/own",)

    def __call__(self, evaluation):
        return {"fidelity/own": self.factor}""",
    ),
    "features": (
        "from gantrain.features.base import Extractor, Features as Base",
        """size: int = option(2, "numbers", minimum=1)

    def load(self, data):
        return Head(self.size)


class Head(Extractor):
    def __init__(self, size):
        super().__init__()
        self.dimension, self.protocol, self.bytes_per_sample = size, {}, 4

    def forward(self, x):
        return x.flatten(1)[:, : self.dimension]""",
    ),
    "augment": (
        "import torch\nfrom gantrain.augment.base import Augmentation as Base",
        """size: float = option(0.1, "of the shift", minimum=0)

    def draw(self, n, generator):
        return torch.randn(n, generator=generator)

    def __call__(self, x, draw, memory=None):
        return x + self.size * draw.view(-1, *[1] * (x.dim() - 1))""",
    ),
}


@pytest.fixture
def families(tmp_path) -> Path:
    """A folder with one plug-in of each family, a Python file and a YAML file each."""
    files = {}
    for group, (base, body) in FAMILIES.items():
        files[f"my_{group}.py"] = f"""
from dataclasses import dataclass
from gantrain.registry import option, register
{base}


@register("{group}")
@dataclass
class Own(Base):
    name: str = option("own", "registered name")
    {body}
"""
        schema = "suite@_here_, _self_]\nnames: [own]" if group == "metric" else "own@_here_]"
        files[f"configs/{group}/own.yaml"] = (
            f"# A {group} of my own: gantrain {group}=own\ndefaults: [/schema/{group}/{schema}\n"
        )
    return write(tmp_path / "all", files)


def test_plugin_of_each_family_is_used_in_one_run(run_cli, families, tmp_path):
    words = [f"{group}=own" for group in FAMILIES]
    words += ["debug=tiny", "train.steps=2", "device=cpu", "dataset.length=3", "metric.own.factor=2"]
    code, _, err = run_cli("--plugins", families, *words, "run.dir=run")
    assert code == 0, err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    for group in FAMILIES:
        assert (config[group]["name"] if group != "metric" else config[group]["names"][0]) == "own"
    assert config["dataset"]["length"] == 3
    assert config["penalty"]["gamma"] == 0.5
    assert json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]["fidelity/own"] == 2
    code, out, _ = run_cli("list", f"--plugins={families}")
    assert code == 0
    assert out.count(" of my own: gantrain ") == len(FAMILIES)
    for verb in (
        ["evaluate", "run", "metric=own", "metric.own.factor=3"],
        ["sample", "run"],
        ["resume", "run", "train.steps=3"],
    ):
        in_new_process()
        code, _, err = run_cli(*verb)
        assert code == 0, err


def test_plugin_words_complete(bounded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert set(offers(["--plug"])) == {"--plugins"}
    assert set(offers(["--plugins", "mi"])) == {"mine/"}
    assert set(offers(["--plugins=mi"])) == {"--plugins=mine/"}
    assert offers(["--plugins", "mine", "objective=bo"]) == {"objective=bounded": "Bounded logits"}
    assert set(offers(["--plugins", "mine", "sam"])) == {"sample"}
    assert offers(["--plugins=gone", "objective=bo"]) == {}
    assert "bounded" not in REGISTERED["objective"]


def test_plugin_objective_serves_from_python(bounded, tmp_path, monkeypatch):
    import gantrain

    monkeypatch.chdir(tmp_path)
    words = ["objective=bounded", "run.dir=run", *TINY]
    with pytest.raises(ConfigError, match="'bounded' is not one of its choices"):
        gantrain.train(words)
    run = gantrain.train(words, plugins=bounded)
    in_new_process()
    assert gantrain.load("run").sample(3).equal(run.sample(3))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    in_new_process()
    with pytest.raises(ConfigError, match="not loaded before"):
        gantrain.load("run")
    assert gantrain.load("run", plugins=[bounded]).sample(3).equal(run.sample(3))


@pytest.mark.slow
def test_plugins_are_swept_and_resumed(families, tmp_path, run_cli, monkeypatch):
    own = [f"{group}=own" for group in FAMILIES if group != "objective"]
    words = ("-m", "objective=own,hinge", *own, "metric.own.factor=2", "run.dir=swept", *TINY[:3])
    joblib = ("hydra/launcher=joblib",)  # whose processes know nothing of this one
    command = [sys.executable, "-m", "gantrain", "--plugins", str(families), *words, *joblib]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    known = remembered(families)
    for job in ("0-own", "1-hinge"):
        result = json.loads((tmp_path / "swept" / job / "result.json").read_text())
        assert (result["status"], result["plugins"]) == ("finished", known)
        assert result["metrics"]["fidelity/own"] == 2
    plan = json.loads((tmp_path / "swept" / "sweep.json").read_text())
    assert plan["plugins"] == known
    assert plan["command"].startswith(f"gantrain --plugins {families} -m ")

    (tmp_path / "swept/1-hinge/result.json").rename(tmp_path / "kept.json")
    more = ("hydra/launcher=basic", "train.steps=3")
    code, _, err = run_cli("resume", "swept", *more)  # each job in a new process
    assert code == 0, err
    for job in ("0-own", "1-hinge"):
        assert json.loads((tmp_path / "swept" / job / "result.json").read_text())["step"] == 3
    in_new_process()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    code, _, err = run_cli("resume", "swept", "train.steps=4")
    assert (code, "swept: was trained with plug-ins of" in err) == (2, True), err
    # A sweep that a stranger made says on its command line what is the user's to say.
    evil = write(tmp_path / "evil", {"own.py": f"open({str(tmp_path / 'canary')!r}, 'w')\n"})
    for words in (["--plugins", str(evil)], [f"--plugins={evil}"]):
        plan |= {"argv": [*words, *plan["argv"]], "plugins": {}}
        (tmp_path / "swept" / "sweep.json").write_text(json.dumps(plan))
        assert run_cli("resume", "swept", "train.steps=4")[0] == 4
    assert not (tmp_path / "canary").exists()
