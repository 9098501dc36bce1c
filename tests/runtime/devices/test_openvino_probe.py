"""The trial of OpenVINO that protects "auto": crashes, hangs and wrong numbers."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nstbatch.runtime.devices import openvino_probe, providers
from nstbatch.runtime.devices.devices import Finding
from nstbatch.runtime.devices.providers import check, resolve

TRIALS = {
    "sound": ("", None),
    "crash": ("import os, signal; os.kill(os.getpid(), signal.SIGFPE)", r"crashed \(SIGFPE\)"),
    "hang": ("import time; time.sleep(60)", r"did not end within 0.5 s"),
    "wrong numbers": ("print('its product in bf16 is wrong', end=''); exit(1)", "its product"),
    "crash on Windows": ("import os; os._exit(77)", r"failed \(77\)"),
}

TRIALS_THAT_PROVE_NOTHING = {
    "error": ("raise OSError('disk full')", r"failed \(OSError: disk full\)"),
    "kill": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", r"ended \(SIGKILL\)"),
}

needs_openvino = pytest.mark.skipif(not check("openvino").usable, reason="OpenVINO is not here")


@pytest.fixture(autouse=True)
def forgetful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start without anything remembered, on a machine without CUDA where OpenVINO is usable."""
    monkeypatch.setenv("NSTBATCH_CACHE", str(tmp_path))
    usable = {"cuda": Finding("cuda", False, "no GPU")}
    usable |= {"openvino": Finding("openvino", True, "", None, ("bf16", "fp32"))}
    monkeypatch.setattr(providers, "check", lambda name, gpu: usable.get(name) or check(name, gpu))
    openvino_probe.of_process.clear()
    yield
    openvino_probe.of_process.clear()


@pytest.fixture
def use_trial(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that puts a program in the place of the trial."""

    def use(program: str) -> None:
        monkeypatch.setattr(openvino_probe, "COMMAND", (sys.executable, "-c", program))
        monkeypatch.setattr(openvino_probe, "PATIENCE_SECONDS", 0.5 if "sleep" in program else 60)

    return use


@needs_openvino
@pytest.mark.parametrize("name", TRIALS)
def test_auto_takes_openvino_only_after_a_trial_and_remembers_it(
    name: str, use_trial: Callable[[str], None]
) -> None:
    program, reason = TRIALS[name]
    use_trial(program)
    expected = "openvino" if reason is None else "cpu"
    assert resolve().device == expected
    assert resolve("openvino").device == "openvino"  # who asks for it gets it
    found = openvino_probe.reason_against()
    assert found == reason if reason is None else re.search(reason, found or "")
    openvino_probe.of_process.clear()
    use_trial("raise SystemExit('a second trial')")
    assert resolve().device == expected  # remembered


@needs_openvino
@pytest.mark.parametrize("name", TRIALS_THAT_PROVE_NOTHING)
def test_a_trial_that_failed_for_want_of_something_is_not_remembered(
    name: str, use_trial: Callable[[str], None]
) -> None:
    program, reason = TRIALS_THAT_PROVE_NOTHING[name]
    use_trial(program)
    assert resolve().device == "cpu"
    assert re.search(reason, openvino_probe.reason_against() or "")
    use_trial("raise SystemExit('a second trial')")
    assert resolve().device == "cpu"  # by this process it is
    openvino_probe.of_process.clear()
    use_trial("")
    assert resolve().device == "openvino"


@needs_openvino
def test_who_forgets_tries_again(monkeypatch: pytest.MonkeyPatch, use_trial: Any) -> None:
    """Without a cache, for another version of OpenVINO, and where the file is damaged."""
    use_trial("")
    assert openvino_probe.reason_against() is None
    (place,) = Path(os.environ["NSTBATCH_CACHE"]).rglob("trial-*.json")
    use_trial("print('wrong'); exit(1)")

    def reason() -> str | None:
        openvino_probe.of_process.clear()
        return openvino_probe.reason_against()

    assert reason() is None
    place.write_text("[]")
    assert reason() == "wrong"
    use_trial("")
    assert reason() == "wrong"
    monkeypatch.setattr(openvino_probe, "processor_name", lambda: "another one")
    assert reason() is None
    monkeypatch.setenv("NSTBATCH_CACHE", "off")
    use_trial("print('wrong'); exit(1)")
    assert reason() == "wrong"


def test_a_trial_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_probe, "COMMAND", ("/nowhere/python",))
    monkeypatch.setenv("NSTBATCH_CACHE", "off")
    assert openvino_probe.try_now() == "a trial of it did not start (No such file or directory)"
