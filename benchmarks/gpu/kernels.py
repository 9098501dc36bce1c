"""The time of each kernel of a step on a GPU, from what PyTorch's profiler has seen."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol

# Kernels with a value of their own; the time of the others is one value. A guess.
MOST_KERNELS = 25


class Event(Protocol):
    """What is used of the profiler's averages by kernel."""

    key: str
    count: int
    self_device_time_total: float
    """Microseconds."""


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
