"""The page in a headless Chromium: it opens offline, layers switch, the pointer shows the right pixel."""

import os
import shutil

import numpy as np
import pytest
from pages import CENTRES, parse, small_run, unpack
from test_report import write

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
    texts = {name: browser.find_element("id", name).text for name in ("pixel", "values", "bars")}
    assert f"row {row}, column {column}" in texts["pixel"]
    scene, number = data.scenes[0], int(found.class_maps["tiny0"][row, column])
    assert f"prediction {data.classes[number - 1].name}" in texts["values"].replace("\n", " ")
    assert "this one" in texts["values"]
    likeliest = np.exp(log := logits[0].mean()[:, row, column]).max() / np.exp(log).sum()
    assert texts["bars"].split("\n")[1] == f"{100 * likeliest:.1f} %"
    curve = browser.execute_script(
        "const t = document.getElementById('spectrum-hsi').data[0]; return [t.x, t.y]"
    )
    np.testing.assert_allclose(curve[0], CENTRES)
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
    assert browser.find_element("id", "pixel").text.startswith("tiny1")
    before = browser.execute_script("return view.scale")
    browser.find_element("id", "in").click()
    assert browser.execute_script("return view.scale") > before
    assert len(browser.find_elements("css selector", ".chart .main-svg")) >= 2
    said = browser.get_log("browser")
    assert [entry for entry in said if "getImageData" not in entry["message"]] == []  # this test's own
