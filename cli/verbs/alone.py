"""The one picture that ``--out`` names: ``-o result.jpg``, or ``-o -`` for standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from nstbatch.cli.jobs.parameters import STREAM, Setting
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.formats.picture_options import SUFFIXES_OF_FORMATS, PictureOptions

_FORMATS = {
    **{suffix: name for name, suffix in SUFFIXES_OF_FORMATS.items()},
    **dict.fromkeys((".jpeg", ".jfif", ".jpe"), "jpg"),
    ".tiff": "tiff",
}
"""Suffixes of the pictures that can be written -> the words of ``--format``."""

_OF_FOLDERS = ("name", "report", "watch_progress", "watch_port")
_OF_STANDARD_OUTPUT = ("as_json", "null", "dry_run", "snapshots")


@dataclass(frozen=True)
class Alone:
    """The one picture that ``--out`` names.

    Attributes:
        file: Its file, in a temporary folder if it goes to standard output.
        to_stdout: True for standard output.
    """

    file: Path
    to_stdout: bool = False

    @property
    def format(self) -> str:
        """The picture's format, which its name decides."""
        return _FORMATS[self.file.suffix.lower()]

    @property
    def settings(self) -> dict[str, Setting]:
        """The settings that its name decides, for its recipe."""
        return {"format": self.format, "name": None}

    def print(self) -> None:
        """Write the finished picture to standard output, byte for byte."""
        sys.stdout.flush()
        sys.stdout.buffer.write(self.file.read_bytes())
        sys.stdout.buffer.flush()


def alone(out: Path, options: PictureOptions, temporary: Callable[[], Path]) -> Alone | None:
    """Return the one picture that ``--out`` names; None if it names a folder.

    Args:
        out: The value of ``--out``.
        options: How pictures are written.
        temporary: Makes a folder that is removed when the command ends.

    Raises:
        UsageError: The name is that of a picture that cannot be written.
    """
    if out == STREAM:
        if sys.stdout.isatty():
            raise UsageError(
                "Standard output is a terminal: send it to a file or a program, or give --out a "
                "name."
            )
        return Alone(temporary() / f"stdout{options.suffix or '.png'}", to_stdout=True)
    suffix = out.suffix.lower()
    if os.path.isdir(out) or not _is_of_a_picture(suffix):  # noqa: PTH112, for long names
        return None
    if suffix not in _FORMATS:
        raise UsageError(
            f"{printable(out)} cannot be written: as the name of a picture, --out may end in "
            f"{', '.join(_FORMATS)}. To have a folder of that name, create it first."
        )
    return Alone(out)


def _is_of_a_picture(suffix: str) -> bool:
    from nstbatch.cli.jobs.left_out import READERS
    from nstbatch.runtime.pictures.images import SUFFIXES

    return bool(suffix) and (suffix in SUFFIXES or suffix in READERS)


def check_alone(picture: Alone, options: PictureOptions, given: Collection[str]) -> None:
    """Raise a UsageError for options that do not go with the one picture that ``--out`` names.

    Args:
        picture: The picture.
        options: How pictures are written.
        given: The keys of the parameters that were given.
    """
    if "format_" in given and options.format != picture.format and not picture.to_stdout:
        raise UsageError(
            f"--format {options.format} and --out {printable(picture.file)} exclude each other: "
            "the name decides the format."
        )
    for name in (*_OF_FOLDERS, *(_OF_STANDARD_OUTPUT if picture.to_stdout else ())):
        if name in given:
            place = "-" if picture.to_stdout else printable(picture.file)
            option = name.removeprefix("as_").replace("_", "-")
            raise UsageError(f"--{option} does not go with the one picture of --out {place}.")
