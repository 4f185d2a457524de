"""The rules of the house, read from its source: imports point down, one backward pass, small files, all of it said."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gantrain

ROOT = Path(gantrain.__file__).parent
FAMILIES = {path.parent.name for path in ROOT.glob("*/base.py")}
GROUND = {"core", "errors", "registry", "noise"}
# Folders are layers, from the ground up: what is in one imports from it and from those below.
ABOVE = ("config", "sampling", "tracking", "reports", "distributed", "training", "sweeps verdicts", "cli")
LAYERS = [GROUND, FAMILIES, *(set(folders.split()) for folders in ABOVE)]
TOP = {"api": "training", "__main__": "cli"}  # modules of the root, each by the folder in whose row it stands
HEAVY = {"torch", "torchvision", "hydra", "omegaconf", "numpy", "tensorboard", "sklearn", "matplotlib", "PIL"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
MODULES = [name for name in TREES if name]  # without the package itself, which holds the version


def imported(tree: ast.AST) -> set[str]:
    """Return every module that is imported anywhere in a source, at its top or in a function."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"a relative import: {ast.unparse(node)}"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in inside if name.removeprefix("gantrain.") in TREES}
            found |= modules or {str(node.module)}
    return found


def own(tree: ast.AST) -> set[str]:
    """Return the modules of this package that a source imports, without the package's name."""
    return {name.removeprefix("gantrain.") for name in imported(tree) if name.startswith("gantrain.")}


def layer(module: str) -> int:
    folder = module.partition(".")[0]
    places = [i for i, names in enumerate(LAYERS) if TOP.get(folder, folder) in names]
    assert len(places) == 1, f"{module} lies in no folder that is a layer"
    return places[0]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_source_is_found_and_its_imports_are_seen():
    assert {"cli.main", "training.loop", "objectives.base", "objectives.cross_entropy"} <= set(MODULES)
    assert {"datasets", "metrics", "models", "objectives", "optimizers", "penalties"} <= FAMILIES
    planted = "import hydra\nfrom gantrain import noise\ndef f():\n    from gantrain.models.base import Model, one_hot"
    assert imported(ast.parse(planted)) == {"hydra", "gantrain.noise", "gantrain.models.base"}
    assert own(ast.parse(planted)) == {"noise", "models.base"}


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    above = {name for name in own(TREES[module]) if layer(name) > layer(module)}
    assert not above, f"{module} imports what stands above it"


def test_imports_make_no_circle():
    order = TopologicalSorter({module: own(TREES[module]) - {module} for module in MODULES})
    assert set(order.static_order()) >= set(MODULES)  # raises CycleError where there is one


@pytest.mark.parametrize("module", [m for m in MODULES if m.partition(".")[0] in FAMILIES])
def test_plug_ins_import_their_base_and_the_ground_alone(module):
    family, _, rest = module.partition(".")
    for name in own(TREES[module]):
        other, _, part = name.partition(".")
        ground = name.startswith("core.") or name in {"registry", "errors"}
        shared = part.partition(".")[0] in ("base", "layers", "norms", "suite", "game", "evaluation", "tools")
        assert ground or shared or (other == family and rest != "base"), f"{module} imports {name}"
    outside = {name.split(".")[0] for name in imported(TREES[module])}
    assert not outside & {"hydra", "omegaconf", "tensorboard"}
    assert "tqdm" not in outside


@pytest.mark.parametrize(
    ("package", "where"),
    [
        ("hydra", {"core.hydra_errors", "config", "cli.train"}),
        ("omegaconf", {"core.hydra_errors", "config", "cli.train", "registry"}),
        ("tensorboard", {"tracking"}),
        ("safetensors", {"training.checkpoint", "features.tools"}),
        ("argparse", set()),
        ("pytest", set()),
    ],
)
def test_engines_are_imported_in_few_places(package, where):
    users = {m for m, tree in TREES.items() if package in {name.split(".")[0] for name in imported(tree)}}
    assert {next((place for place in where if f"{m}.".startswith(f"{place}.")), m) for m in users} == where


def writes(tree: ast.AST) -> Iterator[str]:
    """Yield the calls of a source that write to a file by its path."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        words = [
            word.value
            for word in [*node.args, *(k.value for k in node.keywords)]
            if isinstance(word, ast.Constant)
        ]
        opens = name == "open" and any(
            isinstance(w, str) and re.fullmatch("[rbt]*[wax+][wax+bt]*", w) for w in words
        )
        if opens or name in {"write_text", "write_bytes", "touch", "mkstemp", "copyfile", "copytree", "move"}:
            yield ast.unparse(node)


def test_files_are_written_by_the_atomic_writer():
    planted = "open(p, 'w'); p.open('ab'); p.write_text('')\n"
    planted += "open(p, 'rb'); open(p); Image.open(p); os.open(p, os.O_RDONLY)"
    assert len(list(writes(ast.parse(planted)))) == 3
    users = {module for module, tree in TREES.items() if list(writes(tree))}
    # Else: what replaces a closed stream, the user's own record, and files in a folder that is not yet in its place.
    assert users == {
        "core.atomic",
        "core.streams",
        "core.plugin_trust",
        "training.checkpoint",
        "sampling.write",
        "sampling.write_data",
    }


def test_there_is_one_backward_pass_in_the_program():
    calls = [
        (module, ast.unparse(node))
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "backward"
    ]
    assert calls == [("core.gradients", "torch.autograd.backward(of, slopes, inputs=list(weights))")]


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_are_short(module):
    path = ROOT / (module.replace(".", "/") + ".py")
    path = path if path.is_file() else ROOT / module.replace(".", "/") / "__init__.py"
    assert len(path.read_text().splitlines()) <= 250
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions(TREES[module])}
    assert not {name: length for name, length in long.items() if length > 60}


# Past tenses that English forms without -ed, and that have named functions here or elsewhere.
PARTICIPLES = set(
    "told made given drawn shown seen foreseen said kept held chosen found taken written heard known left".split()
)
ADJECTIVES_AND_NOUNS = {"embed", "feed", "need", "seed", "speed", "shed"}


def is_participle(name: str) -> bool:
    """Return whether a name is a participle alone, which does not say what the function does or returns."""
    word = name.strip("_")
    return word in PARTICIPLES or (
        word.endswith("ed") and "_" not in word and word not in ADJECTIVES_AND_NOUNS
    )


def test_functions_are_named_by_verbs_and_nouns():
    examples = ("told", "_asked", "is_locked", "seed", "sample")
    assert list(map(is_participle, examples)) == [True, True, False, False, False]
    names = [f.name for tree in TREES.values() for f in functions(tree)]
    participles = sorted(filter(is_participle, names))
    assert len(participles) <= 0.01 * len(names), participles  # a transformed copy, as `sorted`


def test_names_of_tests_have_at_most_60_letters():
    names = {
        f.name
        for path in Path(__file__).parent.rglob("test_*.py")
        for f in functions(ast.parse(path.read_text()))
        if f.name.startswith("test_")
    }
    assert len(names) > 500
    assert not sorted(name for name in names if len(name) > 60)


def test_files_of_tests_have_names_of_their_own():
    # pytest imports them without their folder.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert {name for name in names if names.count(name) > 1} == set()


def test_the_root_holds_at_most_eight_modules_and_ten_layers():
    assert len(list(ROOT.glob("*.py"))) <= 8
    assert len(LAYERS) <= 10


def test_nothing_is_called_utils_manager_or_trainer():
    words = {part for module in MODULES for part in module.split(".")}
    assert not words & {"utils", "util", "helpers", "helper", "common", "misc", "trainer", "manager"}
    classes = [
        node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    assert len(classes) > 30
    assert not [name for name in classes if name.endswith(("Manager", "Trainer", "Helper", "Utils"))]


def undocumented(tree: ast.Module, classes: Mapping[str, type]) -> list[str]:
    """Return the public names of a source without a docstring, of their own or of what they override."""
    found = [] if ast.get_docstring(tree) else ["the module"]
    for owner in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
        if isinstance(owner, ast.ClassDef) and owner.name.startswith("_"):
            continue
        bases = classes[owner.name].__mro__[1:] if isinstance(owner, ast.ClassDef) else ()
        for node in owner.body:
            named = isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
            if not named or node.name == "forward" or ast.get_docstring(node):
                continue
            is_method = any(getattr(vars(base).get(node.name), "__doc__", None) for base in bases)
            is_attribute = any(f"\n        {node.name}: " in (base.__doc__ or "") for base in bases)
            if not (is_method or is_attribute):
                found.append(node.name)
    return found


@pytest.mark.parametrize("module", [name for name in TREES if name != "__main__"])  # which runs
def test_every_public_name_is_documented(module):
    known = vars(importlib.import_module(f"gantrain.{module}".rstrip(".")))
    assert undocumented(TREES[module], known) == []


def test_a_name_without_a_docstring_is_found():
    source = '''
class A:
    """A.

    Attributes:
        known: Documented here.
    """
    known: int
    def f(self): pass
    def _g(self): pass
    def forward(self): pass
class B(A):
    """B."""
    def f(self): pass
    def known(self): pass
    def kn(self): pass
class C(dict):
    """C."""
    def items(self): pass
def h(): pass'''
    known: dict[str, type] = {}
    exec(source, known)
    assert undocumented(ast.parse(source), known) == ["the module", "h", "f", "f", "kn"]


@pytest.mark.parametrize("words", [[], ["--help"], ["list"], ["list", "models"], ["--version"]], ids=str)
def test_help_lists_and_version_import_nothing_heavy(words, tmp_path):
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import gantrain.cli.main\n"
        f"words = {words!r}\n"
        "code = gantrain.cli.main.main(words) if words else 0\n"
        f"print(*sorted({HEAVY!r} & (set(sys.modules) - before)), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr.strip() == ""
    assert bool(done.stdout) == bool(words)
