"""A browser for the tests of the page: one that is there, or else one that can be installed.

Playwright drives Chromium, Chrome and Edge as they are installed; Firefox only as it builds it
itself, so an installed Firefox is of no use.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from playwright.sync_api import Error

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserType

PROGRAMS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chrome", "microsoft-edge", "microsoft-edge-stable", "msedge", "brave-browser"),
)

# Browsers of Windows and macOS, which are not on the path; and the one of `playwright install`.
CHANNELS = ("chrome", "msedge", None)

FLAGS = (
    "--no-sandbox",  # the sandbox does not start as root, as on a build machine
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Seconds for a download of 150 MB. A guess.
PATIENCE = 300

APT = "apt-get update -qq && apt-get install -qq --no-install-recommends "

DRIVER = (sys.executable, "-m", "playwright", "--version")


def driver_runs() -> bool:
    """True if Playwright's own program runs; root installs the library that it may lack."""
    installations = _by_root("libatomic1")
    while not _works(DRIVER):
        if not _works(next(installations, None)):
            return False
    return True


def _works(command: Sequence[str] | None) -> bool:
    if command is None:
        return False
    try:
        subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def launched(chromium: BrowserType) -> Browser | None:
    """Start a browser, installed now if need be; None if there is none and none can be had."""
    browser = _launched_as_it_is(chromium)
    for command in _installations():
        if browser is not None:
            break
        if _works(command):
            browser = _launched_as_it_is(chromium)
    return browser


def _launched_as_it_is(chromium: BrowserType) -> Browser | None:
    for program in filter(None, map(shutil.which, PROGRAMS)):
        with suppress(Error):
            return chromium.launch(executable_path=program, args=list(FLAGS))
    for channel in CHANNELS:
        with suppress(Error):
            return chromium.launch(channel=channel, args=list(FLAGS))
    return None


def _installations() -> Iterator[list[str]]:
    """Yield the commands that may install a browser, the one that changes least first."""
    yield [sys.executable, "-m", "playwright", "install", "chromium"]
    yield from _by_root("chromium")


def _by_root(package: str) -> Iterator[list[str]]:
    """Yield the command with which root installs a package of Debian, if this is root there."""
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        yield ["env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", APT + package]
