"""Faults that are not one photo's: a full disk, a folder or a device that is gone, no memory.

What is wrong with one photo fails that photo. What is wrong with the place where pictures go, or
with what computes them, would fail every photo after it, one by one, all night: it stops the batch.
"""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nstbatch.cli.jobs.painting import BatchStoppedError
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import NonFiniteError, NstbatchError

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.engine.engine import Engine

log = logging.getLogger(__name__)

# No more room: on the disk, in the user's quota, for a file of this size (ulimit -f), at all.
NO_ROOM = frozenset(
    {errno.ENOSPC, errno.EFBIG, errno.EROFS} | {getattr(errno, "EDQUOT", errno.ENOSPC)}
)

# What ONNX Runtime's messages have where the device is gone for good. CUDA: errors after which the
# driver answers every call of the process alike (CUDA Runtime API, "Error Handling": 46 devices
# unavailable, 100 no device, 700 illegal address, 710 assert, 714 to 719 and 999), as written by
# onnxruntime/core/providers/cuda/cuda_call.cc. OpenVINO's GPU plugin, through OpenCL and Level
# Zero: the names of their error codes. The list is read from documentation; none was provoked.
DEVICE_GONE = re.compile(
    r"CUDA (?:failure|error) (?:46|100|700|710|71[4-9]|999)\b"
    r"|CUDA_ERROR_(?:NO_DEVICE|DEVICE_UNAVAILABLE|ILLEGAL_ADDRESS|LAUNCH_FAILED|UNKNOWN)"
    r"|no CUDA-capable device|GPU is lost|has fallen off the bus"
    r"|CL_DEVICE_NOT_AVAILABLE|CL_OUT_OF_RESOURCES|ZE_RESULT_ERROR_DEVICE_LOST|device[ _]lost",
    re.IGNORECASE,
)

# How allocators say it: C++, ONNX Runtime's arena (bfc_arena.cc), cudaErrorMemoryAllocation (2),
# OpenVINO, Python through numpy, OpenCV.
OUT_OF_MEMORY = re.compile(
    r"bad_alloc|failed to allocate memory|out of memory|CUDA (?:failure|error) 2\b"
    r"|CL_MEM_OBJECT_ALLOCATION_FAILURE|insufficient memory",
    re.IGNORECASE,
)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def end_of_batch(error: Exception) -> str | None:
    """Return what stops the whole batch, as a sentence; None for what is one photo's own."""
    for cause in causes(error):
        if isinstance(cause, BatchStoppedError):
            return str(cause)
        if isinstance(cause, BrokenPipeError):
            return "Nobody reads its output any more."
        if isinstance(cause, OSError) and cause.errno in NO_ROOM:
            place = f": {printable(str(cause.filename))}" if cause.filename else ""
            return f"Nothing more can be written, {cause.strerror}{place}."
        if not isinstance(cause, NstbatchError | OSError) and DEVICE_GONE.search(str(cause)):
            return f"The device is gone: {printable(str(cause))}."
    return None


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether there was not enough memory, on the processor or the device."""
    return any(
        isinstance(cause, MemoryError) or OUT_OF_MEMORY.search(str(cause))
        for cause in causes(error)
        if not isinstance(cause, NstbatchError)
    )


def resilient(painter: Painter, engine: Engine) -> Painter:
    """Return a painter that has a second try where that may help.

    Out of memory: with what was kept for other shapes given back, and smaller batches. A loss that
    is not finite: in fp32, unless that is what it was in.
    """

    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        try:
            return painter(job, progress, stop)
        except NonFiniteError:
            if engine.provider.precision == "fp32":
                raise
            precision = engine.provider.precision
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            precision = ""
        # Here, not above: a traceback keeps the arrays of every function on it.
        if precision:
            log.warning("once more in fp32, not %s: %s", precision, printable(job.input))
            with engine.in_fp32():
                return painter(job, progress, stop)
        log.warning("not enough memory, once more with less kept: %s", printable(job.input))
        engine.drop_sessions()
        engine.step_fewer_together()
        return painter(job, progress, stop)

    return paint
