"""Print the lower bounds of pyproject.toml as pip's constraints: ``torch==2.10`` for ``torch>=2.10``."""

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("sweeps", "onnx", "parquet", "hub", "ray")

requirements = [*PROJECT["dependencies"], *(r for e in EXTRAS for r in PROJECT["optional-dependencies"][e])]
bounds = [re.match(r"([\w-]+)>=([\w.]+)", requirement) for requirement in requirements]
print(*sorted({f"{bound[1]}=={bound[2]}" for bound in bounds}), sep="\n")
