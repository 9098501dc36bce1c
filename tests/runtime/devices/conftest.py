"""Stand-ins for ONNX Runtime and for NVIDIA's driver, with chosen devices."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import onnxruntime as ort
import pytest

from nstbatch.runtime.devices import devices


@pytest.fixture(autouse=True)
def unregistered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bypass the cache of the plugin's registration, so that every test registers it itself."""
    monkeypatch.setattr(devices, "_register_openvino", devices._register_openvino.__wrapped__)


# --- ONNX Runtime -----------------------------------------------------------------------------


class FakeRuntime:
    """An ONNX Runtime with chosen providers and devices."""

    __version__ = "1.32.0"
    InferenceSession = SimpleNamespace
    OrtHardwareDeviceType = ort.OrtHardwareDeviceType

    def __init__(self, *ep_devices: Any, providers: tuple[str, ...] = ()) -> None:
        self.ep_devices = ep_devices
        self.providers = providers
        self.registered: list[str] = []

    def get_available_providers(self) -> list[str]:
        return [*self.providers, "CPUExecutionProvider"]

    def get_ep_devices(self) -> list[Any]:
        return [
            device for device in self.ep_devices if device.ep_name[:3] == "CPU" or self.registered
        ]

    def register_execution_provider_library(self, name: str, path: str) -> None:
        self.registered.append(name)


def ep_device(ep_name: str, kind: str = "CPU", vendor: str = "Intel") -> SimpleNamespace:
    device = SimpleNamespace(type=getattr(ort.OrtHardwareDeviceType, kind), vendor=vendor)
    return SimpleNamespace(ep_name=ep_name, device=device)


EP_DEVICES: dict[str | None, tuple[SimpleNamespace, ...]] = {
    None: (),
    "AMD": (ep_device("CPUExecutionProvider", vendor="AMD"),),
    "Intel": (
        ep_device("CPUExecutionProvider"),
        ep_device("OpenVINOExecutionProvider"),
        ep_device("OpenVINOExecutionProvider.AUTO"),
        ep_device("OpenVINOExecutionProvider", "GPU"),
    ),
}
"""The devices of a processor's maker; OpenVINO's once its plugin is registered."""


@pytest.fixture
def use_runtime(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeRuntime]:
    """A function (maker of the processor, providers) that puts a :class:`FakeRuntime` in place."""

    def use(maker: str | None = None, providers: tuple[str, ...] = ()) -> FakeRuntime:
        runtime = FakeRuntime(*EP_DEVICES[maker], providers=providers)
        monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
        plugin = SimpleNamespace(
            get_ep_name=lambda: "OpenVINO", get_library_path=lambda: "plugin.so"
        )
        monkeypatch.setitem(sys.modules, "onnxruntime_ep_openvino", plugin)
        monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.8.1")
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
