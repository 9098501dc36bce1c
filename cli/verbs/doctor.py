"""``nstbatch doctor``: shows which devices work, and why the others do not."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator

from nstbatch.cli.options.doctor import PictureSize
from nstbatch.cli.text import count, gigabytes, printable


def doctor(size: PictureSize = None) -> None:
    """Show which devices can be used, and how to make the others usable."""
    from nstbatch.cli.console.device_list import device_list
    from nstbatch.cli.console.logs import import_onnxruntime
    from nstbatch.cli.console.size_table import parse_size, size_table
    from nstbatch.runtime.devices import providers

    shown = None if size is None else parse_size(size)
    import_onnxruntime()
    findings = [providers.check(device) for device in providers.DEVICES if device != "auto"]
    sections = (
        *(_machine(), device_list(findings), _mixed(), _models()),
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
