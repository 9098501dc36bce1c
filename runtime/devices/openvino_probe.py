"""Tries OpenVINO in a process of its own before "auto" takes it, and remembers how that went.

OpenVINO has crashed on some processors, and computed wrongly on others; see
``nstbatch.runtime.engine.openvino_trial``, which the process runs.
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nstbatch.runtime.files import write_atomically
from nstbatch.runtime.user_folders import cache_folder

from .openvino import openvino
from .processor import processor_flags, processor_name

# Signals of crashes; others come from outside, such as the kernel's when memory is short.
CRASHES = frozenset(
    -getattr(signal, name)
    for name in ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV")
    if hasattr(signal, name)
)
# Python's exit code after an exception.
PYTHON_ERROR = 1

COMMAND = (sys.executable, "-m", "nstbatch.runtime.engine.openvino_trial")

# Two seconds on two idle cores. A guess for a machine with much else to do.
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class _Trial:
    """How a trial went.

    Attributes:
        reason: The reason why "auto" should not take OpenVINO; None if there is none.
        lasts: False if another trial may go otherwise: when memory or the disk was full.
    """

    reason: str | None
    lasts: bool = True


@functools.cache
def reason_against() -> str | None:
    """Return the reason why "auto" should not take OpenVINO here; None if there is none.

    The first call on a machine takes two seconds. The answer is remembered in the cache, for this
    processor, this version of OpenVINO and this kernel; without a cache, for this process. A trial
    that failed for want of memory or the like is remembered for this process only. One that does
    not end is remembered, since it costs a minute.
    """
    remembered = _remembered()
    return try_now() if remembered is None else remembered or None


def try_now() -> str | None:
    """Try OpenVINO whatever is remembered, and remember the result; see :func:`reason_against`."""
    trial = _tried()
    place = _place()
    if place is not None and trial.lasts:
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, json.dumps({"reason": trial.reason or ""}).encode())
    return trial.reason


def _tried() -> _Trial:
    try:
        trial = subprocess.run(
            COMMAND,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _Trial(f"a trial of it did not end within {PATIENCE_SECONDS} s")
    except OSError as error:
        return _Trial(f"a trial of it did not start ({error.strerror})", lasts=False)
    code = trial.returncode
    if code == 0:
        return _Trial(None)
    if code in CRASHES:
        return _Trial(f"a trial of it crashed ({_signal(-code)})")
    if code < 0:
        return _Trial(f"a trial of it was ended ({_signal(-code)})", lasts=False)
    if said := trial.stdout.decode(errors="replace").strip():
        return _Trial(said)
    errors = trial.stderr.decode(errors="replace").strip().splitlines()
    reason = f"a trial of it failed ({errors[-1] if errors else code})"
    return _Trial(reason, lasts=code != PYTHON_ERROR)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _remembered() -> str | None:
    """Return what is remembered: a reason, "" if there was none; None if nothing is."""
    place = _place()
    if place is None:
        return None
    try:
        reason = json.loads(place.read_bytes())["reason"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return reason if isinstance(reason, str) else None


def _place() -> Path | None:
    folder = cache_folder()
    if folder is None:
        return None
    about = [
        openvino().__version__,
        platform.platform(),
        processor_name(),
        sorted(processor_flags() or ()),
    ]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    return folder / "openvino" / f"trial-{key}.json"
