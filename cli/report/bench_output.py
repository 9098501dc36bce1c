"""Prints the tables of ``nstbatch bench`` and writes its files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.files import write_atomically

if TYPE_CHECKING:
    from nstbatch.benchmarks.reports.compare import Comparison
    from nstbatch.benchmarks.reports.report import Report
    from nstbatch.benchmarks.reports.table import Grid
    from nstbatch.benchmarks.styles.report import StyleReport

# Width of a table that does not go to a terminal, in characters. A guess: no row is wider.
PLAIN_WIDTH = 240

STANDARD_OUTPUT = Path("-")

Measured = TypeVar("Measured")

# --- Printing ---------------------------------------------------------------------------------


def print_report(report: Report, *, to_stderr: bool) -> None:
    """Print the tables, and the notes below them."""
    from nstbatch.benchmarks.reports.table import (
        STAGES_TITLE,
        headline,
        notes,
        speed_grid,
        stage_grid,
    )

    file = sys.stderr if to_stderr else sys.stdout
    print(printable(headline(report)), file=file)
    _print_grid(speed_grid(report), to_stderr=to_stderr)
    if report.stages:
        print(f"{STAGES_TITLE}:", file=file)
        _print_grid(stage_grid(report.stages), to_stderr=to_stderr)
    for note in notes(report):
        print(printable(note), file=file)


def print_styles(report: StyleReport, *, to_stderr: bool) -> None:
    """Print the table of ways to paint, and the notes below it."""
    file = sys.stderr if to_stderr else sys.stdout
    print(printable(report.headline), file=file)
    _print_grid(report.grid, to_stderr=to_stderr)
    for note in report.notes:
        print(printable(note), file=file)


def print_comparison(comparison: Comparison) -> None:
    """Print the changes, and the warnings about them."""
    if comparison.changes:
        _print_grid(comparison.grid(), to_stderr=False)
    else:
        print("The reports have no row in common.")
    for warning in comparison.warnings:
        print(f"Warning: {printable(warning)}", file=sys.stderr)


def _print_grid(grid: Grid, *, to_stderr: bool) -> None:
    """Print a table, in several parts if it is too wide for the terminal."""
    from rich.console import Console

    console = Console(stderr=to_stderr)
    if not console.is_terminal:  # a row in a file is never folded
        console = Console(stderr=to_stderr, width=PLAIN_WIDTH)
    for part in grid.split(console.width):
        console.print(part.to_rich())


# --- Files ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Files:
    """The files of a report; None for those that are not written."""

    json: Path | None
    markdown: Path | None
    plot: Path | None

    @property
    def use_standard_output(self) -> bool:
        """True if one of the files goes to standard output instead of the table."""
        return STANDARD_OUTPUT in (self.json, self.markdown)

    def check(self) -> None:
        """Check before the measurement that the files can be written.

        Raises:
            UsageError: Two files go to standard output, a folder does not exist or is read-only, or
                no plot can be drawn.
        """
        if self.json == self.markdown == STANDARD_OUTPUT:
            raise UsageError("--json and --markdown cannot both go to standard output.")
        for path in (self.json, self.markdown, self.plot):
            if path is not None and path != STANDARD_OUTPUT:
                _check_place(path)
        if self.plot is not None:
            from nstbatch.benchmarks.reports.plot import check_plot

            check_plot(self.plot)

    def write(self, report: Report) -> None:
        """Write the report to each of the files."""
        from nstbatch.benchmarks.reports.plot import plot
        from nstbatch.benchmarks.reports.table import to_markdown

        self.write_texts(report.to_json(), to_markdown(report))
        if self.plot is not None:
            _write(self.plot, plot(report, self.plot.suffix[1:].lower()))

    def write_texts(self, json: str, markdown: str) -> None:
        """Write a report's JSON and Markdown, those that are wanted."""
        for path, text in ((self.json, json), (self.markdown, markdown)):
            if path is not None:
                _write(path, text.encode())


def reported(measure: Callable[[Callable[[str], None]], Measured], quiet: bool) -> Measured:
    """Measure, with a line of progress on standard error now and then.

    Raises:
        UsageError: A size is too small for the network.
    """

    def tell(line: str) -> None:
        if not quiet:
            print(printable(line), file=sys.stderr, flush=True)

    try:
        return measure(tell)
    except ImageError as error:
        raise UsageError(f"--sizes: {error}") from error


def _check_place(path: Path) -> None:
    reason = None
    if path.is_dir():
        reason = "it is a folder"
    elif not path.parent.is_dir():
        reason = "there is no such folder"
    elif not os.access(path.parent, os.W_OK):
        reason = "its folder is read-only"
    if reason:
        raise UsageError(f"{printable(path)} cannot be written: {reason}.")


def _write(path: Path, content: bytes) -> None:
    """Write a file completely or not at all, or write to standard output."""
    if path == STANDARD_OUTPUT:
        sys.stdout.write(content.decode())
    else:
        write_atomically(path, content)
