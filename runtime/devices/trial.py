"""A device is tried in a process of its own, and how that went is remembered.

A library that crashes, or computes wrongly, or never comes back, so does no harm to this process.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstbatch.runtime.files import write_atomically
from nstbatch.runtime.user_folders import cache_folder

# Signals of crashes; others come from outside, such as the kernel's when memory is short.
CRASHES = frozenset(
    -getattr(signal, name)
    for name in ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV")
    if hasattr(signal, name)
)
# Python's exit code after an exception.
PYTHON_ERROR = 1


@dataclass(frozen=True)
class Trial:
    """How a trial went.

    Attributes:
        reason: The reason why "auto" should not take the device; None if there is none.
        said: The text that a trial printed which found no such reason.
        lasts: False if another trial may go otherwise: when memory or the disk was full.
    """

    reason: str | None
    said: str = ""
    lasts: bool = True


def tried(command: Sequence[str], patience: float) -> Trial:
    """Run a trial: a program that prints the reason and fails, or prints what else it found.

    Args:
        command: The program and its arguments.
        patience: Seconds that it may take.
    """
    try:
        trial = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Trial(f"a trial of it did not end within {patience} s")
    except OSError as error:
        return Trial(f"a trial of it did not start ({error.strerror})", lasts=False)
    code = trial.returncode
    said = trial.stdout.decode(errors="replace").strip()
    if code == 0:
        return Trial(None, said)
    if code in CRASHES:
        return Trial(f"a trial of it crashed ({_signal(-code)})")
    if code < 0:
        return Trial(f"a trial of it was ended ({_signal(-code)})", lasts=False)
    if said:
        return Trial(said)
    errors = trial.stderr.decode(errors="replace").strip().splitlines()
    reason = f"a trial of it failed ({errors[-1] if errors else code})"
    return Trial(reason, lasts=code != PYTHON_ERROR)


def place_of(device: str, about: Sequence[Any]) -> Path | None:
    """Return the file for the result of a trial; None without a cache.

    Args:
        device: The device.
        about: Everything that the result depends on, such as versions, as JSON values.
    """
    folder = cache_folder()
    if folder is None:
        return None
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    return folder / device / f"trial-{key}.json"


def tried_and_remembered(command: Sequence[str], patience: float, place: Path | None) -> Trial:
    """Run a trial, and write down how it went if that lasts; see :func:`tried`.

    Args:
        command: The program and its arguments.
        patience: Seconds that it may take.
        place: The file for the result; see :func:`place_of`.
    """
    trial = tried(command, patience)
    if place is not None and trial.lasts:
        result = {"reason": trial.reason, "said": trial.said}
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, json.dumps(result).encode())
    return trial


def remembered(place: Path | None) -> Trial | None:
    """Return the trial that is remembered; None if none is."""
    if place is None:
        return None
    try:
        result = json.loads(place.read_bytes())
        reason, said = result["reason"], result["said"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_sound = isinstance(reason, str | None) and isinstance(said, str)
    return Trial(reason, said) if is_sound else None


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
