"""What a report is made of: the ledger of an output folder, read as it is.

A line that is torn or foreign is passed over, and of the lines on one picture the last one counts.
The files themselves are not looked at here.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

from nstbatch.cli.output import ledger
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError

log = logging.getLogger(__name__)


Fields = Mapping[str, Any]
"""A line of the ledger, its values not yet checked."""


@dataclass(frozen=True)
class Run:
    """One start of a command on this folder."""

    id: str
    time: str
    verb: str
    command: tuple[str, ...]
    folder: Path
    """Where it was started: relative paths start from there."""
    settings: Fields
    style: str | None
    versions: Fields
    bundle: str | None

    def path(self, name: str) -> Path:
        """The file that the command line called by this name."""
        return self.folder / name


@dataclass(frozen=True)
class Entry:
    """What became of one photo."""

    line: int
    """Of the ledger, from 1 on: later ones are newer."""
    run: str
    time: str
    input: str
    """As it was given: relative to the folder of its run, or absolute."""
    output: PurePosixPath | None
    """Within the output folder; None where there never was to be one."""
    status: str
    """``done`` or ``failed``."""
    reason: str
    seconds: float
    steps: int
    losses: Mapping[str, float]
    """Weighted, by term, and their "total"; without those that are not finite."""
    curve: tuple[tuple[float, float], ...]
    """(step, total loss)"""
    provider: str
    precision: str
    width: int
    height: int
    """Of the picture in pixels; 0 where there is none."""

    @property
    def key(self) -> str:
        """What entries on one picture have in common."""
        return f"no picture of {self.input}" if self.output is None else str(self.output)

    @property
    def name(self) -> str:
        """What people know it by: where it is in the output folder, or where it came from."""
        return printable(self.input if self.output is None else str(self.output))


@dataclass(frozen=True)
class Report:
    """The runs on an output folder, and what became of each photo, in the ledger's order."""

    folder: Path
    runs: Mapping[str, Run]
    entries: tuple[Entry, ...]

    def input_path(self, entry: Entry) -> Path:
        """Where the photo was when it was painted."""
        run = self.runs.get(entry.run)
        return run.path(entry.input) if run else Path(entry.input)

    def output_path(self, entry: Entry) -> Path | None:
        """Where the picture is if it is still there; the output folder may have been moved.

        None for a failure: what is there then is of an earlier run, with other settings.
        """
        if entry.status != "done" or entry.output is None:
            return None
        return self.folder / entry.output


def read_report(folder: Path) -> Report:
    """Read the ledger of an output folder.

    Raises:
        UsageError: There is none, or it cannot be read.
    """
    try:
        data = (folder / ledger.NAME).read_bytes()
    except FileNotFoundError as error:
        raise UsageError(
            f"There is no {ledger.NAME} in {printable(folder)}; "
            "a report needs the output folder of a batch."
        ) from error
    except OSError as error:
        where = printable(folder / ledger.NAME)
        raise UsageError(f"{where} cannot be read: {error.strerror}.") from error
    runs: dict[str, Run] = {}
    entries: dict[str, Entry] = {}
    for number, fields in _lines(data):
        match fields.get("kind"):
            case "run":
                run = _run(fields)
                runs[run.id] = run
            case "image":
                entry = _entry(number, fields)
                entries.pop(entry.key, None)  # so that the newest comes last
                entries[entry.key] = entry
    return Report(folder, runs, tuple(entries.values()))


def _lines(data: bytes) -> Iterator[tuple[int, Fields]]:
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            fields = json.loads(line.decode("utf-8")) if line.strip() else None
        except (ValueError, RecursionError):
            log.debug("line %s of the ledger is torn or foreign, and passed over", number)
            continue
        if _is_readable(fields):
            yield number, fields


def _is_readable(fields: object) -> TypeGuard[Fields]:
    """Tell whether a line has what nothing can be shown without; the rest may be missing."""
    if not isinstance(fields, dict):
        return False
    if fields.get("kind") == "run":
        return isinstance(fields.get("run"), str)
    known = fields.get("status") in ("done", "failed")
    return fields.get("kind") == "image" and known and isinstance(fields.get("input"), str)


def _run(fields: Fields) -> Run:
    return Run(
        id=fields["run"],
        time=_text(fields, "time"),
        verb=_text(fields, "verb"),
        command=tuple(map(str, _list(fields, "command"))),
        folder=Path(_text(fields, "cwd")),
        settings=_object(fields, "settings"),
        style=_text(fields, "style") or None,
        versions=_object(fields, "versions"),
        bundle=_text(_object(fields, "bundle"), "name") or None,
    )


def _entry(number: int, fields: Fields) -> Entry:
    losses = _object(fields, "losses")
    return Entry(
        line=number,
        run=_text(fields, "run"),
        time=_text(fields, "time"),
        input=fields["input"],
        output=_output(fields),
        status=fields["status"],
        reason=_text(fields, "reason"),
        seconds=_number(fields, "seconds"),
        steps=int(_number(fields, "steps")),
        losses={name: float(loss) for name, loss in losses.items() if _is_number(loss)},
        curve=tuple(
            (float(point[0]), float(point[1]))
            for point in _list(fields, "curve")
            if isinstance(point, list) and len(point) == 2 and all(map(_is_number, point))
        ),
        provider=_text(fields, "provider"),
        precision=_text(fields, "precision"),
        width=int(_number(fields, "width")),
        height=int(_number(fields, "height")),
    )


def _output(fields: Fields) -> PurePosixPath | None:
    """Where the picture is within the folder; a path that leads out of it is none of ours."""
    text = _text(fields, "output_in_folder")
    path = PurePosixPath(text)
    leads_out = path.is_absolute() or ".." in path.parts
    return None if leads_out or not path.parts else path


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _number(fields: Fields, name: str) -> float:
    value = fields.get(name)
    return value if _is_number(value) else 0


def _list(fields: Fields, name: str) -> list[Any]:
    value = fields.get(name)
    return value if isinstance(value, list) else []


def _object(fields: Fields, name: str) -> Fields:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether it is a number that a float can hold; neither NaN nor infinite."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return -sys.float_info.max <= value <= sys.float_info.max
