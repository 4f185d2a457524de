"""The sweeper behind ``gantrain study``: the runs that a study's file lays down, and the verdict at their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hydra_plugins.gantrain_sweepers.grid import GridSweeper

if TYPE_CHECKING:
    from gantrain.config.options import Config
    from gantrain.core.sweep_folder import Job, Plan
    from gantrain.sweeps.study.definition import Study


class StudySweeper(GridSweeper):
    """Plans one job for each setting, trial and seed of a study."""

    study: Study

    def __init__(self, study: str | None = None, **options: Any):
        super().__init__(**options)
        self.study_name = study or ""

    def sweep(self, arguments: list[str]) -> Any:
        """Run the study. Raises GantrainError for an invalid job at once, a failed one last."""
        from gantrain.config.overrides import is_varied
        from gantrain.core.override import values_by_key
        from gantrain.errors import ConfigError
        from gantrain.sweeps.study.jobs import open_study, plan_study

        overrides = self.parse(arguments)
        for override in overrides:
            if is_varied(override):
                what = "has several values, and a study varies what its file lays down"
                raise ConfigError(
                    override.get_key_element(), what, "give one value, or write a study of your own"
                )
        (words,) = self.split_arguments(overrides, None)[0]
        typed = tuple(words)
        if "seed" in values_by_key(typed):
            raise ConfigError(
                "seed", "is laid down by the study", "leave it out, or write a study of your own"
            )
        self.study, self.typed = open_study(self.study_name, self.folder), typed
        return self.run(self.plan(plan_study(self.study, typed)))

    def plan(self, jobs: tuple[Job, ...]) -> Plan:
        """Return the plan of these jobs, which names the study and not where its file was."""
        import shlex

        from gantrain.core.override import Override
        from gantrain.core.plugins import plugin_words

        plan = super().plan(jobs)
        named = {word: Override.parse(word).key for word in plan.argv if "=" in word}
        words = [word for word, key in named.items() if key not in ("hydra/sweeper", "hydra.sweeper.study")]
        argv = ("--multirun", "hydra/sweeper=study", f"hydra.sweeper.study={self.study.name}", *words)
        command = shlex.join(["gantrain", *plugin_words(), "study", self.study_name, *words])
        return replace(plan, argv=argv, command=command, metric=self.study.metric)

    def dry_run_report(self, plan: Plan, configs: Sequence[Config | None]) -> str:
        """Return how many runs there are, and how long they take."""
        from gantrain.sweeps.launchers import concurrent_jobs
        from gantrain.sweeps.study.jobs import forecast

        return forecast(
            self.study, plan, configs, concurrent_jobs(self.config.hydra.launcher, len(plan.jobs))
        )

    def open(self, plan: Plan) -> None:
        """Write the plan, and the study's file as it is now.

        Raises:
            ConfigError: For another study's folder, and for a metric that no run reads.
        """
        from gantrain.errors import ConfigError
        from gantrain.sweeps.study.jobs import write_study

        if plan.tags and self.study.metric not in plan.tags:
            what = f"no run reads {self.study.metric}, by which they are to be compared"
            raise ConfigError("metric", what, "add the metric to the words of the study, as metric=compare")
        super().open(plan)
        write_study(self.study, self.folder)

    def print_end(self, plan: Plan) -> None:
        """Print the tables of all runs and the verdict, and write both. Raises GantrainError unless all are done."""
        from gantrain.sweeps.study.verdict import write_verdict

        try:
            super().print_end(plan)
        finally:
            print(write_verdict(self.study, self.folder, plan, self.typed), flush=True)
