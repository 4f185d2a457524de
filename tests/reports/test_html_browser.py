"""A report as a browser shows it: pytest -m browser."""

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_runs import made

from gantrain.cli.main import main
from gantrain.reports.html import render_page
from gantrain.reports.runs import read_rows

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --window-size=1240,1000"
)
TINY = "dataset=ring metric=js metric.n=100 train.steps=6 train.log_every=1 train.sample_every=2 device=cpu"


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """The reports of a real run and of a real sweep with a job that is missing."""
    root = tmp_path_factory.mktemp("pages")
    words = [*TINY.split(), "device.threads=1"]
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*words, f"run.dir={root / 'run'}"]) == 0
        assert main(["-m", *words, "objective=minimax,hinge", "seed=0,1", f"run.dir={root / 'sweep'}"]) == 0
        record = json.loads((root / "sweep" / "sweep.json").read_text())
        record["jobs"].append({"folder": "9-gone", "overrides": [*words, "objective=hinge", "seed=2"]})
        (root / "sweep" / "sweep.json").write_text(json.dumps(record))
        for name in ("run", "sweep"):
            assert main(["report", str(root / name)]) == 0
    return {name: root / name / "report.html" for name in ("run", "sweep")}


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Any]:
    """Chromium with a profile of its own, which logs its console and its network."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium, "Chromium is not on the path"
    assert chromedriver, "Chromium's driver is not on the path"
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield driver
    driver.quit()


def shown(browser: Any, page: Path) -> None:
    """Open a page and wait until its charts are drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(page.as_uri())
    drawn = (
        "return [...document.querySelectorAll('section .chart')].every(c => c.querySelector('svg .curve'))"
    )
    WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(drawn))


def requests(browser: Any) -> set[str]:
    """Return every address that was requested since the last call, and see that its console holds nothing."""
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    own = [
        one["request"]["url"] for one in sent if one["documentURL"].startswith("file:")
    ]  # not the first, empty tab
    return {address for address in own if not address.startswith("data:")}


def test_browser_slider_moves_by_mouse_and_keys_fetching_nothing(pages, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    shown(browser, pages["run"])
    image, slider = (browser.find_element(By.CSS_SELECTOR, f".player {tag}") for tag in ("img", "input"))
    seen = {image.get_attribute("alt"): image.get_attribute("src")}
    assert "at step 6" in image.get_attribute("alt")
    for key, step in ((Keys.ARROW_LEFT, 4), (Keys.HOME, 0), (Keys.ARROW_RIGHT, 2)):
        slider.send_keys(key)
        assert image.get_attribute("alt").endswith(f"at step {step}")
        assert browser.find_element(By.CSS_SELECTOR, ".player output").text == f"step {step}"
        seen[image.get_attribute("alt")] = image.get_attribute("src")
    assert len(set(seen.values())) == 4
    wide = "return [...document.images].every(i => i.complete && i.naturalWidth > 100)"
    assert browser.execute_script(wide)
    assert requests(browser) == {pages["run"].as_uri()}


def test_browser_run_curves_have_reference_lines_and_a_tip(pages, browser):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    shown(browser, pages["run"])
    charts = {
        chart.find_element(By.TAG_NAME, "h3").text: chart
        for chart in browser.find_elements(By.CSS_SELECTOR, "section .chart")
    }
    assert {"divergence", "loss", "logits"} <= set(charts)
    assert "log 2: no overlap (0.693)" in charts["divergence"].text
    assert "chance of loss/d (1.39)" in charts["loss"].text
    keys = charts["loss"].find_elements(By.CSS_SELECTOR, "button.key")
    assert [key.text for key in keys] == ["d", "g"]
    keys[0].click()
    assert len(charts["loss"].find_elements(By.CLASS_NAME, "curve")) == 1
    drawing = charts["loss"].find_element(By.CLASS_NAME, "plot")
    ActionChains(browser).move_to_element(drawing).perform()
    tip = charts["loss"].find_element(By.CLASS_NAME, "tip")
    assert tip.is_displayed()
    assert tip.text.startswith("step 3")
    browser.find_element(By.XPATH, "//summary[.='More curves']").click()
    drawn = (
        "return [...document.querySelectorAll('details[open] .chart')].every(c => c.querySelector('.curve'))"
    )
    WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(drawn))
    assert requests(browser) == {pages["run"].as_uri()}


def test_browser_sweep_table_sorts_and_one_slider_moves_all(pages, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    shown(browser, pages["sweep"])
    heads = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, ".sortable thead th")]

    def column(name: str) -> list[str]:
        place = [head.replace("\n", "").split()[0] for head in heads].index(name) + 1
        return [
            cell.text
            for cell in browser.find_elements(By.CSS_SELECTOR, f".sortable tbody td:nth-child({place})")
        ]

    def click(name: str) -> None:
        place = [head.replace("\n", "").split()[0] for head in heads].index(name)
        browser.find_elements(By.CSS_SELECTOR, ".sortable thead button")[place].click()

    assert column("status").count("missing") == 1
    for name in ("divergence/js", "run"):
        click(name)
        known = [float(text) for text in column(name) if text]
        assert known == sorted(known)
        click(name)
        assert [float(text) for text in column(name) if text] == sorted(known, reverse=True)
        assert len(column(name)) == 5
    click("divergence/js")
    assert column("divergence/js")[-1] == ""  # what is missing stays last
    images = browser.find_elements(By.CSS_SELECTOR, ".together img")
    before = [image.get_attribute("src") for image in images]
    browser.find_element(By.CSS_SELECTOR, ".together input").send_keys(Keys.HOME)
    after = [image.get_attribute("src") for image in images]
    assert len(before) == 4
    assert not set(before) & set(after)
    assert requests(browser) == {pages["sweep"].as_uri()}


def test_browser_sweep_chart_has_every_run_and_follows_a_choice(pages, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    shown(browser, pages["sweep"])
    pick = Select(browser.find_element(By.TAG_NAME, "select"))
    for tag in ("loss/g", "divergence/js"):
        pick.select_by_value(tag)
        chart = browser.find_element(By.CSS_SELECTOR, ".chart .chart")
        assert chart.find_element(By.TAG_NAME, "h3").text == tag
        assert len(chart.find_elements(By.CLASS_NAME, "curve")) == 4
        named = {key.text for key in chart.find_elements(By.CSS_SELECTOR, "button.key")}
        assert named == {f"{objective}, seed {seed}" for objective in ("minimax", "hinge") for seed in (0, 1)}
    assert requests(browser) == {pages["sweep"].as_uri()}


def test_browser_page_fits_a_narrow_screen(pages, browser):
    for path in pages.values():
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True},
        )
        shown(browser, path)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        # Columns stack: no table is cut off or pressed into slivers, and every number follows its name.
        assert browser.execute_script(
            "return [...document.querySelectorAll('.wide')].every(w => w.scrollWidth <= w.clientWidth)"
        )
        cells = "[...document.querySelectorAll('section td')].filter(cell => cell.offsetWidth)"
        assert browser.execute_script(f"return {cells}.every(cell => cell.offsetWidth > 250)")
        assert requests(browser) == {path.as_uri()}
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_browser_slider_covers_nothing_in_print(pages, browser):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown(browser, pages["sweep"])
    box = "document.querySelector('{}').getBoundingClientRect()".format
    assert browser.execute_script(f"return {box('.together figcaption')}.top >= {box('.cells')}.bottom")
    assert (
        browser.execute_script(
            "return getComputedStyle(document.querySelector('.together figcaption')).position"
        )
        == "static"
    )
    wide = "return [...document.querySelectorAll('.wide')].every(w => w.scrollWidth <= w.clientWidth)"
    assert browser.execute_script(wide)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    requests(browser)


def test_browser_divergence_near_log_2_fills_its_chart(tmp_path, browser):
    """Curves that all read about 0.69 are told apart, and no name stands across them."""
    values = {
        "js": (0.684, 0.690, 0.687),
        "js_refit": (0.691, 0.689, 0.692),
        "js_gap": (0.007, -0.001, 0.005),
    }
    history = [
        {"step": 10 * i, **{f"divergence/{name}": own[i] for name, own in values.items()}} for i in range(3)
    ]
    folder = made(tmp_path / "0", ["dataset=lines"], {}, {"seed": 0}, history)
    path = tmp_path / "near.html"
    path.write_text(render_page(read_rows([folder]), "near", "near"))
    shown(browser, path)
    heights = browser.execute_script(
        "const chart = document.querySelector('.first .chart');"
        "const plot = chart.querySelector('.plot').getBoundingClientRect();"
        "return [...chart.querySelectorAll('.curve')].map(c => c.getBoundingClientRect().height / plot.height)"
    )
    assert len(heights) == 2
    assert min(heights) > 0.15
    texts = "return [...document.querySelectorAll('.first .plot text')].map(t => t.textContent)"
    assert all(text.replace(".", "").isdigit() for text in browser.execute_script(texts))
    assert "log 2: no overlap (0.693)" in browser.find_element("css selector", ".first .keys").text
    requests(browser)


def test_browser_shows_a_name_that_is_a_script_as_text(tmp_path, browser):
    bad = "</script><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
    folder = made(
        tmp_path / "0", [f"name={bad}"], {"error": bad, "status": "failed", "exit_code": 1},
        {"seed": 0, "name": bad}, [{"step": s, "loss/" + bad: 1.0 * s} for s in (1, 2)], {1: "red"},
    )  # fmt: skip
    path = tmp_path / "page.html"
    path.write_text(render_page(read_rows([folder]), bad, bad))
    shown(browser, path)
    assert browser.title.startswith("</script>")
    assert browser.execute_script("return document.querySelector('.fault').textContent") == bad
    assert browser.execute_script("return document.scripts.length") == 2
    assert requests(browser) == {path.as_uri()}
