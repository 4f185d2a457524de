"""``gantrain report``: one file with everything in it, whatever a name says; an animation of the samples."""

import base64
import contextlib
import hashlib
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from made_runs import made
from PIL import Image

from gantrain.cli.main import main
from gantrain.reports.curves import LOG_2, charts, read_curves, reference_lines, thin
from gantrain.reports.frames import FRAME_MS, LAST_FRAME_MS, MAX_FRAMES, embed_frames, pick_evenly
from gantrain.reports.html import render_page
from gantrain.reports.runs import read_rows

BAD = '<script>alert("x")</script><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """What an HTML file holds: its tags with their attributes, its text, and its scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text, self.scripts, self._inside = "", [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data

    @property
    def data(self):
        return json.loads(self.scripts[0])

    def found(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A real run of the ring, of four steps."""
    folder = tmp_path_factory.mktemp("report") / "ring"
    words = (
        "dataset=ring metric=js metric.n=100 train.steps=4 train.log_every=1 train.sample_every=1 device=cpu"
    )
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*words.split(), f"run.dir={folder}"]) == 0
    return folder


def test_report_of_a_run_is_one_file_that_loads_nothing(run, run_cli, tmp_path):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, out, error = run_cli("report", run, "out=here.html")
    assert code == 0, error
    assert out.startswith("here.html  ")
    assert [path.name for path in tmp_path.iterdir()] == ["here.html"]
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    text = (tmp_path / "here.html").read_text()
    assert not re.search(
        r"(src|href)\s*=\s*[\"']?(?!data:|\")", re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    )
    shown = Page(text)
    assert {image["src"][:5] for image in shown.found("img")} == {"data:"}
    assert all(image["alt"] for image in shown.found("img"))
    assert not shown.found("link")
    result = json.loads((run / "result.json").read_text())
    assert f"{result['metrics']['divergence/js']:.3f}" in shown.text
    assert result["meaning"] in shown.text
    assert "gantrain dataset=ring metric=js" in shown.text
    assert "optimizer.d_lr" in shown.text
    assert "torch" in shown.text
    steps = [step for step, _ in shown.data["players"][0]]
    assert steps == [0, 1, 2, 3, 4]


def test_report_policy_allows_its_own_script_and_no_request(run):
    shown = Page(render_page(read_rows([run]), "a", "b"))
    policy = next(
        a["content"] for a in shown.found("meta") if a.get("http-equiv") == "Content-Security-Policy"
    )
    digest = base64.b64encode(hashlib.sha256(shown.scripts[1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )


def test_mean_of_the_last_fifth_has_an_error_as_in_the_result(tmp_path):
    tags = {
        "divergence/js": 0.1234,
        "fidelity/precision": 0.8766,
        "divergence/kl": 3.21,
        "divergence/js_exact": 0.5,
    }
    folder = made(
        tmp_path / "r", ["seed=0"],
        {"metrics": tags, "tail": tags | {"divergence/js_se": 0.02},
         "tail_errors": {"divergence/js": 0.0204, "fidelity/precision": 0.013, "divergence/kl": -1.0},
         "errors": {"divergence/js": {"se": 0.02, "lower_bound": True}, "divergence/kl": {"caveat": "heavy tails"}}},
        {"seed": 0},
    )  # fmt: skip
    cells = r'data-label="metric">([^<]+).*?data-label="mean of the last fifth">([^<]*)'
    assert dict(re.findall(cells, render_page(read_rows([folder]), "a", "b"), re.DOTALL)) == {
        "divergence/js": "≥ 0.123 ± 0.020",
        "fidelity/precision": "0.877 ± 0.013",
        "divergence/kl": "3.2 (± not reliable)",
        "divergence/js_exact": "0.50",
    }


def test_charts_have_the_runs_curves_and_reference_lines(run):
    (row,) = read_rows([run])
    found = read_curves(run)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert found["loss/d"] == ([1, 2, 3, 4], [line["loss/d"] for line in lines if "loss/d" in line])
    made_charts = {one["title"]: one for one in charts(row, found)}
    assert [one["name"] for one in made_charts["loss"]["series"]] == ["d", "g"]
    assert [line["y"] for line in made_charts["loss"]["lines"]] == [row.result["chance"]]
    assert made_charts["divergence"]["lines"][0]["y"] == LOG_2
    assert len(made_charts["divergence"]["series"][0]["se"]) == 4
    assert list(made_charts)[:3] == ["divergence", "loss", "logits"]
    assert [one["main"] for one in made_charts.values()] == sorted(
        (o["main"] for o in made_charts.values()), reverse=True
    )


def test_report_escapes_names_commands_keys_and_errors(tmp_path):
    folder = made(
        tmp_path / BAD.replace("/", "|"), [f"name={BAD}"],
        {"status": "failed", "exit_code": 1, "error": BAD, "health": [BAD], "meaning": BAD,
         "metrics": {BAD: 1.0}, "floors": {BAD: 2.0}, "protocol": {BAD: {BAD: BAD}}},
        {"seed": 0, "name": BAD, BAD: {BAD: BAD}},
        [{"step": 1, BAD: 1.0, "loss/" + BAD: 2.0}, {"step": 2, BAD: 1.0}], {0: "red"},
    )  # fmt: skip
    other = made(tmp_path / "1-other", ["name=x", f"objective={BAD}"], {"metrics": {BAD: 2.0}}, {"seed": 1})
    for found in (read_rows([folder]), read_rows([folder, other])):
        text = render_page(found, BAD, BAD)
        shown = Page(text)
        assert len(shown.scripts) == 2
        assert not [image for image in shown.found("img") if "onerror" in image]
        assert BAD in shown.text
        assert "<" not in shown.scripts[0]
        assert json.loads(shown.scripts[0]) == shown.data


def test_report_shows_template_markers_in_a_name_as_text(run):
    assert "{{data}} {{policy}}" in Page(render_page(read_rows([run]), "{{data}} {{policy}}", "x")).text


@given(some.lists(some.floats(-9, 9) | some.none(), min_size=1, max_size=3000))
def test_thin_keeps_the_ends_extremes_and_order_of_a_curve(values):
    steps = list(range(0, 2 * len(values), 2))
    x, y = thin((steps, values), 100)
    assert (x[0], y[0], x[-1], y[-1]) == (0, values[0], steps[-1], values[-1])
    assert x == sorted(set(x))
    assert all(values[step // 2] == value for step, value in zip(x, y, strict=True))
    real, kept = [v for v in values if v is not None], [v for v in y if v is not None]
    assert not real or (min(real), max(real)) == (min(kept), max(kept))
    assert (None in y) == (None in values)
    assert len(x) <= max(100, len(values) if len(values) <= 100 else 152)


@given(some.integers(0, 500), some.integers(2, 60))
def test_pick_evenly_keeps_the_first_and_the_last(count, most):
    found = [(step, Path(f"{step}")) for step in range(count)]
    chosen = pick_evenly(found, most)
    assert len(chosen) == min(count, most)
    if count:
        assert (chosen[0], chosen[-1]) == (found[0], found[-1])
        gaps = [b[0] - a[0] for a, b in zip(chosen[:-1], chosen[1:], strict=True)]
        assert not gaps or max(gaps) - min(gaps) <= 1


def test_curves_have_a_gap_where_a_value_is_not_finite(tmp_path):
    folder = made(tmp_path / "a", history=[{"step": 1, "loss/d": 1.0}, {"step": 2, "loss/d": None}])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "loss/d": NaN}\n[1]\n7\n{"loss/d": 1}\n{"step": 4, "los')
    assert read_curves(folder) == {"loss/d": ([1, 2, 3], [1.0, None, None])}
    text = render_page(read_rows([folder]), "a", "b")
    assert "NaN" not in Page(text).scripts[0]
    assert "unfinished" in text or "missing" in text


def test_reference_lines_are_drawn_where_runs_agree(tmp_path):
    paths = [
        made(tmp_path / f"{i}", result={"chance": chance, "floors": {"diversity/coverage": floor}})
        for i, (chance, floor) in enumerate([(2.0, 0.97), (2.0, 0.96), (0.0, 0.5)])
    ]

    def named(found: list[Path], tag: str) -> list[float]:
        return [line["y"] for line in reference_lines(read_rows(found), [tag])]

    assert named(paths[:2], "loss/d") == [2.0]
    assert named(paths, "loss/d") == []
    assert named(paths[2:], "loss/d") == [0.0]  # a chance level of 0 is one
    assert named(paths[:2], "diversity/coverage") == [0.965]
    assert named(paths, "diversity/coverage") == []
    assert named(paths, "divergence/js_refit") == [LOG_2]
    assert named(paths, "divergence/frechet") == []


# ------------------------------------------------------------------------------------------- several runs


def test_report_of_a_sweep_shows_every_run_and_failed_jobs(tmp_path, run_cli):
    sweep = tmp_path / "sweep"
    for i, objective in enumerate(("minimax", "hinge")):
        made(sweep / f"{i}-{objective}", [f"objective={objective}", f"seed={i}"],
             {"metrics": {"diversity/modes": 4.0 + i}, "floors": {"diversity/modes": 8.0}},
             {"seed": i, "objective": {"name": objective}, "train": {"steps": 5}},
             [{"step": s, "diversity/modes": float(s)} for s in (1, 5)], {0: "red", 5: "blue"})  # fmt: skip
    dead = {"status": "killed", "exit_code": 137, "error": "killed by SIGKILL"}
    made(sweep / "2-hinge", ["objective=hinge", "seed=0"], dead)
    (sweep / "sweep.json").write_text(json.dumps({"command": "gantrain -m typed", "jobs": []}))
    code, _, error = run_cli("report", sweep)
    assert code == 0, error
    shown = Page((sweep / "report.html").read_text())
    assert "gantrain -m typed" in shown.text
    assert "2 of 3 runs finished" in shown.text
    assert "2-hinge: killed (137): killed by SIGKILL" in shown.text
    assert [len(shots) for shots in shown.data["players"]] == [2, 0, 2]  # by setting, the best first
    assert len(shown.data["tags"]["diversity/modes"]["series"]) == 2
    assert len([a for a in shown.found("input") if a["type"] == "range"]) == 1
    assert [a for a in shown.found("table") if a.get("class") == "sortable"]


def test_embed_frames_thins_and_shrinks_to_its_budget(tmp_path):
    folder = made(tmp_path / "a", result={})
    (folder / "samples").mkdir()
    noise = Image.frombytes("RGB", (400, 40), os.urandom(400 * 40 * 3))
    noise.save(folder / "samples" / "0.png", compress_level=0)
    for step in range(1, 40):
        (folder / "samples" / f"{step}.png").symlink_to("0.png")
    (free,) = embed_frames([folder])
    assert len(free) == 40
    size = len(free[0][1])
    (shots,) = embed_frames([folder], budget=22 * size)
    assert sum(len(source) for _, source in shots) <= 22 * size
    assert 12 <= len(shots) < 40
    assert embed_frames([folder], budget=1) == [[]]
    assert (shots[0][0], shots[-1][0]) == (0, 39)


# ------------------------------------------------------------------------------------------- in motion


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_animation_shows_steps_in_order_and_holds_the_last(tmp_path, run_cli, suffix):
    colours = {5: (255, 0, 0), 50: (0, 255, 0), 1000: (0, 0, 255)}
    made(tmp_path / "a", result={}, pictures=colours)
    code, out, error = run_cli("report", "a", f"out=b.{suffix}")
    assert code == 0, error
    assert "3 frames" in out
    with Image.open(tmp_path / f"b.{suffix}") as image:
        assert image.n_frames == 3
        times, seen = [], []
        for i in range(3):
            image.seek(i)
            image.load()
            times.append(image.info["duration"])
            seen.append(image.convert("RGB").getpixel((5, 5)))
    assert seen == list(colours.values())
    assert times == [FRAME_MS, FRAME_MS, LAST_FRAME_MS]


def test_animation_of_many_pictures_of_two_sizes_is_short(tmp_path, run_cli):
    folder = made(tmp_path / "a", result={}, pictures={s: (s, 255 - s, 0) for s in range(100)})
    Image.new("RGB", (60, 20), "white").save(folder / "samples" / "000200.png")
    (folder / "samples" / "000300.png").write_bytes(b"cut short")
    code, _, error = run_cli("report", "a", "out=b.gif")
    assert code == 0, error
    with Image.open(tmp_path / "b.gif") as image:
        assert image.size == (60, 30)
        assert image.n_frames <= MAX_FRAMES


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["a", "out=b.pdf"], 2, "another suffix; choose from .html, .gif, .png"),
        (["a", "out=absent/b.html"], 2, "there is no folder"),
        (["both", "out=b.gif"], 2, "would show one run of 2"),
        (["a", "out=b.gif"], 4, "holds no pictures"),
        (["absent"], 4, "there is no such folder"),
    ],
)
def test_report_reports_a_wrong_word_in_one_line(tmp_path, run_cli, words, code, says):
    for folder in ("a", "both/0", "both/1"):
        made(tmp_path / folder, result={})
    found, _, error = run_cli("report", *words)
    assert (found, error.count("\n")) == (code, 1)
    assert says in error
    assert not list(tmp_path.glob("b.*"))
