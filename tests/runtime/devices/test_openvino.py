"""The checks of OpenVINO, as a plugin and built into ONNX Runtime."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

import onnxruntime as ort
import pytest

from nstbatch.runtime import installing
from nstbatch.runtime.devices import devices, provider_options
from nstbatch.runtime.devices.providers import Provider, check, resolve
from nstbatch.runtime.errors import ProviderError

UseRuntime: TypeAlias = Callable[..., Any]


# --- The plugin -------------------------------------------------------------------------------


def test_openvino_absent(monkeypatch: pytest.MonkeyPatch, use_runtime: UseRuntime) -> None:
    use_runtime("Intel")
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_openvino", None)
    monkeypatch.setattr(devices.platform, "system", lambda: "Linux")
    monkeypatch.setattr(devices.platform, "machine", lambda: "x86_64")
    with pytest.raises(ProviderError, match="pip install 'onnxruntime-ep-openvino"):
        resolve("openvino")
    monkeypatch.setattr(devices.platform, "machine", lambda: "aarch64")
    finding = check("openvino")
    assert (finding.detail, finding.fix) == (
        "there is no onnxruntime-ep-openvino for Linux aarch64",
        None,
    )


def test_an_old_runtime_has_neither_plugins_nor_ways_to_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(
        sys.modules,
        "onnxruntime",
        SimpleNamespace(
            __version__="1.20.0",
            InferenceSession=None,
            get_available_providers=lambda: ["OpenVINOExecutionProvider"],
        ),
    )
    finding = check("openvino")
    assert finding.detail == "ONNX Runtime 1.20.0 is too old for it"
    assert finding.fix == installing.install(*devices.CPU, upgrade=True)


@pytest.mark.parametrize(
    ("bf16", "precisions"),
    [(True, ("bf16", "fp32")), (False, ("fp32",)), (None, ("fp32", "bf16"))],
)
def test_openvino_defaults_to_bf16_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch,
    use_runtime: UseRuntime,
    bf16: bool | None,
    precisions: tuple[str, ...],
) -> None:
    runtime = use_runtime("Intel")
    monkeypatch.setattr(devices, "has_bf16", lambda: bf16)
    finding = check("openvino")
    assert (finding.usable, finding.precisions) == (True, precisions)
    assert runtime.registered == ["OpenVINO"]
    check("openvino")
    assert runtime.registered == ["OpenVINO"]  # once per process
    assert [found.device.type for found in provider_options.openvino_devices()] == [
        ort.OrtHardwareDeviceType.CPU
    ]


@pytest.mark.parametrize(
    ("machine", "python", "bf16", "packages", "fix"),
    [
        ("x86_64", (3, 13), True, ("onnxruntime",), devices.in_place(*devices.AMD)),
        ("x86_64", (3, 13), False, ("onnxruntime",), None),  # in fp32 it is no faster
        ("aarch64", (3, 13), True, ("onnxruntime",), None),  # there is no wheel
        ("x86_64", (3, 14), True, ("onnxruntime",), None),  # there is no wheel
        ("x86_64", (3, 13), True, ("onnxruntime-gpu",), None),  # it would replace CUDA
    ],
)
def test_openvino_on_another_makers_processor(
    monkeypatch: pytest.MonkeyPatch,
    use_runtime: UseRuntime,
    machine: str,
    python: tuple[int, int],
    bf16: bool,
    packages: tuple[str, ...],
    fix: str | None,
) -> None:
    use_runtime("AMD")
    monkeypatch.setattr(devices, "has_bf16", lambda: bf16)
    monkeypatch.setattr(devices, "_is_installed", lambda name: name in packages)
    monkeypatch.setattr(devices.sys, "version_info", python)
    monkeypatch.setattr(devices.platform, "system", lambda: "Linux")
    monkeypatch.setattr(devices.platform, "machine", lambda: machine)
    with pytest.raises(ProviderError, match=r"serves Intel processors only .* from AMD"):
        resolve("openvino")
    assert check("openvino").fix == fix


def test_a_plugin_that_does_not_load(
    monkeypatch: pytest.MonkeyPatch, use_runtime: UseRuntime
) -> None:
    runtime = use_runtime("Intel")

    def register(name: str, path: str) -> None:
        raise RuntimeError("libtbb.so.12: cannot open\nstack trace")

    monkeypatch.setattr(runtime, "register_execution_provider_library", register)
    finding = check("openvino")
    assert finding.detail == "its plugin does not load (libtbb.so.12: cannot open)"


# --- Built into ONNX Runtime ------------------------------------------------------------------


class FakeOptions:
    """Session options that record which providers were added, with their options."""

    def __init__(self) -> None:
        self.added: list[tuple[str, dict[str, str]]] = []

    def add_provider(self, name: str, options: dict[str, str]) -> None:
        self.added.append((name, options))

    def add_provider_for_devices(self, found: list[Any], options: dict[str, str]) -> None:
        self.added.append((found[0].ep_name, options))


@pytest.fixture
def use_built_in(monkeypatch: pytest.MonkeyPatch, use_runtime: UseRuntime) -> UseRuntime:
    """A function (session) that puts an ONNX Runtime with OpenVINO inside in place.

    The processor is one that the plugin refuses.
    """

    def use(session: Any) -> Any:
        runtime = use_runtime("AMD", providers=("OpenVINOExecutionProvider",))
        monkeypatch.setattr(devices, "has_bf16", lambda: True)
        monkeypatch.setattr(devices, "_probe", devices._probe.__wrapped__)
        monkeypatch.setattr(runtime, "InferenceSession", lambda *_, **__: session)
        monkeypatch.setattr(runtime, "SessionOptions", FakeOptions, raising=False)
        return runtime

    return use


def test_openvino_inside_onnxruntime_needs_no_plugin(use_built_in: UseRuntime) -> None:
    session = SimpleNamespace(get_providers=lambda: ["OpenVINOExecutionProvider"])
    runtime = use_built_in(session)
    assert resolve("openvino") == Provider("openvino", "bf16")
    assert check("openvino").detail == "built into ONNX Runtime 1.32.0"
    assert runtime.registered == []
    options = FakeOptions()
    provider_options.add_provider(options, "openvino", precision="bf16", threads=3)
    ((name, chosen),) = options.added
    assert (name, chosen.pop("device_type")) == ("OpenVINOExecutionProvider", "CPU")
    assert chosen == provider_options.openvino_options("bf16", 3)


def test_openvino_inside_that_does_not_load(use_built_in: UseRuntime) -> None:
    use_built_in(SimpleNamespace(get_providers=lambda: ["CPU"]))
    finding = check("openvino")
    assert finding.detail == "ONNX Runtime could not load it and fell back to the processor"
    assert not finding.usable


def test_a_registered_plugin_is_not_built_in(use_runtime: UseRuntime) -> None:
    """ONNX Runtime lists it among its providers nevertheless."""
    runtime = use_runtime("Intel", providers=("OpenVINOExecutionProvider",))
    runtime.registered.append("OpenVINO")
    assert not provider_options.openvino_is_built_in()
    options = FakeOptions()
    provider_options.add_provider(options, "openvino", precision="fp32", threads=1)
    assert options.added == [
        ("OpenVINOExecutionProvider", provider_options.openvino_options("fp32", 1))
    ]
