"""Fixtures for tests of the command line: finished batches, and a browser."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

RUN = "0123456789ab"


class Batch:
    """A finished batch with its pictures and its ledger, made by hand."""

    def __init__(self, root: Path) -> None:
        self.photos, self.out = root / "photos", root / "painted"
        self.photos.mkdir(parents=True)
        self.out.mkdir()

    def append(self, line: dict[str, Any] | str) -> None:
        """Add a line to the ledger; a string is added as it is, for torn lines."""
        text = line if isinstance(line, str) else json.dumps(line) + "\n"
        with (self.out / "nstbatch.jsonl").open("a", encoding="utf-8", newline="\n") as ledger:
            ledger.write(text)

    def run(self, **changes: Any) -> None:
        self.append(
            {
                "kind": "run",
                "run": RUN,
                "time": "2026-11-24T05:44:33+00:00",
                "verb": "stylize",
                "command": ["nstbatch", "stylize", "photos", "--style", "photos/the style.png"],
                "cwd": str(self.out.parent),
                "settings": {"size": 96, "style_weight": 20.0, "style_layers": None},
                "style": "photos/the style.png",
                "versions": {"nstbatch": "0.1.0", "onnxruntime": "1.32.0", "python": "3.11.7"},
                "bundle": {"name": "vgg16", "sha256": {}},
            }
            | changes
        )

    def image(self, name: str, *, pictures: bool = True, **changes: Any) -> None:
        """Add a line, and make the photo and the picture that it names."""
        line = {
            "kind": "image",
            "run": RUN,
            "time": "2026-11-24T05:45:00+00:00",
            "fingerprint": "0" * 64,
            "input": f"photos/{name}",
            "output": f"painted/{name}",
            "output_in_folder": name,
            "status": "done",
            "reason": None,
            "seconds": 12.5,
            "steps": 40,
            "losses": {"content/relu4_2": 0.5, "style/relu1_1": 1.5, "total": 2.0},
            "curve": [[0, 20.0], [10, 8.0], [20, 4.0], [40, 2.0]],
            "provider": "cpu",
            "precision": "fp32",
            "width": 48,
            "height": 32,
        } | changes
        if pictures:
            picture(name).save(self.photos / name)
        if pictures and line["status"] == "done":
            picture(name[::-1]).save(self.out / name)
        self.append(line)

    def sheet(self, words: str, name: str, **changes: Any) -> None:
        """Add a line about a sheet of ``nstbatch deconv``, and make the sheet."""
        made_from = {"input": words, "input_sha256": "1" * 64, "input_stamp": None}
        facts = {"losses": {}, "curve": [], "layer": "relu2", "filter": 3}
        picture(name).save(self.out / name)
        self.image(name, pictures=False, **made_from | facts | changes)

    def failure(self, name: str, reason: str, **changes: Any) -> None:
        undone = {"losses": {}, "curve": [], "steps": 0, "provider": None, "precision": None}
        self.image(name, status="failed", reason=reason, **undone | changes)


def picture(name: str, size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Return a picture of smooth colours that depend on the name."""
    seed = list(name.encode("utf-8", "surrogatepass"))
    colours = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return Batch(tmp_path / "batch")


# ---- a browser --------------------------------------------------------------------------------

# Environment variable: not empty if the tests of the page may not be left out, as in .ci/run.
REQUIRED = "NSTBATCH_TESTS_NEED_BROWSER"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    from browser import driver_runs, launched
    from playwright.sync_api import sync_playwright

    leave_out = pytest.fail if os.environ.get(REQUIRED) else pytest.skip

    # One process installs at a time; pytest-xdist's have folders beside each other.
    lock = FileLock(tmp_path_factory.getbasetemp().parent / "browser.lock")
    with lock:
        if not driver_runs():
            leave_out("Playwright does not run here.")
    with sync_playwright() as playwright:
        with lock:
            browser = launched(playwright.chromium)
        if browser is None:
            leave_out("there is no Chromium, Chrome or Edge here, and none can be installed.")
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a function that opens an address in a fresh profile; a page with errors fails."""
    contexts = []
    complaints: list[str] = []

    def open_(address: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = complaints  # for a test that provokes one
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type == "error" else None,
        )
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []
