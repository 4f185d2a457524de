"""What TensorBoard shows of a run and of a sweep, read through TensorBoard's own back end."""

from __future__ import annotations

import html
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.data.provider import ListHyperparametersResult
from tensorboard.plugin_util import markdown_to_safe_html
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler
from tensorboard.plugins.scalar.scalars_plugin import ScalarsPlugin

from gantrain.config.compose import compose
from gantrain.config.options import Config
from gantrain.config.resolve import plain_data, resolve
from gantrain.core.sweep_folder import Job, Plan, SweepFolder
from gantrain.core.tags import CEILING, ONE, SHARES, TOTAL_VARIATION, ZERO, meaning
from gantrain.reports.readings import COLUMNS
from gantrain.tracking import tensorboard as dashboard
from gantrain.tracking.board_server import with_pinned_cards
from gantrain.tracking.event_file import read_events
from gantrain.tracking.pinned_cards import pinned_query, runs_under
from gantrain.tracking.tracker import Tracker
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.evaluate import expected_tags
from gantrain.training.run import run
from gantrain.training.session import Session

SMALL = [
    *"dataset=ring dataset.n=300 dataset.n_holdout=60 model.width=8 device=cpu device.threads=1".split(),
    *"train.steps=4 train.batch_size=16 train.log_every=1 train.evaluate_every=2 train.sample_every=4".split(),
    *"train.checkpoint_every=2 metric=toy metric.n=50 metric.refit_steps=8".split(),
]
JOBS = [
    ["objective=minimax", "optimizer.g_lr=1e-3", "seed=0", "train.ema=0.5"],
    ["objective=hinge", "optimizer.g_lr=2e-4", "seed=0", "train.ema=0.5"],
    ["objective=hinge", "optimizer.g_lr=2e-4", "seed=1", "train.ema=0.5", "model.minibatch_std=true"],
]
COMMAND = "gantrain -m objective=minimax,hinge 'name=a `b`'"


def configured(*words: str) -> Config:
    return resolve(plain_data(compose([*SMALL, *words])))


def event_file(folder: Path) -> Path:
    (path,) = folder.glob("events.out.tfevents.*")
    return path


def written(folder: Path) -> list[tuple[int, str]]:
    """Return step and tag of everything in a folder's event file, as often as it is there."""
    return [
        (event.step, value.tag) for event in read_events(event_file(folder)) for value in event.summary.value
    ]


class Board:
    """TensorBoard's back end on a folder."""

    def __init__(self, folder: Path):
        multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder))
        multiplexer.Reload()
        self.multiplexer, self.request = multiplexer, RequestContext()
        self.plugins: dict[str, object] = {}
        self.context = TBContext(
            data_provider=MultiplexerDataProvider(multiplexer, str(folder)),
            logdir=str(folder),
            plugin_name_to_instance=self.plugins,
        )
        self.plugins["scalars"] = ScalarsPlugin(self.context)

    def columns(self) -> api_pb2.Experiment:
        known, nothing = Context(self.context), ListHyperparametersResult([], [])
        content = known.hparams_metadata(self.request, "")
        return known.experiment_from_metadata(self.request, "", True, content, nothing)

    def rows(self, filtered: bool = False) -> dict[str, api_pb2.SessionGroup]:
        """Return the rows of HPARAMS by name; ``filtered`` by every value that the page has a box or range for."""
        statuses = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_RUNNING]
        request = api_pb2.ListSessionGroupsRequest(slice_size=100, allowed_statuses=statuses)
        for info in self.columns().hparam_infos:
            column = request.col_params.add(hparam=info.name)
            if filtered and info.HasField("domain_discrete"):
                column.filter_discrete.CopyFrom(info.domain_discrete)
            elif filtered and info.HasField("domain_interval"):
                column.filter_interval.min_value = info.domain_interval.min_value
                column.filter_interval.max_value = info.domain_interval.max_value
        groups = Handler(self.request, Context(self.context), "", request).run().session_groups
        assert all(len(group.sessions) == 1 for group in groups)
        assert len({group.name for group in groups}) == len(groups)
        return {group.name: group for group in groups}

    def charts(self) -> list[tuple[str, str]]:
        """Return title and pattern of the charts of CUSTOM SCALARS."""
        layout = CustomScalarsPlugin(self.context).layout_impl(self.request, "")
        layout = json.loads(layout) if isinstance(layout, str) else layout
        (category,) = layout.get("category", [])
        return [(chart["title"], *chart["multiline"]["tag"]) for chart in category["chart"]]


def value(shown: object) -> object:
    """Return what a protobuf value holds."""
    return getattr(shown, shown.WhichOneof("kind"))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """The folder of a sweep of three jobs."""
    folder = tmp_path_factory.mktemp("outputs") / "sweep"
    jobs = tuple(Job(f"{number}-job", tuple(job)) for number, job in enumerate(JOBS))
    plan = Plan(COMMAND, (), jobs, tags=("divergence/js", "diversity/modes", "loss/g"))
    folder.mkdir()
    SweepFolder(folder).write(plan)
    for number, job in enumerate(JOBS):
        config = configured(*job)
        place = f"run.dir={folder}"
        run(
            config,
            folder / f"{number}-job",
            session=Session(COMMAND, dict(w.split("=") for w in [place, *job]), plan=plan),
        )
    return folder


# HPARAMS ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "means"),
    [
        *[("2", 2), ("-3", -3), ("1e-4", 1e-4), ("0.5", 0.5), ("1.0", 1), ("1e400", "1e400"), ("nan", "nan")],
        *[
            ("true", True),
            ("False", False),
            ("hinge", "hinge"),
            ("'1 2'", "1 2"),
            ('"a"', "a"),
            ("null", "null"),
        ],
        *[("[3,7]", "[3,7]"), ("", ""), ("'", "'"), (str(2**60), float(2**60))],
    ],
)
def test_a_typed_value_is_a_boolean_a_number_or_a_word(text, means):
    assert dashboard.parse_hparam(text) == means
    assert type(dashboard.parse_hparam(text)) is type(means)


def test_what_varies_is_what_two_jobs_disagree_on():
    assert dashboard.differing_keys(JOBS) == {
        "objective": ["minimax", "hinge"],
        "optimizer.g_lr": ["1e-3", "2e-4"],
        "seed": ["0", "1"],
        "model.minibatch_std": [],
    }
    assert dashboard.differing_keys([["+a=1", "b=x=y"]]) == {"a": ["1"], "b": ["x=y"]}
    assert dashboard.differing_keys([["a=1"], ["a=1"]]) == {}
    assert dashboard.differing_keys([]) == {}


def test_a_sweep_has_a_row_a_run_and_the_columns_of_what_varies(sweep):
    board = Board(sweep)
    columns = board.columns()
    assert [info.name for info in columns.hparam_infos] == sorted(dashboard.differing_keys(JOBS))
    metrics = [info.name.tag for info in columns.metric_infos]
    assert metrics == ["divergence/js", "diversity/modes", "loss/g"]
    rows = board.rows()
    assert set(rows) == {"0-sweep", "1-sweep", "2-sweep"}
    for (name, row), job in zip(sorted(rows.items()), JOBS, strict=True):
        given = {key: dashboard.parse_hparam(text) for key, text in (word.split("=") for word in job)}
        shown = {key: value(shown) for key, shown in row.hparams.items()}
        assert shown == shown | given
        assert not [key for key in shown if key.startswith("run")]
        last: dict[str, float] = {}
        for line in (sweep / f"{name[0]}-job" / "metrics.jsonl").read_text().splitlines():
            last |= json.loads(line)
        for metric in row.metric_values:
            assert metric.value == pytest.approx(last[metric.name.tag], rel=1e-6)
        assert [m.name.tag for m in row.metric_values] == [tag for tag in metrics if tag in last]


@pytest.mark.parametrize(
    "words", [["experiment=dirac"], ["experiment=why_no_likelihood"], ["dataset=digits"]]
)
def test_row_of_any_run_is_accepted(words):
    config = resolve(plain_data(compose(words)))
    (row,) = dashboard.hparams_row(config, {}, Path("run")).value
    shown = plugin_data_pb2.HParamsPluginData.FromString(row.metadata.plugin_data.content)
    assert {key for key, v in shown.session_start_info.hparams.items() if value(v) == ""} == set()


def test_no_cell_of_hparams_is_blank(sweep, tmp_path):
    rows = Board(sweep).rows()
    keys = set.intersection(*(set(row.hparams) for row in rows.values()))  # hinge has not all keys of minimax
    assert {"model.minibatch_std", "train.batch_size", "dataset", "experiment", "noise.instance_std"} <= keys
    assert [key for key in keys for row in rows.values() if value(row.hparams[key]) == ""] == []
    shown = {name: value(row.hparams["model.minibatch_std"]) for name, row in rows.items()}
    assert shown == {
        "0-sweep": False,
        "1-sweep": False,
        "2-sweep": True,
    }  # the default where it was not typed
    assert value(rows["0-sweep"].hparams["dataset"]) == "ring"  # the choice, not its class


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("2026-01-31/16-51-22-digits-non_saturating-263262", "263262"),
        ("2026-01-31/16-51-22-sweep-104729/07-hinge-seed3", "07-104729"),
        ("six/3-hinge", "3-six"),
        ("mine", "mine"),
        ("ring-12345678", "ring-12345678"),
    ],
)
def test_trial_names_are_short_and_tell_sweeps_apart(tmp_path, path, name):
    folder = tmp_path / path
    folder.mkdir(parents=True)
    if re.match(r"\d+-", folder.name) and "digits" not in path:
        (folder.parent / "sweep.json").write_text("{}")
    assert dashboard.trial_name(folder) == name


def test_a_seed_that_was_left_to_chance_is_shown_as_drawn():
    config = configured("seed=null")
    (row,) = dashboard.hparams_row(config, {"seed": "null"}, Path("run")).value
    shown = plugin_data_pb2.HParamsPluginData.FromString(row.metadata.plugin_data.content)
    assert shown.session_start_info.hparams["seed"].number_value == config.seed


@pytest.mark.parametrize(
    "jobs",
    [JOBS, [["seed=0"], ["seed=12"], ["seed=3"]], [["model.width=auto"], ["model.width=64"], ["seed=1"]]],
    ids=["kinds", "numbers", "words beside numbers"],
)
def test_the_filters_that_the_page_offers_hide_no_row(tmp_path, jobs):
    config = configured()
    for number, job in enumerate(jobs):
        (tmp_path / str(number)).mkdir()
        tracker = Tracker(tmp_path / str(number))
        words = dict(word.split("=") for word in job)
        tracker.record(0, dashboard.hparams_row(config, words, tmp_path / str(number)))
        tracker.record(0, dashboard.hparams_columns(dashboard.differing_keys(jobs), ["loss/g"]))
        tracker.close()
    board = Board(tmp_path)
    assert [info.name for info in board.columns().hparam_infos] == sorted(dashboard.differing_keys(jobs))
    assert set(board.rows(filtered=True)) == {str(number) for number in range(len(jobs))}


def test_a_sweep_has_no_run_of_its_own(sweep):
    assert list(sweep.glob("events*")) == []
    assert set(Board(sweep).multiplexer.Runs()) == {"0-job", "1-job", "2-job"}
    for run_folder in sweep.glob("*-job"):  # whichever of them TensorBoard reads
        assert written(run_folder).count((0, "_hparams_/experiment")) == 1


def test_a_single_run_has_a_row_and_no_record_of_a_sweep(tmp_path):
    folder = tmp_path / "16-51-22-ring-hinge-263262"
    run(configured(*JOBS[0], "metric=js", "train.steps=2"), folder)
    assert "_hparams_/experiment" not in {tag for _, tag in written(folder)}
    assert set(Board(folder).rows()) == {"263262"}


def test_the_seed_is_in_the_row_though_nobody_set_it(tmp_path):
    tracker = Tracker(tmp_path)
    tracker.record(0, dashboard.hparams_row(configured(), {}, tmp_path))
    tracker.close()
    (row,) = Board(tmp_path).rows().values()
    assert value(row.hparams["seed"]) == configured().seed


def test_a_resumed_run_tells_everything_once(tmp_path):
    folder, words = tmp_path / "run", [*JOBS[0], "metric=js"]
    run(configured(*words, "train.steps=2", "optimizer.horizon=4"), folder)
    before = written(folder)
    run(configured(*words, "optimizer.horizon=4"), folder, resumed=load_checkpoint(folder))
    after = written(folder)
    assert len(after) == len(set(after)) > len(before)
    assert [pair for pair in after if pair in before] == before


# CUSTOM SCALARS --------------------------------------------------------------------------------------------------


def matched(pattern: str, tags: set[str]) -> set[str]:
    return {tag for tag in tags if re.match(pattern, tag)}  # as TensorBoard does


def test_a_chart_has_one_quantity_and_the_ends_of_its_axis(sweep):
    board = Board(sweep)
    tags = {
        tag
        for run in board.multiplexer.Runs()
        for tag in board.multiplexer.GetAccumulator(run).Tags()["tensors"]
    }
    charts = {title: matched(pattern, tags) for title, pattern in board.charts()}
    assert len(charts) == len(board.charts())  # hinge adds a chart, and no second copy of minimax's
    free = [
        "loss/d",
        "loss/g",
        "logits/real",
        "logits/fake",
        "logits/holdout",
        "diversity/modes",
        "diversity/mode_kl",
    ]
    assert charts == {tag: {tag} for tag in free} | {
        "divergence/js": {"divergence/js", CEILING, ZERO},
        "divergence/js_batch": {"divergence/js_batch", CEILING, ZERO},
        **{
            tag: {tag, ZERO, ONE}
            for tag in (
                "fidelity/high_quality",
                "divergence/total_variation",
                "divergence/total_variation_batch",
            )
        },
    }


def test_a_chart_never_depends_on_the_run():
    tags = [*dashboard.ORDER, "divergence/kl"]
    whole = dashboard.charts_summary(tags).value[0].tensor.string_val[0]
    for tag in tags:
        alone = dashboard.charts_summary([tag]).value[0].tensor.string_val[0]
        assert alone[alone.index(tag.encode()) :] in whole


@pytest.mark.parametrize(
    ("known", "added"),
    [
        (["divergence/js", "divergence/kl", "divergence/js_exact"], ["divergence/kl_exact"]),
        (["divergence/total_variation", "divergence/js_density"], ["divergence/total_variation_density"]),
        (["divergence/kl", "divergence/js_density"], []),
        (["divergence/kl"], []),
    ],
)
def test_an_exact_value_that_an_estimate_has_is_charted(known, added):
    layout = layout_pb2.Layout.FromString(dashboard.charts_summary(known).value[0].tensor.string_val[0])
    assert {chart.title for chart in layout.category[0].chart} == {*known, *added}


def test_ends_of_an_axis_are_charted_and_in_no_file_of_numbers(sweep):
    for folder in sorted(sweep.glob("*-job")):
        pairs = written(folder)
        estimated = {step for step, tag in pairs if tag in ("divergence/js", "divergence/js_batch")}
        assert {step for step, tag in pairs if tag == CEILING} == estimated == {1, 2, 3, 4}
        shares = {step for step, tag in pairs if tag in SHARES + TOTAL_VARIATION}
        assert {step for step, tag in pairs if tag == ONE} == shares
        assert {step for step, tag in pairs if tag == ZERO} == shares | estimated
        multiplexer = Board(folder).multiplexer
        for tag, end in ((CEILING, math.log(2)), (ZERO, 0.0), (ONE, 1.0)):
            points = [float(point.tensor_proto.float_val[0]) for point in multiplexer.Tensors(".", tag)]
            assert points == pytest.approx([end] * len(points), rel=1e-7)
        for name in ("metrics.jsonl", "result.json"):
            assert not re.search(f"{CEILING}|{ZERO}|{ONE}", (folder / name).read_text())


def test_every_scalar_is_described(sweep):
    board = Board(sweep)
    described = {
        tag: content["description"]
        for tags in board.plugins["scalars"].index_impl(board.request, "").values()
        for tag, content in tags.items()
    }
    assert "Jensen-Shannon divergence from below" in described["divergence/js"]
    assert "standard error of divergence/js" in described["divergence/js_se"]
    assert {tag for tag, text in described.items() if not text} == set()


UNCHARTED = {"logits/accuracy"}
SUITES = {
    "points": ["metric=fast"],
    "pairs": ["objective=conditional", "metric.names=[js,mismatch,per_condition,prdc,nearest]"],
    "batches": ["objective=least_squares", "model.packing=2", "metric.names=[js,refit,exact]"],
    "densities": ["dataset=gaussian", "model=gaussian", "metric.names=[js,refit,exact,modes]"],
    "no game": ["objective=regression", "model.condition=concat", "metric=fast"],
    "refit alone": ["objective=hinge", "metric=refit"],
    "critic": ["objective=wasserstein", "metric.names=[js,refit]"],
    "clipped critic": ["objective=wasserstein", "penalty=weight_clip", "metric=js"],
    "distances": ["metric.names=[frechet,kernel,wasserstein,nearest,parzen,spread,gradients]"],
    "digits": ["dataset=digits", "metric.names=[js,prdc,sharpness,class_modes,gan_test]"],
}


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_expected_of_a_run_is_what_it_writes(tmp_path, suite):
    words = [word for word in SMALL if not (suite == "digits" and word.startswith("dataset"))]
    words += ["train.steps=2", "train.sample_every=0", *SUITES[suite]]
    config = resolve(plain_data(compose(words)))
    metrics = set(run(config, tmp_path)["metrics"])
    found = metrics | {tag for _, tag in written(tmp_path)}
    expected = expected_tags(config)
    assert len(expected) == len(set(expected))
    of_interest = {*COLUMNS, *expected, *dashboard.ORDER}
    assert set(expected) == {tag for tag in found if tag in of_interest} - UNCHARTED
    assert [tag for tag in metrics if not meaning(tag)] == []


# TEXT and IMAGES -------------------------------------------------------------------------------------------------


def text_page(folder: Path) -> str:
    (page,) = [v for e in read_events(event_file(folder)) for v in e.summary.value if v.tag == "run/config"]
    return page.tensor.string_val[0].decode()


def test_run_page_has_command_config_game_and_versions(sweep):
    config = configured(*JOBS[1])
    shown = markdown_to_safe_html(text_page(sweep / "1-job"))  # what the tab renders
    blocks = [html.unescape(block) for block in re.findall(r"<pre><code>(.*?)</code></pre>", shown, re.S)]
    assert blocks[0].strip() == COMMAND
    assert yaml.safe_load(blocks[1]) == config.plain()
    assert config.objective.meaning in html.unescape(shown)
    cells = dict(re.findall(r"<td>([^<]*)</td>\s*<td>([^<]*)</td>", shown))
    assert {"gantrain", "python", "torch", "hydra-core", "tensorboard", "device"} <= set(cells)
    assert all(cells.values())


def test_the_page_holds_nothing_of_the_environment(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "pa55word")
    page = dashboard.run_page("gantrain", configured(), {"torch": "2"})
    assert "pa55word" not in page
    assert "SOME_API_KEY" not in page


def test_a_run_from_a_folder_that_is_gone_has_its_page(tmp_path, monkeypatch):
    config = configured()
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert "commit of the working directory" not in dashboard.run_page("", config, {})


def test_a_command_of_several_lines_stays_one_block():
    command = "gantrain 'name=a\n\n```\n# b'"
    shown = markdown_to_safe_html(dashboard.run_page(command, configured(), {}))
    block = re.search(r"<pre><code>(.*?)</code></pre>", shown, re.S)
    assert html.unescape(block[1]).strip() == command


def test_pictures_begin_with_the_untrained_generator(sweep):
    steps = [step for step, tag in written(sweep / "0-job") if tag == "samples/density"]
    assert steps == [0, 4]


def test_history_is_read_once_and_goes_on(tmp_path):
    tracker = Tracker(tmp_path)
    tracker.scalars(1, {"loss/d": 0.1, "loss/g": math.nan})
    tracker.close()
    tracker = Tracker(tmp_path, 1)
    first = tracker.history()
    assert first == [{"step": 1, "loss/d": 0.1, "loss/g": None}]
    tracker.scalars(2, {"divergence/js": 0.3})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    (tmp_path / "metrics.jsonl").unlink()
    assert tracker.history() == lines == [*first[:1], {"step": 2, "divergence/js": 0.3}]
    tracker.close()


# gantrain tensorboard --------------------------------------------------------------------------------------------


def cards(query: str) -> list[dict]:
    """Return the cards that a link pins, by the way the page reads it: the query, then the tab."""
    link = urllib.parse.urlsplit("http://127.0.0.1:6006/" + query)
    assert link.fragment == "timeseries&_smoothingWeight=0"
    given = urllib.parse.parse_qs(link.query)
    assert given["smoothing"] == ["0"]
    return json.loads(given.get("pinnedCards", ["[]"])[0])


def test_the_link_pins_what_the_runs_hold(sweep):
    found = cards(pinned_query(sweep, runs_under(sweep)))
    assert [card["tag"] for card in found] == [
        *("divergence/js", "samples/density", "diversity/modes", "fidelity/high_quality", "loss/d", "loss/g")
    ]
    assert found[1] == {
        **{"plugin": "images", "tag": "samples/density", "sample": 0},
        "runId": "defaultExperimentId/0-job",
    }
    assert len(found) <= 10  # as many as TensorBoard pins


@pytest.mark.parametrize(("folder", "name"), [("..", "sweep/0-job"), (".", "0-job"), ("0-job", ".")])
def test_run_names_begin_below_the_folder_that_is_given(sweep, folder, name):
    top = Path(os.path.normpath(sweep / folder))
    assert cards(pinned_query(top, runs_under(top)))[1]["runId"] == f"defaultExperimentId/{name}"
    assert name in EventMultiplexer().AddRunsFromDirectory(str(top)).Runs()


def test_a_run_without_numbers_is_linked_without_cards(tmp_path):
    Tracker(tmp_path).close()
    assert cards(pinned_query(tmp_path, runs_under(tmp_path))) == []


def test_a_folder_without_runs_is_said_to_have_none(run_cli, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, error = run_cli("tensorboard", "empty")
    assert (code, out) == (4, "")
    assert error.startswith("gantrain: error: empty: holds no runs: there is no event file under it; ")
    assert error.count("\n") == 1


@pytest.fixture
def started(sweep, run_cli, monkeypatch):
    """Return ``started(*flags) -> (TensorBoard's words, what was printed)``, without becoming TensorBoard."""

    def start(*flags: str) -> tuple[list[str], str]:
        found: list[list[str]] = []

        def become(_: str, words: list[str]) -> None:
            found.append(words)
            raise SystemExit(0)

        with monkeypatch.context() as patch:
            patch.setattr(os, "execv", become)
            _, out, _ = run_cli("tensorboard", sweep, *flags)
        (words,) = found
        return words, out

    return start


def test_tensorboard_is_local_with_all_images(started, sweep):
    words, out = started()
    assert words[1:5] == ["-P", "-m", "gantrain.tracking.board_server", str(sweep)]
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert words[words.index("--samples_per_plugin") + 1] == "images=500"
    assert out == ""  # the server prints its address once it has one


def test_the_users_flags_win(started):
    flags = ["--host=::1", "--path_prefix=/tb", "--port=7123"]
    words, _ = started(*flags)
    assert words[-3:] == flags
    assert words.index("--host") < words.index("--host=::1")  # the last one counts
    words, _ = started("--bind_all")
    assert "--host" not in words  # TensorBoard refuses both


def visit(folder: Path, path: str, query: str = "", prefix: str = "") -> tuple[str, dict[str, str]]:
    """Return status and headers of the server's answer, where TensorBoard itself answers 200."""
    answers: list[tuple[str, dict[str, str]]] = []

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        answers.append((status, dict(headers)))

    def board(_: dict, start: Callable) -> list[bytes]:
        start("200 OK", [])
        return []

    list(with_pinned_cards(board, folder, prefix)({"PATH_INFO": path, "QUERY_STRING": query}, start_response))
    (answer,) = answers
    return answer


def test_bare_address_leads_to_the_pinned_cards(sweep):
    status, headers = visit(sweep, "/")
    assert status == "302 Found"
    assert cards(headers["Location"]) == cards(pinned_query(sweep, runs_under(sweep)))
    assert visit(sweep, "/tb/", prefix="/tb") == (status, headers)
    for place in [("/", "smoothing=0"), ("/data/runs", ""), ("/index.js", "")]:
        assert visit(sweep, *place) == ("200 OK", {})
    assert visit(sweep, "/", prefix="/tb") == ("200 OK", {})


def test_bare_address_shows_the_runs_of_the_moment(tmp_path):
    assert cards(visit(tmp_path / "gone", "/")[1]["Location"]) == []
    (tmp_path / "run").mkdir()
    tracker = Tracker(tmp_path / "run")
    assert cards(visit(tmp_path, "/")[1]["Location"]) == []
    tracker.scalars(1, {"loss/d": 1.0})
    tracker.close()
    assert [card["tag"] for card in cards(visit(tmp_path, "/")[1]["Location"])] == ["loss/d"]


@pytest.mark.slow
def test_server_prints_its_short_address_last(sweep):
    with socket.socket() as other:
        with suppress(OSError):  # somebody else has the usual port: as good
            other.bind(("127.0.0.1", 6006))
            other.listen()
        command = [sys.executable, "-m", "gantrain", "tensorboard", str(sweep), "--path_prefix=/tb/"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        lines = []
        while not lines or not lines[-1].startswith("http:"):
            lines.append(process.stdout.readline().strip())
        assert re.fullmatch(r"http://127\.0\.0\.1:60(?!06)\d\d/tb/", lines[-1])
        with urllib.request.urlopen(lines[-1]) as page:
            assert cards(page.url.partition("/tb/")[2]) == cards(pinned_query(sweep, runs_under(sweep)))
        os.killpg(process.pid, signal.SIGTERM)
        assert process.stdout.read() == "TensorBoard caught SIGTERM; exiting...\n"
        process.wait()
