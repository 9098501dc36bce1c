"""The time of each kernel of a step on a GPU, measured by PyTorch's profiler.

The profiler sees all kernels of its process, also those that a CUDA graph launches, whoever made
them. **Not run on a GPU yet.**
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

# Kernels with a value of their own; the time of the others is one value. A guess.
MOST_KERNELS = 25


class Event(Protocol):
    """What is used of the profiler's averages by kernel."""

    key: str
    count: int
    self_device_time_total: float
    """Microseconds."""


def profiled(step: Callable[[], object], steps: int) -> Mapping[str, float]:
    """Take steps under the profiler, and return :func:`times_by_kernel`.

    Raises:
        ImportError: PyTorch does not load.
    """
    import torch
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.init()  # type: ignore[no-untyped-call]
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for _ in range(steps):
            step()
        torch.cuda.synchronize()
    events: Any = profiler.key_averages()
    return times_by_kernel(events, steps)


def times_by_kernel(events: Iterable[Event], steps: int) -> Mapping[str, float]:
    """Return milliseconds of a step by kernel, the longest first, and the sums over all kernels.

    Args:
        events: Averages of the profiler over all steps.
        steps: Number of steps.
    """
    times, launches = defaultdict[str, float](float), 0
    for event in events:
        if event.self_device_time_total > 0:
            times[short_name(event.key)] += event.self_device_time_total / steps / 1e3
            launches += event.count
    ordered = sorted(times.items(), key=lambda item: -item[1])
    rest = sum(time for _, time in ordered[MOST_KERNELS:])
    sums = {"launches": launches / steps, "ms": sum(times.values())}
    return {**sums, **dict(ordered[:MOST_KERNELS]), **({"other kernels": rest} if rest else {})}


def short_name(kernel: str) -> str:
    """A kernel's name without namespaces, types and parameters: "_BinaryElementWiseSimple OP_Mul".

    Operators of ONNX Runtime are kept: one kernel runs many of them.
    """
    operators = dict.fromkeys(re.findall(r"\bOP_\w+", kernel))
    plain = kernel.removeprefix("void ").replace("(anonymous namespace)::", "")
    name = plain.partition("<")[0].partition("(")[0]
    return " ".join((name.rpartition("::")[2], *operators))
