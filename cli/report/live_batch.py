"""The current state of a batch, for a page that asks for it from another thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nstbatch.cli.jobs.painting import Outcome, Status
from nstbatch.cli.jobs.plan import Job
from nstbatch.cli.jobs.time_left import TimeLeft
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError

from .data import Report, read_report
from .page import record
from .thumbnails import budget, thumbnail, thumbnail_of

if TYPE_CHECKING:
    from nstbatch.runtime.descent.progress import Progress

# Entries in one answer. Each thumbnail takes 20 to 80 ms, and a page that is opened late should
# show something soon.
PORTION = 12


class LiveBatch:
    """A reporter that answers the questions of a live page.

    Finished pictures come from the ledger, so that the page agrees with the report; pictures under
    way come from the painter.

    Args:
        folder: The output folder.
        to_paint: Number of pictures to make.
        clock: Returns the time in seconds.
    """

    def __init__(
        self, folder: Path, to_paint: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder = folder
        self._to_paint = to_paint
        self._clock = clock
        self._start = clock()
        self._left = TimeLeft(to_paint, clock)
        self._painted: tuple[Path, str] | None = None
        self._asked = False
        self._lock = threading.Lock()
        self._finished = self._failed = 0
        self._under_way: dict[Path, tuple[Job, Progress | None]] = {}
        self._ended = False

    def started(self, job: Job) -> None:
        """Note the start of a photo."""
        with self._lock:
            self._under_way[job.output] = (job, None)

    def progressed(self, job: Job, progress: Progress) -> None:
        """Note a step of its painter, and the picture so far if a page has asked since the last."""
        with self._lock:
            self._under_way[job.output] = (job, progress)
            self._left.update(self._done)
            is_shown = self._asked and job.output == next(iter(self._under_way))
        if is_shown and progress.picture is not None:
            uri = thumbnail_of(progress.picture()).uri
            with self._lock:
                self._painted, self._asked = (job.output, uri), False

    def finished(self, outcome: Outcome) -> None:
        """Count the photo, unless it was skipped."""
        if outcome.status is Status.SKIPPED:
            return
        with self._lock:
            self._finished += 1
            self._failed += outcome.status is Status.FAILED
            if outcome.output is not None:
                self._under_way.pop(outcome.output, None)

    def end(self) -> None:
        """Note that the batch has ended."""
        with self._lock:
            self._ended = True

    def report(self) -> Report:
        """Return the current report; an empty one as long as there is no ledger."""
        try:
            return read_report(self.folder)
        except UsageError:
            return Report(self.folder, {}, ())

    def news(self, after: int) -> dict[str, Any]:
        """Return the news for ``report_live.js``.

        Args:
            after: Number of the last line of the ledger that the page knows.

        Returns:
            ``entries``, the next few, as in the report; ``newest``, the value of ``after`` for the
            next call; ``more``, True if further entries are ready; ``current``, the oldest picture
            under way; ``batch``, the progress of the batch; and ``ended``.
        """
        with self._lock:  # before reading the ledger, which then has all pictures counted here
            under_way, ended = list(self._under_way.values()), self._ended
            batch, painted, self._asked = self._batch(), self._painted, True
        report = self.report()
        later = sorted(
            (entry for entry in report.entries if entry.line > after), key=lambda each: each.line
        )
        size = budget(max(self._to_paint, len(report.entries)))
        records = [_served(record(report, entry, size)) for entry in later[:PORTION]]
        return {
            "entries": records,
            "newest": records[-1]["line"] if records else after,
            "more": len(later) > PORTION,
            "current": self._current(*under_way[0], painted) if under_way else None,
            "batch": batch,
            "ended": ended,
        }

    @property
    def _done(self) -> float:
        """Number of pictures that are done, with the shares of those under way."""
        shares = (progress.share for _, progress in self._under_way.values() if progress)
        return self._finished + sum(shares)

    def _batch(self) -> dict[str, Any]:
        return {
            "pictures": self._to_paint,
            "finished": self._finished,
            "failed": self._failed,
            "share": self._done / max(1, self._to_paint),
            "seconds": self._clock() - self._start,
            "left": self._left.seconds if self._finished < self._to_paint else None,
        }

    @staticmethod
    def _current(
        job: Job, progress: Progress | None, painted: tuple[Path, str] | None
    ) -> dict[str, Any]:
        return {
            "name": printable(job.input),
            "photo": _photo(job.photo) if job.photo else None,
            "painted": painted[1] if painted and painted[0] == job.output else None,
            "share": progress.share if progress else 0,
            "facts": _facts(progress) if progress else "",
        }


@lru_cache(maxsize=1)  # called every second
def _photo(path: Path) -> str | None:
    small = thumbnail(path)
    return small.uri if small else None


def _facts(progress: Progress) -> str:
    parts = [
        progress.stage,
        f"{progress.width}x{progress.height}",
        f"{progress.step} of {progress.steps} steps",
        f"loss {progress.losses['total']:.4g}" if "total" in progress.losses else "",
    ]
    return " · ".join(filter(None, parts))


def _served(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the entry with its links changed to addresses of this server."""
    files = {
        kind: link and f"files/{kind}/{entry['line']}" for kind, link in entry["links"].items()
    }
    return entry | {"links": files}
