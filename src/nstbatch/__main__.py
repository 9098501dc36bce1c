"""``python -m nstbatch``, and the program ``nstbatch``."""

from __future__ import annotations

import os
from typing import NoReturn

from nstbatch.cli.exit_codes import INTERRUPTED


def main() -> NoReturn:
    """Run the command line; an interrupt while it is still being loaded ends it without a word."""
    try:
        from nstbatch.cli.main import program
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    program()


if __name__ == "__main__":
    main()
