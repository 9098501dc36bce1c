"""Shows a report as a table, on a terminal or as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rich import box
from rich.table import Table
from rich.text import Text

from nstbatch.benchmarks.options import PEERS

from .report import Report, Row, Stages

NOTHING = "-"

# Characters that Rich puts between two columns: a space on either side, and the line.
GAP = 3

STAGES_TITLE = "Seconds of one picture, from file to file"

_Columns: TypeAlias = tuple[tuple[str, Callable[[Row], str]], ...]


@dataclass(frozen=True)
class Grid:
    """A table as plain text."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int
    """Number of columns, from the left, that hold words; the others hold numbers."""
    key: int
    """Number of columns that identify a row."""

    def split(self, width: int) -> list[Grid]:
        """Split the columns into as few tables as fit the width, each starting with the key."""
        widths = [
            GAP + max(map(len, column)) for column in zip(self.titles, *self.rows, strict=True)
        ]
        room = width - sum(widths[: self.key])
        groups: list[list[int]] = [[]]
        for column in range(self.key, len(self.titles)):
            if groups[-1] and sum(widths[c] for c in (*groups[-1], column)) > room:
                groups.append([])
            groups[-1].append(column)
        return [self._part([*range(self.key), *group]) for group in groups]

    def _part(self, columns: Sequence[int]) -> Grid:
        def kept(line: Sequence[str]) -> tuple[str, ...]:
            return tuple(line[column] for column in columns)

        return Grid(kept(self.titles), tuple(map(kept, self.rows)), self.words, self.key)

    def to_markdown(self) -> str:
        """The table in GitHub's Markdown."""
        rules = ["---" if i < self.words else "--:" for i in range(len(self.titles))]
        lines = (self.titles, rules, *self.rows)
        return "".join(f"| {' | '.join(map(_escaped, line))} |\n" for line in lines)

    def to_rich(self) -> Table:
        """The table for Rich; its cells are plain text, never markup."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for i, title in enumerate(self.titles):
            table.add_column(
                Text(title), justify="left" if i < self.words else "right", overflow="fold"
            )
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table


def speed_grid(report: Report) -> Grid:
    """A table with one row for each contestant in each case."""
    against = tuple((f"x {peer}", _ratio_to(peer)) for peer in _baselines(report))
    columns = (*_KEY, *_SPEED, *against, *_COST)
    rows = [tuple(cell(row) for _, cell in columns) for row in report.rows]
    return Grid(tuple(title for title, _ in columns), tuple(rows), words=2, key=4)


def _baselines(report: Report) -> list[str]:
    return [peer for peer in PEERS if any(peer in row.ratio for row in report.rows)]


def stage_grid(stages: Sequence[Stages]) -> Grid:
    """A table with one row for each device: seconds of each stage of one picture."""
    names = list(stages[0].seconds)
    titles = ("provider", "precision", "size", "steps", *names, "all")
    rows = [
        (
            one.provider,
            one.precision,
            str(one.size),
            str(one.steps),
            *(f"{one.seconds[name]:.3f}" for name in names),
            f"{sum(one.seconds.values()):.3f}",
        )
        for one in stages
    ]
    return Grid(titles, tuple(rows), words=2, key=2)


def notes(report: Report) -> list[str]:
    """The reasons of empty rows, each once, and the warnings."""
    reasons = [_why(row) for row in report.rows if row.reason]
    return [*dict.fromkeys(reasons), *(f"Warning: {warning}" for warning in report.warnings)]


def headline(report: Report) -> str:
    """One line that says what was measured, and on which machine."""
    machine, options = report.machine, report.options
    return (
        f"{options['verb']} with {options['model']}, one step, "
        f"threads: {options['threads']}, {options['rounds']} rounds of {options['steps']} steps "
        f"in turns: {machine['processor']}, {machine['cores']} cores"
        + (f", {machine['gpu']}" if machine["gpu"] else "")
    )


def to_markdown(report: Report) -> str:
    """The whole report as Markdown."""
    parts = [f"{headline(report)}.\n", speed_grid(report).to_markdown()]
    if report.stages:
        parts += [f"{STAGES_TITLE}:\n", stage_grid(report.stages).to_markdown()]
    parts += ["".join(f"- {note}\n" for note in notes(report))] if notes(report) else []
    return "\n".join(parts)


# --- Cells ------------------------------------------------------------------------------------


def _why(row: Row) -> str:
    if row.status == "absent":
        return f"{row.provider} is absent: {row.reason}"
    case = row.case
    return f"{row.provider} failed at {case.size} pixels, batch {case.batch}: {row.reason}"


def _number(name: str, form: str, factor: float = 1.0) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        value = getattr(row, name)
        return NOTHING if value is None else format(value * factor, form)

    return cell


def _time(row: Row) -> str:
    return row.status if row.ms_per_step is None else milliseconds(row.ms_per_step)


def _p95(row: Row) -> str:
    return NOTHING if row.p95_ms is None else milliseconds(row.p95_ms)


def milliseconds(value: float) -> str:
    """Format with four significant digits, or all digits before the point."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def _ratio_to(peer: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        if peer not in row.ratio:
            return NOTHING
        return plus_minus(row.ratio[peer], *row.ratio_interval[peer])

    return cell


def plus_minus(value: float, low: float, high: float) -> str:
    """A ratio and half the width of its interval, as hyperfine writes it."""
    return f"{value:.2f} ± {(high - low) / 2:.2f}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _per_megapixel(name: str, factor: float = 1.0) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        value = getattr(row, name)
        megapixels = row.case.batch * row.case.size**2 / 1e6
        return NOTHING if value is None else f"{value * factor / megapixels:.0f}"

    return cell


_KEY: _Columns = (
    ("provider", lambda row: row.provider),
    ("precision", lambda row: row.precision or NOTHING),
    ("size", lambda row: str(row.case.size)),
    ("batch", lambda row: str(row.case.batch)),
)
_SPEED: _Columns = (
    ("ms/step", _time),
    ("p95", _p95),
    ("ms/Mpx", _per_megapixel("ms_per_step")),
    ("images/s", _number("images_per_second", ".4g")),
)
_COST: _Columns = (
    ("TFLOP/s", _number("tflops", ".3g")),
    ("of peak", _number("share_of_peak", ".0%")),
    ("loss", _number("loss", ".5g")),
    ("max diff", _number("max_difference", ".2g")),
    ("start s", _number("start_seconds", ".1f")),
    ("peak MB", _number("peak_bytes", ".0f", 1e-6)),
    ("MB/Mpx", _per_megapixel("peak_bytes", 1e-6)),
    ("counted MB", _number("activation_bytes", ".0f", 1e-6)),
)
