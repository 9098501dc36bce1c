"""The data of a report: the runs and the pictures in the ledger of an output folder.

The last line about a picture counts. The pictures' files are not opened here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nstbatch.cli.output import ledger
from nstbatch.cli.output.ledger_lines import (
    VERBS_OF_MANY_IMAGES,
    PictureLine,
    RunLine,
    read_lines,
)
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError


@dataclass(frozen=True)
class Report:
    """The runs on an output folder, and the last line about each picture, oldest line first."""

    folder: Path
    runs: Mapping[str, RunLine]
    entries: tuple[PictureLine, ...]

    def input_path(self, entry: PictureLine) -> Path | None:
        """Return the photo's path at the time of its run; None for a picture without a photo."""
        run = self.runs.get(entry.run)
        if entry.is_from_nothing or (run is not None and run.verb in VERBS_OF_MANY_IMAGES):
            return None
        return run.path(entry.input) if run else Path(entry.input)

    def output_path(self, entry: PictureLine) -> Path | None:
        """Return the picture's path in the folder, which may have been moved since.

        None for a failure: a file of that name comes from an earlier run with other settings.
        """
        return self.folder / entry.output if entry.done and entry.output else None


def read_report(folder: Path) -> Report:
    """Read the ledger of an output folder.

    Raises:
        UsageError: The folder has no ledger, or it cannot be read.
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
    runs: dict[str, RunLine] = {}
    entries: dict[str, PictureLine] = {}
    for line in read_lines(data, details=True):
        if isinstance(line, RunLine):
            runs[line.id] = line
        else:
            entries.pop(line.key, None)  # so that the newest line comes last
            entries[line.key] = line
    return Report(folder, runs, tuple(entries.values()))
