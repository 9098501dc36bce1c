"""Faults that concern more than one photo: a full disk, a lost folder or device, no memory.

A fault of one photo fails that photo. A fault of the output folder or of the device would fail all
later photos too, one by one, all night; so it stops the batch.
"""

from __future__ import annotations

import errno
import logging
import re
from typing import TYPE_CHECKING

from nstbatch.cli.jobs.painting import BatchStoppedError
from nstbatch.cli.text import printable
from nstbatch.runtime.devices.out_of_memory import causes, is_out_of_memory
from nstbatch.runtime.errors import NonFiniteError, NstbatchError

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.engine.engine import Engine

log = logging.getLogger(__name__)

# No more room on the disk, in the user's quota, or for a file of this size (ulimit -f); or a file
# system that is read-only.
NO_ROOM = frozenset(
    {errno.ENOSPC, errno.EFBIG, errno.EROFS} | {getattr(errno, "EDQUOT", errno.ENOSPC)}
)

# Text in ONNX Runtime's messages when the device is gone for good. CUDA: errors after which the
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


def end_of_batch(error: Exception) -> str | None:
    """Return a sentence for an error that stops the whole batch; None for a fault of one photo."""
    for cause in causes(error):
        if isinstance(cause, BatchStoppedError):
            return str(cause)
        if isinstance(cause, BrokenPipeError):
            return "The program that reads its output has ended."
        if isinstance(cause, OSError) and cause.errno in NO_ROOM:
            place = f": {printable(str(cause.filename))}" if cause.filename else ""
            return f"Nothing more can be written, {cause.strerror}{place}."
        if _tells_of_lost_device(cause):
            return f"The device is gone: {printable(str(cause))}."
    return None


def is_device_gone(error: Exception) -> bool:
    """Return True if the device that computes will fail all later calls of this process."""
    return any(map(_tells_of_lost_device, causes(error)))


def _tells_of_lost_device(cause: BaseException) -> bool:
    is_of_library = not isinstance(cause, NstbatchError | OSError)
    return is_of_library and DEVICE_GONE.search(str(cause)) is not None


def reason_of(error: Exception) -> str:
    """Return a sentence about a fault of one photo."""
    if isinstance(error, NstbatchError):
        return str(error)
    if is_out_of_memory(error):
        return "There is not enough memory for this picture; try a smaller --size or --batch."
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}."
    said = str(error).strip().partition("\n")[0]
    if type(error).__module__.startswith("onnxruntime"):
        return (
            f"ONNX Runtime failed: {said}. Another --device or --precision may work; "
            "`nstbatch doctor` lists them."
        )
    return (
        f"A fault of nstbatch, {type(error).__name__}: {said}. Please report it, with what "
        "--verbose prints."
    )


def resilient(painter: Painter, engine: Engine, *, has_tiles: bool = False) -> Painter:
    """Return a painter that tries a failed picture again if that may help.

    After running out of memory, it tries again with smaller batches and without the sessions kept
    for other shapes, and in tiles if the pictures have them; after a loss that is not finite, in
    fp32, unless that was the precision.
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
        # Not in the except clause: the traceback keeps the arrays of all its functions alive.
        if precision:
            name = printable(job.input)
            log.warning("the loss is not finite in %s, trying again in fp32: %s", precision, name)
            with engine.in_fp32():
                return painter(job, progress, stop)
        log.warning("not enough memory, trying again with less kept: %s", printable(job.input))
        engine.use_less_memory(has_tiles=has_tiles)
        return painter(job, progress, stop)

    return paint
