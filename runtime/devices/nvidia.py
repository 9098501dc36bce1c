"""Asks NVIDIA's driver which GPUs there are, and explains the errors of its libraries.

The names are those of CUDA's driver API (cuda.h). **Not run on a GPU yet.**
"""

from __future__ import annotations

import ctypes
import re
import sys
import uuid
from dataclasses import dataclass
from typing import Any

# cuda.h, CUdevice_attribute: COMPUTE_CAPABILITY_MAJOR and _MINOR.
MAJOR, MINOR = 75, 76
# The CUDA of PyPI's onnxruntime-gpu from 1.30 on, and the first driver for it (CUDA 13.0's release
# notes, "CUDA Toolkit and Corresponding Driver Versions").
CUDA = 13
FIRST_DRIVER = 580
# The generations that the package of onnxruntime-gpu 1.31.1 has code for. A GPU also runs the code
# of lower ones with the same first number. Read from its CUDA library.
GENERATIONS = ((7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (12, 0))

NO_LIBRARY = re.compile(
    r"(lib[\w-]+\.so[.\d]*|[\w-]+\.dll)\W{1,3}(?:cannot open|not found|which is)"
)
NO_CODE = re.compile(
    r"no kernel image|CUDA (?:failure|error) 209\b|not supported on this GPU", re.I
)
OLD_DRIVER = re.compile(r"driver version is insufficient|CUDA (?:failure|error) 35\b", re.I)


@dataclass(frozen=True)
class Driver:
    """NVIDIA's driver and one of its GPUs.

    Attributes:
        cuda: The newest CUDA that the driver runs, such as (13, 0).
        generation: The GPU's compute capability, such as (9, 0); None if the driver does not say.
        gpus: Number of GPUs that this process may use.
    """

    cuda: tuple[int, int]
    generation: tuple[int, int] | None
    gpus: int = 1

    @property
    def is_too_old(self) -> bool:
        """True if the driver does not run the CUDA of ONNX Runtime's package."""
        return self.cuda[0] < CUDA

    @property
    def is_known_generation(self) -> bool:
        """True unless the package is known to have no code for the GPU."""
        major, minor = self.generation or GENERATIONS[-1]
        return any(major == one and minor >= other for one, other in GENERATIONS)


class NoDriverError(Exception):
    """There is no driver, or it finds no GPU; the text is the reason."""


def library_name() -> str:
    """The file name of the driver's library."""
    return "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def driver(gpu: int = 0) -> Driver:
    """Ask the driver.

    Args:
        gpu: Number of the GPU whose generation is asked for, as CUDA counts them.

    Raises:
        OSError: The library of the driver does not load.
        NoDriverError: It finds no GPU.
    """
    library = ctypes.CDLL(library_name())
    count = ctypes.c_int(0)
    status = library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count))
    if status or not count.value:
        raise NoDriverError(f"NVIDIA's driver finds no GPU (CUDA error {status})")
    version = ctypes.c_int(0)
    library.cuDriverGetVersion(ctypes.byref(version))
    cuda = (version.value // 1000, version.value % 1000 // 10)
    return Driver(cuda, _generation(library, gpu), count.value)


def gpu_count() -> int:
    """Return the number of GPUs that this process may use; 0 without a driver."""
    try:
        return driver().gpus
    except (OSError, NoDriverError):
        return 0


def identity(gpu: int) -> str | None:
    """Return the identity of a GPU for NVIDIA's tools; None if the driver does not say.

    Args:
        gpu: Its number, as CUDA counts them.
    """
    try:
        library = ctypes.CDLL(library_name())
        found = (ctypes.c_ubyte * 16)()
        if library.cuInit(0) or library.cuDeviceGetUuid(found, gpu):
            return None
    except (OSError, AttributeError):
        return None
    return f"GPU-{uuid.UUID(bytes=bytes(found))}"


def _generation(library: Any, gpu: int) -> tuple[int, int] | None:
    found = []
    for attribute in (MAJOR, MINOR):
        value = ctypes.c_int(0)
        if library.cuDeviceGetAttribute(ctypes.byref(value), attribute, gpu):
            return None
        found.append(value.value)
    return found[0], found[1]


def missing_library(message: str) -> str | None:
    """Return a sentence about the library that a message misses; None if it names none."""
    missing = NO_LIBRARY.search(message)
    return f"the library {missing[1]} is missing" if missing else None


def explained(message: str) -> str:
    """Return one plain sentence for an error of ONNX Runtime's CUDA provider, without full stop."""
    if missing := missing_library(message):
        return missing
    if OLD_DRIVER.search(message):
        return f"NVIDIA's driver is older than CUDA {CUDA}"
    if NO_CODE.search(message):
        known = ", ".join(f"{major}.{minor}" for major, minor in GENERATIONS)
        return f"ONNX Runtime has no code for this GPU; 1.31 has for the generations {known}"
    return (message.strip().splitlines() or ["no reason is given"])[0]
