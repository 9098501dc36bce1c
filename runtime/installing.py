"""Commands that install packages into the environment that runs this program.

A bare ``pip`` may be that of another environment. So commands name this Python, or go through uv if
uv made the environment, which then has no pip.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

# A word that every shell takes as it is.
PLAIN = re.compile(r"[\w.:/\\-]+")


def install_command(extra: str) -> str:
    """Return the command, for a shell, that installs an extra of this package: "heic".

    An installed package's extras need no index that has the package itself.
    """
    return install(f"nstbatch[{extra}]")


def install(*requirements: str, upgrade: bool = False) -> str:
    """Return the command, for a shell, that installs requirements such as "torch>=2.13"."""
    return _joined(_pip("install", *(["--upgrade"] if upgrade else []), *requirements))


def uninstall(packages: Iterable[str]) -> str:
    """Return the command, for a shell, that removes packages; it passes over those not there."""
    return _joined(_pip("uninstall", *([] if _uses_uv() else ["-y"]), *packages))


def install_in_place(packages: Iterable[str], *requirements: str) -> str:
    """Return the commands, for a shell, that remove packages and then install requirements."""
    return f"{uninstall(packages)} && {install(*requirements)}"


def _pip(verb: str, *words: str) -> list[str]:
    python = sys.executable or "python"  # empty within a program that embeds Python
    if _uses_uv():
        return ["uv", "pip", verb, "--python", python, *words]
    return [python, "-m", "pip", verb, *words]


def _uses_uv() -> bool:
    """Return True if uv should install: it is there, and it made this environment or pip is not."""
    return shutil.which("uv") is not None and (_made_by_uv() or find_spec("pip") is None)


def _made_by_uv() -> bool:
    try:
        lines = Path(sys.prefix, "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.partition("=")[0].strip() == "uv" for line in lines)


def _joined(words: Sequence[str]) -> str:
    if sys.platform == "win32":  # cmd and PowerShell take > and [ for their own without quotes
        return " ".join(word if PLAIN.fullmatch(word) else f'"{word}"' for word in words)
    return shlex.join(words)
