"""The checks of CUDA and TensorRT, without a GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

import onnxruntime as ort
import pytest

from nstbatch.runtime.devices import devices, nvidia, providers
from nstbatch.runtime.devices.providers import Provider, check, resolve
from nstbatch.runtime.errors import ProviderError

UseRuntime: TypeAlias = Callable[..., Any]
UseDriver: TypeAlias = Callable[..., None]


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_no_nvidia_driver(use_driver: UseDriver, device: str) -> None:
    use_driver(gpus=None)
    with pytest.raises(ProviderError, match=r"libcuda\.so\.1 .*pip install 'onnxruntime-gpu"):
        resolve(device)


def test_a_driver_without_a_gpu(use_driver: UseDriver) -> None:
    use_driver(gpus=0)
    assert check("cuda").detail == "NVIDIA's driver finds no GPU (CUDA error 0)"
    use_driver(gpus=1, status=100)
    assert check("cuda").detail == "NVIDIA's driver finds no GPU (CUDA error 100)"


def test_a_driver_for_an_older_cuda(use_driver: UseDriver) -> None:
    use_driver(gpus=1, cuda=12080)
    finding = check("cuda")
    assert finding.detail == "NVIDIA's driver runs CUDA 12.8, and ONNX Runtime needs CUDA 13"
    assert finding.fix is not None
    assert finding.fix.startswith("install NVIDIA's driver 580 or newer")
    assert "apt-get install nvidia-driver-580" in finding.fix


def test_a_gpu_and_the_processors_onnxruntime(
    monkeypatch: pytest.MonkeyPatch, use_runtime: UseRuntime, use_driver: UseDriver
) -> None:
    use_driver(gpus=1)
    use_runtime()
    monkeypatch.setattr(devices, "_is_installed", lambda name: name == "onnxruntime")
    finding = check("cuda")
    assert finding.detail == "the installed ONNX Runtime 1.32.0 was built without it"
    assert finding.fix == devices.in_place(*devices.GPU)


def test_a_double_install_is_named(
    monkeypatch: pytest.MonkeyPatch, use_runtime: UseRuntime, use_driver: UseDriver
) -> None:
    use_driver(gpus=1)
    use_runtime()
    monkeypatch.setattr(
        devices, "_is_installed", lambda name: name in ("onnxruntime", "onnxruntime-gpu")
    )
    assert providers.conflicting_packages() == ("onnxruntime", "onnxruntime-gpu")
    with pytest.raises(
        ProviderError, match="onnxruntime and onnxruntime-gpu are installed together"
    ):
        resolve("cuda")


def test_tensorrt_without_its_libraries(
    monkeypatch: pytest.MonkeyPatch, use_runtime: UseRuntime, use_driver: UseDriver
) -> None:
    use_driver(gpus=1)
    use_runtime(providers=("TensorrtExecutionProvider",))
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ProviderError, match="'tensorrt-cu13>=10"):
        resolve("tensorrt")


def test_a_cuda_session_that_does_not_open(
    monkeypatch: pytest.MonkeyPatch, use_driver: UseDriver
) -> None:
    # The installed runtime, made to claim a provider that it cannot load.
    use_driver(gpus=1)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    monkeypatch.setattr(devices, "_probe", devices._probe.__wrapped__)

    def refuse(options: Any, device: str, **others: Any) -> None:
        raise RuntimeError("libcudnn.so.9: cannot open shared object file")

    monkeypatch.setattr(devices, "add_provider", refuse)
    with pytest.raises(ProviderError, match=r"libcudnn\.so\.9"):
        resolve("cuda")


def test_a_cuda_session_that_is_the_processors(
    monkeypatch: pytest.MonkeyPatch, use_driver: UseDriver
) -> None:
    use_driver(gpus=1)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    monkeypatch.setattr(devices, "_probe", devices._probe.__wrapped__)
    monkeypatch.setattr(devices, "add_provider", lambda options, device, **others: None)
    with pytest.raises(ProviderError, match="fell back to the processor"):
        resolve("cuda")

    def load(name: str) -> None:
        raise OSError("libcublas.so.13: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(nvidia, "driver", lambda: nvidia.Driver((13, 0), (9, 0)))
    monkeypatch.setattr(devices.ctypes, "CDLL", load)
    missing = "the library libcublas.so.13 is missing. To change that: .*onnxruntime-gpu"
    with pytest.raises(ProviderError, match=missing):
        resolve("cuda")


def test_a_gpu_computes_in_fp16_by_default(
    monkeypatch: pytest.MonkeyPatch, use_runtime: UseRuntime, use_driver: UseDriver
) -> None:
    use_driver(gpus=1)
    session = SimpleNamespace(get_providers=lambda: ["CUDAExecutionProvider"])
    runtime = use_runtime(providers=("CUDAExecutionProvider",))
    monkeypatch.setattr(runtime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(runtime, "SessionOptions", SimpleNamespace, raising=False)
    monkeypatch.setattr(runtime, "InferenceSession", lambda *_, **__: session)
    monkeypatch.setattr(devices, "_probe", devices._probe.__wrapped__)
    monkeypatch.setattr(devices, "add_provider", lambda options, device, **others: None)
    assert check("cuda").detail == "ONNX Runtime 1.32.0 on a GPU of generation 9.0"
    use_driver(gpus=1, generation=70)
    assert check("cuda").detail.endswith("7.0, which its package may not have code for")
    assert resolve("cuda") == Provider("cuda", "fp16")
    assert resolve("cuda", "fp32") == Provider("cuda", "fp32")
    with pytest.raises(ProviderError, match="computes in fp16 and fp32 here, not in bf16"):
        resolve("cuda", "bf16")
