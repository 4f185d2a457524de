"""The tags that a run is going to write."""

from __future__ import annotations

from gantrain.config.options import Config
from gantrain.registry import build


def expected(config: Config) -> list[str]:
    """Return the tags that a run is going to write, those that charts and tables show, before its data are read."""
    objective = config.objective
    found = ["loss/g"]
    if objective.has_game:
        found += ["loss/d", "logits/real", "logits/fake"]
    if objective.mismatch_weight > 0:
        found.append("logits/mismatched")
    if objective.has_game and config.penalty.active:
        found.append("loss/penalty")
    for name in config.metric.names:
        metric = build("metric", {"name": name})
        if objective.has_game or not metric.needs_d:
            found += metric.expected(config)
    return list(dict.fromkeys(found))
