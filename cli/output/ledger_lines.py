"""Reads the lines of a ledger: the record of a run, and the record of a picture.

A line may be torn by a crash, come from another program, or lack the fields of newer versions.
Such lines are skipped if they lack the fields that every line needs; any other field that is
missing or has the wrong type gets an empty value.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias, TypeGuard, cast

from nstbatch.cli.text import printable
from nstbatch.runtime.storage.addresses import Stamp, is_address, located

log = logging.getLogger(__name__)

Fields: TypeAlias = Mapping[str, Any]
"""A JSON object whose values have not been checked."""

VERBS_OF_MANY_IMAGES = frozenset({"deconv"})
"""Verbs that make a picture from many images; the input in their lines is words, not a photo."""


@dataclass(frozen=True, eq=False)
class RunLine:
    """A command that was run on the output folder.

    Attributes:
        id: ID of the run.
        time: Start of the run, in ISO 8601.
        verb: The command.
        command: The words that were typed, the program's name first; empty unless all are text.
        folder: Folder that the command was run in; relative paths start from it. May be empty.
        settings: Values of the options, by their long names.
        style: The picture given as ``--style``, if any.
        files: SHA-256 of the pictures that the options name, by the options' names.
        versions: Versions of the packages used, by their names.
        bundle: Name of the network; empty if there was none.
    """

    id: str
    time: str
    verb: str
    command: tuple[str, ...]
    folder: str
    settings: Fields
    style: str
    files: Fields
    versions: Fields
    bundle: str

    @classmethod
    def parse(cls, fields: Fields) -> RunLine | None:
        """Return the record of a run; None if the line has no ID of a run."""
        if not isinstance(fields.get("run"), str):
            return None
        command = _list(fields, "command")
        return cls(
            id=fields["run"],
            time=_text(fields, "time"),
            verb=_text(fields, "verb"),
            command=tuple(command) if all(isinstance(word, str) for word in command) else (),
            folder=_text(fields, "cwd"),
            settings=_object(fields, "settings"),
            style=_text(fields, "style"),
            files=_object(fields, "files"),
            versions=_object(fields, "versions"),
            bundle=_text(_object(fields, "bundle"), "name"),
        )

    def path(self, name: str) -> Path:
        """Return the path of a file that the command line names."""
        return located(name) if is_address(name) else Path(self.folder, name)


@dataclass(frozen=True, eq=False)
class PictureLine:
    """The result of one attempt to make a picture.

    Attributes:
        line: Number of the line in the ledger, from 1 on; 0 if it is not in the ledger yet.
        run: ID of the run; empty in a damaged line.
        time: End of the attempt, in ISO 8601.
        input: The photo, relative to the folder of the run or absolute; or words for the source of
            a picture that is not made from a photo: "relu2, filter 3".
        output: Path of the picture in the output folder, with ``/``; empty if the line names none,
            or one outside the folder.
        status: ``done`` or ``failed``.
        reason: Reason of a failure.
        fingerprint: See :mod:`.fingerprint`; None for a photo that could not be read.
        input_sha256: SHA-256 of the photo.
        input_stamp: Stamp of the photo when it was hashed.
        output_sha256: SHA-256 of the picture's file.
        output_stamp: Stamp of the picture's file when it was finished.
        seconds: Duration in seconds.
        steps: Number of updates.
        provider: Device that computed the picture.
        precision: Its precision.
        width: Width of the picture in pixels; 0 if there is no picture.
        height: Height of the picture in pixels; 0 if there is no picture.
        losses: Finite weighted losses at the end by term, and their "total"; empty without
            ``details``.
        curve: Points (step, total loss); empty without ``details``.
    """

    line: int
    run: str
    time: str
    input: str
    output: str
    status: str
    reason: str
    fingerprint: str | None
    input_sha256: str | None
    input_stamp: Stamp | None
    output_sha256: str | None
    output_stamp: Stamp | None
    seconds: float
    steps: int
    provider: str
    precision: str
    width: int
    height: int
    losses: Mapping[str, float]
    curve: tuple[tuple[float, float], ...]

    @classmethod
    def parse(cls, fields: Fields, line: int = 0, *, details: bool = False) -> PictureLine | None:
        """Return the record of a picture; None if the line has no input or no known status.

        Args:
            fields: The line.
            line: Its number.
            details: True to read the losses and their curve too: most of a line's memory.
        """
        known = fields.get("status") in ("done", "failed")
        if not (known and isinstance(fields.get("input"), str)):
            return None
        return cls(
            line=line,
            run=_text(fields, "run"),
            time=_text(fields, "time"),
            input=fields["input"],
            output=_output(fields),
            status=fields["status"],
            reason=_text(fields, "reason"),
            fingerprint=_text(fields, "fingerprint") or None,
            input_sha256=_text(fields, "input_sha256") or None,
            input_stamp=_stamp(fields, "input_stamp"),
            output_sha256=_text(fields, "output_sha256") or None,
            output_stamp=_stamp(fields, "output_stamp"),
            seconds=_number(fields, "seconds"),
            steps=int(_number(fields, "steps")),
            provider=_text(fields, "provider"),
            precision=_text(fields, "precision"),
            width=int(_number(fields, "width")),
            height=int(_number(fields, "height")),
            losses=_losses(fields) if details else {},
            curve=_curve(fields) if details else (),
        )

    @property
    def done(self) -> bool:
        """True if the picture was made, False if the attempt failed."""
        return self.status == "done"

    @property
    def megapixels(self) -> float:
        """Size of the picture."""
        return float(self.width) * float(self.height) / 1e6

    @property
    def key(self) -> str:
        """Text that is the same for all attempts at one picture."""
        return str(PurePosixPath(self.output)) if self.output else f"no picture of {self.input}"

    @property
    def name(self) -> str:
        """Name for people: the picture's path in the output folder, or else the input."""
        return printable(str(PurePosixPath(self.output)) if self.output else self.input)

    @property
    def is_from_nothing(self) -> bool:
        """True if the input is a word, such as the name of a class: its own hash is noted."""
        try:
            return self.input_sha256 == word_sha256(self.input)
        except UnicodeEncodeError:  # half a surrogate pair: no name that this program has written
            return False


def read_lines(
    data: bytes, first: int = 1, *, details: bool = False
) -> Iterator[RunLine | PictureLine]:
    """Yield the records in a part of a ledger; torn and foreign lines are skipped.

    Args:
        data: The lines.
        first: Number of the first line, from 1 on.
        details: See :meth:`PictureLine.parse`.
    """
    for number, text in enumerate(data.split(b"\n"), start=first):
        if not text.strip():
            continue
        try:
            fields = json.loads(text.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            log.debug("Line %d of the ledger is torn, and skipped: %s", number, error)
            continue
        record = _record(fields, number, details)
        if record is None:
            log.debug("Line %d of the ledger is of another kind, and skipped", number)
        else:
            yield record


def results_of(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the pictures in a ledger or an intent, and their layers; "" for one without a layer.

    Much faster than :func:`read_lines`, since it looks at nothing else.
    """
    for text in data.split(b"\n"):
        if b'"done"' not in text:
            continue
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if not isinstance(fields, dict) or fields.get("status") != "done":
            continue
        if output := _output(fields):
            yield str(PurePosixPath(output)), _text(fields, "layer")


def word_sha256(word: str | os.PathLike[str]) -> str:
    """Return the hash that stands for a photo's in the line of a picture made from no photo."""
    return hashlib.sha256(os.fsencode(word)).hexdigest()


def _record(fields: object, number: int, details: bool) -> RunLine | PictureLine | None:
    if not isinstance(fields, dict):
        return None
    match fields.get("kind"):
        case "run":
            return RunLine.parse(fields)
        case "image":
            return PictureLine.parse(fields, number, details=details)
    return None


# --- Fields -----------------------------------------------------------------------------------


def _output(fields: Fields) -> str:
    """Return the picture's path in the folder, but no path that leads out of it."""
    text = _text(fields, "output_in_folder")
    path = PurePosixPath(text)
    leads_out = path.is_absolute() or ".." in path.parts
    return "" if leads_out or not path.parts else text


def _losses(fields: Fields) -> dict[str, float]:
    losses = _object(fields, "losses")
    return {name: float(loss) for name, loss in losses.items() if _is_number(loss)}


def _curve(fields: Fields) -> tuple[tuple[float, float], ...]:
    return tuple(
        (float(point[0]), float(point[1]))
        for point in _list(fields, "curve")
        if isinstance(point, list) and len(point) == 2 and all(map(_is_number, point))
    )


def _stamp(fields: Fields, name: str) -> Stamp | None:
    value = _list(fields, name)
    is_stamp = len(value) == 3 and all(isinstance(number, int) for number in value)
    return cast("Stamp", tuple(value)) if is_stamp else None


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _number(fields: Fields, name: str) -> float:
    value = fields.get(name)
    return float(value) if _is_number(value) else 0.0


def _list(fields: Fields, name: str) -> list[Any]:
    value = fields.get(name)
    return value if isinstance(value, list) else []


def _object(fields: Fields, name: str) -> Fields:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _is_number(value: object) -> TypeGuard[int | float]:
    """Return True for a number that fits a float, but not for NaN and infinity."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return -sys.float_info.max <= value <= sys.float_info.max
