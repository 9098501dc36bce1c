"""What ``nstbatch deconv`` says: a line for every sheet, and for every image that is left out."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nstbatch.cli.jobs.painting import Status
from nstbatch.cli.output.survey import Standing
from nstbatch.cli.text import count, duration, printable


@dataclass(frozen=True)
class SheetOutcome:
    """What became of a sheet, or of an image that could not be read."""

    status: Status
    output: Path | None = None
    input: Path | None = None
    reason: str | None = None
    seconds: float = 0.0
    steps: int = 0
    """Projections."""
    provider: str | None = None
    precision: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)

    def record(self) -> dict[str, object]:
        """Return the object that ``--json`` prints: a batch's fields, then those of its own.

        A sheet is made of many images, so its "input" is null.
        """
        return {
            "input": None if self.input is None else os.fspath(self.input),
            "output": None if self.output is None else os.fspath(self.output),
            "status": self.status.value,
            "reason": self.reason,
            "seconds": round(self.seconds, 3),
            "steps": self.steps,
            "losses": {},
            "provider": self.provider,
            "precision": self.precision,
            **self.details,
        }

    def line(self) -> str:
        """Return one line for people."""
        if self.status is Status.DONE and self.output is not None:
            return f"done {printable(self.output)} ({duration(self.seconds)})"
        if self.status is Status.PLANNED and self.output is not None:
            return printable(self.output)
        subject = self.input or self.output
        name = "" if subject is None else f" {printable(subject)}"
        return f"{self.status.value}{name}: {printable(self.reason or '')}"


def planned_sheet(
    path: Path, overwrite: bool, details: Mapping[str, object] | None = None
) -> SheetOutcome:
    """What a dry run shows of a sheet."""
    if path.is_file() and not overwrite:
        return SheetOutcome(Status.SKIPPED, path, reason=Standing.DONE.value, details=details or {})
    return SheetOutcome(Status.PLANNED, path, details=details or {})


class SheetReporter:
    """Prints results to standard output, one a line, and all else to standard error."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self.counts: Counter[Status] = Counter()

    @property
    def exit_code(self) -> int:
        """0: all done or already there, 1: some failed."""
        return 1 if self.counts[Status.FAILED] else 0

    def finished(self, outcome: SheetOutcome) -> None:
        """Print what became of a sheet or an image."""
        self.counts[outcome.status] += 1
        if self._as_json:
            print(json.dumps(outcome.record(), allow_nan=False), flush=True)
        elif outcome.status in (Status.DONE, Status.PLANNED) and outcome.output is not None:
            print(printable(outcome.output), flush=True)
        if outcome.status is Status.FAILED or not (self._quiet or outcome.status is Status.PLANNED):
            print(outcome.line(), file=sys.stderr, flush=True)

    def left_out(self, unreadable: Mapping[Path, str]) -> None:
        """Print which images could not be read, and why."""
        for path, reason in unreadable.items():
            self.finished(SheetOutcome(Status.FAILED, input=path, reason=reason))

    def say(self, line: str) -> None:
        """Print a line for people, unless they want quiet."""
        if not self._quiet:
            print(printable(line), file=sys.stderr, flush=True)

    def summary(self, *, interrupted: bool, seconds: float) -> None:
        """Print ``16 sheets done, 2 already there, 1 failed in 12.3 s``."""
        parts = [f"{count(self.counts[Status.DONE], 'sheet')} done"]
        if self.counts[Status.SKIPPED]:
            parts.append(f"{self.counts[Status.SKIPPED]} already there")
        if self.counts[Status.FAILED]:
            parts.append(f"{self.counts[Status.FAILED]} failed")
        prefix = "interrupted: " if interrupted else ""
        self.say(f"{prefix}{', '.join(parts)} in {duration(seconds)}")

    @contextmanager
    def passing(self, images: int) -> Iterator[Callable[[int], None]]:
        """Show how far the pass over the images is; a bar on a terminal, a line elsewhere.

        Yields:
            What is told how many images are done.
        """
        what = f"passing over {count(images, 'image')}"
        if self._quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            self.say(what)
            yield lambda done: None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=images)
            yield lambda done: bar.update(task, completed=done)
