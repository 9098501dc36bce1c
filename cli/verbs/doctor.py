"""``nstbatch doctor``: shows which devices work, and why the others do not."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nstbatch.cli.options.doctor import PictureSize
from nstbatch.cli.text import columns, count, gigabytes, printable

if TYPE_CHECKING:
    from nstbatch.runtime.devices.providers import Finding


def doctor(size: PictureSize = None) -> None:
    """Show which devices can be used, and how to make the others usable."""
    from nstbatch.cli.console.logs import import_onnxruntime
    from nstbatch.cli.console.size_table import parse_size, size_table
    from nstbatch.runtime.devices import providers

    shown = None if size is None else parse_size(size)
    import_onnxruntime()
    findings = [providers.check(device) for device in providers.DEVICES if device != "auto"]
    sections = (
        *(_machine(), _devices(findings), _mixed(), _models()),
        *(_cache(), _defaults(), _privacy(), _packages()),
        *(() if shown is None else (size_table(shown),)),
    )
    print("\n\n".join(text for text in map("\n".join, sections) if text))


def _machine() -> Iterator[str]:
    from nstbatch.runtime.devices.processor import available_cores, has_bf16

    bf16 = {True: "with bf16", False: "without bf16", None: "bf16 unknown"}[has_bf16()]
    cores = count(available_cores(), "core")
    yield f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield f"processor: {cores} for this process, {bf16}"
    yield from _jobs()


def _jobs() -> Iterator[str]:
    """Yield how many processes ``--jobs`` can start, and the memory that they take at rest."""
    from nstbatch.runtime.devices.free_memory import free_memory
    from nstbatch.runtime.devices.processor import available_cores
    from nstbatch.runtime.needs.peak_memory import RESTING

    most, free = available_cores(), free_memory()
    if free is not None:
        yield f"memory: {gigabytes(free)} free"
    if most > 1:
        memory = gigabytes(most * RESTING)
        yield f"--jobs: up to {most} processes, which take {memory} before their first picture"


def _devices(findings: list[Finding]) -> Iterator[str]:
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


def _mixed() -> Iterator[str]:
    from nstbatch.runtime.devices.providers import conflicting_packages
    from nstbatch.runtime.installing import uninstall

    mixed = conflicting_packages()
    if mixed:
        yield f"WARNING: {' and '.join(mixed)} overwrite each other's files."
        yield f"  to change that: {uninstall(mixed)}"
        yield "  then install one of them again; the lines above say how"


def _models() -> Iterator[str]:
    from nstbatch.runtime.bundles.bundle import Bundle, installed
    from nstbatch.runtime.errors import NstbatchError

    yield "Models"
    for name in installed():
        try:
            Bundle.load(name).verify()
        except NstbatchError as error:
            yield f"  {printable(name)}: {printable(str(error))}"
        else:
            yield f"  {printable(name)}: intact"


def _cache() -> Iterator[str]:
    from nstbatch.runtime.cache.cache import current_cache
    from nstbatch.runtime.user_folders import CACHE_VARIABLE, OFF

    cache = current_cache()
    yield "Cache"
    if cache is None:
        yield _missing(CACHE_VARIABLE, os.environ.get(CACHE_VARIABLE, "").lower() == OFF)
    else:
        yield f"  {printable(cache.folder)}: {cache.size / 1e6:.0f} MB"


def _defaults() -> Iterator[str]:
    from nstbatch.cli.options.defaults import VARIABLE, defaults_file

    path = defaults_file()
    yield "Your defaults"
    if path is None:
        yield _missing(VARIABLE, VARIABLE in os.environ)
    else:
        try:
            state = "" if path.is_file() else ", which does not exist yet"
        except OSError as error:
            state = f", which cannot be read: {error.strerror}"
        yield f"  {printable(path)}{state}"


def _missing(variable: str, is_off: bool) -> str:
    return f"  {f'switched off by ${variable}' if is_off else 'none: this user has no home folder'}"


def _privacy() -> Iterator[str]:
    from nstbatch.runtime.devices.openvino import is_reporting
    from nstbatch.runtime.telemetry import switch_off

    telemetry = switch_off()
    yield "Privacy"
    state, reason = "off" if telemetry.is_off else "ON", printable(telemetry.reason)
    yield f"  ONNX Runtime's reports to Microsoft: {state}, {reason}"
    yield f"  OpenVINO's reports to Google: {'ON' if is_reporting() else 'off, by nstbatch'}"


def _packages() -> Iterator[str]:
    from importlib.metadata import PackageNotFoundError, requires, version

    lines = [line for line in requires("nstbatch") or () if not re.search("extra == .test", line)]
    names = {re.split(r"[^\w.-]", line)[0].lower() for line in lines}
    yield "Packages"
    for package in ("nstbatch", *sorted(names - {"nstbatch"})):
        try:
            yield f"  {package} {version(package)}"
        except PackageNotFoundError:
            yield f"  {package}: not installed"
