"""The one thread in which every session on NVIDIA's GPUs runs.

ONNX Runtime keeps CUDA graphs, and the handles of cuBLAS and cuDNN with their workspaces, for each
thread. In a batch, the thread of whichever picture comes last takes the step, so every thread would
record the same pass again. **Not run on a GPU yet.**
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_one_thread(call: Callable[[], T]) -> T:
    """Call a function in the thread, wait for it, and return its result or raise its error."""
    return _thread().submit(call).result()


@functools.cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "nstbatch-gpu")
