"""The pages that ``gantrain show`` prints of a run, a checkpoint and a sweep."""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gantrain.core.files import MAX_PLAN_BYTES, read_json, read_lines
from gantrain.core.history import last_values, omission
from gantrain.core.plugins import check_provenance
from gantrain.core.run_address import best_of
from gantrain.core.run_folder import DIFFERS, DONE, STATE, RunFolder, is_run
from gantrain.core.sweep_folder import Job, SweepFolder
from gantrain.core.text import MAX_LINE, align_columns, cut_middle, format_duration, format_number
from gantrain.errors import CheckpointError, GantrainError
from gantrain.reports.end_table import best_text, health_lines, metric_table, protocol_warnings
from gantrain.reports.readings import tail_estimates
from gantrain.reports.repeat import repeat_words, without_run_keys
from gantrain.reports.tail import published_table

MAX_JOBS = 2000  # of a sweep's table
MAX_LETTERS = 80  # of a key and its value
SECTIONS = ("divergence/", "diversity/", "fidelity/", "generator/", "logits/")  # of an unfinished run's tags


def run_page(folder: Path, full: bool) -> str:
    """Return a run's settings, results, files and next commands; ``full`` shows its defaults too."""
    run = RunFolder(folder)
    origin = {
        "command": shlex.join(["gantrain", *repeat_words(run)]) if run.overrides else "",
        **_plugins(run),
        "machine": _machine(run.environment),
    }
    settings = _settings(run.config, run.differs, run.overrides, full)
    results = (settings, _results(run), _messages(run))
    return _page(_head(run), *results, _rows(origin), _files(run), _next_commands(run))


def _page(*parts: str) -> str:
    """Return the parts that are not empty, with a blank line between each two."""
    return "\n\n".join(filter(None, parts))


def _head(run: RunFolder) -> str:
    result = run.result
    name = run.config.get("name") or result.get("name") or run.path.name
    steps = f"{run.step:,} of {run.planned_steps:,} steps" if run.planned_steps else f"{run.step:,} steps"
    if run.status == "finished" and "verdict" not in result:  # a loop that was watched has no count of images
        speed = f"{result['images_per_second']:,.0f} a second while training"
        return f"{name}: finished, {steps}, {result['images']:,} images, {result['seconds']:.0f} s ({speed})"
    if run.status == "running":
        return f"{name}: running, {steps}{_pace(run)}"
    if run.status == "stopped":
        return f"{name}: stopped at {steps} without a result: it was killed, or the machine went down"
    if run.status == "missing":
        return f"{name}: never began"
    code = f" (exit code {result['exit_code']})" if "exit_code" in result else ""
    return f"{name}: {run.status}{code}, {steps}\n{result.get('error', result.get('verdict', ''))}".rstrip()


def _plugins(run: RunFolder) -> dict[str, str]:
    """Return the rows on plug-ins from outside gantrain: what the run used, and why that would not load again."""
    folders = [folder["path"] for folder in run.plugins.get("folders", ())]
    packages = [f"{package['name']} {package['version']}" for package in run.plugins.get("packages", ())]
    rows = {"plug-ins": ", ".join([*folders, *packages])}
    try:
        check_provenance(run.plugins, run.path)
    except GantrainError as error:
        rows["caution"] = f"{error.what}; {error.remedy}"
    return rows


def _pace(run: RunFolder) -> str:
    """Return the speed and the time left, by the last speed logged."""
    values, train = last_values(run.history), run.config["train"]
    speed = values.get("speed/images_per_second", 0.0)
    if not speed > 0:
        return ""
    if not run.planned_steps:
        return f", {speed:,.0f} images a second, until {train['seconds']:g} s of training are over"
    updates = train["d_steps"] if "loss/d" in values else 1  # a step without a D uses one batch
    left = (run.planned_steps - run.step) * train["batch_size"] * updates / speed
    return f", {speed:,.0f} images a second, about {format_duration(left)} of training left"


def _settings(
    config: Mapping[str, Any], differs: Mapping[str, list[str]] | None, overrides: Sequence[str], full: bool
) -> str:
    if not config:
        return ""
    if full:
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        return _block("config", text.rstrip().splitlines())
    title = "what differs from the defaults" if differs else "as it was typed"
    if not differs:  # a run of an older gantrain left only its overrides
        differs = {"overrides": list(overrides)} if overrides else {"no overrides": []}
    lines = [f"{group:10} {' '.join(map(_cut, words))}".rstrip() for group, words in differs.items()]
    return _block(f"config     {title}; full=true shows all of it", lines)


def _cut(word: str) -> str:
    return word if len(word) < MAX_LETTERS else f"{word[:MAX_LETTERS]}..."


def _block(title: str, lines: Iterable[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines)])


def _results(run: RunFolder) -> str:
    """Return the metrics with their floors and published values; of an unfinished run the last values logged."""
    if run.status != "finished":
        return _last_values(run)
    result = run.result
    warnings = protocol_warnings(result.get("protocol", {}))
    published = published_table(tail_estimates(result), result.get("published", {}))
    return _page(metric_table(result), warnings, published)


def _last_values(run: RunFolder, step: int | None = None) -> str:
    latest = last_values(run.history, step)
    losses = ", ".join(f"{tag} {format_number(latest[tag])}" for tag in ("loss/d", "loss/g") if tag in latest)
    return _page(
        metric_table({"metrics": {tag: v for tag, v in latest.items() if tag.startswith(SECTIONS)}}), losses
    )


def _messages(run: RunFolder) -> str:
    result = run.result if run.status == "finished" else {}
    lines = health_lines(result) if result else []
    if run.status != "finished":  # else the result has them
        lines += [f"warning    {line}" for line in _warnings(run.log_file)[-3:]]
    if result.get("meaning"):
        lines.append(f"meaning    {result['meaning']}")
    if part := omission(run.metrics_file):
        lines.append(f"left out   {part}")
    return "\n".join(lines)


def _warnings(log: Path) -> list[str]:
    """Return the warnings of a log, of a long one those near its end. Raises CheckpointError."""
    try:
        lines = read_lines(log, pieces=2)
    except OSError as error:
        raise CheckpointError(log, f"cannot be read ({error.strerror})", "make it readable") from error
    texts = [line.decode(errors="replace") for line in lines]
    return [text.partition(" WARNING ")[2] for text in texts if " WARNING " in text]


def _machine(environment: Mapping[str, Any]) -> str:
    unnamed = ("device", "machine", "precision")  # values that need no name; versions do
    first = [str(environment[key]) for key in unnamed if key in environment]
    return ", ".join(
        [*first, *(f"{key} {value}" for key, value in environment.items() if key not in unnamed)]
    )


def _files(run: RunFolder) -> str:
    pictures = run.pictures
    rows = {
        "checkpoint": _names(run.checkpoints),
        "best": best_text(best_of(run) or None, run.path),
        "pictures": f"{run.samples}: {len(pictures)}, the last {pictures[-1].name}" if pictures else "",
        "figures": _names(run.figures),
        "scalars": _newest([run.metrics_file]),
        "events": _newest(run.event_files),
        "result": _newest([run.result_file]),
        "log": _newest([run.log_file]),
        "evaluation": _newest(run.evaluations),
    }
    return _rows(rows)


def _names(paths: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in paths)
    return f"{paths[0].parent}: {cut_middle(names, MAX_LINE)}" if paths else ""


def _newest(paths: Sequence[Path]) -> str:
    return str(paths[-1]) if paths and paths[-1].is_file() else ""


def _rows(rows: Mapping[str, str]) -> str:
    return "\n".join(f"{name:10} {text}" for name, text in rows.items() if text)


def _next_commands(run: RunFolder) -> str:
    is_over, has_checkpoint = run.status in (*DONE, "running"), bool(run.checkpoints)
    # Without its config there is nothing to resume: train again, elsewhere.
    can_resume = has_checkpoint or run.can_begin_anew
    again = [] if is_over or can_resume else [shlex.join(["gantrain", *repeat_words(run)])]
    verbs = ["resume"] * (can_resume and not is_over) + ["sample"] * has_checkpoint
    verbs += ["report", "tensorboard"] * bool(run.history)
    return _block("next", [*again, *_commands(run.path, *verbs)]) if again or verbs else ""


def _commands(path: Path, *verbs: str) -> list[str]:
    return [f"gantrain {verb} {shlex.quote(str(path))}" for verb in verbs]


def checkpoint_page(path: Path, full: bool) -> str:
    """Return a checkpoint's step, run, settings, the values logged at its step, and next commands."""
    state, run = read_json(path / STATE, most=MAX_PLAN_BYTES), RunFolder.of(path)
    return _page(
        f"{state['config']['name']}: checkpoint of step {state['step']:,} of {run.path.name}",
        _settings(state["config"], state.get(DIFFERS), run.overrides, full),
        _last_values(run, state["step"]),
        _rows({"run": str(run.path), "machine": _machine(state["environment"])}),
        _block("next", _commands(path, "sample", "evaluate", "resume")),
    )


def sweep_page(folder: Path) -> str:
    """Return the jobs of a sweep as a table, its summaries, and next commands."""
    from gantrain.reports.runs import first_runs

    sweep = SweepFolder(folder)
    is_active = sweep.is_locked
    # Hydra's own sweeps have no plan: their jobs are the runs in the folder.
    planned = sweep.jobs() or [Job(path.name) for path in sorted(folder.iterdir()) if is_run(path)]
    kept = set(first_runs([folder / job.folder for job in planned], MAX_JOBS))
    jobs = [job for job in planned if folder / job.folder in kept]
    runs = [sweep.run(job) for job in jobs]
    words = [without_run_keys(job.overrides or run.overrides) for run, job in zip(runs, jobs, strict=True)]
    shared = [word for word in words[0] if all(word in other for other in words)] if len(words) > 1 else []
    states = ["waiting" if is_active and run.status == "missing" else run.status for run in runs]
    lines = [["run", "set", "status", "exit", "steps", "seconds", ""]]
    for run, state, overrides in zip(runs, states, words, strict=True):
        # Of a job that is running or was given up, result.json may be that of an earlier attempt.
        result = run.result if state not in ("running", "waiting", "missing", "stopped") else {}
        exit_code = str(result.get("exit_code", 0)) if result else ""
        seconds = f"{result['seconds']:.0f}" if "seconds" in result else ""
        error = "" if state in DONE else result.get("error", "")
        varied = " ".join(word for word in overrides if word not in shared)
        lines.append([run.path.name, varied, state, exit_code, f"{run.step:,}", seconds, error])
    counts = ", ".join(f"{count} {state}" for state, count in Counter(states).most_common())
    if len(jobs) < len(planned):
        counts += f"; {len(planned) - len(jobs):,} are left out, first those that never began"
    may_resume = not is_active and any(state not in (*DONE, "running") for state in states)
    verbs = ["resume"] * may_resume + ["compare", "report", "tensorboard"]
    rows = {"command": sweep.command(), "shared": " ".join(shared)}
    return _page(
        f"{folder.name}: a sweep of {len(planned)} jobs: {counts}",
        align_columns(lines),
        _rows(rows | {name: str(path) for name, path in sweep.summaries().items()}),
        _block("next", _commands(folder, *verbs)),
    )
