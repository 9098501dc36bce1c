"""A measurement that is interrupted goes on where it was: its results so far, and its time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from nstbatch.benchmarks.reports.machine import differences
from nstbatch.benchmarks.reports.report import Case, Report, Row
from nstbatch.runtime.errors import UsageError

from .probes import Check
from .speed import with_ratios


@dataclass(frozen=True)
class Item:
    """One check or one row that is still to be made."""

    name: str
    measure: Callable[[Deadline], Check | Row]
    """Raises an :class:`nstbatch.benchmarks.tasks.turns.OutOfTimeError` at the deadline."""
    failed: Callable[[str], Check | Row]
    """The check or row if it was not made, from the reason."""


@dataclass(frozen=True)
class Deadline:
    """The time by which a measurement must end; never by default."""

    minutes: float | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float | None:
        """Seconds that are left, 0 or more; None for any number."""
        if self.minutes is None:
            return None
        return max(0.0, self.began + 60 * self.minutes - time.monotonic())


@dataclass(frozen=True)
class Results:
    """The results of one run."""

    checks: tuple[Check, ...]
    report: Report

    def with_one(self, made: Check | Row) -> Results:
        """These results and one more; ratios are those to all rows of its case so far."""
        if isinstance(made, Check):
            return replace(self, checks=(*self.checks, made))
        rows = [*self.report.rows, made]
        case = iter(with_ratios([row for row in rows if row.case == made.case]))
        rows = [next(case) if row.case == made.case else row for row in rows]
        return replace(self, report=replace(self.report, rows=tuple(rows)))

    def to_json(self) -> str:
        """The benchmark's JSON, with the checks added to it."""
        record = json.loads(self.report.to_json())
        record["checks"] = [asdict(check) for check in self.checks]
        return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def results_so_far(path: Path, nothing: Results) -> Results:
    """Read the results that a file holds already.

    Args:
        path: A file that :meth:`Results.to_json` was written to; it need not be there.
        nothing: Results without any check or row, with the plan and the machine of this run.

    Raises:
        UsageError: It holds something else, or results of another plan or machine.
    """
    if not path.exists():
        return nothing
    machine, results = read_results(path)
    if results.report.options != json.loads(json.dumps(nothing.report.options)) or differences(
        machine, json.loads(json.dumps(nothing.report.machine))
    ):
        raise UsageError(
            f"{path} holds the results of other options or of another machine. Name another file, "
            "or delete it."
        )
    return Results(results.checks, replace(nothing.report, rows=results.report.rows))


def read_results(path: Path) -> tuple[Mapping[str, object], Results]:
    """Read a file that :meth:`Results.to_json` was written to: the machine, and the results.

    Raises:
        UsageError: It is not there, or holds something else.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        checks = tuple(Check(**check) for check in record["checks"])
        rows = tuple(_row(row) for row in record["rows"])
        machine, options = record["machine"], record["options"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} holds no results of this command. Name another file.") from error
    return machine, Results(checks, Report(machine, options, rows))


def _row(record: Mapping[str, object]) -> Row:
    fields = dict(record)
    names = ("verb", "model", "size", "batch")
    case = Case(**{name: fields.pop(name) for name in names})  # type: ignore[arg-type]
    fields["samples_ms"] = tuple(fields["samples_ms"])  # type: ignore[arg-type]
    return Row(case=case, **fields)  # type: ignore[arg-type]
