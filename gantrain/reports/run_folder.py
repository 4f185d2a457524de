"""Names that the sweeps still read a run's folder by; ``core/run_folder.py`` has them now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gantrain.core.files import read_json as read_json
from gantrain.core.run_folder import DONE as DONE
from gantrain.core.run_folder import PLAN as SWEEP  # noqa: F401


def found_json(path: Path) -> dict[str, Any]:
    """Return a file's mapping, empty where it is broken."""
    return read_json(path, strict=False)
