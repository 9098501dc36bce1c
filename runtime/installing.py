"""Commands that install what is missing, for messages."""

from __future__ import annotations

import shlex
import sys


def install_command(extra: str) -> str:
    """The command that adds an extra of this project to the environment that runs now."""
    return f"{shlex.quote(sys.executable)} -m pip install 'nstbatch[{extra}]'"
