"""A batch paints all its pictures though nobody reads what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nstbatch.runtime.pictures import images

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="streams of Unix, and /dev/full")

WORDS = (
    *("-m", "nstbatch", "stylize", "photos", "--style", "style.png", "-o", "out", "--size", "own"),
    *("--model", "squeezenet1_1", "--iterations", "1", "--scales", "1", "--device", "cpu"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name in ("photos/a.png", "photos/b.png", "photos/c.png", "style.png"):
        images.write(tmp_path / name, random.random((40, 48, 3), dtype=np.float32))
    return tmp_path


@pytest.mark.parametrize(
    ("more", "streams", "code"),
    [
        ("", "2>&1 | head -n 1", 0),
        ("--verbose", "> /dev/full 2>&1", 0),
        ("--json", "2> /dev/null | true", 1),  # a pipeline may have lost results
    ],
)
def test_nobody_reads(folder: Path, more: str, streams: str, code: int) -> None:
    command = f'set -o pipefail; "$@" {more} {streams}'
    shell = ["bash", "-c", command, "bash", sys.executable, *WORDS]
    found = subprocess.run(shell, capture_output=True, text=True, cwd=folder, check=False)
    assert (found.returncode, found.stderr) == (code, "")
    assert len(found.stdout.splitlines()) <= 1
    assert {path.name for path in folder.glob("out/*.png")} == {"a.png", "b.png", "c.png"}


def test_the_terminal_with_the_bar_is_closed(folder: Path) -> None:
    import pty

    screen, end = pty.openpty()
    words = (*WORDS, "--iterations", "20")
    environment = os.environ | {"TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=end, cwd=folder, env=environment
    ) as program:
        os.close(end)
        assert os.read(screen, 100)  # the bar has begun
        os.close(screen)
        assert program.stdout is not None
        assert len(program.stdout.read().splitlines()) == 3
    assert program.returncode == 0


def test_quiet_prints_nothing_but_failures(folder: Path) -> None:
    """Nothing of ONNX Runtime either, and a failure's line has no colours."""
    command = [sys.executable, *WORDS, "--quiet"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    (folder / "photos/d.png").touch()
    found = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == "failed photos/d.png: The file is empty (0 bytes).\n"
