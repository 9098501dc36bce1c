"""Results for other programs, on standard output: lines of paths or JSON, or paths and NULs."""

from __future__ import annotations

import base64
import json
import os
import sys
from enum import Enum
from pathlib import Path

from nstbatch.cli.jobs.painting import Outcome, Status
from nstbatch.cli.text import printable


class Results(Enum):
    """The form that results have on standard output."""

    LINES = "the path of each picture, on a line"
    NULL = "the bytes of each picture's path, and a NUL"
    JSON = "a line of JSON for each result"
    NOTHING = "nothing"


def print_result(outcome: Outcome, results: Results) -> None:
    """Print the result of a photo; paths only for pictures that were made."""
    if results is Results.JSON:
        print_json(outcome)
    elif outcome.status is Status.DONE and outcome.output is not None:
        if results is Results.NULL:
            _write(os.fsencode(outcome.output) + b"\0")
        elif results is Results.LINES:
            _print_path(outcome.output)


def print_json(outcome: Outcome) -> None:
    """Print the JSON line; other programs rely on its fields.

    JSON has no way to write a name that is not UTF-8. Such a name has U+FFFD in place of the
    other bytes, and a second field with all of its bytes in base64, as in ripgrep's output.
    """
    record = outcome.record()
    for field in ("input", "output"):
        name = record[field]
        if isinstance(name, str) and _as_text(name) != name:
            record[f"{field}_base64"] = base64.b64encode(os.fsencode(name)).decode("ascii")
    print(json.dumps(_as_text(record), allow_nan=False), flush=True)


def _as_text(value: object) -> object:
    """Replace the halves of surrogate pairs, which stand for bytes that are not UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {name: _as_text(each) for name, each in value.items()}
    return list(map(_as_text, value)) if isinstance(value, list | tuple) else value


def _print_path(path: Path) -> None:
    """Print a path as one line.

    In a pipe, bytes that are not UTF-8 are printed as they are; a terminal gets them spelled out.
    """
    name = os.fspath(path)
    if _as_text(name) == name or os.name != "posix" or sys.stdout.isatty():
        print(printable(name), flush=True)
    else:
        line = "".join(each if _is_byte(each) else printable(each) for each in name)
        _write(os.fsencode(line) + b"\n")


def _is_byte(letter: str) -> bool:
    """True for a byte of a name that is not UTF-8, as Python keeps it in text (PEP 383)."""
    return "\udc80" <= letter <= "\udcff"


def _write(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
