"""A config group is one row of the table, a package with a base class, and its YAML files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gantrain
from gantrain.core.groups import GROUPS, STUDY, choices, yaml_dir

ROW = 'Group("tint", "the colour of the samples", family="tints", absent="plain"),\n        '
PACKAGE = {
    "__init__.py": "from gantrain.registry import load_family\n\nload_family(__name__)\n",
    "base.py": "class Tint:\n    def shade(self, x):\n        raise NotImplementedError\n",
    "plain.py": """
from dataclasses import dataclass
from gantrain.registry import option, register
from gantrain.tints.base import Tint

@register("tint")
@dataclass
class Plain(Tint):
    name: str = "plain"

@register("tint")
@dataclass
class Strong(Tint):
    name: str = "strong"
    depth: int = option(2, "how dark", minimum=1)
""",
}
YAML = "# {name} colour, own: gantrain tint={name}\ndefaults: [/schema/tint/{name}@_here_, _self_]\n"
SCRIPT = """
import runpy
from gantrain.cli.completion import offers
from gantrain.cli.help import all_groups_page, group_page, help_page
from gantrain.config.compose import compose
from gantrain.config.resolve import plain_data, resolve
from gantrain.errors import ConfigError

generated = runpy.run_path("docs/configuration.py")["generated"]()
for path, text in generated.items():
    path.write_text(text)
page = next(text for path, text in generated.items() if path.suffix == ".md")
assert "## tint" in page and "The colour of the samples." in page and "| `tint.depth` | whole number |" in page

assert group_page("tint").splitlines()[0] == "tint" and group_page("tint") in all_groups_page()
assert "  tint" in help_page()
assert set(offers(["tint="])) == {"tint=plain", "tint=strong"}
assert set(offers(["tint=strong", "tint."])) == {"tint.depth="}

config = resolve(plain_data(compose(["dataset=ring"])))
assert config.tint.name == "plain" and config.plain()["tint"] == {"name": "plain"}
config = resolve(plain_data(compose(["dataset=ring", "tint=strong", "tint.depth=5"])))
assert (type(config.tint).__name__, config.tint.depth) == ("Strong", 5)
assert resolve(config.plain()) == config
older = {key: value for key, value in config.plain().items() if key != "tint"}
assert resolve(older).tint.name == "plain"  # a config of before the group
for words in (["tint=none"], ["tint=strong", "tint.depth=0"], ["tint=strong", "tint.depht=2"]):
    try:
        resolve(plain_data(compose(words)))
    except ConfigError as error:
        assert str(error).startswith("tint"), error
    else:
        raise AssertionError(words)
"""


def test_groups_are_the_folders_of_the_shipped_yaml_files():
    folders = {path.name for path in yaml_dir().iterdir() if path.is_dir() and path.name != "hydra"}
    assert {*GROUPS, STUDY} == folders  # whose files are read without Hydra
    assert all(choices(group) for group in GROUPS)


@pytest.mark.slow
def test_group_of_one_row_is_listed_composed_and_documented(tmp_path):
    checkout = Path(gantrain.__file__).parents[1]
    for folder in ("gantrain", "hydra_plugins", "configs", "docs"):
        shutil.copytree(checkout / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    table = tmp_path / "gantrain" / "core" / "groups.py"
    head, row, tail = table.read_text().partition('Group("noise"')
    table.write_text(head + ROW + row + tail)
    for name, text in PACKAGE.items():
        path = tmp_path / "gantrain" / "tints" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "configs" / "tint").mkdir()
    for name in ("plain", "strong"):
        (tmp_path / "configs" / "tint" / f"{name}.yaml").write_text(YAML.format(name=name))
    # The choice that it has when nobody chooses stands with those of the others.
    config = tmp_path / "configs" / "config.yaml"
    config.write_text(config.read_text().replace("  - noise: none\n", "  - noise: none\n  - tint: plain\n"))
    (tmp_path / "check.py").write_text(SCRIPT)
    own = os.environ | {"PYTHONPATH": str(tmp_path)}  # its gantrain, not the one that is tested
    done = subprocess.run([sys.executable, "check.py"], cwd=tmp_path, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
