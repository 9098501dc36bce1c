"""Recognises that a computer or a device has run out of memory."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nstbatch.runtime.errors import NstbatchError

# Messages of allocators without memory: C++, ONNX Runtime's arena (bfc_arena.cc),
# cudaErrorMemoryAllocation (2), OpenVINO and its compiled code, Python through numpy, OpenCV; and
# of a thread without memory for its stack (EAGAIN).
OUT_OF_MEMORY = re.compile(
    r"bad_alloc|out of memory|insufficient memory"
    r"|(?:failed to|could not|can(?:no|')t) (?:alloc|reserve|commit)"
    r"|CUDA (?:failure|error) 2\b|CL_MEM_OBJECT_ALLOCATION_FAILURE"
    r"|resource temporarily unavailable",
    re.IGNORECASE,
)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the errors that it was raised from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def is_out_of_memory(error: Exception) -> bool:
    """Return True if the computer or the device ran out of memory."""
    return any(
        isinstance(cause, MemoryError) or OUT_OF_MEMORY.search(str(cause))
        for cause in causes(error)
        if not isinstance(cause, NstbatchError)
    )
