"""What a run, a checkpoint or a sweep is, as ``gantrain show`` prints it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gantrain.core.files import read_json
from gantrain.core.run_folder import DIFFERS, DONE, NAN, STATE, RunFolder, is_run, is_sweep
from gantrain.core.sweep_folder import Job, SweepFolder
from gantrain.core.text import align_columns, format_duration, format_number
from gantrain.reports.text import metric_table, protocol_warnings, published_table

MAX_LETTERS = 80  # of a key and its value
SECTIONS = ("divergence/", "diversity/", "fidelity/", "generator/", "logits/")  # of an unfinished run's tags


def run_page(folder: Path, full: bool) -> str:
    """Return what a run is, how it went, where its files are, and what to type next.

    Args:
        folder: The run.
        full: Whether to show the full config, not only what differs from the defaults.
    """
    run = RunFolder(folder)
    words = _without_run_keys(run.overrides) if is_sweep(folder.resolve().parent) else run.overrides
    parts = [
        _head(run),
        _settings(run.config, run.differs, run.overrides, full),
        _results(run),
        _messages(run),
        _rows(
            {
                "command": shlex.join(["gantrain", *words]) if run.overrides else "",
                "plug-ins": _plugins(run.result.get("plugins", {})),
                "machine": _machine(run.environment),
            }
        ),
        _files(run),
        _next_commands(run),
    ]
    return "\n\n".join(part for part in parts if part)


def _head(run: RunFolder) -> str:
    name = run.config.get("name") or run.result.get("name") or run.path.name
    steps = f"{run.step:,} of {run.planned_steps:,} steps" if run.planned_steps else f"{run.step:,} steps"
    result = run.result
    if run.status == "finished":
        speed = f"{result['images']:,} images, {result['seconds']:.0f} s"
        return (
            f"{name}: finished, {steps}, {speed} ({result['images_per_second']:,.0f} a second while training)"
        )
    if run.status == "running":
        return f"{name}: running, {steps}{_pace(run)}"
    if run.status == "stopped":
        return f"{name}: stopped at {steps} without a result: it was killed, or the machine went down"
    if run.status == "missing":
        return f"{name}: never began"
    code = f" (exit code {result['exit_code']})" if "exit_code" in result else ""
    return f"{name}: {run.status}{code}, {steps}\n{result.get('error', '')}".rstrip()


def _plugins(remembered: Mapping[str, Any]) -> str:
    """Return the folders and packages of plug-ins from outside gantrain that a run used."""
    folders = [folder["path"] for folder in remembered.get("folders", ())]
    packages = [f"{package['name']} {package['version']}" for package in remembered.get("packages", ())]
    return ", ".join([*folders, *packages])


def _pace(run: RunFolder) -> str:
    """Return the speed and the time left, by the last speed logged."""
    speed, train = run.last_values().get("speed/images_per_second", 0.0), run.config["train"]
    if not speed > 0:
        return ""
    if not run.planned_steps:
        return f", {speed:,.0f} images a second, until {train['seconds']:g} s of training are over"
    updates = train["d_steps"] if "loss/d" in run.last_values() else 1  # a step without a D sees one batch
    left = (run.planned_steps - run.step) * train["batch_size"] * updates / speed
    return f", {speed:,.0f} images a second, about {format_duration(left)} of training left"


def _settings(
    config: Mapping[str, Any], differs: Mapping[str, list[str]] | None, overrides: Sequence[str], full: bool
) -> str:
    if not config:
        return ""
    if full:
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        return "config\n" + _indented(text.rstrip())
    if differs:
        title = "what differs from the defaults"
        lines = [f"{group:10} {' '.join(map(_cut, words))}" for group, words in differs.items()]
    else:  # a run of an older gantrain holds only the overrides
        title = "as it was typed"
        lines = [f"overrides  {' '.join(map(_cut, overrides))}" if overrides else "no overrides"]
    return f"config     {title}; full=true shows all of it\n" + _indented("\n".join(lines))


def _cut(word: str) -> str:
    return word if len(word) < MAX_LETTERS else f"{word[:MAX_LETTERS]}..."


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _results(run: RunFolder) -> str:
    """Return the metrics with their floors and published values; of an unfinished run the last values logged."""
    result = run.result
    if run.status == "finished":
        metrics, floors, tail = (
            {tag: NAN if value is None else value for tag, value in result.get(part, {}).items()}
            for part in ("metrics", "floors", "tail")
        )
        parts = [
            metric_table(metrics, floors),
            protocol_warnings(result.get("protocol", {})),
            published_table(tail, result.get("published", {})),
        ]
        return "\n\n".join(part for part in parts if part)
    return _last_values(run, None)


def _last_values(run: RunFolder, step: int | None) -> str:
    latest = run.last_values(step)
    losses = ", ".join(f"{tag} {format_number(latest[tag])}" for tag in ("loss/d", "loss/g") if tag in latest)
    metrics = metric_table({tag: value for tag, value in latest.items() if tag.startswith(SECTIONS)}, {})
    return "\n\n".join(part for part in (metrics, losses) if part)


def _messages(run: RunFolder) -> str:
    result = run.result if run.status == "finished" else {}
    lines = [f"health     {line}" for line in result.get("health", [])]
    if run.status != "finished" and run.log_file.is_file():
        log = run.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        lines += [f"warning    {line.partition(' WARNING ')[2]}" for line in log if " WARNING " in line][-3:]
    if result.get("meaning"):
        lines.append(f"meaning    {result['meaning']}")
    return "\n".join(lines)


def _machine(environment: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in environment.items() if key not in ("device", "machine", "precision")}
    first = [str(environment[key]) for key in ("device", "machine", "precision") if key in environment]
    return ", ".join([*first, *(f"{key} {value}" for key, value in rest.items())])


def _files(run: RunFolder) -> str:
    saved, pictures, figures = run.checkpoints, run.pictures, run.figures
    rows = {
        "checkpoint": _names(saved),
        "pictures": f"{run.samples}: {len(pictures)}, the last {pictures[-1].name}" if pictures else "",
        "figures": _names(figures),
        "scalars": _newest([run.metrics_file]),
        "events": _newest(run.event_files),
        "result": _newest([run.result_file]),
        "log": _newest([run.log_file]),
        "evaluation": _newest(run.evaluations),
    }
    return _rows(rows)


def _names(paths: Sequence[Path]) -> str:
    return f"{paths[0].parent}: {', '.join(path.name for path in paths)}" if paths else ""


def _newest(paths: Sequence[Path]) -> str:
    return str(paths[-1]) if paths and paths[-1].is_file() else ""


def _rows(rows: Mapping[str, str]) -> str:
    return "\n".join(f"{name:10} {text}" for name, text in rows.items() if text)


def _next_commands(run: RunFolder) -> str:
    where = shlex.quote(str(run.path))
    lines = []
    if run.status not in (*DONE, "running"):
        lines.append(
            f"gantrain resume {where}" if run.checkpoints else shlex.join(["gantrain", *run.overrides])
        )
    if run.checkpoints:
        lines.append(f"gantrain sample {where}")
    if run.history:
        lines += [f"gantrain report {where}", f"gantrain tensorboard {where}"]
    return "next\n" + _indented("\n".join(lines)) if lines else ""


def checkpoint_page(path: Path, full: bool) -> str:
    """Return what a checkpoint is: its step, its run, the values logged at its step, and what to type next."""
    state = read_json(path / STATE)
    run = RunFolder.of(path)
    where = shlex.quote(str(path))
    lines = [f"gantrain {verb} {where}" for verb in ("sample", "evaluate", "resume")]
    parts = [
        f"{state['config']['name']}: checkpoint of step {state['step']:,} of {run.path.name}",
        _settings(state["config"], state.get(DIFFERS), run.overrides, full),
        _last_values(run, state["step"]),
        _rows({"run": str(run.path), "machine": _machine(state["environment"])}),
        "next\n" + _indented("\n".join(lines)),
    ]
    return "\n\n".join(part for part in parts if part)


def sweep_page(folder: Path) -> str:
    """Return the jobs of a sweep as a table, where its summaries are, and what to type next."""
    sweep = SweepFolder(folder)
    under_way = sweep.is_locked
    # Hydra's own sweeps have no plan: their jobs are the runs that lie there.
    jobs = sweep.jobs() or [Job(path.name) for path in sorted(folder.iterdir()) if is_run(path)]
    runs = [sweep.run(job) for job in jobs]
    words = [_without_run_keys(job.overrides or run.overrides) for run, job in zip(runs, jobs, strict=True)]
    shared = [word for word in words[0] if all(word in other for other in words)] if len(words) > 1 else []
    states = ["waiting" if under_way and run.status == "missing" else run.status for run in runs]
    lines = [["run", "set", "status", "exit", "steps", "seconds", ""]]
    for run, state, overrides in zip(runs, states, words, strict=True):
        result = run.result if state not in ("running", "waiting", "missing", "stopped") else {}
        exit_code = str(result.get("exit_code", 0)) if result else ""
        seconds = f"{result['seconds']:.0f}" if "seconds" in result else ""
        error = "" if state in DONE else result.get("error", "")
        varied = " ".join(word for word in overrides if word not in shared)
        lines.append([run.path.name, varied, state, exit_code, f"{run.step:,}", seconds, error])
    counts = ", ".join(f"{count} {state}" for state, count in Counter(states).most_common())
    where = shlex.quote(str(folder))
    verbs = ["compare", "report", "tensorboard"]
    if not under_way and any(state not in (*DONE, "running") for state in states):
        verbs.insert(0, "resume")
    rows = {"command": sweep.command(), "shared": " ".join(shared)}
    parts = [
        f"{folder.name}: a sweep of {len(runs)} jobs: {counts}",
        align_columns(lines),
        _rows(rows | {name: str(path) for name, path in sweep.summaries().items()}),
        "next\n" + _indented("\n".join(f"gantrain {verb} {where}" for verb in verbs)),
    ]
    return "\n\n".join(part for part in parts if part)


def _without_run_keys(overrides: Sequence[str]) -> list[str]:
    """Return a job's overrides without the keys that say where the sweep writes."""
    return [word for word in overrides if not word.startswith("run.")]
