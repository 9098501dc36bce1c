"""Stand-ins for ONNX Runtime and for NVIDIA's driver, with chosen devices."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from nstbatch.runtime.devices import devices, nvidia

# --- ONNX Runtime -----------------------------------------------------------------------------


class FakeRuntime:
    """An ONNX Runtime with chosen providers."""

    __version__ = "1.32.0"
    InferenceSession = SimpleNamespace

    def __init__(self, providers: tuple[str, ...]) -> None:
        self.providers = providers

    def get_available_providers(self) -> list[str]:
        return [*self.providers, "CPUExecutionProvider"]

    def set_default_logger_severity(self, severity: int) -> None:
        """Write nothing in any case."""


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

    def __init__(self, gpus: int, status: int = 0, cuda: int = 13000, generation: int = 90) -> None:
        self.gpus = gpus
        self.status = status
        self.cuda = cuda
        self.generation = divmod(generation, 10)

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.gpus
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = self.cuda
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, gpu: int) -> int:  # noqa: N802
        value._obj.value = self.generation[attribute - 75]
        return 0


@pytest.fixture
def use_driver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that puts a :class:`FakeDriver` in place; no driver for None."""

    def use(gpus: int | None, *properties: int, **others: int) -> None:
        def load(name: str) -> FakeDriver:
            if gpus is None:
                raise OSError(name)
            return FakeDriver(gpus, *properties, **others)

        monkeypatch.setattr(nvidia.ctypes, "CDLL", load)
        monkeypatch.setattr(devices.sys, "platform", "linux")

    return use
