"""Entry point of ``python -m nstbatch`` and of the program ``nstbatch``."""

from __future__ import annotations

import gc
import os
from typing import NoReturn

from nstbatch.cli.console.streams import open_closed_streams, outlive_readers_of_messages
from nstbatch.cli.exit_codes import INTERRUPTED


def main() -> NoReturn:
    """Run the command line; Ctrl-C while it is still loading ends it silently."""
    open_closed_streams()
    outlive_readers_of_messages()
    gc.disable()  # imports leave no garbage, and looking for some takes a tenth of --version
    try:
        from nstbatch.cli.main import program
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    gc.freeze()
    gc.enable()
    program()


if __name__ == "__main__":
    main()
