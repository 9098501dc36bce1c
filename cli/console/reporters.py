"""Progress of a batch for people: a bar on a terminal, a line per photo elsewhere.

Only results go to standard output, one line each; everything else goes to standard error. File
names are printed as text, never as markup.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar

from nstbatch.cli.batch.batch import Summary
from nstbatch.cli.jobs.painting import CHANNELS, Outcome, Status
from nstbatch.cli.jobs.plan import Job
from nstbatch.cli.jobs.time_left import TimeLeft
from nstbatch.cli.text import count, duration, printable

from .results import Results, print_result
from .streams import silence

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    from nstbatch.runtime.descent.progress import Progress

    from .preview import Preview

log = logging.getLogger(__name__)


def summary_line(summary: Summary) -> str:
    """Return ``3 pictures done, 1 already there, 2 failed in 1 min 20 s``."""
    parts = [f"{count(summary.counts[Status.DONE], 'picture')} done"]
    if summary.counts[Status.SKIPPED]:
        parts.append(f"{summary.counts[Status.SKIPPED]} already there")
    if summary.counts[Status.FAILED]:
        parts.append(f"{summary.counts[Status.FAILED]} failed")
    if summary.left:
        parts.append(f"{summary.left} not tried")
    interrupted = "interrupted: " if summary.interrupted else ""
    return f"{interrupted}{', '.join(parts)} in {duration(summary.seconds)}"


def outcome_line(outcome: Outcome) -> str:
    """Return the outcome of a photo as one line."""
    name = printable(outcome.name)
    if outcome.status is Status.DONE and outcome.output is not None:
        total = f", loss {outcome.losses['total']:.4g}" if "total" in outcome.losses else ""
        channels = outcome.details.get(CHANNELS)
        if isinstance(channels, list):
            total += f", channels {','.join(map(str, channels))}"
        made = f"{duration(outcome.seconds)}, {count(outcome.steps, 'step')}{total}"
        return f"done {_way(outcome)} ({made})"
    if outcome.status is Status.PLANNED and outcome.output is not None:
        return _way(outcome)
    return f"{outcome.status.value} {name}: {printable(outcome.reason or '')}"


def _way(outcome: Outcome) -> str:
    """``photo -> picture``, or the picture alone if it is made of many images."""
    ends = (outcome.input, outcome.output)
    return " -> ".join(printable(end) for end in ends if end is not None)


class QuietReporter(AbstractContextManager["QuietReporter"]):
    """Prints failures as they come, results for programs, and nothing else (``--quiet``)."""

    prints_paths: ClassVar[bool] = False

    def __init__(self, *, results: Results) -> None:
        self._results = results
        self.lost: OSError | None = None
        """Why results cannot be printed any more; the batch goes on without."""

    def started(self, job: Job) -> None:
        """Print nothing at the start of a photo."""

    def progressed(self, job: Job, progress: Progress) -> None:
        """Print nothing at a step."""

    def finished(self, outcome: Outcome) -> None:
        """Print the result, or the reason of a failure."""
        self._print_result(outcome)
        if outcome.status is Status.FAILED:
            print(self._line(outcome), file=sys.stderr, flush=True)

    def _line(self, outcome: Outcome) -> str:
        """Return the line of a photo; a picture on standard output has no name."""
        has_none = self._results is Results.NOTHING and outcome.output is not None
        return outcome_line(replace(outcome, output=Path("-")) if has_none else outcome)

    def _print_result(self, outcome: Outcome) -> None:
        if self.lost is not None or (self._results is Results.LINES and not self.prints_paths):
            return
        try:
            print_result(outcome, self._results)
        except OSError as error:  # its reader has ended, or the disk is full
            self.lost = error
            silence(sys.stdout)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do nothing: there is nothing to release."""


class LineReporter(QuietReporter):
    """Prints one line for every photo, for logs."""

    prints_paths = True

    def __init__(self, photos: int, *, results: Results) -> None:
        super().__init__(results=results)
        self._photos = photos
        self._finished = 0
        self._parts: dict[Path, tuple[str, int]] = {}

    def progressed(self, job: Job, progress: Progress) -> None:
        """Log the start of each scale, for ``--verbose``."""
        part = (progress.stage, progress.scale)
        if self._parts.get(job.output) != part:
            self._parts[job.output] = part
            place = f"{progress.stage} {progress.width}x{progress.height}".lstrip()
            name = printable(job.input)
            log.debug("%s: scale %s/%s, %s", name, progress.scale, progress.scales, place)

    def finished(self, outcome: Outcome) -> None:
        """Print the line of a photo."""
        self._finished += 1
        if outcome.output is not None:
            self._parts.pop(outcome.output, None)
        self._print_result(outcome)
        line = f"[{self._finished}/{self._photos}] {self._line(outcome)}"
        print(line, file=sys.stderr, flush=True)


class BarReporter(QuietReporter):
    """Shows a bar with the time left, and prints failures above it: for terminals.

    Args:
        photos: Number of photos to paint, without those that are done already.
        results: The form of results on standard output.
        console: Console for the bar; standard error by default.
        preview: Shows the picture so far on the same console.
    """

    prints_paths = True

    def __init__(
        self,
        photos: int,
        *,
        results: Results,
        console: Console | None = None,
        preview: Preview | None = None,
    ) -> None:
        super().__init__(results=results)
        self._left = TimeLeft(photos)
        self._bar = _bar(console, self._left)
        self._task = self._bar.add_task("", total=photos, photos=photos, done=0, detail="")
        self._preview = preview
        self._done = 0
        self._under_way: dict[Path, tuple[Job, Progress | None]] = {}

    def __enter__(self) -> BarReporter:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the bar."""
        self._bar.stop()

    def started(self, job: Job) -> None:
        """Show the photo's name."""
        self._under_way[job.output] = (job, None)
        self._show()

    def progressed(self, job: Job, progress: Progress) -> None:
        """Move the bar by part of a photo, and show the picture so far of the one it names."""
        self._under_way[job.output] = (job, progress)
        self._show()
        named = next(output for output, (_, each) in self._under_way.items() if each)
        if self._preview is not None and job.output == named:
            self._preview.show(job, progress)

    def finished(self, outcome: Outcome) -> None:
        """Move the bar to the next photo."""
        super().finished(outcome)
        if outcome.status is not Status.SKIPPED and outcome.output is not None:
            self._done += 1
            self._under_way.pop(outcome.output, None)
            self._show()

    def _show(self) -> None:
        """Show the name of the oldest photo under way, and the number of others."""
        moving = [(job, progress) for job, progress in self._under_way.values() if progress]
        job, progress = next(iter(moving or self._under_way.values()), (None, None))
        name = printable(job.name) if job else ""
        more = f" +{len(moving) - 1}" if len(moving) > 1 else ""
        completed = self._done + sum(each.share for _, each in moving)
        if moving:
            self._left.update(completed)
        self._bar.update(
            self._task,
            completed=completed,
            done=self._done,
            description=name + more,
            detail=_detail(progress) if progress else "",
        )


def _detail(progress: Progress) -> str:
    size = f"{progress.width}x{progress.height}"
    return f"{progress.stage} {size} {progress.step}/{progress.steps} steps".lstrip()


def reporter(
    photos: int,
    to_paint: int,
    *,
    results: Results,
    quiet: bool,
    preview: str | None = None,
) -> QuietReporter:
    """Return a reporter: with a bar if standard error is a terminal, else with lines.

    Args:
        photos: Number of photos.
        to_paint: Number of photos that are not done already.
        results: The form of results on standard output.
        quiet: True to print failures only, and results that are not lines of paths.
        preview: Protocol of pictures in the terminal, to show the picture so far above a bar;
            "auto" asks the terminal; None for no preview.
    """
    if quiet:
        return QuietReporter(results=results)
    if not (sys.stderr.isatty() and os.environ.get("TERM") != "dumb"):
        return LineReporter(photos, results=results)
    if preview is None or results is Results.JSON or not to_paint:
        return BarReporter(to_paint, results=results)
    from rich.console import Console

    from .preview import preview_on

    console = Console(stderr=True)
    shown = preview_on(console, preview)
    return BarReporter(to_paint, results=results, console=console, preview=shown)


def _bar(console: Console | None, left: TimeLeft) -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column
    from rich.text import Text

    class TimeLeftColumn(ProgressColumn):
        def render(self, task: object) -> Text:
            seconds = left.seconds
            told = "-:--:--" if seconds is None else timedelta(seconds=math.ceil(seconds))
            return Text(f"{told} left", style="progress.remaining", no_wrap=True)

    def text(template: str, max_width: int | None = None) -> TextColumn:
        column = Column(max_width=max_width, no_wrap=True, overflow="ellipsis")
        return TextColumn(template, markup=False, table_column=column)

    return RichProgress(
        text("{task.fields[done]}/{task.fields[photos]}"),
        BarColumn(bar_width=20),
        text("{task.description}", 28),
        text("{task.fields[detail]}"),
        TimeLeftColumn(),
        console=console or Console(stderr=True),
        transient=True,
        # On a terminal, results appear above the bar; elsewhere they stay on standard output.
        redirect_stdout=sys.stdout.isatty(),
    )
