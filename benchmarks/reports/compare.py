"""Two reports against each other: what a change did, or how another machine does.

The runs have no rounds in common, so nothing cancels a machine that was slower on one of the days.
The baselines are rows too: if they changed as well, the machine did.
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
    """What a comparison wants of a row."""

    name: tuple[str, ...]
    """The fields of KEY."""
    rounds: tuple[tuple[float, ...], ...]
    """The milliseconds of each step, by rounds; none where the row was not measured."""

    @property
    def ms_per_step(self) -> float:
        """The median of all steps, as in the table."""
        return median(ms for part in self.rounds for ms in part)


@dataclass(frozen=True)
class Recorded:
    """What a comparison wants of a report."""

    machine: Mapping[str, object]
    rows: tuple[Measured, ...]


@dataclass(frozen=True)
class Change:
    """A row that both reports have."""

    name: tuple[str, ...]
    before_ms: float
    after_ms: float
    speedup: Estimate
    """How many times as fast it has become."""

    @property
    def verdict(self) -> str:
        """In a word; "no change" where the interval holds 1."""
        if self.speedup.is_one():
            return "no change"
        return "faster" if self.speedup.value > 1 else "slower"


@dataclass(frozen=True)
class Comparison:
    """What two reports say of each other."""

    changes: tuple[Change, ...]
    warnings: tuple[str, ...]

    def grid(self) -> Grid:
        """As a table."""
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
    """Hold the rows that both reports measured against each other."""
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
    """Read the part of a report that is compared; fields that are not needed may be anything.

    Raises:
        UsageError: It cannot be read, or is no report.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return _recorded(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError, BundleError) as error:
        raise UsageError(f"{path} is no report of `nstbatch bench --json`: {error}") from error


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
    """These fields of an object, and no others: a later report may have more."""
    if not isinstance(data, Mapping):
        raise BundleError(f"{where} should be an object.")
    kept = {name: data[name] for name in names if name in data}
    Fields(kept, where, names)
    return kept
