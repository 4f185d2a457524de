"""What a search found: the best trials and the figure."""

import json
import random

from made_searches import SPACE, conclude_job

from gantrain.core import plugins
from gantrain.core.sweep_folder import SEARCH, Plan, SweepFolder
from gantrain.sweeps.optuna.results import FIGURE, write_results
from gantrain.sweeps.optuna.search import Search, resolve_search
from gantrain.sweeps.optuna.study import Study


def test_results_have_the_front_that_no_other_trial_beats(tmp_path):
    search = resolve_search(
        Search(n_trials=16, metric=["divergence/js_refit", "diversity/modes"], sampler="random")
    )
    study = Study(SweepFolder(tmp_path / "s"), search, SPACE, ("dataset=ring", "sweep=optuna", "run.dir=s"))
    pairs, draw = {}, random.Random(0)
    for job in study.ask(16):
        pairs[int(job.number)] = draw.randrange(6), draw.randrange(6)
        conclude_job(study, job, dict(zip(search.metrics, pairs[int(job.number)], strict=True)))
    study.tell_results()
    front = {
        n for n, (js, modes) in pairs.items()
        if not any(a <= js and b >= modes and (a, b) != (js, modes) for a, b in pairs.values())
    }  # fmt: skip
    assert (
        {trial.number for trial in study.best_trials()}
        == front
        == {t.number for t in study.optuna.best_trials}
    )
    # The command of a trial names the folders of plug-ins and configs that the search was given.
    study.sweep.write(Plan("", ("--multirun", "--config-dir", "/my configs"), ()))
    (tmp_path / "own.py").touch()
    plugins.use([tmp_path])
    text = write_results(study, "compare")
    plugins.use([])
    assert f"front: {len(front)} trials" in text
    best = json.loads((tmp_path / "s" / SEARCH).read_text())["best"]
    assert {one["trial"] for one in best} == front
    flags = f"--plugins {tmp_path} --config-dir '/my configs'"
    assert best[0]["command"].startswith(f"gantrain {flags} dataset=ring optimizer.d_lr=")
    assert best[0]["command"].endswith(" metric=compare")
    assert (tmp_path / "s" / FIGURE).stat().st_size > 1000
