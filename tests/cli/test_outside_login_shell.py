"""Batches in containers, services and cron jobs: without a home folder, and with closed streams."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="users and streams of Unix")

NOBODY = 54321  # a user id without a passwd entry
WORDS = (
    *("-m", "nstbatch", "stylize", "photos", "--style", "style.png", "-o", "out"),
    *("--model", "squeezenet1_1", "--size", "64", "--iterations", "2", "--scales", "1"),
    *("--device", "cpu"),
)


def write_inputs(folder: Path) -> None:
    (folder / "photos").mkdir()
    for name in ("photos/a.png", "style.png"):
        values = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / name)


def check_pictures(folder: Path) -> None:
    """The picture can be read, and nothing but lines of the ledger is in the ledger."""
    with Image.open(folder / "out/a.png") as picture:
        picture.load()
    lines = (folder / "out/nstbatch.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["run", "image"]


# --- Closed streams ---------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_cost_no_picture(closed: str, tmp_path: Path) -> None:
    write_inputs(tmp_path)
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, *WORDS]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert found.returncode == 0, found.stderr
    check_pictures(tmp_path)
    assert ("1 picture done" in found.stderr) is ("2>&-" not in closed)
    assert found.stdout == ("" if ">&-" in closed.split() else "out/a.png\n")


def test_a_closed_stream_is_not_given_to_a_file(tmp_path: Path) -> None:
    code = (
        "from nstbatch.cli.console.streams import open_closed_streams\n"
        "open_closed_streams()\n"
        "file = open('file', 'w')\n"
        "import os, sys\n"
        "assert file.fileno() > 2\n"
        "os.write(1, b'x'), os.write(2, b'x'), print('x'), print('x', file=sys.stderr)\n"
        "assert sys.stdin.read() == ''\n"
    )
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "file").read_text() == ""


# --- Another user -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def python() -> Iterator[Path]:
    """A Python with this package that every user may run, though root's own folders are closed."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        base, packages = Path(sys.base_prefix), root / "packages"
        link(Path(sys.executable).resolve(), root / "bin" / version)
        for library in (base / "lib").glob("libpython*"):
            link(library, root / "lib" / library.name)
        link_tree(base / "lib" / version, root / "lib" / version)
        for each in required("nstbatch", "onnxruntime"):
            for path in each.files or ():
                if ".." not in path.parts and "test" not in path.parts and path.suffix != ".pth":
                    link(Path(str(each.locate_file(path))), packages / path)
        for name in ("", ".cli", ".runtime", ".benchmarks", ".exporter"):
            house = Path(import_module(f"nstbatch{name}").__path__[0])
            # Copied: onnx-ir refuses weights that have several names.
            left_out = shutil.ignore_patterns("__pycache__")
            target = packages.joinpath(*f"nstbatch{name}".split("."))
            shutil.copytree(house, target, ignore=left_out, dirs_exist_ok=True)
        yield root / "bin" / version


def required(*names: str) -> list[Distribution]:
    """The distributions of these names, and all that they require here."""
    found: dict[str, Distribution] = {}
    left = [Requirement(name) for name in names]
    while left:
        requirement = left.pop()
        try:
            found[requirement.name] = distribution(requirement.name)
        except PackageNotFoundError:  # for other systems
            continue
        for line in found[requirement.name].requires or ():
            needed = Requirement(line)
            extras = {"", *requirement.extras}
            is_needed = needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in extras
            )
            if is_needed and (needed.extras or needed.name not in found):
                left.append(needed)
    return list(found.values())


def link_tree(source: Path, target: Path) -> None:
    left_out = {"__pycache__", "test", "tests", "site-packages", "idlelib", ".venv", ".git"}
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name not in left_out]
        for name in files:
            path = Path(folder, name)
            link(path, target / path.relative_to(source))


def link(source: Path, target: Path) -> None:
    """A hard link, which leads past the folders that are closed; a copy on another disk."""
    if not source.is_file() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copy(source, target)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the other user with inputs, in which root has folders of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        for mode in (0o700, 0o755):
            own = folder / f"{mode:o}"
            (own / ".local/share/nstbatch/bundles").mkdir(parents=True)
            (own / "nstbatch").mkdir()
            own.chmod(mode)
        folder.chmod(0o755)
        os.chown(folder, NOBODY, NOBODY)
        yield folder


def as_nobody(
    python: Path, words: tuple[str, ...], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={name: value.format(folder) for name, value in environment.items()}
        | {"PYTHONPATH": str(python.parents[1] / "packages")},
        user=NOBODY,
        group=NOBODY,
        extra_groups=(),
        check=False,
    )


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="env -i"),
        pytest.param({"HOME": "{}/700"}, id="home unreadable"),
        pytest.param({"HOME": "{}/755"}, id="home unwritable"),
        pytest.param({"HOME": "{}", "NSTBATCH_CACHE": "{}/700"}, id="cache unreadable"),
        pytest.param({"HOME": "{}", "NSTBATCH_CACHE": "{}/755"}, id="cache unwritable"),
        pytest.param({"NSTBATCH_CACHE": "~/cache"}, id="cache in the home of nobody"),
        pytest.param(
            {"HOME": "{}/700", "XDG_CONFIG_HOME": "{}/700", "XDG_DATA_HOME": "{}/700"},
            id="config unreadable",
        ),
    ],
)
def test_a_user_without_a_home_gets_pictures(
    environment: dict[str, str], python: Path, folder: Path
) -> None:
    found = as_nobody(python, WORDS, folder, environment)
    assert found.returncode == 0, found.stderr
    check_pictures(folder)
    assert found.stdout == "out/a.png\n"
    first, *rest = found.stderr.splitlines()
    assert first.startswith("[1/1] done photos/a.png -> out/a.png")
    assert [line[:14] for line in rest] == ["1 picture done"]
    assert not (folder / "~").exists()


def test_a_cache_that_cannot_be_written_is_one_line_of_debugging(
    python: Path, folder: Path
) -> None:
    place = {"HOME": "{}", "NSTBATCH_CACHE": "{}/755"}
    found = as_nobody(python, (*WORDS, "--verbose"), folder, place)
    assert found.returncode == 0, found.stderr
    assert found.stderr.count("The cache ") == 1
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("verb", ["models", "doctor"])
def test_models_that_are_out_of_reach_are_said(verb: str, python: Path, folder: Path) -> None:
    found = as_nobody(python, ("-m", "nstbatch", verb), folder, {"HOME": "{}/700"})
    assert found.returncode == 0, found.stderr
    assert "squeezenet1_1" in found.stdout
    assert "cannot be listed: Permission denied." in found.stderr
    found = as_nobody(python, ("-m", "nstbatch", verb), folder, {})
    assert (found.returncode, found.stderr) == (0, "")
    if verb == "doctor":
        assert "none: this user has no home folder" in found.stdout
