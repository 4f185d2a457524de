"""The options of ``gantrain useful``; torch is not imported."""

from __future__ import annotations

from dataclasses import dataclass

from gantrain.core.fields import option


@dataclass
class UsefulOptions:
    """How classifiers are compared."""

    seeds: int = option(5, "classifiers of each arm", minimum=5, maximum=1000)
    n: int | None = option(
        None, "synthetic samples; by default as many as there are real ones, at most 20,000", minimum=1
    )
    rare: int | None = option(
        None, "the class to cut; by default the one that real samples teach worst", minimum=0
    )
    few: int = option(50, "samples that are left of it", minimum=1)
    device: str = option("auto", "where to run G", choices=("auto", "cpu", "cuda", "mps"))
    out: str | None = option(None, "where to write the comparison; by default useful-<step>.json in the run")
