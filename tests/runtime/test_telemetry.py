"""ONNX Runtime and OpenVINO report nothing, whichever way they are reached."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nstbatch.runtime.telemetry import VARIABLES, decide, switch_off

# Records every name that a process looks up, in the file $LOOKED_UP, and finds none of them.
RECORDER = """
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    const char *path = getenv("LOOKED_UP");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%s\\n", node ? node : "");
        fclose(file);
    }
    return EAI_FAIL;
}
"""

# Without the opt-out, ONNX Runtime 1.32 writes its id when it is imported, and looks its first name
# up nine seconds after the program has started (measured), so the test of names takes 12.
SESSION = """
import time
{}
import onnxruntime
from nstbatch.runtime.devices.devices import RELU, check
check("openvino")
session = onnxruntime.InferenceSession(RELU, providers=["CPUExecutionProvider"])
session.run(None, {{"x": __import__("numpy").ones(1, "float32")}})
time.sleep({})
"""

WAYS_IN = {
    "library": "import nstbatch",
    "public name": "from nstbatch import StyleTransfer",
    "runtime": "import nstbatch.runtime.engine.session",
    "command line": "from nstbatch.cli.main import run",
    "benchmark worker": "import nstbatch.benchmarks.contest.worker",
}


def run(code: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code as a user whose home folder is empty and who has set nothing."""
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    kept |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), **environment}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=kept, check=True
    )


def files_in(home: Path) -> list[Path]:
    """All files that a program has left, such as those that ONNX Runtime keeps of a machine."""
    return [path for path in home.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library to preload, which records the names that are looked up."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("recorder")
    (folder / "names.c").write_text(RECORDER)
    library = folder / "names.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "names.c"], check=True)
    return library


@pytest.mark.skipif(sys.platform == "win32", reason="Windows reports in another way")
@pytest.mark.parametrize("way", WAYS_IN)
def test_no_id_is_kept(way: str, tmp_path: Path) -> None:
    run(SESSION.format(WAYS_IN[way], 0), tmp_path / "home")
    assert files_in(tmp_path / "home") == []


def test_no_name_is_looked_up(recorder: Path, tmp_path: Path) -> None:
    names = tmp_path / "names"
    preload = {"LD_PRELOAD": str(recorder), "LOOKED_UP": str(names)}
    # The recorder works: without it this test would pass whatever is looked up.
    look = "import socket, contextlib\nwith contextlib.suppress(OSError):\n    "
    run(look + "socket.getaddrinfo('example.invalid', 80)", tmp_path / "first", **preload)
    assert names.read_text() == "example.invalid\n"
    names.unlink()
    run(SESSION.format("import nstbatch", 12), tmp_path / "second", **preload)
    assert not names.exists(), names.read_text()


@pytest.mark.parametrize(
    ("chosen", "after", "is_off", "reason"),
    [
        ({}, ("1", "1"), True, "by nstbatch"),
        ({VARIABLES[0]: "1"}, ("1", "1"), True, "by $ORT_DISABLE_TELEMETRY=1"),
        # Each version of ONNX Runtime reads one of them; a user who set either wants no reports.
        ({VARIABLES[1]: "true"}, ("1", "true"), True, "by $ORT_TELEMETRY_DISABLED=true"),
        ({VARIABLES[0]: "0"}, ("0", None), False, "by $ORT_DISABLE_TELEMETRY=0"),
        ({VARIABLES[1]: "0"}, (None, "0"), False, "by $ORT_TELEMETRY_DISABLED=0"),
        ({VARIABLES[0]: ""}, ("", None), False, "by $ORT_DISABLE_TELEMETRY="),
        ({VARIABLES[0]: "1", VARIABLES[1]: "0"}, ("1", "0"), True, "by $ORT_DISABLE_TELEMETRY=1"),
    ],
)
def test_a_setting_of_the_user_wins(
    chosen: dict[str, str], after: tuple[str | None, str | None], is_off: bool, reason: str
) -> None:
    environment = dict(chosen)
    found = decide(environment, is_loaded=False)
    assert tuple(map(environment.get, VARIABLES)) == after
    assert found.is_off is is_off
    assert found.reason.startswith(reason)


def test_a_change_that_comes_too_late_is_not_called_off() -> None:
    found = decide({}, is_loaded=True)
    assert (found.is_off, found.reason) == (
        False,
        "because onnxruntime was imported before nstbatch",
    )
    assert decide({VARIABLES[0]: "1"}, is_loaded=True).is_off


def test_a_program_that_imports_onnx_runtime_first_is_warned(tmp_path: Path) -> None:
    found = run("import onnxruntime, nstbatch", tmp_path / "home")
    assert found.stderr == (
        "ONNX Runtime reports to Microsoft, because it was imported before nstbatch. "
        "Import nstbatch first, or set ORT_DISABLE_TELEMETRY=1.\n"
    )


def test_these_tests_report_nothing() -> None:
    assert switch_off().is_off
    assert os.environ[VARIABLES[0]] == "1"
