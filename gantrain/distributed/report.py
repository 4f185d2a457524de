"""Who reports why a run of several processes ended: one of them, or their launcher where none can."""

import os
from pathlib import Path

REPORT = "GANTRAIN_REPORT"  # names the folder that a process makes before it reports


def has_launcher() -> bool:
    """Return whether gantrain itself started this process as one of several, and reports what they do not."""
    return REPORT in os.environ


def announce() -> None:
    """Tell the launcher that this process reports why all of them end."""
    if has_launcher():
        Path(os.environ[REPORT]).mkdir(exist_ok=True)
