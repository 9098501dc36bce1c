"""The current state of a batch, for a page that asks for it from another thread."""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nstbatch.cli.jobs.painting import Outcome, Status
from nstbatch.cli.jobs.plan import Job
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError

from .data import Report, read_report
from .page import record
from .thumbnails import budget, thumbnail

if TYPE_CHECKING:
    from nstbatch.runtime.descent.progress import Progress

# Entries in one answer. Each thumbnail takes 20 to 80 ms, and a page that is opened late should
# show something soon.
PORTION = 12

# Share of the work after which the remaining time is shown; a guess.
ENOUGH_TO_TELL = 0.01


class LiveBatch:
    """A reporter that answers the questions of a live page.

    Finished pictures come from the ledger, so that the page agrees with the report; pictures under
    way come from the painter.

    Args:
        folder: The output folder.
        to_paint: Number of pictures to make.
    """

    def __init__(self, folder: Path, to_paint: int) -> None:
        self.folder = folder
        self._to_paint = to_paint
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._finished = self._failed = 0
        self._under_way: dict[Path, tuple[Job, Progress | None]] = {}
        self._ended = False

    def started(self, job: Job) -> None:
        """Note the start of a photo."""
        with self._lock:
            self._under_way[job.output] = (job, None)

    def progressed(self, job: Job, progress: Progress) -> None:
        """Note a step of its painter."""
        with self._lock:
            self._under_way[job.output] = (job, progress)

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
            batch = self._batch([progress for _, progress in under_way if progress])
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
            "current": self._current(*under_way[0]) if under_way else None,
            "batch": batch,
            "ended": ended,
        }

    def _batch(self, under_way: list[Progress]) -> dict[str, Any]:
        done = self._finished + sum(progress.share for progress in under_way)
        share = done / max(1, self._to_paint)
        seconds = time.monotonic() - self._start
        return {
            "pictures": self._to_paint,
            "finished": self._finished,
            "failed": self._failed,
            "share": share,
            "seconds": seconds,
            "left": seconds / share - seconds if ENOUGH_TO_TELL < share < 1 else None,
        }

    @staticmethod
    def _current(job: Job, progress: Progress | None) -> dict[str, Any]:
        return {
            "name": printable(job.input),
            "photo": _photo(job.photo) if job.photo else None,
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
