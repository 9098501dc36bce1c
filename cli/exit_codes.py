"""The exit codes of the program; other programs rely on them."""

DONE = 0
"""All done or already there."""
FAILED = 1
"""Some pictures failed, or the command did."""
WRONG_USAGE = 2
NOTHING_MATCHED = 3
"""No photo was found."""
INTERRUPTED = 130
"""Interrupted by SIGINT or SIGTERM: 128 and the number of SIGINT, as in shells."""
