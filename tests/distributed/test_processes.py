"""What the processes of a run say to each other through the store of their launcher. Threads stand for processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import torch.distributed as dist

from gantrain.distributed import join, messages, pulse
from gantrain.distributed.join import check_versions, meet
from gantrain.distributed.processes import Processes
from gantrain.distributed.pulse import Beat, end_sibling
from gantrain.errors import ConfigError, DataError, Interrupted, ProcessLost


@pytest.fixture(autouse=True)
def short_times(monkeypatch):
    for module, name, seconds in (
        (pulse, "BEAT_SECONDS", 0.02),
        (messages, "BEAT_SECONDS", 0.02),
        (messages, "SILENT_SECONDS", 0.3),
        (messages, "LEADER_SECONDS", 0.1),
    ):
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr(messages, "end_sibling", lambda beat: None)  # which is this process
    for name in ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS"):
        monkeypatch.delenv(name, raising=False)


def play(size, part, store=None, attempt=1):
    """Return what ``part`` returns or raises in each of ``size`` members of a group."""
    store = store or dist.HashStore()
    groups = [Processes(store, attempt, rank, size) for rank in range(size)]

    def outcome(group):
        try:
            return part(group)
        except (Exception, SystemExit) as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        outcomes = list(pool.map(outcome, groups))
    for group in groups:
        group._messages.pulse.stop()
    return outcomes


def test_exchange_and_share_give_all_the_same_plain_data():
    def part(group):
        values = (
            group.exchange({"rank": group.rank}),
            group.share([group.rank, "ä"] if group.is_leader else None),
        )
        group.wait()
        return values

    assert play(3, part) == [([{"rank": 0}, {"rank": 1}, {"rank": 2}], [0, "ä"])] * 3


def test_an_error_of_one_process_ends_all_reported_once():
    def part(group):
        error: Exception = DataError("dataset.root", "there is no folder", "make it")
        try:
            if group.rank == 1:
                raise error
            group.exchange(None)
        except Exception as raised:
            error = raised
        return str(error), group.close(error)

    outcomes = play(3, part)
    assert outcomes == [("dataset.root: there is no folder; make it", (1, 3))] * 3


def test_an_error_that_all_meet_is_reported_by_the_leader():
    def part(group):
        if group.is_leader:
            time.sleep(0.03)  # the others are first
        return group.close(ConfigError("seed", "is bad", "give another"))

    assert play(3, part) == [(0, 2)] * 3


def test_a_process_is_done_when_its_leader_is():
    def part(group):
        return group.close() if group.is_leader else group.share(None)

    first, second = play(2, part)
    assert first == (0, 0)
    assert isinstance(second, SystemExit)
    assert second.code == 0


@pytest.mark.parametrize("silent", [0, 1])
def test_a_process_that_no_longer_beats_is_lost(silent):
    def part(group):
        group._messages.timeout = 0.2
        if group.rank == silent:
            group._messages.pulse.stop()
            return None
        return group.share(None) if silent == 0 else group.exchange(None)

    lost = play(2, part)[1 - silent]
    assert isinstance(lost, ProcessLost)
    assert (lost.where, lost.remedy) == (f"rank {silent}", "type the command again")
    assert lost.what.startswith("did not answer for ")


def test_a_process_that_beats_is_waited_for_past_the_timeout():
    def part(group):
        group._messages.timeout = 0.1
        if group.is_leader:
            time.sleep(0.5)
        return group.share("metrics")

    assert play(2, part) == ["metrics", "metrics"]


@pytest.mark.parametrize(
    ("kind", "where"), [("dead", "rank 1"), ("behind", "rank 1"), ("ended", "dataset"), ("none", None)]
)
def test_the_cause_of_absent_tensors_is_found(kind, where):
    def part(group):
        pulse = group._messages.pulse
        pulse.collectives = 7
        if group.rank == 1:
            pulse.collectives = 6 if kind == "behind" else 7
            if kind == "ended":
                return group.close(DataError("dataset", "is gone", "restore it"))
            time.sleep(0.1)
            if kind == "dead":
                pulse.stop()
        time.sleep(0.3)  # the last beat of rank 1 is over, also where its thread had to wait
        found = group._messages.find_loss(0.0) if group.rank != 1 else time.sleep(0.5)
        if kind == "ended":
            group.close(found)
        return found

    first, _, last = play(3, part)
    for found in (first, last):
        assert (found and found.where) == where


def test_a_signal_that_followed_a_death_is_explained_by_it():
    interrupted, has_died = Interrupted("run", "stopped by SIGTERM", "go on", 143), threading.Event()

    def part(group):
        if group.rank == 1:
            group._messages.pulse.stop()
            return has_died.set()
        has_died.wait()
        return group.explain(interrupted)

    alone, _, other = play(3, part)
    assert (alone.where, other.where) == ("rank 1", "rank 1")
    assert play(3, lambda group: group.explain(interrupted)) == [interrupted] * 3


def test_the_store_that_is_gone_is_the_end_of_its_launcher(monkeypatch):
    group = Processes(dist.HashStore(), 1, 1, 2)

    def fail(*_):
        raise RuntimeError("Connection reset by peer")

    monkeypatch.setattr(group._messages, "_store", type("Store", (), {"check": fail, "set": fail})())
    for name, where in (("", "rank 0"), ("job", "launcher")):
        if name:
            monkeypatch.setenv("TORCHELASTIC_RUN_ID", name)
        with pytest.raises(ProcessLost) as lost:
            group.share(None)
        assert lost.value.where == where
    assert group.close(lost.value) == (0, 1)  # the leader reports it
    group._messages.pulse.stop()


# ------------------------------------------------------------------------------------------ attempts


def hello(rank, versions=None):
    return {"nonce": f"{rank}-{time.monotonic_ns()}", "versions": versions or {"torch": "2.13"}}


def test_an_attempt_ignores_what_an_earlier_one_wrote():
    store = dist.HashStore()

    def part(rank, delay):
        time.sleep(delay)
        return meet(store, rank, 3, hello(rank), 5)

    for attempt in range(1, 4):
        with ThreadPoolExecutor(3) as pool:  # the followers first, who read the earlier attempt's words
            found = list(pool.map(part, range(3), (0.1, 0.0, 0.05)))
        assert [number for number, _ in found] == [attempt] * 3
        assert found[0][1] == found[1][1] == found[2][1]


@pytest.mark.parametrize(("present", "absent"), [(0, "rank 1, rank 2"), (2, "rank 0")])
def test_a_process_that_does_not_join_is_named(present, absent):
    with pytest.raises(ProcessLost, match="did not join in") as lost:
        meet(dist.HashStore(), present, 3, hello(present), 0.1)
    assert lost.value.where == absent


def test_a_restarted_leader_goes_on_in_the_same_folder(tmp_path):
    store = dist.HashStore()

    def begin(group):
        return group.earlier_folder, group.begin_in(tmp_path if group.is_leader else None)

    assert play(2, begin, store) == [(None, tmp_path)] * 2
    assert play(2, lambda group: group.earlier_folder, store, attempt=2) == [tmp_path, None]


def test_different_versions_are_refused_by_name():
    same = {"gantrain": "0.1.0", "torch": "2.13.0", "python": "3.11.2"}
    check_versions([same, dict(same)])
    with pytest.raises(ConfigError) as error:
        check_versions([same, same, same | {"torch": "2.12.0"}])
    assert str(error.value).startswith(
        "rank 2: has torch 2.12.0, and rank 0 has torch 2.13.0; install the same"
    )


# ------------------------------------------------------------------------------------------ the report of all


def joined_in_threads(monkeypatch, size, block, store=None):
    """Return what each of several processes that join ends with."""
    store = store or dist.HashStore()
    local = threading.local()

    def join_here():
        attempt, hellos = meet(store, local.rank, size, hello(local.rank), 5)
        return Processes(store, attempt, local.rank, size), store, hellos

    monkeypatch.setattr(join, "join", join_here)

    def part(rank):
        local.rank = rank
        try:
            with join.membership() as group:
                return block(group)
        except (Exception, SystemExit) as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(part, range(size)))


def test_a_failed_job_is_reported_once_and_not_tried_again(monkeypatch):
    store = dist.HashStore()

    def fail(group):
        if group.is_leader:
            raise ConfigError("seed", "is bad", "give another")
        return group.share(None)

    first, *others = joined_in_threads(monkeypatch, 3, fail, store)
    assert str(first) == "seed: is bad; give another"
    assert [error.code for error in others] == [2, 2]
    again = joined_in_threads(monkeypatch, 3, lambda group: "played", store)
    assert [error.code for error in again] == [2] * 3


def test_an_error_of_a_follower_has_its_rank(monkeypatch):
    def fail(group):
        group.wait()
        if group.rank == 1:
            raise DataError("dataset.root", "there is no folder", "make it")
        return group.share("leader")  # and goes on

    leader, follower = joined_in_threads(monkeypatch, 2, fail)
    assert leader == "leader"
    assert str(follower).startswith("rank 1 on ")
    assert str(follower).endswith(": dataset.root: there is no folder; make it")
    assert follower.exit_code == 3


@pytest.mark.skipif(sys.platform != "linux", reason="the parent of a process is read from /proc")
def test_a_process_that_hangs_is_killed_by_a_sibling_alone():
    import socket

    child = subprocess.Popen(["sleep", "30"])
    try:
        beat = Beat(1, 1, child.pid, socket.gethostname())
        end_sibling(beat)  # a child, no sibling
        end_sibling(beat._replace(pid=os.getppid()))
        with suppress(subprocess.TimeoutExpired):
            assert child.wait(0.1) is None
        script = f"from gantrain.distributed.pulse import *; end_sibling(Beat(*{tuple(beat)!r}))"
        subprocess.run([sys.executable, "-c", script], check=True)
        assert child.wait(5) == -signal.SIGKILL
    finally:
        child.kill()
