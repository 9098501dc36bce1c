"""The list of devices: which can be used, in which precisions, and what the others need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nstbatch.cli.text import columns, gigabytes

if TYPE_CHECKING:
    from nstbatch.runtime.devices.providers import Finding


def device_list(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines of a list of devices, each tried anew if there is a trial."""
    yield "Devices"
    trials = {each.device: _trial(each.device) for each in findings if each.usable}
    rows = [
        (finding.device, "usable" if finding.usable else "no", _describe(finding))
        for finding in findings
    ]
    for line, finding in zip(columns(rows), findings, strict=True):
        yield f"  {line}"
        if finding.fix:
            yield f"      to change that: {finding.fix}"
        if reason := trials.get(finding.device):
            yield f"      not taken by --device auto: {reason}"
        if finding.usable and finding.device == "cuda":
            yield from _gpus()


def _gpus() -> Iterator[str]:
    """Yield a line for each GPU, and how many processes ``--gpus all`` starts."""
    from nstbatch.runtime.devices.gpu_memory import gpu_memory
    from nstbatch.runtime.devices.nvidia import gpu_count

    gpus = gpu_count()
    free = [gpu_memory("free", gpu) for gpu in range(gpus)]
    for gpu, each in enumerate(free):
        yield f"      cuda:{gpu}" + ("" if each is None else f": {gigabytes(each)} of memory free")
    if gpus > 1:
        known = [each for each in free if each is not None]
        memory = f", {gigabytes(sum(known))} of memory together" if len(known) == gpus else ""
        yield f"      --gpus all: {gpus} processes, one on each{memory}"


def _trial(device: str) -> str | None:
    """Try a device anew: a machine may have been busy when it was tried before."""
    from nstbatch.runtime.devices.providers import TRIALS

    return TRIALS[device].try_now() if device in TRIALS else None


def _describe(finding: Finding) -> str:
    from nstbatch.runtime.devices.providers import precisions_here

    if not finding.usable:
        return finding.detail
    default, *others = precisions_here(finding)
    precisions = ", ".join([f"{default} by default", *others] if others else [default])
    return f"{precisions} ({finding.detail})"
