"""TensorRT for RTX is registered and checked; its package and its cards are those of the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nstbatch.runtime.devices import devices, tensorrt_rtx
from nstbatch.runtime.devices.provider_options import EXECUTION_PROVIDERS, add_provider
from nstbatch.runtime.devices.providers import Provider

LACKS_NVML = "Failed to load library x.so with error: libnvidia-ml.so.1: cannot open shared object"


class Options:
    """Session options that write down what is added."""

    def __init__(self) -> None:
        self.added = list[Any]()

    def add_provider(self, name: str, options: dict[str, str]) -> None:
        self.added.append(name)

    def add_provider_for_devices(self, cards: list[Any], options: dict[str, str]) -> None:
        self.added.append(([card.ep_name for card in cards], options))


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    tensorrt_rtx.cards.cache_clear()
    yield
    tensorrt_rtx.cards.cache_clear()


@pytest.fixture
def plugin(
    use_runtime: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[tuple[str, str]]]:
    """A function that installs the package; returns what ONNX Runtime has registered."""

    def install(cards: int = 1, error: str | None = None) -> list[tuple[str, str]]:
        registered = list[tuple[str, str]]()

        def register(name: str, path: str) -> None:
            if error is not None:
                raise ValueError(error)
            registered.append((name, path))

        package = ModuleType(tensorrt_rtx.PACKAGE)
        package.get_library_path = lambda: "plugin.so"  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, tensorrt_rtx.PACKAGE, package)
        runtime = use_runtime(("CUDAExecutionProvider",))
        runtime.register_execution_provider_library = register
        found = [SimpleNamespace(ep_name="CPUExecutionProvider")]
        found += [SimpleNamespace(ep_name=tensorrt_rtx.NAME) for _ in range(cards)]
        runtime.get_ep_devices = lambda: found
        runtime.preload_dlls = lambda: None
        return registered

    return install


def test_it_is_registered_once_and_takes_the_first_card(
    plugin: Callable[..., list[tuple[str, str]]], tmp_path: Path
) -> None:
    registered = plugin(cards=2)
    options = Options()
    add_provider(options, "tensorrt-rtx", precision="fp16", engine_folder=tmp_path)  # type: ignore[arg-type]
    add_provider(Options(), "tensorrt-rtx", precision="fp16")  # type: ignore[arg-type]
    assert registered == [(tensorrt_rtx.NAME, "plugin.so")]
    assert options.added == [
        ([tensorrt_rtx.NAME], {"nv_runtime_cache_path": str(tmp_path)}),
        EXECUTION_PROVIDERS["cuda"],
    ]


@pytest.mark.parametrize(
    ("installed", "detail"),
    [
        ({"cards": 0}, "it finds no GPU of the series GeForce RTX or RTX"),
        ({"error": LACKS_NVML}, "the library libnvidia-ml.so.1 is missing"),
    ],
)
def test_what_is_missing_is_said(
    plugin: Callable[..., object],
    use_driver: Callable[..., None],
    installed: dict[str, Any],
    detail: str,
) -> None:
    plugin(**installed)
    use_driver(1)
    finding = devices.check("tensorrt-rtx")
    assert not finding.usable
    assert finding.detail == f"TensorRT for RTX does not start: {detail}"


def test_without_the_package_the_command_is_named(
    use_runtime: Callable[..., Any],
    use_driver: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, tensorrt_rtx.PACKAGE, None)
    use_runtime(("CUDAExecutionProvider",)).preload_dlls = lambda: None
    use_driver(1)
    finding = devices.check("tensorrt-rtx")
    assert "TensorRT for RTX does not load" in finding.detail
    assert "onnxruntime-ep-nv-tensorrt-rtx" in (finding.fix or "")


def test_its_buffers_and_updates_are_cudas() -> None:
    provider = Provider("tensorrt-rtx", "fp16")
    assert provider.memory == "cuda"
    assert not provider.captures
    assert provider.for_updates == Provider("cuda", "fp32")
    assert provider.for_few_passes == Provider("cuda", "fp16")
