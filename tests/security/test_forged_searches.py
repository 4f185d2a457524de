"""Folders of searches that a stranger wrote: their journal and records are data, and name no storage elsewhere."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from made_searches import BASIC, SPACE, run_search

from gantrain.core.sweep_folder import SEARCH, Plan, SweepFolder
from gantrain.errors import CheckpointError, ConfigError
from gantrain.sweeps.optuna.storage import JOURNAL
from gantrain.sweeps.optuna.study import Study
from gantrain.sweeps.plan import open_sweep


@pytest.fixture(scope="module")
def journal(tmp_path_factory) -> bytes:
    return (run_search(tmp_path_factory.mktemp("s") / "s").sweep.path / JOURNAL).read_bytes()


def lines_with(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    """Return a change of every operation in a journal."""

    def apply(content: bytes) -> bytes:
        operations = [json.loads(line) for line in content.splitlines()]
        for operation in operations:
            change(operation)
        return b"".join(json.dumps(operation).encode() + b"\n" for operation in operations)

    return apply


def choices_of(operation: dict, *choices: str) -> None:
    if operation.get("param_name") == "objective":
        operation["distribution"] = json.dumps(
            {"name": "CategoricalDistribution", "attributes": {"choices": choices}}
        )


JOURNALS = {
    "a value that is another choice": lines_with(lambda o: choices_of(o, "../../evil", "${oc.env:HOME}")),
    "a value out of its bounds": lines_with(
        lambda o: o.update(param_value_internal=9e9) if o.get("param_name") == "optimizer.d_lr" else None
    ),
    "a key that is not searched": lines_with(
        lambda o: (
            o.update(param_name="hydra.callbacks.x._target_") if o.get("param_name") == "objective" else None
        )
    ),
    "a key missing": lines_with(
        lambda o: o.update(param_name="train.d_steps") if o.get("param_name") == "objective" else None
    ),
    "two values for one metric": lines_with(
        lambda o: o.update(values=[1.0, 2.0]) if o.get("values") else None
    ),
    "a value that is not a number": lines_with(
        lambda o: o.update(values=[float("nan")]) if o.get("values") else None
    ),
    "two metrics": lines_with(lambda o: o.update(directions=[1, 1]) if "directions" in o else None),
    "an operation that is not one": lines_with(lambda o: o.update(op_code=99)),
    "a distribution that is code": lines_with(
        lambda o: (
            o.update(distribution='{"name": "os.system", "attributes": {}}') if "distribution" in o else None
        )
    ),
    "a pickle": lambda content: b"\x80\x04cos\nsystem\n." + b"\n" + content,
    "nested deeply": lambda content: b"[" * 10**5 + b"\n" + content,
    "a number of 5,000 digits": lambda content: b'{"op_code": ' + b"1" * 5000 + b"}\n" + content,
}


@pytest.mark.parametrize("case", JOURNALS)
def test_search_journal_that_is_forged_is_refused(case, journal, tmp_path, canary, victim):
    folder = tmp_path / "s"
    run_search(folder)
    (folder / JOURNAL).write_bytes(JOURNALS[case](journal))
    with pytest.raises(CheckpointError, match=JOURNAL) as caught:
        Study(SweepFolder(folder), BASIC, SPACE, ("dataset=ring",))
    assert len(str(caught.value)) < 480


def test_search_waits_for_no_lock_of_a_stranger(tmp_path, canary):
    study = run_search(tmp_path / "s")
    (tmp_path / "s" / f"{JOURNAL}.lock").symlink_to(canary)
    longer = Study(study.sweep, replace(BASIC, n_trials=7), SPACE, ("dataset=ring",))
    assert len(longer.ask(9)) == 1


def test_search_storage_that_a_file_names_is_not_opened(tmp_path, canary):
    study = run_search(tmp_path / "s")
    record = json.loads((tmp_path / "s" / SEARCH).read_text())
    (tmp_path / "s" / SEARCH).write_text(json.dumps(record | {"url": f"sqlite:///{canary}"}))
    with pytest.raises(ConfigError, match=r"if it is yours, give hydra\.sweeper\.storage=sqlite:///"):
        Study(study.sweep, BASIC, SPACE, ("dataset=ring",))


def test_sweep_with_the_record_of_a_search_is_refused(tmp_path):
    # Its jobs would report to the storage that the record names.
    plan = Plan("", (), ())
    open_sweep(SweepFolder(tmp_path / "s"), plan)
    Path(tmp_path / "s" / SEARCH).write_text('{"url": "sqlite:////elsewhere"}')
    with pytest.raises(ConfigError, match="holds a search"):
        open_sweep(SweepFolder(tmp_path / "s"), plan)
