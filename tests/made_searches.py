"""Searches whose jobs never ran: a cost of their overrides in place of training."""

import json
import math
from pathlib import Path

from gantrain.core.sweep_folder import Plan, SweepFolder
from gantrain.sweeps.optuna.search import Search, resolve_search
from gantrain.sweeps.optuna.space import Dimension
from gantrain.sweeps.optuna.study import Study

RATE = Dimension("optimizer.d_lr", low=1e-4, high=1e-2, log=True)


SPACE = (
    RATE,
    Dimension("objective", choices=("minimax", "hinge")),
    Dimension("train.d_steps", low=1, high=5, whole=True),
)


BASIC = resolve_search(Search(n_trials=6, startup_trials=2, metric="divergence/js_refit"))


def conclude_job(study: Study, job, metrics: dict, status: str = "finished", code: int | None = None) -> None:
    run = study.sweep.run(job)
    run.path.mkdir(exist_ok=True)
    result = {"status": status, "metrics": metrics} | ({} if code is None else {"exit_code": code})
    run.result_file.write_text(json.dumps(result))


def number_of(word: str) -> float:
    return float(word.partition("=")[2])


def cost(job) -> float:
    """Least at a rate of 1e-3 and three updates of D."""
    rate, objective, steps = job.overrides[-3:]
    distance = math.log10(number_of(rate)) + 3
    return distance**2 + (number_of(steps) - 3) ** 2 + (objective == "objective=hinge")


def run_search(folder: Path, search: Search = BASIC, batch: int = 1) -> Study:
    """Search in a folder as a sweep does, with a cost in place of training."""
    study = Study(SweepFolder(folder), search, SPACE, ("dataset=ring",))
    while jobs := study.ask(batch):
        for job in jobs:
            conclude_job(study, job, {"divergence/js_refit": cost(job)})
        study.tell_results()
    study.sweep.write(Plan("", (), study.jobs()))
    return study


def words(study: Study) -> list[tuple[str, ...]]:
    return [job.overrides for job in study.jobs()]
