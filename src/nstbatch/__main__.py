"""``python -m nstbatch``."""

import sys

from nstbatch.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
