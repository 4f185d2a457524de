"""A sweep's answer: what varied, means over seeds, best first, failures named; as text and as files."""

import csv
import json
import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from made_runs import made
from PIL import Image

from gantrain.reports.end_table import protocol_warnings
from gantrain.reports.figures import axis_key, chart, sample_sheet
from gantrain.reports.ranking import best_first, columns, cost, settings
from gantrain.reports.runs import Row, read_rows, runs_under
from gantrain.reports.summary import comparison_text, summarise, write_files
from gantrain.reports.tables import INTERVAL_NOTE, markdown_table, notes, run_table, seed_table
from gantrain.reports.tail import published_table, tail_means

MODE_TAGS = ["diversity/modes", "diversity/mode_kl", "fidelity/novel"]


@pytest.fixture
def folders(tmp_path) -> list[Path]:
    modes = {("minimax", 0): 8.0, ("minimax", 1): 5.0, ("hinge", 0): 7.0, ("hinge", 1): 6.5}
    found = []
    for number, ((objective, seed), value) in enumerate(modes.items()):
        words = ["dataset=ring", f"objective={objective}", f"seed={seed}"]
        metrics = {
            "diversity/modes": value,
            "diversity/mode_kl": 8 - value,
            "fidelity/novel": 1.0,
            "generator/mu": 0,
        }
        result = {"metrics": metrics, "tail": {"loss/d": 1.0}, "floors": {"diversity/modes": 8.0}}
        found.append(made(tmp_path / f"{number}-job", words, result, pictures={0: "red", 5: "blue"}))
    return found


def one(name: str, numbers: dict, status: str = "finished", **varied: str) -> Row:
    return Row(name, varied, status, numbers, {}, 1.0)


def test_run_table_has_what_varies_and_the_best_run_first(folders):
    head, *lines = run_table(read_rows(folders))
    assert head == ["run", "objective", "seed", *MODE_TAGS, "seconds", "status"]
    assert [line[0] for line in lines] == ["0", "2", "3", "1"]
    assert lines[0] == ["0", "minimax", "0", "8.0", "0.00", "1.0", "2", "finished"]


def test_seed_table_of_two_seeds_shows_both_and_the_worse(folders):
    head, *lines = seed_table(read_rows(folders))
    assert head == ["objective", "seeds", *(f"{tag} (sd; worst seed)" for tag in MODE_TAGS)]  # and no place
    assert [line[:2] for line in lines] == [["hinge", "2"], ["minimax", "2"]]  # 6.75 modes before 6.5
    sd = statistics.stdev([8.0, 5.0])
    assert lines[1][2] == f"5.0 to 8.0 ({sd:.3f}; 5.0, seed 1)"  # fewer modes are worse
    assert lines[1][3] == f"0.0 to 3.0 ({sd:.3f}; 3.0, seed 1)"  # a larger mode_kl is worse
    assert seed_table(read_rows(folders[::2])) == []
    assert [line[2] for line in seed_table(read_rows(folders), worst=False)[1:]] == [
        "6.50 to 7.00",
        "5.0 to 8.0",
    ]


def test_seed_table_of_three_seeds_has_an_interval():
    values = (0.70, 0.74, 0.78)
    found = [one(f"{i}", {"diversity/coverage": value}, seed=str(i)) for i, value in enumerate(values)]
    (_, line) = seed_table(found, worst=False)
    half = 4.302653 * 0.04 / math.sqrt(3)  # Student's t of 2 degrees
    assert line == ["3", f"0.740 ({0.74 - half:.3f} to {0.74 + half:.3f})"]
    assert INTERVAL_NOTE in notes(found)


def test_published_values_choose_the_columns_of_a_table(tmp_path):
    runs = [
        made(tmp_path / f"{i}-job", [f"objective.divergence={name}"], {
            "metrics": {"divergence/js": 9.0}, "tail": {"generator/mu": mu, f"divergence/{name}": d, "loss/d": 1.0},
            "published": {"generator/mu": 1.0, f"divergence/{name}": 0.5},
        })
        for i, (name, mu, d) in enumerate([("kl", 1.03, 0.49), ("pearson", 0.98, 0.51)])
    ]  # fmt: skip
    found = read_rows(runs)
    assert columns(found) == ["generator/mu", "divergence/kl", "divergence/pearson"]
    head, first, second = run_table(found)
    assert head[1] == "objective.divergence"
    assert first[1:5] == [
        "pearson",
        "0.98 (1)",
        "",
        "0.51 (0.5)",
    ]  # the nearer to the published value
    assert second[1:5] == ["kl", "1.0 (1)", "0.49 (0.5)", ""]
    assert "in brackets: published" in comparison_text(found)


ENDS = [
    ("diverged", 6, "loss/d: is not finite; lower optimizer.d_lr", "diverged (6)"),
    ("killed", 137, "killed by SIGKILL", "killed (137)"),
    ("failed", 3, "dataset.path: no file", "failed (3)"),
    ("pruned", 0, "", "pruned"),
]


def test_published_value_without_a_reading_hides_no_column():
    found = [
        replace(one(f"{i}", {"divergence/js_refit": value}, seed=str(i)), published={"diversity/modes": 8.0})
        for i, value in enumerate((0.5, 0.2))
    ]
    assert columns(found) == ["divergence/js_refit"]
    assert [row.name for row in best_first(found)] == ["1", "0"]
    assert "in brackets" not in comparison_text(found)


def test_published_value_is_compared_with_its_own_seed():
    read = {"a1": 1.1, "a2": 1.3, "b0": 5.0}
    found = [one("a0", {}, "failed", x="a", seed="0")]
    for name, value in read.items():
        row = one(name, {"generator/mu": value}, x=name[0], seed=name[1])
        found.append(replace(row, published={"generator/mu": 1.0}))
    assert [setting.varied["x"] for setting in settings(found)] == ["a", "b"]
    assert "1.30, seed 2)" in seed_table(found)[1][-2]


def test_seed_table_says_over_how_many_runs_a_mean_is():
    numbers = ({"diversity/modes": 8.0, "divergence/kl_exact": 1.0}, {"diversity/modes": 8.0})
    found = [one(f"{i}", read, x="a", seed=str(i)) for i, read in enumerate(numbers)]
    head, line = seed_table(found, worst=False)
    assert dict(zip(head, line, strict=True))["divergence/kl_exact"] == "1.0 of 1"
    assert " of " not in dict(zip(head, line, strict=True))["diversity/modes"]


def test_table_names_failed_runs_and_leaves_them_out_of_means(tmp_path, folders):
    words = [["dataset=ring", "objective=hinge", f"seed={seed}"] for seed in range(2, 8)]
    bad = [
        made(tmp_path / f"{7 + i}-job", words[i], {
            "status": status, "exit_code": code, "error": error, "metrics": {"diversity/modes": 0.0},
        })
        for i, (status, code, error, _) in enumerate(ENDS)
    ]  # fmt: skip
    gone = tmp_path / "11-job"
    broken = made(tmp_path / "12-job", words[5])
    (broken / "result.json").write_text('{"status": "fin')
    jobs = [{"folder": gone.name, "overrides": words[4]}]
    (tmp_path / "sweep.json").write_text(json.dumps({"command": "gantrain -m", "jobs": jobs}))
    found = read_rows([*folders, *bad, gone, broken])
    ends = {line[0]: line[-1] for line in run_table(found)}
    assert [ends[f"{7 + i}"] for i in range(4)] == [end for *_, end in ENDS]
    assert (ends["11"], ends["12"]) == ("missing", "unreadable")
    (hinge,) = [line for line in seed_table(found) if line[0] == "hinge"]
    assert hinge[1] == "2 of 8"
    assert hinge[2].startswith("6.50 to 7.00 (0.354; ")
    assert (
        "seed 2 diverged (6), seed 3 killed (137), seed 4 failed (3), seed 5 pruned, seed 6 missing"
        in hinge[-1]
    )
    text = comparison_text(found).splitlines()
    assert "7-job: diverged (6): loss/d: is not finite; lower optimizer.d_lr" in text
    assert "8-job: killed (137): killed by SIGKILL" in text
    assert "11-job: missing: it has not begun" in text
    assert "5 of 10 runs did not finish" in text
    assert not [line for line in text if line.startswith("10-job")]  # to be pruned is no failure


@pytest.mark.parametrize(
    "content", ["[]", "null", '{"metrics": 3}', '{"metrics": {"a": "x", "b": true}}', '"\\ud800"']
)
def test_table_survives_a_result_of_any_shape(tmp_path, folders, content):
    odd = made(tmp_path / "9-job", ["dataset=ring", "objective=hinge", "seed=9"])
    (odd / "result.json").write_text(content)
    (odd / ".hydra" / "overrides.yaml").write_text("{" if content == "null" else "[1, a=b]")
    text = summarise(tmp_path, [*folders, odd, tmp_path / "absent"])
    assert "hinge" in text
    assert len((tmp_path / "summary.csv").read_text().splitlines()) == 7


def test_table_survives_control_characters(tmp_path):
    error = {"status": "failed", "exit_code": 1, "error": "a\n\x1b[31mb"}
    found = read_rows(
        [made(tmp_path / "0-a\x1b[2J", ["a=x|y\n"], error), made(tmp_path / "1-b", ["a=2"], {})]
    )
    text = comparison_text(found)
    assert "\x1b" not in text
    assert "a\\n\\x1b[31mb" in text
    assert "x\\|y\\n" in markdown_table(run_table(found))


def test_summary_files_have_every_value_and_the_same_tables(tmp_path, folders):
    text = summarise(tmp_path, folders)
    with (tmp_path / "summary.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["fidelity/novel"]) for line in lines] == [1.0] * 4
    assert [float(line["diversity/modes"]) for line in lines] == [8, 5, 7, 6.5]
    page = (tmp_path / "summary.md").read_text()
    assert markdown_table(run_table(read_rows(folders))) in page
    assert markdown_table(seed_table(read_rows(folders))) in page
    assert str(tmp_path / "summary.csv") in text
    assert "sorted by diversity/modes (higher is better), no ranking: fewer than 3 seeds" in text
    assert f"gantrain report {tmp_path}" in text
    for name in ("summary.png", "samples.png"):
        with Image.open(tmp_path / name) as image:
            image.load()


def test_summary_files_that_cannot_be_written_cost_a_line(tmp_path, folders):
    whole = summarise(tmp_path, folders)
    (tmp_path / "summary.csv").unlink()
    (tmp_path / "summary.csv").mkdir()  # nothing can be written in its place
    text = summarise(tmp_path, folders)
    assert f"{tmp_path / 'summary.csv'}: cannot be written (Is a directory); move the folder" in text
    assert text.split("\n\n")[:2] == whole.split("\n\n")[:2]
    errors = write_files(tmp_path / "absent", read_rows(folders))
    assert len(errors) == 4
    assert {error.remedy for error in errors} == {"check whether its folder was moved or removed"}
    assert not list(tmp_path.glob(".*.part"))


def test_table_that_is_long_is_cut_only_on_the_terminal(tmp_path):
    found = [one(f"{i:02d}-job", {"diversity/modes": float(i)}, x=str(i)) for i in range(60)]
    text = comparison_text(found)
    assert "and 20 more, in summary.md" in text
    assert "59 " in text.splitlines()[1]
    write_files(tmp_path, found)
    assert sum(line.startswith("|") for line in (tmp_path / "summary.md").read_text().splitlines()) == 62


# ------------------------------------------------------------------------------------------- the pictures


def test_chart_axis_is_a_numeric_key():
    rates = ("1e-4", "1e-3", "1e-2")
    swept = [
        one(f"{r}{o}", {"diversity/modes": 1.0}, **{"optimizer.d_lr": r, "objective": o})
        for r in rates
        for o in "ab"
    ]
    assert axis_key(swept) == "optimizer.d_lr"
    assert axis_key([one(o, {}, objective=o) for o in ("hinge", "minimax")]) is None
    assert axis_key([one(s, {}, seed=s) for s in "0123"]) is None
    many = [one(f"{o}{r}", {}, objective=str(o), rate=f"x{r}") for o in range(2) for r in range(3)]
    assert axis_key(many) == "objective"
    drawn = [one(r, {}, **{"optimizer.d_lr": r, "optimizer.g_lr": f"3{r}"}) for r in rates]
    assert axis_key(drawn) is None  # of a random search, where no two share a value


@pytest.mark.parametrize("count", [1, 8, 40])
def test_chart_has_a_legible_row_for_every_setting(count):
    found = [one(f"{i}", {"diversity/modes": float(i)}, objective=f"option number {i}") for i in range(count)]
    image = chart(found)
    assert image is not None
    assert image.height >= 150 + 28 * count  # a line of text is 14 pixels high
    assert chart([one("a", {}), one("b", {"speed/x": 1.0})]) is None


def middle(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    return image.getpixel((x, y))


def test_sample_sheet_has_settings_by_seeds_and_last_pictures(tmp_path):
    colours = {("a", "0"): "red", ("a", "1"): "lime", ("b", "0"): "blue", ("b", "1"): "yellow"}
    runs = [
        made(tmp_path / f"{o}{s}", [f"objective={o}", f"seed={s}"], {"metrics": {"diversity/modes": float(o == "a")}},
             pictures={0: "black", 5: colour})
        for (o, s), colour in colours.items()
    ]  # fmt: skip
    (runs[1] / "samples" / "000009.png").write_bytes(b"\x89PNG cut short")
    sheet = sample_sheet(read_rows(runs), side=120)
    assert sheet is not None
    width, height = sheet.width // 2, sheet.height // 2
    at = {(o, s): (width * int(s) + width // 2, height * (o == "b") + height // 2 + 8) for o, s in colours}
    found = {key: middle(sheet, *place) for key, place in at.items()}
    assert found == {
        ("a", "0"): (255, 0, 0),
        ("a", "1"): (0, 255, 0),
        ("b", "0"): (0, 0, 255),
        ("b", "1"): (255, 255, 0),
    }
    bare = [one("x", {"diversity/modes": 1.0})]
    assert sample_sheet(bare) is None


def test_sample_sheet_of_a_hundred_runs_can_be_opened(tmp_path):
    folder = made(tmp_path / "0", pictures={1: "red"})
    found = [Row(f"{i}", {"x": f"v{i}"}, "finished", {}, {}, 1.0, folder=folder) for i in range(100)]
    sheet = sample_sheet(found)
    assert sheet is not None
    assert max(sheet.size) <= 2800


# ------------------------------------------------------------------------------------------- the command


def test_summary_is_printed_at_the_end_of_a_sweep(run_cli, tmp_path):
    words = ["debug=tiny", "dataset=ring", "device=cpu", "metric=js", "train.steps=2", "run.dir=s"]
    code, out, error = run_cli("-m", *words, "objective=minimax,hinge")
    assert code == 0, error
    assert "run  objective  divergence/js" in out
    with (tmp_path / "s" / "summary.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["objective"] for line in lines] == ["minimax", "hinge"]
    for line in lines:
        result = json.loads((tmp_path / "s" / line["run"] / "result.json").read_text())
        assert float(line["divergence/js"]) == result["metrics"]["divergence/js"]
    assert (tmp_path / "s" / "samples.png").is_file()


def test_published_values_stand_next_to_the_tail_means():
    history = [{"step": step, "loss/d": float(step)} for step in range(0, 101, 10)]
    tail = tail_means(history, 100)
    assert tail == {"loss/d": 95.0}  # of steps 90 and 100
    lines = published_table(
        tail, {"loss/d": 94.5, "generator/a_tag_that_is_longer_than_the_heading": 1e-6}
    ).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split() == ["loss/d", "94.5000", "95.0000"]
    assert lines[2].split()[1:] == ["1.0000e-06", "missing"]
    assert published_table(tail, {}) == ""


def test_warning_of_a_metric_stands_next_to_its_protocol():
    made = {"kernel": "Gaussian", "sigma": 0.20443, "grid": [0.00026, 2.6], "n": 10000, "warning": "swings"}
    assert (
        protocol_warnings({"js": {"n": 3}, "parzen": made})
        == "parzen     sigma 0.204, grid 0.00026 to 2.6, n 10000: swings"
    )
    assert protocol_warnings({"js": {"n": 3}}) == ""
    assert math.isinf(cost("diversity/modes", None, {}))


@pytest.mark.parametrize(
    "torn", ["", "null", "[]", '{"jobs": 7}', '{"jobs": {"a": 1}}', '{"jobs": [{"folder": "0-a", "overrides": 5}]}']
)  # fmt: skip
def test_rows_are_found_next_to_a_torn_plan(tmp_path, torn):
    run = made(tmp_path / "0-a", ["objective=hinge"], {"metrics": {}})
    (tmp_path / "sweep.json").write_text(torn)
    assert runs_under(tmp_path) == [run]
    assert [row.status for row in read_rows([run])] == ["finished"]
