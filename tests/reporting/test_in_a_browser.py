"""Pages in a headless Chromium: they open offline, layers switch, the pointer shows the right pixel."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from pages import CENTRES, parse, small_run, unpack
from test_report import write

from m3amba_zoo.cli.report import main as compare
from m3amba_zoo.maps.geotiff import write_class_map

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def browser():
    """A Chromium that reaches no server."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("no Chromium with its chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("headless=new", "disable-gpu", "disable-dev-shm-usage", "window-size=1400,1000"):
        options.add_argument(f"--{flag}")
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    if getattr(os, "geteuid", lambda: 1)() == 0:
        options.add_argument("--no-sandbox")  # Chromium's sandbox refuses root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def show(browser, path):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(path.as_uri())
    WebDriverWait(browser, 60).until(lambda it: it.execute_script("return document.body.dataset.ready"))


def point_at(browser, row, column):
    """Move the pointer over a pixel, and wait for the next picture of the screen."""
    browser.execute_async_script(
        """
        const [row, column, done] = arguments, box = stage.getBoundingClientRect();
        const clientX = box.left + 1 + view.x + (column + 0.5) * view.scale;
        const clientY = box.top + 1 + view.y + (row + 0.5) * view.scale;
        stage.dispatchEvent(new PointerEvent("pointermove", {clientX, clientY}));
        requestAnimationFrame(() => requestAnimationFrame(done));
        """,
        row,
        column,
    )


def test_layers_switch_and_the_pointer_shows_pixel_spectrum_and_probabilities(browser, tmp_path):
    data, found, logits, _ = run = small_run(("water", "</script><i>trees</i>", "roofs"))
    path = write(tmp_path, run)
    show(browser, path)
    sample = parse(path).data["pictures"][0]["samples"]
    row, column = (int(unpack(sample[axis], np.uint16)[40]) for axis in "yx")
    point_at(browser, row, column)
    texts = {name: browser.find_element("id", name).text for name in ("pixel", "values", "near", "bars")}
    assert f"row {row}, column {column}" in texts["pixel"]
    scene, number = data.scenes[0], int(found.class_maps["tiny0"][row, column])
    assert f"prediction {data.classes[number - 1].name}" in texts["values"].replace("\n", " ")
    assert texts["near"] == "Nearest sampled pixel: this one"
    likeliest = np.exp(log := logits[0].mean()[:, row, column]).max() / np.exp(log).sum()
    assert texts["bars"].split("\n")[1] == f"{100 * likeliest:.1f} %"
    curve = browser.execute_script(
        "const t = document.getElementById('spectrum-hsi').data[0]; return [t.x, t.y]"
    )
    np.testing.assert_allclose(curve[0], CENTRES)
    axes = browser.execute_script(
        "const t = document.getElementById('spectrum-hsi').layout; return [t.xaxis, t.yaxis]"
    )
    assert [axis["title"]["text"] for axis in axes] == ["wavelength, nm", "counts"]
    np.testing.assert_allclose(curve[1], scene.rasters["hsi"].data[:, row, column], atol=0.1)

    body = browser.find_element("tag name", "body")

    def pressed():
        return browser.find_element("css selector", "#layers [aria-pressed=true]").text.split()[-1]

    def pixel():
        return browser.execute_script(
            f"return [...over.getContext('2d').getImageData({column}, {row}, 1, 1).data]"
        )

    assert pressed() == "prediction"
    colors = [
        tuple(int(entry["safe"][at : at + 2], 16) for at in (1, 3, 5))
        for entry in parse(path).data["classes"]
    ]
    assert pixel() == [*colors[number - 1], 255]
    for key, name in (("3", "errors"), ("\ue014", "uncertainty"), ("5", "split"), ("\ue012", "uncertainty")):
        body.send_keys(key)  # two of them are the arrows to the right and to the left
        assert pressed() == name
    body.send_keys("0")
    assert browser.execute_script("return over.style.opacity") == "0"
    body.send_keys("1")
    browser.find_element("id", "palette").click()
    assert pixel() == [*data.classes[number - 1].color, 255]

    browser.execute_script(
        "const s = document.getElementById('picture'); s.value = '1'; return s.onchange({target: s})"
    )
    point_at(browser, row, column)
    assert browser.find_element("id", "pixel").text.startswith("This pixel: tiny1")
    before = browser.execute_script("return view.scale")
    browser.find_element("id", "in").click()
    assert browser.execute_script("return view.scale") > before
    assert len(browser.find_elements("css selector", ".chart .main-svg")) >= 2
    said = browser.get_log("browser")
    assert [entry for entry in said if "getImageData" not in entry["message"]] == []  # this test's own


@pytest.mark.parametrize("width", [800, 1400])
def test_no_part_of_the_page_is_blank_before_the_pointer_moves(browser, tmp_path, width):
    run = small_run()
    hsi = run[0].scenes[0].rasters["hsi"]
    run[0].scenes[0].rasters["hsi"] = replace(hsi, wavelengths=np.array([np.nan, *CENTRES[1:]]))
    path = write(tmp_path, run)
    browser.set_window_size(width, 1000)
    show(browser, path)

    def box(name):
        return browser.execute_script(f"return document.getElementById('{name}').getBoundingClientRect()")

    assert 0 <= box("legend")["top"] - box("stage")["bottom"] < 20
    assert browser.find_element("id", "pixel").text.startswith("This pixel: tiny0, row ")
    assert box("spectrum-hsi")["height"] > 100
    beside = width > 900
    gap = (
        box("side")["left"] - box("stage")["right"]
        if beside
        else box("side")["top"] - box("legend")["bottom"]
    )
    assert 0 <= gap < 30
    assert browser.find_elements("css selector", ".modebar-btn") == []
    assert browser.get_log("browser") == []


def test_runs_side_by_side_open_with_the_second_runs_differences(browser, tmp_path):
    for seed, name in enumerate(("one", "two")):
        data, found, _, record = small_run(seed=seed)
        (tmp_path / name / "maps").mkdir(parents=True)
        (tmp_path / name / "metrics.json").write_text(json.dumps(record))
        for scene in data.scenes:
            path = tmp_path / name / "maps" / f"{scene.name}.tif"
            write_class_map(path, found.class_maps[scene.name], scene.classes)
    page = tmp_path / "both.html"
    compare([str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(page)])
    show(browser, page)
    browser.find_element("tag name", "body").send_keys("3")
    assert browser.find_element("css selector", "#layers [aria-pressed=true]").text.endswith("two ≠ one")
    maps = [small_run(seed=seed)[1].class_maps["tiny0"] for seed in (0, 1)]
    row, column = np.argwhere(maps[0] != maps[1])[0].tolist()
    point_at(browser, row, column)
    assert browser.find_element("id", "values").text.endswith("another class")
    assert browser.find_elements("css selector", "#chart-confusion1 .main-svg")
    assert not browser.find_element("id", "sample").is_displayed()
    assert browser.get_log("browser") == []
