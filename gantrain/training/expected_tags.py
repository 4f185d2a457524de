"""The tags that a run is going to write."""

from __future__ import annotations

from gantrain.config.options import Config
from gantrain.training.evaluate import run_spec, why_unsupported


def expected_tags(config: Config) -> list[str]:
    """Return the tags that a run is going to write, those that charts and tables show, before its data are read."""
    objective = config.objective
    tags = ["loss/g"]
    if objective.has_game:
        tags += ["loss/d", "logits/real", "logits/fake"]
    if objective.mismatch_weight > 0:
        tags.append("logits/mismatched")
    if objective.has_game and config.penalty.active:
        tags.append("loss/penalty")
    run = run_spec(config)
    for metric in config.metric.build():
        if why_unsupported(metric, run) is None:
            tags += metric.expected_tags(run)
    return list(dict.fromkeys(tags))
