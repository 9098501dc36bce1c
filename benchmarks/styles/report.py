"""The results of a comparison of ways to paint: their JSON, and the table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from nstbatch.benchmarks.reports.table import Grid, milliseconds, plus_minus

from .ways import REFERENCE

_TITLES = (
    *("way", "provider", "precision", "ms/step", "p95", f"time / {REFERENCE}"),
    *("steps", "s/picture", "peak MB"),
)


@dataclass(frozen=True)
class StyleRow:
    """A way to paint on one device; if it was not measured, ``reason`` says why."""

    way: str
    provider: str
    precision: str | None
    size: int
    """Side of the square picture, in pixels."""
    status: str = "done"
    reason: str | None = None
    ms_per_step: float | None = None
    """Median of all samples, at the last size."""
    p95_ms: float | None = None
    ratio: tuple[float, float, float] | None = None
    """Time of a step relative to that of the reference: the median over the rounds, and the ends
    of its 95 % interval."""
    steps: int | None = None
    """Steps of a picture, over all sizes."""
    seconds_per_picture: float | None = None
    """Estimated: steps of all sizes by their pixels, and the opening of each size."""
    peak_bytes: int | None = None
    samples_ms: tuple[float, ...] = ()

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        head = (self.way, self.provider, self.precision or "-")
        if self.ms_per_step is None or self.p95_ms is None:
            return (*head, self.status, *["-"] * (len(_TITLES) - len(head) - 1))
        return (
            *head,
            milliseconds(self.ms_per_step),
            milliseconds(self.p95_ms),
            "-" if self.ratio is None else plus_minus(*self.ratio),
            str(self.steps),
            f"{self.seconds_per_picture:.3g}",
            "-" if self.peak_bytes is None else f"{self.peak_bytes / 1e6:.0f}",
        )


@dataclass(frozen=True)
class StyleReport:
    """The results of all ways."""

    machine: Mapping[str, object]
    options: Mapping[str, object]
    rows: tuple[StyleRow, ...]
    warnings: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """One line that says what was measured, and on which machine."""
        options, machine = self.options, self.machine
        return (
            f"stylize with {options['model']}, {options['size']} pixels, threads: "
            f"{options['threads']}, {options['rounds']} rounds of {options['steps']} steps in "
            f"turns: {machine['processor']}, {machine['cores']} cores"
        )

    @property
    def grid(self) -> Grid:
        """The table."""
        return Grid(_TITLES, tuple(row.cells for row in self.rows), words=3, key=3)

    @property
    def notes(self) -> list[str]:
        """The reasons of empty rows, and the warnings."""
        reasons = [f"{row.way} on {row.provider}: {row.reason}" for row in self.rows if row.reason]
        return [*reasons, *(f"Warning: {warning}" for warning in self.warnings)]

    def to_markdown(self) -> str:
        """The report as Markdown."""
        notes = "".join(f"- {note}\n" for note in self.notes)
        return "\n".join([f"{self.headline}.\n", self.grid.to_markdown(), *([notes] * bool(notes))])

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
