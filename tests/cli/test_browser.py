"""A browser is found or installed before tests are left out."""

from __future__ import annotations

import subprocess
import sys

import browser
import pytest
from playwright.sync_api import Error


class Chromium:
    """Launches what is installed, by its path or its channel."""

    def __init__(self, *installed: str | None) -> None:
        self.installed = set(installed)

    def launch(self, *, args, executable_path="", channel=""):
        if (executable_path or channel) not in self.installed:
            raise Error("there is none")
        return executable_path or f"channel {channel}"


@pytest.fixture
def commands(monkeypatch) -> list[str]:
    """The commands that were run to install a browser; all of them fail."""
    run = []

    def fail(command, **options):
        run.append(" ".join(command))
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", fail)
    monkeypatch.setattr(browser.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(browser.os, "geteuid", lambda: 0, raising=False)
    return run


@pytest.mark.parametrize(
    ("installed", "found"),
    [
        ("/bin/chromium", "/bin/chromium"),
        ("/bin/msedge", "/bin/msedge"),
        ("chrome", "channel chrome"),
        (None, "channel None"),
    ],
)
def test_a_browser_that_is_there_is_taken(commands, installed, found):
    assert browser.launched(Chromium(installed)) == found
    assert commands == []


def test_one_is_installed_by_playwright_or_else_by_root(commands, monkeypatch):
    assert browser.launched(Chromium()) is None
    by_playwright, by_system = commands
    assert by_playwright == f"{sys.executable} -m playwright install chromium"
    assert by_system.endswith(browser.APT + "chromium")
    commands.clear()
    monkeypatch.setattr(browser.os, "geteuid", lambda: 1000, raising=False)
    assert browser.launched(Chromium()) is None
    assert commands == [by_playwright]
    bought = Chromium()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: bought.installed.add(None))
    assert browser.launched(bought) == "channel None"


def test_the_library_that_playwright_lacks_is_installed_by_root(commands, monkeypatch):
    assert not browser.driver_runs()
    tried, installed = commands
    assert tried == " ".join(browser.DRIVER)
    assert installed.endswith("libatomic1")
    lacks = {"libatomic1"}

    def run(command, **options):
        if command == browser.DRIVER and lacks:
            raise subprocess.CalledProcessError(127, command)
        lacks.discard(command[-1].split()[-1])

    monkeypatch.setattr(subprocess, "run", run)
    assert browser.driver_runs()
