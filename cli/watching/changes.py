"""Waits for changes in folders, and for what is still being written there."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import watchfiles

from nstbatch.runtime.errors import UsageError

if TYPE_CHECKING:
    from nstbatch.cli.batch.batch import Batch
    from nstbatch.cli.jobs.painting import Stop

    from .rounds import Rounds

# Milliseconds between two looks at signals and at files that are still being written. A guess.
PAUSE = 500
# Seconds between two looks at everything: not every file system tells of all changes. A guess.
RESCAN = 30.0


def batches(
    rounds: Rounds, folders: Sequence[Path], out: Path, stop: Stop, *, recursive: bool
) -> Iterator[Batch]:
    """Yield the batches of what has arrived, until the end.

    Args:
        rounds: Finds what has arrived.
        folders: The folders to watch.
        out: The output folder, whose changes do not count.
        stop: Asked now and then; True ends it.
        recursive: True to watch subfolders too.

    Raises:
        UsageError: The first round cannot be planned. For later ones, this prints the reason once:
            whoever puts files there may mend it.
        OSError: The system cannot watch so many folders.
    """
    trouble = ""
    for is_first in _looks(rounds, folders, out, stop, recursive):
        try:
            batch = rounds.next()
        except UsageError as error:
            if is_first:
                raise
            if str(error) != trouble:
                trouble = str(error)
                print(f"nstbatch: {trouble}", file=sys.stderr, flush=True)
            continue
        trouble = ""
        if batch.entries or batch.unreadable:
            yield batch


def _looks(
    rounds: Rounds, folders: Sequence[Path], out: Path, stop: Stop, recursive: bool
) -> Iterator[bool]:
    """Yield when it is time for a round: True for the first one, False for the others."""
    ours, last = out.resolve(), float("-inf")
    for changes in watchfiles.watch(
        *(folder.resolve() for folder in folders),
        watch_filter=None,
        debounce=PAUSE,
        rust_timeout=PAUSE,
        yield_on_timeout=True,
        recursive=recursive,
        ignore_permission_denied=True,
    ):
        if stop():
            return
        now = time.monotonic()
        has_news = any(not Path(path).is_relative_to(ours) for _, path in changes)
        if has_news or rounds.are_due or now - last >= RESCAN:
            is_first, last = last < 0, now
            yield is_first
