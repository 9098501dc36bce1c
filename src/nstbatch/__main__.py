"""Entry point of ``python -m nstbatch`` and of the program ``nstbatch``."""

from __future__ import annotations

import os
from typing import NoReturn

from nstbatch.cli.console.streams import open_closed_streams
from nstbatch.cli.exit_codes import INTERRUPTED


def main() -> NoReturn:
    """Run the command line; Ctrl-C while it is still loading ends it silently."""
    open_closed_streams()
    try:
        from nstbatch.cli.main import program
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    program()


if __name__ == "__main__":
    main()
