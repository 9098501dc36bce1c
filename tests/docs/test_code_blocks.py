"""Every code block of the documents runs, page by page, in a folder with small pictures.

Commands run as they stand, but for what :mod:`small_runs` cuts down. A block that cannot run has a
comment above it, ``<!-- skip: next "the reason" -->``, and its reason is listed here. Decisions are
not run: they show the code of their day.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from unittest import SkipTest

import numpy as np
import OpenEXR
import pytest
import small_runs
import torch
from PIL import Image, ImageOps
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from nstbatch.cli.main import run

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    page for page in sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")]) if page.name != "CHANGELOG.md"
]
FILE = re.compile(r"# (\S+\.(?:py|toml))\n")
SMALL = (48, 32)
TEXTURE = (144, 144)  # relu5_1 of VGG16 sees 132x132 pixels
WALL = (64, 64)
PHOTOS = ("beach", *"bcdefghi")  # nine: a sheet of a deconvnet needs as many
NEEDS_SHELL = re.compile(r"[|>]|&&")
RUNNING = {"bash", "json", "python", "toml"}
SHOWN_ONLY = {"console", "mermaid", "text"}  # what a program prints, drawings and formulas

LEFT_OUT = {
    ("CONTRIBUTING.md", "installs the package"),
    ("CONTRIBUTING.md", "runs all tests, this one too"),
    ("README.md", "installs the package"),
    ("README.md", "runs all tests, this one too"),
    ("batch.md", "needs a Ray cluster"),
    ("batch.md", "needs several GPUs"),
    ("batch.md", "runs until Ctrl-C"),
    ("embedding.md", "needs a notebook"),
    ("gpu.md", "needs a GPU"),
    ("releasing.md", "builds the package; tests/test_packaging.py builds it too"),
    ("releasing.md", "installs the package"),
    ("releasing.md", "needs Docker"),
    ("service.md", "installs the package"),
    ("service.md", "runs until Ctrl-C"),
    ("service.md", "runs until Ctrl-C, with a token"),
    ("service.md", "installs the package"),
    ("service.md", "runs until Ctrl-C"),
    ("service.md", "runs until Ctrl-C, with a token"),
    ("storage.md", "needs a bucket"),
    ("usage.md", "a line for build() of mynet.py"),
    ("usage.md", "downloads weights; tests/exporter has exports of these networks"),
    ("usage.md", "installs the package"),
    (
        "usage.md",
        "takes a minute; tests/exporter/test_export.py does the same with another network",
    ),
}

# --- Evaluators -------------------------------------------------------------------------------


def run_commands(example: Example) -> None:
    """Run the commands of a block in this process, which is quick, or if need be in a shell."""
    for folder in FOLDERS:
        shutil.rmtree(folder, ignore_errors=True)
    code = str(example.parsed)
    for start in (start for start in BEFORE if code.startswith(start)):
        assert run(BEFORE[start].split()) == 0
    if NEEDS_SHELL.search(code):
        _bash(code)
        return
    for words in _expanded(code):
        assert run(words) == 0, shlex.join(words)


def _bash(code: str) -> str:
    command = ["bash", "-euo", "pipefail", "-c", code]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _expanded(code: str) -> list[list[str]]:
    """The words behind each `nstbatch`, after loops, variables and quotes."""
    lines = _bash(f"nstbatch() {{ printf '%q ' \"$@\"; echo; }}\n{code}").splitlines()
    return [shlex.split(line) for line in lines]


def save(example: Example) -> None:
    """Save settings under the name in their first line; without a name they are the defaults."""
    text = str(example.parsed)
    tomllib.loads(text)
    if named := FILE.match(text):
        Path(named[1]).write_text(text, encoding="utf-8")
        return
    Path("defaults.toml").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NSTBATCH_DEFAULTS", "defaults.toml")
        assert run(["stylize", "photos", "--dry-run"]) == 0


def run_python(example: Example) -> None:
    """Run a program; save a module under the name in its first line."""
    if named := FILE.match(str(example.parsed)):
        Path(named[1]).write_text(str(example.parsed), encoding="utf-8")
    else:  # in a thread of its own: this one may have an event loop, of a browser
        with ThreadPoolExecutor(1) as pool:
            pool.submit(PythonEvaluator(), example).result()


def read_json(example: Example) -> None:
    """Read JSON, which the page shows and no program reads."""
    json.loads(str(example.parsed))


SYBIL = Sybil(
    [
        SkipParser(),
        CodeBlockParser("bash", run_commands),
        CodeBlockParser("json", read_json),
        CodeBlockParser("python", run_python),
        CodeBlockParser("toml", save),
    ]
)

# --- The pictures -----------------------------------------------------------------------------

# What a block takes for granted, by its beginning: batches that are already there.
BEFORE = {
    "nstbatch retry stylized": "stylize photos -s monet.jpg --quiet",
    "nstbatch recipe stylized/coffee.jpg": "stylize examples/photos -s monet.jpg --quiet",
    "nstbatch report painted": "stylize holiday -s monet.jpg -o painted --quiet",
}
NETWORK = """
from collections import OrderedDict
from torch import nn

def build():
    layers = [("conv", nn.Conv2d(3, 8, 3)), ("relu1", nn.ReLU())]
    layers += [("conv2", nn.Conv2d(8, 16, 3)), ("relu2", nn.ReLU())]
    return nn.Sequential(OrderedDict(layers))
"""
# Blocks are examples of their own, so each finds the default folders empty.
FOLDERS = ("stylized", "textures", "filled", "reconstructed", "deconv", "dreamed")


def _shrink(source: Path, target: Path, size: tuple[int, int] = SMALL) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as picture:
        picture.convert("RGB").resize(size).save(target)


@pytest.fixture(autouse=True)
def messages_as_before() -> Iterator[None]:
    """Undo ``--quiet`` and ``--verbose``, which are for the rest of a process."""
    loggers = [logging.getLogger(name) for name in ("nstbatch", "py.warnings")]
    before = [(logger.level, logger.handlers) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers = handlers


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the pages name, in small."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "runtime").symlink_to(ROOT / "runtime", target_is_directory=True)
    for picture in (ROOT / "examples").glob("*/*"):
        is_texture = picture.parent.name == "textures"
        _shrink(picture, folder / picture.relative_to(ROOT), TEXTURE if is_texture else SMALL)
    _photos(folder)
    monet, brick = ROOT / "examples/styles/great_wave.jpg", ROOT / "examples/textures/brick.png"
    for name in ("monet.jpg", "art/monet.jpg", "sky.jpg", "land.jpg"):
        _shrink(monet, folder / name)
    for name in ("wool.jpg", "linen.jpg", "gravel.png"):
        _shrink(brick, folder / name, TEXTURE)
    _walls(folder, brick)
    _network(folder)
    (report,) = (ROOT / "benchmarks/results").glob("*zen5*.json")
    for name in ("before.json", "after.json"):
        shutil.copy(report, folder / name)
    return folder


def _photos(folder: Path) -> None:
    """As many as sheets of a deconvnet need, with masks of two colours."""
    sources = sorted((ROOT / "examples/photos").iterdir())
    for name in ("photo.jpg", "portraits/one.jpg"):
        _shrink(sources[0], folder / name)
    blue, green = Image.new("RGB", SMALL, "blue"), Image.new("RGB", SMALL, "lime")
    halves = blue.copy()
    halves.paste("lime", (SMALL[0] // 2, 0, *SMALL))
    (folder / "masks").mkdir()
    for name, source in zip(PHOTOS, cycle(sources), strict=False):
        trip = "" if name in PHOTOS[:2] else "trip"
        _shrink(source, folder / "holiday" / trip / f"{name}.jpg")
        _shrink(source, folder / "photos" / f"{name}.jpg")
        halves.save(folder / "masks" / f"{name}.png")
    for name, mask in (("monet-mask", halves), ("blue", blue), ("green", green)):
        mask.save(folder / f"{name}.png")


def _network(folder: Path) -> None:
    """A network of one's own, and its weights after three epochs."""
    (folder / "net.py").write_text(NETWORK, encoding="utf-8")
    build = runpy.run_path(str(folder / "net.py"))["build"]
    for epoch in ("01", "05", "20"):
        torch.save(build().state_dict(), folder / f"epoch{epoch}.pth")


def _walls(folder: Path, brick: Path) -> None:
    """Pictures to fill, their maps, and a hole."""
    for name in ("wall.png", "normal.png", "scans/wall.png"):
        _shrink(brick, folder / name, WALL)
    hole = Image.new("L", WALL)
    hole.paste(255, (WALL[0] // 2, WALL[1] // 2, WALL[0] // 2 + 8, WALL[1] // 2 + 8))
    hole.save(folder / "drain.png")
    with Image.open(folder / "wall.png") as wall:
        wall.putalpha(ImageOps.invert(hole))
        wall.save(folder / "pierced.png")
    heights = np.zeros(WALL[::-1], np.float32)
    with OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION}, {"Y": heights}) as file:
        file.write(str(folder / "height.exr"))


# --- The tests --------------------------------------------------------------------------------


@pytest.fixture
def folder(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a page's blocks, which is home, too."""
    shutil.copytree(files, tmp_path, symlinks=True, dirs_exist_ok=True)
    command = tmp_path / "bin/nstbatch"
    command.parent.mkdir()
    program = Path(small_runs.__file__).resolve()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
    command.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "models"))
    monkeypatch.setenv("PATH", str(command.parent), prepend=os.pathsep)
    small_runs.cut_down(monkeypatch.setattr)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_run(page: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = SYBIL.parse(page)
    document.namespace["__name__"] = "__main__"
    for example in document.examples():
        with contextlib.suppress(SkipTest):
            example.evaluate()
    printed = capsys.readouterr().out.splitlines()
    assert set(re.findall(r"This prints `(.+?)`", document.text)) <= set(printed)


def test_blocks_are_left_out_for_a_reason() -> None:
    with_reason = re.compile(r"^<!-- skip: next \"(.+)\" -->\n(?:<!--.*-->\n)?```\w+$", re.M)
    left_out, markers = [], 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        left_out += [(page.name, reason) for reason in with_reason.findall(text)]
        markers += len(re.findall(r"^<!-- skip:", text, re.M))
    assert sorted(left_out) == sorted(LEFT_OUT)
    assert markers == len(left_out)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_of_a_language_that_runs_or_is_only_shown(page: Path) -> None:
    fences = re.findall(r"^ *```(.*)$", page.read_text(encoding="utf-8"), re.M)
    assert set(fences[::2]) <= RUNNING | SHOWN_ONLY
    assert set(fences[1::2]) <= {""}


def test_setups_belong_to_blocks() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [start for start in BEFORE if f"```bash\n{start}" not in text] == []


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("bash", "nstbatch models gone"),
        ("bash", "nstbatch models --gone"),
        ("bash", "nstbatch models gone | cat"),
        ("json", "{"),
        ("python", "1 / 0"),
        ("toml", "# batch.toml\nsize = "),
    ],
)
def test_a_block_that_fails_is_found(language: str, code: str, folder: Path) -> None:
    page = folder / "page.md"
    page.write_text(f"```{language}\n{code}\n```\n", encoding="utf-8")
    (example,) = SYBIL.parse(page).examples()
    with pytest.raises((AssertionError, ValueError, ArithmeticError, subprocess.SubprocessError)):
        example.evaluate()
