"""Plots a report: time against picture size, and time against batch size."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.benchmarks.options import PEERS
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.installing import install_command

from .report import Report, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches, for two panels side by side. A guess.
SIZE = (11.0, 4.5)


def check_plot(path: Path) -> None:
    """Check that a plot can be drawn, before anything is measured.

    Raises:
        UsageError: Matplotlib does not load, or does not know the format of the suffix.
    """
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise UsageError(
            f"Plotting needs matplotlib, which does not load ({error}). "
            f"To change that: {install_command('plot')}"
        ) from error
    known = FigureCanvasBase.filetypes
    if path.suffix[1:].lower() not in known:
        raise UsageError(
            f"No plot can be drawn as {path.suffix!r}; "
            f"known: {', '.join(f'.{suffix}' for suffix in sorted(known))}."
        )


def plot(report: Report, file_format: str) -> bytes:
    """Draw a report and return the file's content.

    Args:
        report: The measured report.
        file_format: A suffix without its dot that :func:`check_plot` accepts, such as "png".
    """
    from matplotlib.figure import Figure  # without pyplot, which would want a display

    rows = [row for row in report.rows if row.ms_per_step is not None]
    figure = Figure(figsize=SIZE, layout="constrained")
    by_size, by_batch = figure.subplots(1, 2)
    batch = min((row.case.batch for row in rows), default=1)
    _lines(by_size, [row for row in rows if row.case.batch == batch], by="size")
    by_size.set(title=f"batch {batch}", xlabel="side of the picture, pixels", ylabel="ms a step")
    size = max((row.case.size for row in rows), default=0)
    _lines(by_batch, [row for row in rows if row.case.size == size], by="batch")
    by_batch.set(title=f"{size} pixels", xlabel="pictures in a batch", ylabel="ms a step")
    for axes in (by_size, by_batch):
        axes.set_ylim(bottom=0)
    if rows:
        by_size.legend()
    content = io.BytesIO()
    figure.savefig(content, format=file_format, dpi=150)
    return content.getvalue()


def _lines(axes: Axes, rows: Sequence[Row], by: str) -> None:
    """Draw a line for each contestant: medians, with bars up to the 95th percentile."""
    names = dict.fromkeys((row.provider, row.precision) for row in rows)
    for name in names:
        own = sorted(
            (row for row in rows if (row.provider, row.precision) == name),
            key=lambda row: int(getattr(row.case, by)),
        )
        places = [getattr(row.case, by) for row in own]
        medians = [row.ms_per_step or 0.0 for row in own]
        above = [(row.p95_ms or 0.0) - (row.ms_per_step or 0.0) for row in own]
        axes.errorbar(
            places,
            medians,
            yerr=[[0.0] * len(own), above],
            marker="o",
            capsize=3,
            label=_label(*name),
        )
    axes.set_xticks(sorted({getattr(row.case, by) for row in rows}))


def _label(provider: str, precision: str | None) -> str:
    return provider if provider in PEERS else f"{provider} {precision}"
