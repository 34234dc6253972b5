"""A browser without a window, for tests of pages."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1360,2100",
)


@contextlib.contextmanager
def chromium():
    """Chromium of the system, driven by its own driver; a test is skipped where there is none (`make browser`)."""
    webdriver = pytest.importorskip("selenium.webdriver")
    found, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if found is None or driver is None:
        pytest.skip("no chromium with chromedriver on this machine: make browser installs Debian's, as root")
    options = webdriver.ChromeOptions()
    options.binary_location = found
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}", "about:blank"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        try:
            yield started
        finally:
            started.quit()


def until(driver, condition):
    """The first result of ``condition()`` that is true; a browser draws, and tells, when it comes to it."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, 30).until(lambda _: condition())


def complaints(driver):
    """What the console has said since the last call."""
    return [entry["message"] for entry in driver.get_log("browser")]


def requests(driver):
    """Addresses that the present page has asked for since the last call, its own among them."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [of["request"]["url"] for of in asked if of["documentURL"] == driver.current_url]
