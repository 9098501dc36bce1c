"""Stand-ins for ONNX Runtime and for NVIDIA's driver, with chosen devices."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from nstbatch.runtime.devices import devices

# --- ONNX Runtime -----------------------------------------------------------------------------


class FakeRuntime:
    """An ONNX Runtime with chosen providers."""

    __version__ = "1.32.0"
    InferenceSession = SimpleNamespace

    def __init__(self, providers: tuple[str, ...]) -> None:
        self.providers = providers

    def get_available_providers(self) -> list[str]:
        return [*self.providers, "CPUExecutionProvider"]


@pytest.fixture
def use_runtime(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeRuntime]:
    """A function (providers) that puts a :class:`FakeRuntime` in place."""

    def use(providers: tuple[str, ...] = ()) -> FakeRuntime:
        runtime = FakeRuntime(providers)
        monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
        return runtime

    return use


# --- NVIDIA's driver --------------------------------------------------------------------------


class FakeDriver:
    """A libcuda with ``gpus`` GPUs, or one that returns the error ``status``."""

    def __init__(self, gpus: int, status: int = 0) -> None:
        self.gpus = gpus
        self.status = status

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.gpus
        return 0


@pytest.fixture
def use_driver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function (gpus, status) that puts a :class:`FakeDriver` in place; no driver for None."""

    def use(gpus: int | None, status: int = 0) -> None:
        def load(name: str) -> FakeDriver:
            if gpus is None:
                raise OSError(name)
            return FakeDriver(gpus, status)

        monkeypatch.setattr(devices.ctypes, "CDLL", load)
        monkeypatch.setattr(devices.sys, "platform", "linux")

    return use
