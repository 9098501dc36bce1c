"""Finds out which devices can be used by trying them, and says what the others lack.

ONNX Runtime calls the component that runs a graph an execution provider. If a provider does not
load, ONNX Runtime only warns and falls back to the processor. So this module trusts no list of
names: a GPU counts as usable once a session has opened on it.

The CUDA and TensorRT checks have **not been run on a GPU yet**.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import io
import platform
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstbatch.runtime.errors import UnknownNameError
from nstbatch.runtime.installing import install, install_in_place

from . import nvidia, tensorrt_rtx
from .openvino import core, openvino
from .processor import has_bf16
from .provider_options import EXECUTION_PROVIDERS, add_provider

# Distributions that unpack into the same `onnxruntime` folder and overwrite each other's files.
RUNTIME_PACKAGES = (
    "onnxruntime",
    "onnxruntime-directml",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
)

# The machines that OpenVINO 2026.4 has wheels for.
OPENVINO_WHEELS = ("Linux x86_64", "Linux aarch64", "Windows AMD64", "Darwin arm64")

# The requirements of the extras of the same names in pyproject.toml. They are spelled out, since
# a command for one of them may have to take the place of another.
CPU = ("onnxruntime>=1.30",)
OPENVINO = ("openvino>=2026.4",)
GPU = ("onnxruntime-gpu[cuda,cudnn]>=1.30",)
TENSORRT = (*GPU, "tensorrt-cu13>=10.13,<11")
TENSORRT_RTX = (*GPU, "onnxruntime-ep-nv-tensorrt-rtx>=0.5")

# The command for Ubuntu's package of the first driver that runs CUDA 13.
APT_DRIVER = f"sudo apt-get install nvidia-driver-{nvidia.FIRST_DRIVER}"

FATAL_ONLY = 4  # of ONNX Runtime's log severities

# A graph of one Relu, from "x" to "y", as serialised by onnx. To import onnx takes longer than to
# try a device with this graph.
RELU = (
    b'\x08\n:9\n\x0e\n\x01x\x12\x01y"\x04Relu:\x00\x12\x05probe'
    b"Z\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01"
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01"
    b"B\x04\n\x00\x10\x14"
)


@dataclass(frozen=True)
class Finding:
    """The result of :func:`check` for one device.

    Attributes:
        device: One of :data:`.providers.DEVICES`, but for "auto".
        usable: True if a session can be opened on the device.
        detail: The software that runs it, or the reason why it cannot be used; without full stop.
        fix: The command that makes it usable; None if no command does.
        precisions: The precisions it computes in, the default first; empty if it is not usable.
    """

    device: str
    usable: bool
    detail: str
    fix: str | None = None
    precisions: tuple[str, ...] = ()


def check(device: str, gpu: int = 0) -> Finding:
    """Find out by trying whether a device can be used; raise only for an unknown name.

    Args:
        device: One of :data:`.providers.DEVICES`, but for "auto".
        gpu: Number of the GPU to try, as CUDA counts them.
    """
    if device not in _CHECKS:
        raise UnknownNameError("device", device, _CHECKS)
    try:
        return _CHECKS[device](gpu)
    except _UnusableError as error:
        return Finding(device, usable=False, detail=error.why, fix=error.fix)


def within_reach() -> Finding | None:
    """The fastest device that only lacks its packages; None if a faster one is usable.

    OpenVINO counts only on processors with bf16: in fp32 it is no faster than ONNX Runtime itself
    (docs/decisions/0007-openvino-and-amd.md).
    """
    for device, is_there in (("cuda", _has_nvidia_driver), ("openvino", has_bf16)):
        finding = check(device)
        if finding.usable:
            return None
        if finding.fix is not None and is_there():
            return finding
    return None


def in_place(*requirements: str) -> str:
    """Return the commands that install requirements in place of every other ONNX Runtime."""
    return install_in_place(RUNTIME_PACKAGES, *requirements)


def conflicting_packages() -> tuple[str, ...]:
    """Return the installed packages that overwrite each other's ``onnxruntime``; () if none do."""
    found = tuple(name for name in RUNTIME_PACKAGES if _is_installed(name))
    return found if len(found) > 1 else ()


def installed_versions() -> dict[str, str]:
    """Return the versions of ONNX Runtime and of OpenVINO, as far as they are installed."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for package in (*RUNTIME_PACKAGES, "openvino"):
        with suppress(PackageNotFoundError):
            versions[package.partition("-")[0]] = version(package)
    return versions


class _UnusableError(Exception):
    """A device cannot be used: the reason, and the command that would change it."""

    def __init__(self, why: str, fix: str | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix


def _check_cpu(_: int) -> Finding:
    # MLAS, the library that it uses, has no bf16, and models with bf16 nodes do not load
    # (microsoft/onnxruntime#28768). On x86 fp16 is no faster than fp32, and less exact.
    return _usable("cpu", f"ONNX Runtime {_onnxruntime().__version__}", "fp32")


def _check_openvino(_: int) -> Finding:
    # If the processor's features are unknown (not Linux), bf16 is possible. Which is faster, the
    # trial measures: see precisions_here in providers.py.
    # fp16 is left out, since OpenVINO is slow and wrong in it on a processor.
    precisions = {True: ("bf16", "fp32"), False: ("fp32",), None: ("fp32", "bf16")}[has_bf16()]
    try:
        version = openvino().__version__.partition("-")[0]
        if "CPU" not in core().available_devices:
            raise _UnusableError(f"OpenVINO {version} finds no processor that it can use")
    except ImportError as error:
        raise _UnusableError(*_no_openvino_package(error)) from error
    except RuntimeError as error:  # a library of its own that does not load
        raise _UnusableError(f"OpenVINO does not start ({_first_line(error)})") from error
    return _usable("openvino", f"OpenVINO {version}", *precisions)


def _check_cuda(gpu: int) -> Finding:
    _nvidia_driver(in_place(*GPU))
    _built_with("cuda", in_place(*GPU))
    return _usable_gpu("cuda", gpu, in_place(*GPU))


def _check_tensorrt(gpu: int) -> Finding:
    _nvidia_driver(in_place(*TENSORRT))
    _built_with("tensorrt", in_place(*TENSORRT))
    try:
        importlib.import_module("tensorrt")  # loads the libraries that pip installed
    except ImportError as error:
        raise _UnusableError(f"TensorRT does not load ({error})", in_place(*TENSORRT)) from error
    return _usable_gpu("tensorrt", gpu, in_place(*TENSORRT))


def _check_tensorrt_rtx(gpu: int) -> Finding:
    fix = in_place(*TENSORRT_RTX)
    _nvidia_driver(fix)
    _built_with("cuda", fix)
    try:
        preload(_onnxruntime())
        tensorrt_rtx.cards()
    except ImportError as error:
        raise _UnusableError(f"TensorRT for RTX does not load ({error})", fix) from error
    except RuntimeError as error:
        why = nvidia.explained(str(error))
        raise _UnusableError(f"TensorRT for RTX does not start: {why}") from error
    return _usable_gpu("tensorrt-rtx", gpu, fix)


_CHECKS: dict[str, Callable[[int], Finding]] = {
    "cpu": _check_cpu,
    "openvino": _check_openvino,
    "cuda": _check_cuda,
    "tensorrt": _check_tensorrt,
    "tensorrt-rtx": _check_tensorrt_rtx,
}


def _usable(device: str, detail: str, *precisions: str) -> Finding:
    return Finding(device, usable=True, detail=detail, precisions=precisions)


def _onnxruntime() -> Any:
    try:
        ort = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise _UnusableError(
            f"ONNX Runtime does not load ({error})", install(*CPU, upgrade=True)
        ) from error
    if not hasattr(ort, "InferenceSession"):  # the remains of two packages that were mixed
        raise _UnusableError("ONNX Runtime is installed but incomplete", in_place(*CPU))
    return ort


def _built_with(device: str, fix: str) -> None:
    """Raise unless the installed ONNX Runtime was built with a device's provider."""
    ort = _onnxruntime()
    if EXECUTION_PROVIDERS[device] in ort.get_available_providers():
        return
    mixed = conflicting_packages()
    if mixed:
        raise _UnusableError(
            f"{' and '.join(mixed)} are installed together and have overwritten each other",
            in_place(*GPU),
        )
    raise _UnusableError(f"the installed ONNX Runtime {ort.__version__} was built without it", fix)


def _nvidia_driver(fix: str) -> None:
    """Raise unless NVIDIA's driver is installed, finds a GPU and is new enough."""
    if sys.platform == "darwin":
        raise _UnusableError("NVIDIA has no driver for macOS")
    try:
        found = nvidia.driver()
    except OSError:
        raise _UnusableError(
            f"no NVIDIA driver was found ({nvidia.library_name()} does not load)",
            f"install NVIDIA's driver, then {fix}",
        ) from None
    except nvidia.NoDriverError as error:
        raise _UnusableError(str(error)) from error
    if found.is_too_old:
        raise _UnusableError(
            f"NVIDIA's driver runs CUDA {found.cuda[0]}.{found.cuda[1]}, and ONNX Runtime needs "
            f"CUDA {nvidia.CUDA}",
            f"install NVIDIA's driver {nvidia.FIRST_DRIVER} or newer"
            + (f": {APT_DRIVER} (on Ubuntu)" if sys.platform == "linux" else ""),
        )


def _has_nvidia_driver() -> bool:
    try:
        _nvidia_driver(in_place(*GPU))
    except _UnusableError:
        return False
    return True


def _usable_gpu(device: str, gpu: int, fix: str) -> Finding:
    """Open a session on a GPU. Not run on a GPU yet."""
    ort = _onnxruntime()
    preload(ort)
    _probe(device, fix, gpu)
    detail = f"ONNX Runtime {ort.__version__}"
    with suppress(OSError, nvidia.NoDriverError):
        found = nvidia.driver(gpu)
        if found.generation is not None:
            detail += f" on a GPU of generation {found.generation[0]}.{found.generation[1]}"
            detail += (
                "" if found.is_known_generation else ", which its package may not have code for"
            )
    return _usable(device, detail, "fp16", "fp32")


def preload(ort: Any) -> None:
    """Load the CUDA libraries that pip installed; ONNX Runtime would print which ones are missing.

    Standard output is for results.
    """
    with redirect_stdout(io.StringIO()):
        ort.preload_dlls()


@functools.cache
def _probe(device: str, fix: str | None = None, gpu: int = 0) -> None:
    """Open a session of one node on a device; raise if it does not run there."""
    ort = _onnxruntime()
    ort.set_default_logger_severity(FATAL_ONLY)  # it prints what a library lacks, in red
    options = ort.SessionOptions()
    options.log_severity_level = FATAL_ONLY  # the exception says what went wrong
    try:
        add_provider(options, device, precision="fp32", gpu=gpu)
        session = ort.InferenceSession(RELU, options, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions have no other common base
        why = f"its session does not open: {nvidia.explained(str(error))}"
        raise _UnusableError(_missing_library(device) or why, fix) from error
    if EXECUTION_PROVIDERS[device] not in session.get_providers():
        why = "ONNX Runtime could not load it and fell back to the processor"
        raise _UnusableError(_missing_library(device) or why, fix)


def _missing_library(device: str) -> str | None:
    """A sentence about the library that a device's provider lacks; None if it is not known.

    The provider of a plugin is loaded by the plugin, so its sentence is that of CUDA's.
    """
    if device == "tensorrt-rtx":
        device = "cuda"
    name = EXECUTION_PROVIDERS[device].removesuffix("ExecutionProvider").lower()
    place = Path(_onnxruntime().__file__).parent / "capi" / f"libonnxruntime_providers_{name}.so"
    try:
        ctypes.CDLL(str(place))
    except OSError as error:
        return nvidia.missing_library(str(error))
    return None


def _no_openvino_package(error: ImportError) -> tuple[str, str | None]:
    machine = _machine()
    if machine not in OPENVINO_WHEELS:
        return f"OpenVINO has no package for {machine}", None
    return f"the package openvino does not load ({error})", install(*OPENVINO)


def _machine() -> str:
    """System and processor architecture, as wheels are built for them: "Linux x86_64"."""
    return f"{platform.system()} {platform.machine()}"


def _is_installed(distribution: str) -> bool:
    from importlib.metadata import PackageNotFoundError, version

    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
