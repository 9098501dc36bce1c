""" "auto" takes CUDA only after a trial, which is remembered."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nstbatch.runtime.devices import gpu_probe, providers
from nstbatch.runtime.devices.devices import Finding
from nstbatch.runtime.devices.providers import check, resolve

SOUND, WRONG = "", "print('its product is wrong', end=''); exit(1)"


@pytest.fixture(autouse=True)
def forgetful(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use_driver: Callable[..., None]
) -> Iterator[None]:
    """Start without anything remembered, on a machine where CUDA seems to be usable."""
    monkeypatch.setenv("NSTBATCH_CACHE", str(tmp_path))
    usable = {"cuda": Finding("cuda", True, "", None, ("fp16", "fp32"))}
    usable |= {"openvino": Finding("openvino", False, "not here")}
    monkeypatch.setattr(providers, "check", lambda device, gpu: usable.get(device) or check(device))
    use_driver(gpus=1)
    gpu_probe.reason_against.cache_clear()
    yield
    gpu_probe.reason_against.cache_clear()


def use_trial(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(gpu_probe, "COMMAND", (sys.executable, "-c", program))
    gpu_probe.reason_against.cache_clear()  # as a new process


def test_auto_takes_cuda_only_after_a_trial(
    monkeypatch: pytest.MonkeyPatch, use_driver: Callable[..., None]
) -> None:
    use_trial(monkeypatch, WRONG)
    assert resolve().device == "cpu"
    assert resolve("cuda").device == "cuda"  # who asks for it gets it
    use_trial(monkeypatch, SOUND)
    assert resolve().device == "cpu"  # remembered
    use_driver(gpus=1, cuda=13010)
    gpu_probe.reason_against.cache_clear()
    assert resolve().device == "cuda"  # another driver is tried anew
    assert gpu_probe.try_now() is None


def test_without_a_driver_nothing_is_remembered(
    monkeypatch: pytest.MonkeyPatch, use_driver: Callable[..., None], tmp_path: Path
) -> None:
    use_driver(gpus=None)
    use_trial(monkeypatch, WRONG)
    assert gpu_probe.reason_against() == "its product is wrong"
    assert not list(tmp_path.rglob("trial-*"))


def test_the_command_is_the_trial() -> None:
    """On a machine without a GPU it ends with a reason, in one line."""
    if check("cuda").usable:
        pytest.skip("there is a GPU")
    assert gpu_probe.COMMAND[1:] == ("-m", "nstbatch.runtime.devices.gpu_trial")
    reason = gpu_probe.try_now() or ""
    assert reason
    assert "\n" not in reason
