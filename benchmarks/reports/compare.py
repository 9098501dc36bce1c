"""Compares two reports: before and after a change, or from two machines.

The runs share no rounds, so a machine that was slower on one day does not cancel out. The baselines
are rows too: if they also changed, the machine did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from nstbatch.runtime.bundles.json_fields import Fields
from nstbatch.runtime.errors import BundleError, UsageError

from .machine import differences
from .statistics import Estimate, unpaired_ratio
from .table import NOTHING, Grid, milliseconds, plus_minus

KEY = ("provider", "precision", "verb", "model", "size", "batch")


@dataclass(frozen=True)
class Measured:
    """The part of a row that is compared."""

    name: tuple[str, ...]
    """Values of the fields in KEY."""
    rounds: tuple[tuple[float, ...], ...]
    """Milliseconds of each step, by rounds; empty if the row was not measured."""

    @property
    def ms_per_step(self) -> float:
        """Median of all steps, as in the table."""
        return median(ms for part in self.rounds for ms in part)


@dataclass(frozen=True)
class Recorded:
    """The part of a report that is compared."""

    machine: Mapping[str, object]
    rows: tuple[Measured, ...]


@dataclass(frozen=True)
class Change:
    """A row that both reports have."""

    name: tuple[str, ...]
    before_ms: float
    after_ms: float
    speedup: Estimate
    """Time before divided by time after."""

    @property
    def verdict(self) -> str:
        """One of "faster", "slower", and "no change", if the interval contains 1."""
        if self.speedup.is_one():
            return "no change"
        return "faster" if self.speedup.value > 1 else "slower"


@dataclass(frozen=True)
class Comparison:
    """The differences between two reports."""

    changes: tuple[Change, ...]
    warnings: tuple[str, ...]

    def grid(self) -> Grid:
        """The changes as a table."""
        titles = (*KEY, "before ms", "after ms", "speed-up", "")
        rows = [
            (
                *change.name,
                milliseconds(change.before_ms),
                milliseconds(change.after_ms),
                plus_minus(change.speedup.value, change.speedup.low, change.speedup.high),
                change.verdict,
            )
            for change in self.changes
        ]
        return Grid(titles, tuple(rows), words=4, key=len(KEY))


def compare(before: Recorded, after: Recorded) -> Comparison:
    """Compare the rows that both reports measured."""
    measured = {row.name: row for row in before.rows if row.rounds}
    new = {row.name: row for row in after.rows if row.rounds}
    changes = tuple(_change(row, new[name]) for name, row in measured.items() if name in new)
    warnings = [
        f"The machines differ. {difference}"
        for difference in differences(before.machine, after.machine)
    ]
    for name in dict.fromkeys((*measured, *new)):
        if (name in measured) != (name in new):
            which = "first" if name in measured else "second"
            warnings.append(f"Only the {which} report measured {', '.join(name)}.")
    return Comparison(changes, tuple(warnings))


def _change(before: Measured, after: Measured) -> Change:
    speedup = unpaired_ratio(before.rounds, after.rounds)
    return Change(before.name, before.ms_per_step, after.ms_per_step, speedup)


# --- Reading ----------------------------------------------------------------------------------


def read_report(path: Path) -> Recorded:
    """Read the part of a report that is compared; other fields are not checked.

    Raises:
        UsageError: The file cannot be read, or is not a report.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return _recorded(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError, BundleError) as error:
        raise UsageError(f"{path} is not a report of `nstbatch bench --json`: {error}") from error


def _recorded(data: object) -> Recorded:
    report = _only(data, "The report", ("machine", "rows"))
    machine, rows = report["machine"], report["rows"]
    if not isinstance(machine, Mapping) or not isinstance(rows, list):
        raise BundleError("'machine' should be an object and 'rows' a list.")
    return Recorded(machine, tuple(_measured(row, f"rows[{i}]") for i, row in enumerate(rows)))


def _measured(row: object, where: str) -> Measured:
    data = _only(row, where, (*KEY, "rounds", "samples_ms"))
    name = tuple(NOTHING if data[part] is None else str(data[part]) for part in KEY)
    fields = Fields(data, where, data.keys())
    samples = data["samples_ms"]
    samples = fields.numbers("samples_ms", len(samples) if isinstance(samples, list) else 0)
    if not samples:
        return Measured(name, ())
    if min(samples) <= 0:
        raise fields.wrong("samples_ms", "numbers above 0")
    rounds = fields.positive_integer("rounds")
    steps, over = divmod(len(samples), rounds)
    if over:
        raise fields.wrong("samples_ms", f"as many steps in each of {rounds} rounds")
    return Measured(name, _parts(samples, steps))


def _parts(samples: Sequence[float], length: int) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(samples[i : i + length]) for i in range(0, len(samples), length))


def _only(data: object, where: str, names: Sequence[str]) -> dict[str, object]:
    """Only these fields of an object: a later version of the report may have more."""
    if not isinstance(data, Mapping):
        raise BundleError(f"{where} should be an object.")
    kept = {name: data[name] for name in names if name in data}
    Fields(kept, where, names)
    return kept
