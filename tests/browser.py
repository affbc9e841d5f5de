"""A real headless Chromium, driven through selenium; what a page did and asked for can be read."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",  # Chromium refuses to run as root otherwise, as in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",  # no smooth scrolling under a click
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


@contextmanager
def open_browser(profile: Path) -> Iterator[Any]:
    """A browser with a new and empty profile; the test is skipped where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium and chromedriver here: on Debian, apt-get install chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


def open_page(browser: Any, path: Path) -> None:
    """Show a page, and forget what was asked for before."""
    browser.get("about:blank")
    list_requests(browser)
    list_errors(browser)
    browser.get(path.as_uri())


def resize(browser: Any, width: int, dark: bool = False) -> None:
    """Show the page as on a screen of this width, in light or dark colours."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def list_requests(browser: Any) -> list[str]:
    """The addresses that pages asked for since the last call, but for what they hold themselves."""
    events = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    asked = (each["params"] for each in events if each["method"] == "Network.requestWillBeSent")
    addresses = [each["request"]["url"] for each in asked]
    return [each for each in addresses if not each.startswith("data:")]  # icons of date fields


def list_errors(browser: Any) -> list[str]:
    """What the console holds since the last call."""
    return [entry["message"] for entry in browser.get_log("browser")]
